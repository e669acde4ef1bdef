"""A visit keeps the register that the session showed: a poll at any minute can be compared with the last one."""

import random
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from control import visits
from control.records import Evidence, WorkOrder
from control.settings import Settings
from control.signals import Visit
from control.tables import TABLES
from ingest.records import Channel, Finding, MeterRead, Poll, RelayReport, RelayState
from sim.loop import VirtualClock, VirtualLoop
from storage.records import Event, Install
from storage.store import Store
from storage.unit import Unit
from storage.writer import Priority

AT = datetime(2026, 3, 1, 21, 0, 42)
HOUR = AT.replace(minute=0, second=0)


def poll(at: datetime, stored_wh: int, shown_wh: int | None) -> Poll:
    read = MeterRead(1, Channel.IMPORT, HOUR, stored_wh)
    return Poll("M1", at, "7", (read,), power_w=100, offset_s=0, register_wh=shown_wh)


def test_a_profile_row_taken_at_twenty_to_does_not_look_like_a_falling_register(tmp_path: Path) -> None:
    store = Store.open(tmp_path, TABLES, clock=VirtualClock(VirtualLoop(), AT), writer="inline", durable=False)
    with store:

        def keep(found: Poll) -> Visit:
            return store.write(Priority.COMMAND, lambda unit: visits.keep(unit, found, "A", Settings()))

        assert keep(poll(AT, 1000, 1001)).monotone is None
        later = poll(AT + timedelta(minutes=39), 1000, 1070)  # the slot's own row says 1000, the display 1070
        assert keep(later).monotone is True
        assert keep(replace(later, at=AT + timedelta(minutes=40), register_wh=1069)).monotone is False
        assert keep(poll(AT + timedelta(minutes=41), 1000, None)).monotone is False  # 1000 after 1069: a driver without


def test_many_visits_at_once_leave_what_one_after_the_other_does(tmp_path: Path) -> None:
    """Drawn polls: silent ones, other serials, moved relays, conflicts, drifting clocks, meters visited twice."""
    rng, rounds = random.Random(7), list[list[tuple[Poll, str]]]()
    for number in range(40):
        drawn = [_drawn(rng, AT + timedelta(minutes=60 * number + place)) for place in range(rng.randrange(1, 9))]
        rounds.append([(one, f"A-{one.meter}") for one in drawn])
    left = []
    for name in ("many", "one"):
        home = tmp_path / name
        home.mkdir()
        with Store.open(home, TABLES, clock=VirtualClock(VirtualLoop(), AT), writer="inline", durable=False) as store:
            for number in range(4):
                row = Install(number + 1, f"M{number}", f"A-M{number}", f"S{number}", AT - timedelta(days=9))
                store.write(Priority.BATCH, lambda unit, row=row: unit.add(row))  # type: ignore[misc]
            for batch in rounds:
                store.write(Priority.COMMAND, partial(_keep, polls=batch, together=name == "many"))
            left.append(
                [
                    store.read(lambda reader, kind=kind: reader.find(kind))  # type: ignore[misc]
                    for kind in (Visit, Evidence, WorkOrder)
                ]
            )
            events = store.read(lambda reader: reader.find(Event))
            left[-1].append(sorted((row.at, row.code, sorted(row.params.items())) for row in events))
    assert left[0] == left[1]
    assert all(left[0])


def _keep(unit: Unit, polls: list[tuple[Poll, str]], together: bool) -> None:
    if together:
        visits.keep_all(unit, polls, Settings())
    else:
        for found, account in polls:
            visits.keep(unit, found, account, Settings())


def _drawn(rng: random.Random, at: datetime) -> Poll:
    meter = f"M{rng.randrange(5)}"
    if rng.random() < 0.1:
        return Poll(meter, at, findings=(Finding("timeout", at, meter),))
    state = rng.choices([RelayState.CLOSED, RelayState.OPEN, RelayState.UNKNOWN], [12, 2, 1])[0]
    said = at - timedelta(minutes=rng.choice([0, 0, 0, 90]))
    relay = RelayReport(meter, said, state, rng.choice([0, 900])) if rng.random() < 0.9 else None
    serial = rng.choice([f"S{meter[1]}"] * 6 + ["", "S9"])
    read = MeterRead(int(meter[1]) + 1, Channel.IMPORT, HOUR, rng.randrange(5000), rng.choice([0, 0, 1]))
    return Poll(meter, at, serial, (read,), relay, rng.choice([None, 0, 900]), offset_s=rng.choice([None, 0, 900]))
