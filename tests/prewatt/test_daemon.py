"""The daemon as a process: it answers, takes the command line's work, drains, reloads whole, survives kill -9."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from control.payments.webhook import secret, sign
from prewatt import remote
from tests.prewatt.conftest import Run

pytestmark = pytest.mark.sockets
START_S = 30.0


class Running:
    """One daemon process on a home."""

    def __init__(self, home: Path) -> None:
        """Start it and wait until it listens."""
        self.home = home
        self.log = home / "daemon.log"
        with self.log.open("ab") as log:
            start = log.tell()
            self.process = subprocess.Popen([sys.executable, "-m", "prewatt", "run", "--home", str(home)], stderr=log)
        until = time.monotonic() + START_S
        while not (found := re.search(rb'"message": "running", "address": "([^"]+):(\d+)"', self.said(start))):
            assert self.process.poll() is None, self.said(start).decode()
            assert time.monotonic() < until, self.said(start).decode()
            time.sleep(0.02)
        self.host, self.port = found.group(1).decode(), int(found.group(2))

    def said(self, start: int = 0) -> bytes:
        """What it logged."""
        return self.log.read_bytes()[start:]

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """One HTTP request."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=10)
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        return self.process.wait(timeout=20)


@pytest.fixture
def daemon(accounts: Path, home: Path) -> Iterator[Running]:
    """A daemon on a home with three accounts, ended whatever happens."""
    text = (home / "prewatt.toml").read_text(encoding="utf-8").replace("port = 8480", "port = 0")
    (home / "prewatt.toml").write_text(text, encoding="utf-8")
    running = Running(home)
    yield running
    if running.process.poll() is None:
        running.process.kill()
        running.process.wait()


def payment(home: Path, amount: str, number: str) -> tuple[bytes, dict[str, str]]:
    """A signed webhook message."""
    body = json.dumps(
        {
            "type": "payment.posted",
            "data": {
                "external_id": number,
                "account": "A1",
                "amount": amount,
                "currency": "CNY",
                "paid_at": "2026-01-05T08:00:00Z",
            },
        }
    ).encode()
    key = secret((home / "secrets" / "payments-webhook").read_text(encoding="ascii").strip())
    return body, sign(key, f"m-{number}", datetime.now(UTC).replace(tzinfo=None), body)


def test_it_answers_and_takes_the_work_of_the_command_line(daemon: Running, run: Run) -> None:
    assert daemon.ask("GET", "/healthz") == (200, b'{"ok":true}')
    status, body = daemon.ask("GET", "/readyz")
    ready: dict[str, Any] = json.loads(body)
    assert (status, ready["ok"]) == (200, True), ready
    assert set(ready["tests"]) == {"store", "reads", "rating", "engine", "broker", "disk", "ledger"}
    assert run("status", "-o", "json").json["daemon"] is True
    assert run("accounts", "topup", "A1", "12.50", "-o", "json").json["status"] == "posted"
    assert run("accounts", "balance", "A1", "-o", "json").json["balance"] == "12.50"
    assert run("rate", "-o", "json").code == 0
    assert run("accounts", "topup", "A9", "1").code == 2, "a refusal keeps its exit code through the socket"
    assert run("commands", "approve", "c-none").code == 2
    assert daemon.stop() == 0
    assert not (daemon.home / "run" / "prewatt.sock").exists()
    assert run("status", "-o", "json").json["daemon"] is False


def test_metrics_have_their_names_and_no_account(daemon: Running, run: Run) -> None:
    run("accounts", "topup", "A1", "12.50")
    text = daemon.ask("GET", "/metrics")[1].decode()
    for name in (
        "prewatt_reads_total",
        "prewatt_read_age_seconds",
        "prewatt_rating_lag_seconds",
        "prewatt_commands_total",
        "prewatt_command_verify_seconds",
        "prewatt_accounts",
    ):
        assert f"# TYPE {name} " in text
        assert f"# HELP {name} " in text
    assert "prewatt_accounts 3\n" in text
    assert "A1" not in text
    sample = re.compile(r'[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? -?[0-9.e+-]+')
    assert [line for line in text.splitlines() if not line.startswith("#") and not sample.fullmatch(line)] == []


def test_a_signed_payment_is_taken_once_and_a_tampered_one_refused(daemon: Running, run: Run) -> None:
    body, headers = payment(daemon.home, "20.00", "W1")
    first = daemon.ask("POST", "/v1/payments/webhook", body, **headers)
    assert first[0] == 200, first
    assert daemon.ask("POST", "/v1/payments/webhook", body, **headers) == first, "a replay gets the same answer"
    assert daemon.ask("POST", "/v1/payments/webhook", body.replace(b"20.00", b"99.00"), **headers)[0] == 401
    other, signed = payment(daemon.home, "21.00", "W1")
    assert daemon.ask("POST", "/v1/payments/webhook", other, **signed)[0] == 409
    assert daemon.ask("POST", "/v1/payments/webhook", b"x" * 100_000, **headers)[0] == 413
    assert daemon.ask("POST", "/v1/payments/webhook", b"\xff\x00", **headers)[0] == 401
    assert daemon.ask("GET", "/v1/payments/webhook")[0] == 404
    assert run("accounts", "balance", "A1", "-o", "json").json["balance"] == "20.00"


def test_the_console_answers_to_loopback_names_only(daemon: Running) -> None:
    assert daemon.ask("GET", "/")[0] == 303  # to the login
    assert daemon.ask("GET", "/login")[0] == 200
    assert daemon.ask("GET", "/", Host="evil.example")[0] == 400


def test_a_reload_is_all_or_nothing(daemon: Running, run: Run) -> None:
    config = daemon.home / "prewatt.toml"
    before = config.read_text(encoding="utf-8")
    config.write_text(before.replace("[http]", "[htpt]"), encoding="utf-8")
    daemon.process.send_signal(signal.SIGHUP)
    waited(lambda: b"reload refused" in daemon.said())
    assert b"prewatt.toml:37:htpt" in daemon.said()
    assert daemon.ask("GET", "/healthz")[0] == 200
    config.write_text(before.replace('name = "prewatt"', 'name = "Eastern Mini-grid"'), encoding="utf-8")
    daemon.process.send_signal(signal.SIGHUP)
    waited(lambda: b'"message": "reloaded"' in daemon.said())
    assert b"Eastern Mini-grid" in daemon.ask("GET", "/login")[1]
    assert run("accounts", "topup", "A1", "1.00", "-o", "json").json["status"] == "posted"
    assert daemon.stop() == 0
    run("rate")
    rows = run("sql", "SELECT action FROM audit ORDER BY seq", "-o", "json").json["rows"]
    assert [row["action"] for row in rows if row["action"].startswith("config.")] == [
        "config.refused",
        "config.reloaded",
    ]


def waited(done: Any, limit_s: float = 15.0) -> None:
    """Wait until ``done()``."""
    until = time.monotonic() + limit_s
    while not done():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_only_one_daemon_has_a_home(daemon: Running) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "prewatt", "run", "--home", str(daemon.home)], capture_output=True, text=True, timeout=60
    )
    assert second.returncode == 75
    assert str(daemon.process.pid) in second.stderr
    assert daemon.ask("GET", "/healthz")[0] == 200


@pytest.mark.kill
def test_what_was_acknowledged_survives_kill_9(daemon: Running, run: Run) -> None:
    for number in range(5):
        body, headers = payment(daemon.home, "1.00", f"K{number}")
        assert daemon.ask("POST", "/v1/payments/webhook", body, **headers)[0] == 200
        daemon.process.kill()
        daemon.process.wait()
        assert not remote.alive(daemon.home / "run" / "prewatt.sock")
        again = Running(daemon.home)
        daemon.process, daemon.host, daemon.port = again.process, again.host, again.port
        assert daemon.ask("POST", "/v1/payments/webhook", body, **headers)[0] == 200
    assert run("accounts", "balance", "A1", "-o", "json").json["balance"] == "5.00"
    assert daemon.stop() == 0
    assert run("verify", "-o", "json").json["ok"] is True


def test_interrupt_drains_and_leaves_nothing_running(daemon: Running) -> None:
    assert daemon.stop(signal.SIGINT) == 0


def test_the_supervisor_is_told(accounts: Path, home: Path, tmp_path: Path) -> None:
    import socket

    text = (home / "prewatt.toml").read_text(encoding="utf-8").replace("port = 8480", "port = 0")
    (home / "prewatt.toml").write_text(text, encoding="utf-8")
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(str(tmp_path / "notify"))
    told.settimeout(START_S)
    os.environ["NOTIFY_SOCKET"], os.environ["WATCHDOG_USEC"] = str(tmp_path / "notify"), "400000"
    try:
        running = Running(home)
    finally:
        del os.environ["NOTIFY_SOCKET"], os.environ["WATCHDOG_USEC"]
    words = {told.recv(100) for _ in range(3)}
    assert words == {b"READY=1", b"WATCHDOG=1"}
    assert running.stop() == 0
    told.settimeout(1)
    while (word := told.recv(100)) == b"WATCHDOG=1":
        pass
    assert word == b"STOPPING=1"
    told.close()
