"""A home's stored intervals and master data go in, what a replay lives on comes out: by meter, in order of time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ingest.records import MeterPoint
from storage.codec import from_ms, to_ms
from storage.records import Account, Install
from storage.store import Store

Ints = NDArray[np.int64]
DAY = timedelta(days=1)
BEFORE = timedelta(days=62)  # at least so much use before the start, for forecasts and levels


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """The stored intervals of one meter and channel, by end: milliseconds UTC, minutes, Wh, flags."""

    meter_id: int
    channel: int
    end: Ints
    minutes: Ints
    energy: Ints
    flags: Ints

    def between(self, after: datetime, until: datetime) -> "Series":
        """Those that end in (after, until]."""
        low, high = np.searchsorted(self.end, [to_ms(after), to_ms(until)], side="right")
        return Series(self.meter_id, self.channel, *(getattr(self, name)[low:high] for name in self.__slots__[2:]))


@dataclass(frozen=True, slots=True)
class History:
    """Who is replayed, on which meters, and what was stored of them."""

    accounts: tuple[Account, ...]
    points: tuple[MeterPoint, ...]
    installs: tuple[Install, ...]
    series: tuple[Series, ...]

    @property
    def by_meter(self) -> Mapping[int, Sequence[Series]]:
        """The series of each meter."""
        found: dict[int, list[Series]] = {}
        for one in self.series:
            found.setdefault(one.meter_id, []).append(one)
        return found


def load(source: Store, start: datetime, end: datetime, accounts: Sequence[str] = ()) -> History:
    """Everything of ``accounts`` (all without a name) from the year of ``start`` (or two months before) to ``end``."""
    known, points, installs = source.read(
        lambda r: (r.find(Account, order="account"), r.find(MeterPoint, order="meter_id"), r.find(Install))
    )
    wanted = [one for one in known if not accounts or one.account in accounts]
    names = {one.account for one in wanted}
    here = [row for row in installs if row.account in names and (row.end is None or row.end > start)]
    ids = sorted({row.meter_id for row in here})
    since = min(start - BEFORE, datetime(start.year, 1, 1) - timedelta(days=1))
    table = source.intervals(since, end, ids, None)
    mine = [point for point in points if point.meter_id in set(ids)]
    return History(tuple(wanted), tuple(mine), tuple(here), tuple(_series(table)))


def _series(table: pa.Table) -> list[Series]:
    names = ("meter_id", "channel", "end", "minutes", "energy_wh", "flags")
    columns = [table.column(name).cast(pa.int64()).to_numpy() for name in names]
    if not table.num_rows:
        return []
    order = np.lexsort((columns[2], columns[1], columns[0]))
    meter, channel, *rest = (column[order] for column in columns)
    cuts = np.flatnonzero((np.diff(meter) != 0) | (np.diff(channel) != 0)) + 1
    return [
        Series(int(meter[part[0]]), int(channel[part[0]]), *(column[part] for column in rest))
        for part in np.split(np.arange(meter.size), cuts)
    ]


def consumed(series: Series, off: Sequence[tuple[datetime, datetime | None]]) -> tuple[Series, Ints]:
    """The same intervals without what would not have been used in the spans ``off``; and the Wh that is left of each.

    An interval that a span covers in part keeps its share of the minutes that supply was on, rounded down.
    """
    length = series.minutes * 60_000
    dark = np.zeros_like(series.end)
    for begin, over in off:
        last = to_ms(over) if over is not None else int(series.end.max(initial=0))
        shared = np.minimum(series.end, last) - np.maximum(series.end - length, to_ms(begin))
        dark += np.maximum(shared, 0)
    left = series.energy * np.maximum(length - dark, 0) // np.maximum(length, 1)
    kept = Series(series.meter_id, series.channel, series.end, series.minutes, left, series.flags)
    return kept, left


def filled(series: Series, start: datetime, end: datetime) -> Series:
    """The same series with intervals of no energy where it has none in [start, end); for slots of one length only."""
    inside = np.flatnonzero((series.end > to_ms(start)) & (series.end <= to_ms(end)))
    if not inside.size or (series.minutes[inside] != series.minutes[inside[0]]).any():
        return series
    step = int(series.minutes[inside[0]]) * 60_000
    first = int(series.end[inside[0]]) - (int(series.end[inside[0]]) - to_ms(start) - 1) // step * step
    holes = np.setdiff1d(np.arange(first, to_ms(end) + 1, step), series.end)
    holes = holes[holes > int(series.end[0])]
    more = [np.full(holes.size, value, np.int64) for value in (step // 60_000, 0, 0)]
    columns = [np.concatenate([old, new]) for old, new in zip(
        (series.end, series.minutes, series.energy, series.flags), (holes, *more), strict=True)]  # fmt: skip
    order = np.argsort(columns[0], kind="stable")
    return Series(series.meter_id, series.channel, *(column[order] for column in columns))


def rows(series: Sequence[Series]) -> list[dict[str, Any]]:
    """Intervals as plain rows, oldest first."""
    found = [
        {"meter_id": one.meter_id, "channel": one.channel, "end": from_ms(int(end)), "minutes": int(minutes),
         "energy_wh": int(energy), "flags": int(flags)}
        for one in series
        for end, minutes, energy, flags in zip(one.end, one.minutes, one.energy, one.flags, strict=True)
    ]  # fmt: skip
    return sorted(found, key=lambda row: (row["end"], row["meter_id"], row["channel"]))
