"""M-Pesa and Alipay over HTTP: their own answers after the commit, and nothing for whoever has not the secret."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from prewatt import payhooks
from prewatt.config import Payments
from prewatt.health import Probe
from storage.records import Payment
from tests.control.rig import CNY, Rig
from tests.control.test_payment_replay import APP, SHORT, Said, rsa, say_alipay, say_mpesa, scene
from tests.prewatt.conftest import Run


@pytest.fixture
def client(tmp_path: Path) -> tuple[TestClient, Rig]:
    rig = Rig(tmp_path / "home")
    scene(rig, "mpesa")
    place = tmp_path / "secrets"
    place.mkdir()
    pem = rsa().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for name, value in (("mpesa", b"hush-hush-hush"), ("alipay", pem)):
        (place / name).write_bytes(value)
        (place / name).chmod(0o600)
    payments = Payments(mpesa_secret="mpesa", mpesa_shortcode=SHORT, alipay_key="alipay", alipay_app=APP)
    config = SimpleNamespace(payments=payments, home=SimpleNamespace(secrets=place))
    shell = SimpleNamespace(config=config, store=rig.store, clock=rig.clock, engine=rig.engine())
    probe = Probe()
    routes = [
        Route("/mpesa/{secret}/{kind}", payhooks.mpesa_at(lambda: shell, probe), methods=["POST"]),  # type: ignore[arg-type,return-value]
        Route("/alipay", payhooks.alipay_at(lambda: shell, probe), methods=["POST"]),  # type: ignore[arg-type,return-value]
    ]
    return TestClient(Starlette(routes=routes)), rig


def test_mpesa_asks_then_confirms(client: tuple[TestClient, Rig]) -> None:
    web, rig = client
    asked = "/mpesa/hush-hush-hush/validation"
    assert web.post(asked, content=say_mpesa(Said("T1"))).json()["ResultCode"] == "0"
    assert web.post(asked, content=say_mpesa(Said("T1", account="K9"))).json()["ResultCode"] == "C2B00012"
    assert rig.find(Payment) == []
    for _ in range(2):
        done = web.post("/mpesa/hush-hush-hush/confirmation", content=say_mpesa(Said("T1")))
        assert (done.status_code, done.json()["ResultCode"]) == (200, "0")
    assert [(row.external_id, row.amount_micro, row.status) for row in rig.find(Payment)] == [
        ("T1", 60 * CNY, "posted")
    ]
    other = web.post("/mpesa/hush-hush-hush/confirmation", content=say_mpesa(Said("T1", amount="1")))
    assert other.status_code == 409


def test_without_the_secret_there_is_no_mpesa(client: tuple[TestClient, Rig]) -> None:
    web, rig = client
    for path in ("/mpesa/guess/confirmation", "/mpesa/hush-hush-hush/refund"):
        assert web.post(path, content=say_mpesa(Said("T1"))).status_code == 404
    assert web.post("/mpesa/hush-hush-hush/confirmation", content=b"{").status_code == 400
    assert web.post("/mpesa/hush-hush-hush/confirmation", content=b"x" * 20_000).status_code == 413
    assert rig.find(Payment) == []


def test_alipay_hears_success_and_nothing_else_after_the_commit(client: tuple[TestClient, Rig]) -> None:
    web, rig = client
    for _ in range(2):
        done = web.post("/alipay", content=say_alipay(Said("T7")))
        assert (done.status_code, done.content) == (200, b"success")
    assert [(row.channel, row.external_id, row.account) for row in rig.find(Payment)] == [("alipay", "T7", "A1")]
    forged = web.post("/alipay", content=say_alipay(Said("T8")).replace(b"60.00", b"66.00"))
    assert (forged.status_code, forged.json()) == (401, {"error": "bad_signature"})


def test_a_person_matches_and_gives_back(accounts: Path, home: Path, run: Run, tmp_path: Path) -> None:
    bank = tmp_path / "bank.csv"
    bank.write_text("id,account,amount,currency,paid_at\nB1,A9,5.00,CNY,2026-01-05T08:00:00Z\nTOTAL,1,5.00,,\n")
    assert run("payments", "import", str(bank), "-o", "json").json["unmatched"] == 1
    assert run("payments", "match", "csv", "B1", "A8").code == 1
    assert run("payments", "match", "csv", "B1", "A1", "-o", "json").json["result"] == "posted"
    assert run("payments", "match", "csv", "B1", "A1").code == 2
    assert run("accounts", "balance", "A1", "-o", "json").json["balance"] == "5.00"
    for words, said in (
        (("csv", "B1", "--reason", " "), "--reason"),
        (("csv", "B1", "--reason", "x", "--amount", "6"), "at most 5"),
        (("csv", "B7", "--reason", "x"), "there is none"),
    ):
        found = run("payments", "reverse", *words)
        assert found.code == 2 and said in found.err, found.err
    done = run("payments", "reverse", "csv", "B1", "--reason", "sent twice", "--amount", "2", "-o", "json")
    assert (done.json["result"], done.json["given_back"]) == ("reversed", "2.00")
    assert run("accounts", "balance", "A1", "-o", "json").json["balance"] == "3.00"


def test_a_statement_is_imported_by_what_it_is(accounts: Path, run: Run, tmp_path: Path) -> None:
    from tests.control.test_payment_replay import say_camt, say_pain

    file = tmp_path / "statement.xml"
    file.write_bytes(say_camt(Said("T1")))
    found = run("payments", "import", str(file), "-o", "json").json
    assert (found["posted"], found["payments"][0]["channel"]) == (1, "camt")
    assert run("payments", "import", str(file)).code == 1
    assert json.loads(run("accounts", "balance", "A1", "-o", "json").out)["balance"] == "60.00"
    file.write_bytes(say_pain(Said("T2")) + b"<!-- paid by direct debit -->")
    assert run("payments", "import", str(file), "-o", "json").json["posted"] == 1
    file.write_bytes(say_pain(Said("T2", status="reversed")))
    assert run("payments", "import", str(file), "-o", "json").json["reversed"] == 1
    file.write_bytes(say_pain(Said("T3", status="failed")))
    assert run("payments", "import", str(file), "-o", "json").json["payments"][0]["reason"] == "returned AM04"
    assert json.loads(run("accounts", "balance", "A1", "-o", "json").out)["balance"] == "60.00"
