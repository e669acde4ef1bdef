"""What the watchdog wrote while nobody else did stands in our records: once, whatever the file looks like."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest

from control import watchfile
from control.records import Incident
from control.signals import HEARTBEAT_WATCHDOG, Signal
from control.watchdog import FILE, Watchdog
from storage.records import AuditRow
from storage.store import Priority
from tests.control.rig import NOW, Rig


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def copy(rig: Rig) -> int:
    return rig.store.write(Priority.COMMAND, lambda unit: watchfile.copy(unit, rig.home, rig.clock.now()))


def line(kind: str, account: str = "", minute: int = 0) -> str:
    at = NOW + timedelta(minutes=minute)
    return json.dumps({"kind": kind, "at": at.isoformat() + "Z", "account": account, "detail": "dark"}) + "\n"


def test_alarms_become_incidents_in_the_sweep_and_are_audited_once(rig: Rig) -> None:
    dog = Watchdog(rig.home, lambda alarm: None, lambda: None)
    assert [alarm.kind for alarm in dog.look(NOW)] == ["engine_silent"]
    engine = rig.engine()
    for _ in range(2):
        asyncio.run(engine.reconcile())
    assert [row.kind for row in rig.find(Incident)] == ["watchdog_engine_silent"]
    assert len(rig.find(AuditRow, action="incident.watchdog_engine_silent")) == 1
    assert rig.get(Signal, HEARTBEAT_WATCHDOG).at == NOW  # type: ignore[attr-defined]


def test_half_a_line_waits_and_what_is_no_line_is_told(rig: Rig) -> None:
    path = rig.home / FILE
    path.write_text(line("paid_dark", "A1") + line("paid_dark", "A2")[:30])
    assert copy(rig) == 1
    with path.open("a") as file:
        file.write(line("paid_dark", "A2")[30:] + "rubbish\n[]\n{}\n" + line("beat", minute=9))
    assert copy(rig) == 1
    assert {row.account for row in rig.find(Incident, kind="watchdog_paid_dark")} == {"A1", "A2"}
    assert len(rig.find(Incident, kind="watchdog_unreadable")) == 1
    assert rig.get(Signal, HEARTBEAT_WATCHDOG).at == NOW + timedelta(minutes=9)  # type: ignore[attr-defined]
    assert copy(rig) == 0


def test_a_rotated_file_is_read_from_its_head_and_an_alarm_that_stands_is_one_incident_a_day(rig: Rig) -> None:
    path = rig.home / FILE
    path.write_text(line("paid_dark", "A1") * 3)
    assert copy(rig) == 3
    path.write_text(line("paid_dark", "A3"))
    assert copy(rig) == 1
    assert sorted(row.account for row in rig.find(Incident)) == ["A1", "A3"]


def test_an_endless_line_is_passed_over_in_the_end(rig: Rig) -> None:
    (rig.home / FILE).write_bytes(b"x" * (watchfile.CHUNK + 10) + b"\n" + line("paid_dark", "A1").encode())
    assert [copy(rig) for _ in range(2)] == [0, 1]


def test_without_a_file_there_is_nothing(rig: Rig) -> None:
    assert copy(rig) == 0
