"""The encoded buffer of a profile generic object becomes columns: one array of UTC times, one of register values.

Rows of one fixed layout (the usual case: every row has the same tags and lengths) are read as a NumPy view without
touching a row in Python; anything else goes item by item. Both give the same; a test holds them together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from ingest.errors import WireRefusal
from ingest.wire.axdr import NUMBERS, Cursor, Data, Tag, decode, read
from ingest.wire.cosem import NOT_SPECIFIED, Column, When, time_of

_NUMPY = {
    Tag.DOUBLE_LONG: ">i4",
    Tag.DOUBLE_LONG_UNSIGNED: ">u4",
    Tag.INTEGER: ">i1",
    Tag.LONG: ">i2",
    Tag.UNSIGNED: ">u1",
    Tag.LONG_UNSIGNED: ">u2",
    Tag.LONG64: ">i8",
    Tag.LONG64_UNSIGNED: ">u8",
    Tag.ENUM: ">u1",
}
_STRINGS = (Tag.OCTET_STRING, Tag.VISIBLE_STRING)
_CLOCK_ROW = ">u2,u1,u1,u1,u1,u1,u1,u1,>i2,u1"


@dataclass(frozen=True, slots=True)
class Rows:
    """A profile's rows: ``ends`` datetime64[ms] in UTC, ``values`` int64 unscaled, ``fast`` whether the view served."""

    ends: npt.NDArray[np.datetime64]
    values: npt.NDArray[np.int64]
    fast: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the two columns stand in a row, and how a missing time is to be read."""

    clock: int
    value: int
    period_s: int = 0  # capture period: a row without a time is that much after the one before
    zone: str = "UTC"  # for times whose deviation is not specified
    trust_deviation: bool = True  # False: the meter's deviation is known to be wrong, ``zone`` counts


def layout_of(columns: Sequence[Column], value: Column, clock: Column) -> tuple[int, int]:
    """The positions of ``clock`` and ``value`` among the captured objects; refuses a profile that lacks one."""
    missing = [wanted.obis for wanted in (clock, value) if columns.count(wanted) != 1]
    if missing:
        raise WireRefusal("unknown_profile", f"captured objects hold {', '.join(missing)} not exactly once")
    return columns.index(clock), columns.index(value)


def rows_of(encoded: bytes, layout: Layout) -> Rows:
    """Decode a whole buffer; raises WireRefusal when it is not an array of structures with both columns."""
    fast = _view(encoded, layout)
    return fast if fast is not None else _item_by_item(decode(encoded), layout)


def _item_by_item(buffer: Data, layout: Layout) -> Rows:
    if buffer.tag is not Tag.ARRAY or not isinstance(buffer.value, tuple):
        raise WireRefusal("bad_profile", f"{buffer.tag.name} where an array was expected")
    ends: list[datetime] = []
    values: list[int] = []
    for row in buffer.value:
        parts = row.value
        if not isinstance(parts, tuple) or len(parts) <= max(layout.clock, layout.value):
            raise WireRefusal("bad_profile", f"row {len(ends) + 1} has too few columns")
        ends.append(_row_time(parts[layout.clock], layout, ends))
        value = parts[layout.value]
        if value.tag not in NUMBERS or not isinstance(value.value, int) or abs(value.value) >= 1 << 63:
            raise WireRefusal("bad_profile", f"row {len(ends)} holds {value.tag.name} where a number was expected")
        values.append(value.value)
    return Rows(np.array(ends, dtype="datetime64[ms]"), np.array(values, dtype=np.int64))


def _row_time(data: Data, layout: Layout, before: list[datetime]) -> datetime:
    if data.tag is Tag.NULL and before and layout.period_s:
        return before[-1] + timedelta(seconds=layout.period_s)
    return _utc(time_of(data), layout)


def _utc(when: When, layout: Layout) -> datetime:
    return (when if layout.trust_deviation else when._replace(deviation_min=None)).utc(layout.zone)


def _view(encoded: bytes, layout: Layout) -> Rows | None:
    """The fast path, or None when the rows are not all alike or their times need a zone."""
    cursor = Cursor(encoded)
    if not encoded or cursor.byte() != Tag.ARRAY:
        return None
    count = cursor.length()
    start = cursor.at
    if count < 2:
        return None
    row = read(cursor)
    size = cursor.at - start
    if count * size != len(encoded) - start:
        return None
    spans = _spans(row, layout)
    if spans is None:
        return None
    table = np.frombuffer(encoded, dtype=np.uint8, offset=start).reshape(count, size)
    fixed = np.ones(size, dtype=bool)
    for at, width in spans.free:
        fixed[at : at + width] = False
    if not bool((table[:, fixed] == table[0, fixed]).all()):
        return None
    ends = _times(_column(table, spans.clock, 12, _CLOCK_ROW), layout)
    if ends is None:
        return None
    at, tag = spans.value
    values = _column(table, at, NUMBERS[tag].size, _NUMPY[tag])
    if tag is Tag.LONG64_UNSIGNED and bool((values >= np.uint64(1 << 63)).any()):
        return None
    return Rows(ends, values.astype(np.int64), fast=True)


def _column(table: npt.NDArray[np.uint8], at: int, width: int, dtype: str) -> npt.NDArray[Any]:
    """One column of bytes as numbers."""
    return np.ascontiguousarray(table[:, at : at + width]).view(np.dtype(dtype))[:, 0]


@dataclass(frozen=True, slots=True)
class _Spans:
    clock: int
    value: tuple[int, Tag]
    free: tuple[tuple[int, int], ...]  # (offset, width) of all bytes that may differ from row to row


def _spans(row: Data, layout: Layout) -> _Spans | None:
    """Offsets inside one row of numbers and short strings; None when a column is of another kind."""
    if row.tag is not Tag.STRUCTURE or not isinstance(row.value, tuple):
        return None
    at, free, starts = 2, [], []  # structure tag and a count below 128
    if not max(layout.clock, layout.value) < len(row.value) < 128:
        return None
    for part in row.value:
        width = NUMBERS[part.tag].size if part.tag in _NUMPY else 0
        head = 1
        if part.tag in _STRINGS and isinstance(part.value, bytes | str):
            head, width = 2, len(part.value)
        if (not width and part.tag is not Tag.NULL) or width >= 128:
            return None
        starts.append(at + head)
        free.append((at + head, width))
        at += head + width
    clock, value = row.value[layout.clock], row.value[layout.value]
    if clock.tag is not Tag.OCTET_STRING or free[layout.clock][1] != 12 or value.tag not in _NUMPY:
        return None
    return _Spans(starts[layout.clock], (starts[layout.value], value.tag), tuple(free))


def _times(raw: npt.NDArray[Any], layout: Layout) -> npt.NDArray[np.datetime64] | None:
    """Date-times as UTC; None unless every one is complete and its deviation may be believed (or the zone is UTC)."""
    year, month, day, _, hour, minute, second, hundredths, deviation, _status = (
        raw[name].astype(np.int64) for name in raw.dtype.names or ()
    )
    if ((month < 1) | (month > 12) | (year < 1970) | (year > 2200)).any():
        return None
    if ((day < 1) | (hour > 23) | (minute > 59) | ((second > 59) & (second != 0xFF))).any():
        return None
    unspecified = deviation == NOT_SPECIFIED
    if (unspecified.any() or not layout.trust_deviation) and layout.zone != "UTC":
        return None
    offset = np.where(unspecified | (not layout.trust_deviation), 0, deviation)
    if (np.abs(offset) > 840).any():
        return None
    months = (year - 1970) * 12 + month - 1
    first = months.astype("datetime64[M]")
    if (day > ((first + 1).astype("datetime64[D]") - first.astype("datetime64[D]")).astype(np.int64)).any():
        return None
    days = first.astype("datetime64[D]") + (day - 1)
    millis = ((hour * 60 + minute + offset) * 60 + np.where(second == 0xFF, 0, second)) * 1000
    millis += np.where(hundredths < 100, hundredths * 10, 0)
    ends: npt.NDArray[np.datetime64] = days.astype("datetime64[ms]") + millis.astype("timedelta64[ms]")
    return ends
