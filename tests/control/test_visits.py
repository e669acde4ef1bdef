"""A visit keeps the register that the session showed: a poll at any minute can be compared with the last one."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from control import visits
from control.settings import Settings
from control.signals import Visit
from control.tables import TABLES
from ingest.records import Channel, MeterRead, Poll
from sim.loop import VirtualClock, VirtualLoop
from storage.store import Store
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
