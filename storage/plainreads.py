"""Register reads of the inbox go in as columns; the plain ones come out as intervals and places, the others are named.

Plain is a register whose reads all go on by exactly one slot of its grid, plausibly and with nothing special about
them, from where it stands; the first read of a register that nobody knew sets its place. Equal to ``ingest.intervals``
in every field: what is not plain is for ``walk``, register by register.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from ingest.intervals import HANDED_ON, NOT_PLAIN, RESOLUTION_WH, Key, Limits, Place
from ingest.records import Flag
from storage.codec import from_ms, to_ms
from storage.schemas import INTERVALS
from storage.usage import Bool, Int, Master

MOST: Final = 1 << 60
"""Registers and powers beyond it are left to whole numbers without a limit."""
_COLUMNS: Final = ("meter_id", "channel", "end", "register_wh", "flags", "offset_s")


@dataclass(frozen=True, slots=True)
class Plain:
    """Intervals by register and time, where their registers stand now, and the rows that are for the slow way."""

    intervals: pa.Table
    places: Mapping[Key, Place]
    rest: Int  # in order of arrival


@dataclass(frozen=True, slots=True)
class _Heads:
    """One entry per register: where it stands (ms, Wh), whether that is known and good, what its meter can do."""

    known: Bool
    usable: Bool
    end: Int
    register: Int
    minutes: Int
    power: Int


def take(table: pa.Table, master: Master, places: Mapping[Key, Place]) -> Plain:
    """Convert the plain reads of ``table``, which go on from ``places``."""
    columns = [table.column(name).cast(pa.int64()).to_numpy() for name in _COLUMNS]
    order = np.lexsort((columns[2], columns[1], columns[0]))
    meter, channel, end, register, flags, offset = (column[order] for column in columns)
    first = np.ones(order.size, np.bool_)
    first[1:] = (meter[1:] != meter[:-1]) | (channel[1:] != channel[:-1])
    heads, series = np.flatnonzero(first), np.cumsum(first) - 1
    keys = list(zip(meter[heads].tolist(), channel[heads].tolist(), strict=True))
    own = _heads(keys, master, places)
    before, since = np.empty_like(register), np.empty_like(end)
    before[1:], since[1:] = register[:-1], end[:-1]
    before[heads], since[heads] = own.register, own.end
    opening = first & ~own.known[series]
    slot_ms = own.minutes[series] * 60_000
    step = register - before
    most = own.power[series] * (slot_ms // 1000) // 3600 + RESOLUTION_WH
    goes_on = (end - since == slot_ms) & (end % slot_ms == 0) & (step >= 0) & (step <= most)
    good = (goes_on | opening) & ((flags & NOT_PLAIN) == 0) & (register >= 0) & (register < MOST)
    whole = np.logical_and.reduceat(good, heads) & own.usable if heads.size else np.zeros(0, np.bool_)
    plain = whole[series]
    kept = np.flatnonzero(plain & ~opening)
    marks = (flags & HANDED_ON) | np.where(np.abs(offset) > Limits().clock_s, int(Flag.CLOCK), 0)
    found = (meter, channel, end.astype("datetime64[ms]"), own.minutes[series], step, marks)
    arrays = [pa.array(column[kept]).cast(kind.type) for column, kind in zip(found, INTERVALS.schema, strict=True)]
    lasts = np.append(heads[1:], order.size) - 1
    moved = {
        keys[number]: Place(from_ms(at), wh)
        for number, at, wh in zip(
            np.flatnonzero(whole).tolist(), end[lasts[whole]].tolist(), register[lasts[whole]].tolist(), strict=True
        )
    }
    return Plain(pa.Table.from_arrays(arrays, schema=INTERVALS.schema), moved, np.sort(order[~plain]))


def _heads(keys: Sequence[Key], master: Master, places: Mapping[Key, Place]) -> _Heads:
    default, count = Limits(), len(keys)
    known, usable = np.zeros(count, np.bool_), np.ones(count, np.bool_)
    end, register, minutes, power = np.zeros((4, count), np.int64)
    for row, key in enumerate(keys):
        place, point = places.get(key), master.points.get(key[0])
        if place is not None:
            known[row], end[row] = True, to_ms(place.end)
            usable[row] = place.suspect_end is None and not place.estimated and -MOST < place.register_wh < MOST
            register[row] = place.register_wh if usable[row] else 0
        minutes[row] = point.slot_min if point is not None else default.minutes
        power[row] = min(point.max_power_w if point is not None else default.max_power_w, MOST >> 17)
    return _Heads(known, usable, end, register, minutes, power)
