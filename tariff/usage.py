"""Intervals of one account go in, energies on a plan's slots come out, with the slots for which there was none."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tariff import calendar as calendars
from tariff import gas
from tariff.errors import RatingError
from tariff.plan import Plan
from tariff.records import MissingSpan

Ints = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Usage:
    """What one account's meters counted in slots named by their ``ends`` (datetime64, UTC); the arrays are parallel."""

    ends: NDArray[Any]
    wh: Ints
    minutes: int
    export_wh: Ints | None = None
    reactive_varh: Ints | None = None


def _slots(plan: Plan, usage: Usage, until: datetime) -> tuple[Ints, NDArray[np.bool_], int]:
    """Slot of each interval, which of them count, and the number of slots up to ``until``."""
    calendar = plan.calendar
    count = min(max(0, (until - calendar.start) // timedelta(minutes=calendar.slot_min)), calendar.slots)
    ends = np.asarray(usage.ends, "datetime64[m]").astype(np.int64)
    offset = ends - calendars.minutes_of(calendar.start)
    slot = offset // calendar.slot_min - 1
    inside = (slot >= 0) & (slot < count)
    if (offset[inside] % calendar.slot_min).any():
        raise RatingError(f"intervals of {usage.minutes} minutes do not lie on the slots from {calendar.start} on")
    return slot, inside, count


def placed(plan: Plan, usage: Usage, until: datetime) -> tuple[Ints, Ints | None, NDArray[np.bool_]]:
    """Energies [1, slots up to ``until``] and which slots have an interval; two intervals of one slot are refused.

    Where the book is one of gas, 0.001 m3 have become Wh.
    """
    slot, inside, count = _slots(plan, usage, until)
    present = np.zeros(count, np.bool_)
    present[slot[inside]] = True
    if int(present.sum()) != int(inside.sum()):
        raise RatingError("two intervals for one slot: resolve the conflict before rating")
    wh = np.zeros((1, count), np.int64)
    wh[0, slot[inside]] = np.asarray(usage.wh)[inside]
    wh = gas.energies(plan.book, plan.calendar, wh)
    if usage.export_wh is None:
        return wh, None, present
    export = np.zeros((1, count), np.int64)
    export[0, slot[inside]] = np.asarray(usage.export_wh)[inside]
    return wh, export, present


def on_slots(plan: Plan, usage: Usage, values: Ints, until: datetime) -> Ints:
    """[1, slots up to ``until``] of ``values``, which are parallel to the usage's intervals."""
    slot, inside, count = _slots(plan, usage, until)
    found = np.zeros((1, count), np.int64)
    found[0, slot[inside]] = np.asarray(values)[inside]
    return found


def total_of(plan: Plan, usage: Usage, values: Ints, until: datetime) -> Ints:
    _, inside, _ = _slots(plan, usage, until)
    return np.array([np.asarray(values)[inside].sum()], np.int64)


def missing_spans(plan: Plan, holes: Ints, ended: datetime | None) -> tuple[MissingSpan, ...]:
    """Neighbouring empty slots as spans; those from ``ended`` on are not missing."""
    calendar = plan.calendar
    step = timedelta(minutes=calendar.slot_min)
    if ended is not None:
        holes = holes[holes < max(0, (ended - calendar.start) // step)]
    spans: list[MissingSpan] = []
    for group in np.split(holes, np.flatnonzero(np.diff(holes) != 1) + 1):
        if len(group):
            first, last = calendar.start + step * int(group[0]), calendar.start + step * (int(group[-1]) + 1)
            spans.append(MissingSpan(first, last, len(group)))
    return tuple(spans)


def reads_hash(usage: Usage) -> str:
    """sha256 of what a bill was made of, in order of time."""
    ends = np.asarray(usage.ends, "datetime64[m]").astype(np.int64)
    order = np.argsort(ends, kind="stable")
    digest = hashlib.sha256(str(usage.minutes).encode())
    digest.update(np.ascontiguousarray(ends[order]).tobytes())
    for values in (usage.wh, usage.export_wh, usage.reactive_varh):
        digest.update(b"" if values is None else np.asarray(values, np.int64)[order].tobytes())
    return digest.hexdigest()
