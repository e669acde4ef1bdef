"""Guard G3 through the daemon's own doors: a provider's count over HTTP, a bank's file, a person's word."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from control.payments.webhook import secret, sign
from control.settings import Settings
from prewatt.config import check
from prewatt.errors import BadConfig
from prewatt.home import Home
from prewatt.wiring import settings
from tests.prewatt import test_daemon
from tests.prewatt.conftest import Run
from tests.prewatt.test_daemon import Running, payment

daemon = test_daemon.daemon


def bound(text: str) -> Settings:
    return settings(check(text, Home(Path("/nowhere"))))


def test_the_configuration_says_which_channels_must_be_reconciled() -> None:
    key = "[payments]\nwebhook_secrets = ['k']\n"
    files = dict.fromkeys(("alipay", "camt", "csv", "mpesa", "pain"), False)
    assert (bound("").payment_channels, bound("").used_channels) == ({}, files)
    assert (bound(key).payment_channels, bound(key).used_channels) == ({}, {**files, "webhook": True})
    named = bound(key + "channels = ['webhook']")
    assert (named.payment_channels, named.used_channels) == ({"webhook": True}, {})


@pytest.mark.parametrize("names", ["['webhok']", "['csv', 'csv']", "['webhook']"])
def test_a_channel_that_does_not_exist_or_has_no_key_is_refused(names: str) -> None:
    with pytest.raises(BadConfig) as refused:
        check(f"[payments]\nchannels = {names}", Home(Path("/nowhere")))
    assert str(refused.value.which).startswith("prewatt.toml:2:payments.channels.")


@pytest.fixture
def signal_rows(daemon: Running, run: Run) -> Iterator[object]:
    """What the store says of a channel, asked beside the daemon."""

    def rows(table: str, columns: str) -> list[dict[str, object]]:
        from control.tables import TABLES
        from prewatt.clock import clock
        from storage.store import Store

        record = next(spec.record for spec in TABLES if spec.name == table)
        with Store.open(daemon.home, TABLES, clock=clock(), writer="none") as store:
            found = store.read(lambda reader: reader.find(record))
        of_channels = [row for row in found if str(getattr(row, "name", "payments.")).startswith("payments.")]
        return [{name: getattr(row, name) for name in columns.split()} for row in of_channels]

    yield rows


@pytest.mark.sockets
def test_a_provider_counts_a_person_vouches_and_a_file_reconciles(
    daemon: Running, run: Run, tmp_path: Path, signal_rows: object
) -> None:
    key = secret((daemon.home / "secrets" / "payments-webhook").read_text(encoding="ascii").strip())

    def count(number: int, total: str, **changes: object) -> tuple[int, dict[str, str]]:
        now = datetime.now(UTC).replace(tzinfo=None)
        data = {"until": f"{now.isoformat()}Z", "count": number, "total": total, **changes}
        body = json.dumps({"type": "channel.reconciled", "data": data}).encode()
        status, answer = daemon.ask("POST", "/v1/payments/webhook", body, **sign(key, f"c-{now:%H%M%S%f}", now, body))
        return status, json.loads(answer)

    body, headers = payment(daemon.home, "20.00", "W1")
    assert daemon.ask("POST", "/v1/payments/webhook", body, **headers)[0] == 200
    assert signal_rows("signal", "name value by")[-1] == {  # type: ignore[operator]
        "name": "payments.webhook", "value": "used", "by": "payment",
    }  # fmt: skip
    status, said = count(2, "25.00")
    assert (status, said["status"], said["our_count"], said["our_total_micro"]) == (409, "different", "1", "20000000")
    assert [row["kind"] for row in signal_rows("incidents", "kind")] == ["channel_differs"]  # type: ignore[operator]
    assert count(1, "20.00")[0] == 200
    assert signal_rows("signal", "value")[-1]["value"] == "ok"  # type: ignore[operator]
    assert count(0, "x") == (
        400,
        {"error": "bad_amount", "detail": "data.total must be a decimal text, at most 6 places"},
    )
    assert count(True, "1")[1]["error"] == "bad_field"  # type: ignore[arg-type]
    assert count(1, "1", until="2026-01-01T00:00:00")[1]["error"] == "bad_time"
    assert daemon.ask("POST", "/v1/payments/webhook", body.replace(b"posted", b"x"), **headers)[0] == 401
    said = run("payments", "reconciled", "webhook", "--by", "ann", "-o", "json").json
    assert (said["channel"], said["by"], said["payments"]) == ("webhook", "ann", 0)
    assert run("payments", "reconciled", "carrier-pigeon").code == 2
    bank = tmp_path / "bank.csv"
    bank.write_text("id,account,amount,currency,paid_at\nB1,A1,5.00,CNY,2026-01-05T08:00:00Z\nTOTAL,1,5.00,,\n")
    assert run("payments", "import", str(bank), "-o", "json").code == 0
    names = {(row["name"], row["value"]) for row in signal_rows("signal", "name value")}  # type: ignore[operator]
    assert {("payments.webhook", "ok"), ("payments.csv", "ok")} <= names
