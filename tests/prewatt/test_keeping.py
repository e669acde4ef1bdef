"""What a home keeps: bills verified on the text of their own book, backups that come back, decisions that explain."""

import json
import logging
import sqlite3
from pathlib import Path

import pytest

from control import commands, fences, journal
from control.records import Action, Command
from prewatt.config import load
from prewatt.health import Probe, look, metrics, readiness
from prewatt.home import Home
from prewatt.logs import PER_MINUTE, Few, JsonLines
from prewatt.wiring import opened, reading
from storage.records import ConfigAudit
from storage.writer import Priority
from tests.prewatt.conftest import Run


@pytest.fixture
def billed(accounts: Path, home: Path, run: Run, tmp_path: Path) -> Path:
    """One posted bill on a book of the home's own; returns the book's file."""
    from tariff.book import shipped_text

    book = home / "books" / "own.toml"
    book.write_text(shipped_text("demo").replace("\nname =", "\n# name ="), encoding="utf-8")
    rows = "account,meter,book\nA1,M1,own\n"
    (tmp_path / "own.csv").write_text(rows, encoding="utf-8")
    assert run("accounts", "import", tmp_path / "own.csv", "-o", "json").json["changed"] == 1
    reads = ["meter,start,kwh", *(f"M1,2026-01-{d:02d}T12:00:00+08:00,1.25" for d in range(1, 32))]
    (tmp_path / "reads.csv").write_text("\n".join(reads) + "\n", encoding="utf-8")
    assert run("reads", "import", tmp_path / "reads.csv", "--minutes", "60", "-o", "json").code == 0
    assert run("bill", "2026-01", "-o", "json").json["posted"] == 1
    return book


def test_a_bill_is_verified_on_the_text_of_its_own_book(billed: Path, run: Run) -> None:
    assert run("verify", "-o", "json").json["bills"] == {"checked": 1, "differences": [], "different": 0}
    billed.write_text(billed.read_text(encoding="utf-8") + "\n# a later remark\n", encoding="utf-8")
    assert run("verify", "-o", "json").json["bills"] == {"checked": 1, "differences": [], "different": 0}


def test_a_bill_that_was_changed_is_found(billed: Path, home: Path, run: Run) -> None:
    link = sqlite3.connect(home / "state.db")
    link.execute("UPDATE bill SET total_micro = total_micro + 10000")
    link.commit()
    link.close()
    told = run("verify", "-o", "json")
    assert told.code == 1
    assert told.json["ok"] is False
    assert "total" in {row["reason"] for row in told.json["bills"]["differences"]}


def test_an_audit_row_that_was_changed_is_found(accounts: Path, home: Path, run: Run) -> None:
    link = sqlite3.connect(home / "state.db")
    link.execute("DROP TRIGGER audit_no_update")
    link.execute("UPDATE audit SET actor = 'somebody else' WHERE seq = 2")
    link.commit()
    link.close()
    told = run("verify", "-o", "json")
    assert told.code == 1
    assert (told.json["chain"], told.json["ledger"]) == (False, True)


def test_a_backup_comes_back(billed: Path, home: Path, run: Run, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    assert run("backup", copy, "-o", "json").json["ok"] is True
    assert run("restore", copy, "--dry-run", "-o", "json").json["ok"] is True
    assert sorted(p.name for p in home.iterdir() if p.name.startswith("restore-")) == []
    assert run("restore", copy).code == 2, "a home with a store is not overwritten"
    for name in ("state.db", "ballast"):
        (home / name).unlink()
    (home / "lake").rename(tmp_path / "old-lake")
    assert run("restore", copy, "-o", "json").json["ok"] is True
    assert run("verify", "-o", "json").json["bills"]["checked"] == 1


def test_what_is_in_force_is_kept_once(home: Path) -> None:
    config = load(Home(home))
    for _ in range(2):
        with opened(config) as shell:
            rows = shell.store.read(lambda reader: reader.find(ConfigAudit))
            assert {policy.id for policy in shell.policies.values()} <= {row.digest for row in rows}
    assert len(rows) == len({row.digest for row in rows}) == 5


def requested(home: Path) -> str:
    """A disconnection that waits for approval."""
    with opened(load(Home(home))) as shell:
        now = shell.clock.now()

        def work(unit: object) -> Command | None:
            made = commands.make(
                Action.DISCONNECT,
                account="A1",
                meter="M1",
                fence=fences.following(unit, "M1"),  # type: ignore[arg-type]
                at=now,
                decision="d-test",
                policy_version="p",
                reason="exhausted",
                valid_s=7200,
                needs_approval=True,
                requester="cli:asker",
            )
            return journal.request(unit, made, now)  # type: ignore[arg-type]

        made = shell.store.write(Priority.COMMAND, work)
    assert made is not None
    return made.command


def test_who_asked_cannot_approve_and_what_ended_cannot_be_cancelled(accounts: Path, home: Path, run: Run) -> None:
    name = requested(home)
    assert [row["command"] for row in run("commands", "list", "-o", "json").json["commands"]] == [name]
    told = run("commands", "approve", name, "--by", "cli:asker")
    assert told.code == 1
    assert "who asked for it cannot approve it" in told.err
    approved = run("commands", "approve", name, "--by", "boss", "-o", "json").json
    assert approved["approvals"] == ["boss"]
    run("commands", "cancel", name, "--reason", "wrong house")
    shown = run("commands", "show", name, "-o", "json").json
    assert shown["state"] == "cancelled"
    assert shown["journal"][0]["event"] == "request"
    again = run("commands", "cancel", name)
    assert again.code == 1
    assert run("commands", "list", "-o", "json").json["commands"] == []


def test_metrics_and_readiness_tell_of_a_silent_field(accounts: Path, home: Path) -> None:
    text = (home / "prewatt.toml").read_text(encoding="utf-8")
    text += '\n[[gateway]]\nname = "g"\nprotocol = "modbus"\nhost = "192.0.2.1"\n'
    (home / "prewatt.toml").write_text(text, encoding="utf-8")
    config = load(Home(home))
    with reading(config) as shell:
        health = look(shell.store, config)
    tests = readiness(health, config, Probe())
    assert [name for name, test in tests.items() if not test["ok"]] == ["reads"]
    assert readiness(health, config, Probe(broker=lambda: False))["broker"]["ok"] is False
    assert readiness(health, config, Probe(error="engine: X"))["engine"]["ok"] is False
    probe = Probe()
    probe.counts["webhook_refused"] = 2
    assert 'prewatt_daemon_events_total{event="webhook_refused"} 2\n' in metrics(health, probe)


def record(message: str, level: int = logging.WARNING, **extra: object) -> logging.LogRecord:
    """A log record at one fixed minute."""
    made = logging.makeLogRecord({"name": "x", "msg": message, "levelno": level, "levelname": "W", **extra})
    made.created, made.msecs = 1_800_000_000.25, 250.0
    return made


def test_one_device_cannot_fill_the_log() -> None:
    few = Few()
    assert sum(few.filter(record("late", meter="M1")) for _ in range(100)) == PER_MINUTE
    assert few.filter(record("late", meter="M2"))
    assert few.filter(record("late", logging.ERROR, meter="M1"))
    next_minute = record("late", meter="M1")
    next_minute.created += 60
    assert few.filter(next_minute)
    assert vars(next_minute)["dropped"] == 101 - PER_MINUTE


def test_a_log_line_is_one_object() -> None:
    line = json.loads(JsonLines().format(record("late", meter="M1", reason="wrong_unit")))
    assert line == {
        "at": "2027-01-15T08:00:00.250Z",
        "level": "W",
        "logger": "x",
        "message": "late",
        "meter": "M1",
        "reason": "wrong_unit",
    }
