"""Meter points, the last slot read of each and the time go in, who is due comes out, in the order to call.

Reads of one slot are staggered: each meter has its own second after the slot's end, spread over a window by its id, so
that a thousand meters do not call at once and all land inside the window.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from ingest.records import MeterPoint

EPOCH = datetime(2000, 1, 1)
_SPREAD = 2_654_435_761  # Knuth's multiplicative hash: neighbours in id are far apart in time


class Urgency(IntEnum):
    """Order of calls on one link, most urgent first."""

    COMMAND = 0
    RECONNECT = 1
    ON_DEMAND = 2
    SCHEDULED = 3
    BACKFILL = 4


@dataclass(frozen=True, slots=True)
class Due:
    """One call to make: this meter, for the slot that ended at ``slot_end``."""

    point: MeterPoint
    slot_end: datetime


def slot_floor(at: datetime, slot_min: int) -> datetime:
    """The end of the last full slot at ``at`` (slots of ``slot_min`` minutes counted from midnight UTC).

    >>> slot_floor(datetime(2026, 7, 1, 10, 59), 30)
    datetime.datetime(2026, 7, 1, 10, 30)
    """
    slot = timedelta(minutes=slot_min)
    return at - (at - EPOCH) % slot


def stagger_s(meter_id: int, window_s: int) -> int:
    """The meter's own second in the window of ``window_s`` seconds after each slot's end."""
    return (meter_id * _SPREAD % 2**32) * window_s // 2**32 if window_s > 0 else 0


def due(
    points: Iterable[MeterPoint], done: Mapping[int, datetime], now: datetime, *, window_s: int = 0
) -> tuple[Due, ...]:
    """Who has not yet been read for its last ended slot and whose second has come; oldest slot first, then by second.

    ``done`` holds per meter id the end of the last slot that was read. A point of protocol ``file`` or ``mqtt`` is
    never due: those come by themselves.
    """
    calls: list[tuple[datetime, int, int, Due]] = []
    ends: dict[tuple[int, int], datetime] = {}  # by second and slot length: a city of meters shares few
    for point in points:
        if point.protocol in ("file", "mqtt"):
            continue
        second = stagger_s(point.meter_id, min(window_s, point.slot_min * 60 // 2))
        slot_end = ends.get((second, point.slot_min))
        if slot_end is None:
            slot_end = slot_floor(now - timedelta(seconds=second), point.slot_min)
            ends[second, point.slot_min] = slot_end
        if done.get(point.meter_id, EPOCH) < slot_end:
            calls.append((slot_end, second, point.meter_id, Due(point, slot_end)))
    return tuple(call for _, _, _, call in sorted(calls, key=lambda item: item[:3]))


def next_at(points: Iterable[MeterPoint], now: datetime, *, window_s: int = 0) -> datetime | None:
    """When the next meter's second comes, None without meters: what a daemon sleeps until."""
    times = []
    for point in points:
        if point.protocol not in ("file", "mqtt"):
            second = timedelta(seconds=stagger_s(point.meter_id, min(window_s, point.slot_min * 60 // 2)))
            times.append(slot_floor(now - second, point.slot_min) + timedelta(minutes=point.slot_min) + second)
    return min(times, default=None)
