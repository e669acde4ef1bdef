"""The watchdog judges a store that the engine owns, from beside it, and says so when nobody else does."""

import json
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from control import settle, signals
from control.records import Command, CommandState, Evidence, Service, Wanted
from control.signals import Signal
from control.watchdog import FILE, Alarm, Watchdog, alarms
from ingest.records import RelayState
from storage.records import AccountState
from storage.store import Priority
from tests.control.rig import CNY, NOW, Rig


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def dark_and_paid(rig: Rig) -> None:
    rig.put(Evidence("M1", RelayState.OPEN, NOW, "read_back", 0), Wanted("A1", Service.DISCONNECTED, NOW))
    rig.store.write(Priority.MONEY, lambda unit: settle.settle(unit, rig.payment(), rig.world()))


def kinds(rig: Rig, minutes: int, *, beat: bool = True) -> list[str]:
    now = NOW + timedelta(minutes=minutes)
    if beat:
        rig.put(Signal(signals.HEARTBEAT, "ok", now))
    return [alarm.kind for alarm in rig.store.read(lambda reader: alarms(reader, now))]


def test_a_healthy_home_raises_nothing(rig: Rig) -> None:
    assert kinds(rig, 0) == []


def test_a_paid_account_dark_at_its_clock_is_an_alarm_whatever_the_command_is(rig: Rig) -> None:
    dark_and_paid(rig)
    assert kinds(rig, 14) == [] and kinds(rig, 15) == ["paid_dark"]
    for state in (CommandState.FAILED, CommandState.UNKNOWN, CommandState.EXPIRED, CommandState.REFUSED):
        rig.put(replace(rig.command(), state=state))
        assert "paid_dark" in kinds(rig, 15)
    rig.put(replace(rig.command(), state=CommandState.VERIFIED), Evidence("M1", RelayState.CLOSED, NOW, "read_back"))
    assert kinds(rig, 15) == []


def test_a_paid_account_without_any_reconnect_is_found_from_money_and_relay_alone(rig: Rig) -> None:
    dark_and_paid(rig)
    rig.store.write(Priority.BATCH, lambda unit: unit.delete(Command, rig.command().command))
    assert kinds(rig, 5) == [] and kinds(rig, 6) == ["paid_no_command"]
    rig.put(replace(rig.get(AccountState, "A1"), accrued_micro=900 * CNY))  # type: ignore[type-var]
    assert kinds(rig, 6) == []


def test_a_silent_engine_is_an_alarm(rig: Rig) -> None:
    assert kinds(rig, 0, beat=False) == ["engine_silent"]
    rig.put(Signal(signals.HEARTBEAT, "ok", NOW))
    assert kinds(rig, 15, beat=False) == [] and kinds(rig, 16, beat=False) == ["engine_silent"]


def test_it_reads_beside_the_engine_repeats_hourly_and_beats_after_each_look(rig: Rig) -> None:
    dark_and_paid(rig)
    raised: list[Alarm] = []
    beats: list[int] = []
    dog = Watchdog(rig.home, raised.append, lambda: beats.append(1))
    for minutes in range(0, 121, 10):
        rig.put(Signal(signals.HEARTBEAT, "ok", NOW + timedelta(minutes=minutes)))
        dog.look(NOW + timedelta(minutes=minutes))
    assert [(alarm.kind, (alarm.at - NOW).total_seconds() / 60) for alarm in raised] == [
        ("paid_dark", 20),
        ("paid_dark", 80),
    ]
    assert len(beats) == 13
    lines = [json.loads(line) for line in (rig.home / FILE).read_text().splitlines()]
    assert [line["kind"] for line in lines if line["kind"] != "beat"] == ["paid_dark", "paid_dark"]


def test_a_home_that_cannot_be_read_is_an_alarm_too(tmp_path: Path) -> None:
    raised: list[Alarm] = []
    (tmp_path / "state.db").write_bytes(b"not a database at all" * 100)
    Watchdog(tmp_path, raised.append, lambda: None).look(NOW)
    assert [alarm.kind for alarm in raised] == ["store_unreadable"]


def test_it_is_a_process_of_its_own_beside_the_owner_of_the_lock(rig: Rig) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "control.watchdog", str(rig.home), "--once"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).resolve().parents[2],
        check=False,
    )
    assert done.returncode == 1 and json.loads(done.stderr.splitlines()[0])["kind"] == "engine_silent"
