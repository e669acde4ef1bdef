"""Forged, old and reordered messages are refused and logged; no secret is ever in a log, a table or an export."""

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from control.payments.webhook import secret, sign
from tests.prewatt.conftest import Ran, Run
from tests.prewatt.test_daemon import Running, daemon, payment

__all__ = ["daemon"]
pytestmark = pytest.mark.sockets
HOOK = "/v1/payments/webhook"


def spelled(home: Path) -> dict[str, bytes]:
    """Every secret of the home, as it is kept and as it is used, in the forms in which it could leak."""
    found: dict[str, bytes] = {}
    for path in sorted((home / "secrets").rglob("*")):
        if not path.is_file() or path.stat().st_size < 8:
            continue
        raw = path.read_bytes().strip()
        found[f"{path.name}"] = raw
        key = secret(raw.decode("ascii")) if raw.startswith(b"whsec_") else raw
        found[f"{path.name} raw"] = key
        found[f"{path.name} hex"] = key.hex().encode()
        found[f"{path.name} base64"] = base64.b64encode(key).rstrip(b"=")
    return found


def leaks(folder: Path, secrets: dict[str, bytes]) -> list[str]:
    """Where a secret stands in a file under ``folder`` that is not in a folder of secrets."""
    return [
        f"{name} in {path.relative_to(folder)}"
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "secrets" not in path.parts
        for name, text in secrets.items()
        if text in path.read_bytes()
    ]


def exported(run: Run, folder: Path) -> list[Ran]:
    """Every view of the catalog as a file that hides nothing."""
    folder.mkdir()
    views = run("sql", "SELECT view_name FROM duckdb_views() WHERE NOT internal", "-o", "json").json["rows"]
    done = [run("export", row["view_name"], folder / f"{row['view_name']}.csv", "-o", "json") for row in views]
    assert len(done) > 10 and all(one.code == 0 for one in done), [one.err for one in done if one.code]
    return done


def test_what_is_forged_old_or_reordered_is_refused_and_logged_and_no_secret_leaves(
    daemon: Running,
    run: Run,
    tmp_path: Path,
) -> None:
    home, now = daemon.home, datetime.now(UTC).replace(tzinfo=None)
    body, headers = payment(home, "20.00", "W1")
    key = secret((home / "secrets" / "payments-webhook").read_text(encoding="ascii").strip())
    forged = sign(b"not the key", "m-1", now, body)
    recorded = sign(key, "m-2", now - timedelta(minutes=6), body)
    ahead = sign(key, "m-3", now + timedelta(minutes=6), body)
    moved = {**headers, "webhook-id": "m-another"}
    for wrong in (forged, recorded, ahead, moved, {}):
        assert daemon.ask("POST", HOOK, body, **wrong)[0] in (400, 401)
    pending = body.replace(b"payment.posted", b"payment.pending")
    assert daemon.ask("POST", HOOK, body, **headers)[0] == 200
    late = daemon.ask("POST", HOOK, pending, **sign(key, "m-4", now, pending))
    assert late[0] == 200 and b'"posted"' in late[1], "an older state that comes later changes nothing"
    assert run("accounts", "balance", "A1", "-o", "json").json["balance"] == "20.00"
    said = daemon.said()
    assert said.count(b"payment webhook refused") == 5
    for reason in (b"bad_signature", b"stale", b"missing_header"):
        assert reason in said

    secrets = spelled(home)
    assert len(secrets) >= 4, "no secrets to look for"
    told = [run("status", "-o", "json"), run("doctor", "-o", "json"), run("config", "show", "-o", "json")]
    told += [run("backup", tmp_path / "kept", "-o", "json"), run("verify", "-o", "json")]
    assert [one.code for one in told if one.code not in (0, 1)] == [], "a verb was not understood"
    pages = [daemon.ask("GET", path)[1] for path in ("/metrics", "/readyz", "/healthz", "/login")]
    assert daemon.stop() == 0
    told += exported(run, tmp_path / "exports")
    spoken = "".join(one.out + one.err for one in told).encode() + b"".join(pages)
    assert [name for name, text in secrets.items() if text in spoken] == []
    assert leaks(tmp_path, secrets) == []
    (home / "daemon.log").write_bytes(said + next(iter(secrets.values())))
    assert leaks(tmp_path, secrets) != [], "the search would find nothing"
