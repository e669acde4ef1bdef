"""Frames that a terminal sent of its own accord go in, reads of its points come out where slots are missing.

Registers of curves and of daily freezes close the slots at whose ends they stood, as backfill. Every frame, also one
whose layout is not known, is kept raw with the next poll. A register whose time lies ahead of ours by more than the
clock limit counts for nothing. At most ``HELD`` registers of ``MOST_POINTS`` points wait; the oldest give way.
"""

from collections import deque
from datetime import datetime, timedelta
from typing import NamedTuple

from ingest.errors import WireRefusal
from ingest.limits import CLOCK_LIMIT_S, stored_offset
from ingest.links.qgdw376_visit import TerminalVisit
from ingest.plan import slot_floor
from ingest.records import Channel, Flag, MeterRead
from ingest.terminalmodel import TerminalDriver
from ingest.wire import qgdw376_items as items
from ingest.wire.qgdw376 import Afn, Frame, encode
from ingest.wire.qgdw376_curves import curve
from ingest.wire.qgdw376_items import Unit

HELD = 2_048
"""Registers of one point: three weeks of quarter-hours."""
MOST_POINTS = 64


class _Stood(NamedTuple):
    """A register of one item as it stood at a time on the terminal's wall clock."""

    fn: int
    at: datetime
    wh: int


class Reports:
    """What one terminal reported and nobody stored yet."""

    def __init__(self) -> None:
        """Nothing came yet."""
        self._stood: dict[int, deque[_Stood]] = {}
        self._raw: list[bytes] = []

    def take(self, frames: list[Frame]) -> None:
        """Frames as they came."""
        for frame in frames:
            self._raw.append(encode(frame))
            for unit in _units(frame):
                registers = _registers(unit)
                if registers and unit.pn not in self._stood and len(self._stood) >= MOST_POINTS:
                    del self._stood[next(iter(self._stood))]
                if registers:
                    self._stood.setdefault(unit.pn, deque(maxlen=HELD)).extend(registers)

    def raw(self) -> tuple[bytes, ...]:
        """The frames that were not kept yet; taken now."""
        found, self._raw = tuple(self._raw), []
        return found

    def reads(self, visit: TerminalVisit, start: datetime, end: datetime) -> list[MeterRead]:
        """The registers of the visit's point that close slots in (``start``, ``end``], each once."""
        point, now, channels = visit.point, visit.clock.now(), _channels(visit.driver)
        off = abs(visit.offset_s or 0) > CLOCK_LIMIT_S
        flags = Flag.BACKFILL | (Flag.CLOCK | Flag.UNCERTAIN if off else Flag.NONE)
        offset_s, found = stored_offset(visit.offset_s), dict[tuple[int, datetime], MeterRead]()
        for stood in self._stood.get(point.unit, ()):
            channel, at = channels.get(stood.fn), visit.utc(stood.at)
            ahead = (at - now).total_seconds() > CLOCK_LIMIT_S
            if channel is not None and not ahead and start < at <= end and at == slot_floor(at, point.slot_min):
                found[channel, at] = MeterRead(point.meter_id, channel, at, stood.wh, int(flags), offset_s)
        return list(found.values())


def _channels(driver: TerminalDriver) -> dict[int, Channel]:
    both = (
        ((driver.import_curve_fn, driver.import_daily_fn), Channel.IMPORT),
        ((driver.export_curve_fn, driver.export_daily_fn), Channel.EXPORT),
    )
    return {fn: channel for fns, channel in both for fn in fns if fn}


def _units(frame: Frame) -> tuple[Unit, ...]:
    """The units of a report of history; none of a frame that cannot be read as one."""
    if frame.afn != Afn.CLASS2:
        return ()
    try:
        return items.units(frame)
    except WireRefusal:
        return ()


def _registers(unit: Unit) -> list[_Stood]:
    """The registers in one unit; a freeze that was not taken on the day after stands for nothing."""
    try:
        if unit.fn in (101, 103):
            return [_Stood(unit.fn, at, int(value)) for at, value in curve(unit) if value is not None]
        if unit.fn in (161, 163):
            found = items.registers(unit)
            end = None if found.day is None else found.day + timedelta(days=1)
            if end and found.at and found.total_wh is not None and end <= found.at < end + timedelta(days=1):
                return [_Stood(unit.fn, end, found.total_wh)]
    except WireRefusal:
        pass
    return []
