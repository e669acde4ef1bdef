"""Committed intervals and charges go in, once each; every meter's last weeks by hour come out, as columns.

A look over everybody used to read four weeks of rows for each meter; nearly all of them were known an hour before.
Batches are followed as they are committed. A row that comes after its meter's last one is added to its hour; a later
word on an hour replaces it as ``storage/merge.py`` would; what cannot be told so simply (parts of an hour that come
late, several accounts on one meter) lets the meter be read anew. Nothing here is a truth of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from control import hourcells
from control.hourcells import HOUR_MS, MISSING, News, Paid, Use
from ingest.records import Channel
from storage.codec import to_ms
from storage.follow import Follower
from storage.store import Store

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]
DAY_H = 24
PRICE_DAYS = 7
PRICE_H = PRICE_DAYS * DAY_H
SPARE_H = 96
"""Columns kept free for the hours to come, so that the arrays move every few days only."""
MOST = 100_000
"""Most meters kept (9 KiB each); where more are asked for, the others are read from the store each time."""
FAR = timedelta(days=3650)
_DATASETS = ("intervals", "charges")


@dataclass(frozen=True, slots=True)
class Past:
    """The past of some meters, row by row in the order asked for; hours end at the full hour asked for.

    ``use`` [n, hours] Wh, NaN where nothing is stored; ``flags`` of the newest interval, ``tier`` of the newest charge
    (-1: none); ``energy`` and ``micro`` [n, 168] are charged Wh and money by hour of the last week, ``listed`` that
    energy at its list price in micro.
    """

    use: Floats
    flags: Ints
    energy: Ints
    micro: Ints
    listed: Floats
    tier: Ints

    @property
    def stored(self) -> Bool:
        """[n] whether there is any interval."""
        return np.asarray(np.isfinite(self.use).any(axis=1))

    @property
    def charged(self) -> Bool:
        """[n] whether any energy was charged in the last week."""
        return np.asarray((self.energy > 0).any(axis=1))


class Histories:
    """The past of meters, kept between looks; ``days`` is how far back use reaches."""

    def __init__(self, store: Store, days: int, most: int = MOST) -> None:
        """Nothing is read yet."""
        self.store = store
        self._most = most
        self.days = days
        self._followers = {name: Follower(name) for name in _DATASETS}
        self._row: dict[int, int] = {}
        self._sorted: tuple[Ints, Ints] | None = None
        self._free: list[int] = []
        self._low = 0  # number of the hour in the first column
        self._use = Use(0, days * DAY_H + SPARE_H)
        self._paid = Paid(0, PRICE_H + SPARE_H)

    def of(self, meters: Sequence[int], end: datetime) -> Past:
        """The past of ``meters`` up to the full hour ``end``."""
        self._follow(end)
        fresh = [meter for meter in dict.fromkeys(meters) if meter not in self._row]
        if len(self._row) + len(fresh) > self._most:
            wanted = set(meters)
            self._forget([meter for meter in self._row if meter not in wanted])
        if len(self._row) + len(fresh) > self._most:
            return Histories(self.store, self.days, len(meters)).of(meters, end)
        self._load(fresh, end)
        return self._past(np.array([self._row[meter] for meter in meters], np.int64), end)

    def _past(self, rows: Ints, end: datetime) -> Past:
        after = _hour(to_ms(end)) - self._low + 1
        wh = self._use.wh[rows, after - self.days * DAY_H : after]
        week = slice(after - self._skip - PRICE_H, after - self._skip)
        return Past(
            np.where(wh == MISSING, np.nan, wh.astype(np.float64)),
            self._use.flags[rows],
            self._paid.wh[rows, week].astype(np.int64),
            self._paid.micro[rows, week],
            self._paid.listed[rows, week],
            self._paid.tier[rows],
        )

    @property
    def _skip(self) -> int:
        """By how many hours the columns of charges begin later than those of use."""
        return self.days * DAY_H - PRICE_H

    def _follow(self, end: datetime) -> None:
        """Take in what was committed since; forget everything where that cannot be told."""
        self._move(end)
        news = self.store.read(
            lambda reader: [(name, self._followers[name].news(reader.connection)) for name in _DATASETS]
        )
        if any(tables is None for _, tables in news):
            self._forget(list(self._row))
            for name in _DATASETS:
                self.store.read(lambda reader, name=name: self._followers[name].restart(reader.connection))  # type: ignore[misc]
            return
        for name, tables in news:
            for table in tables or ():
                self._forget(self._note(name, table))

    def _move(self, end: datetime) -> None:
        """Let the columns reach from the oldest hour asked for to some hours after the newest."""
        oldest = _hour(to_ms(end)) - self.days * DAY_H + 1
        if 0 <= oldest - self._low <= SPARE_H - DAY_H:
            return
        if oldest < self._low:
            self._forget(list(self._row))
        else:
            for cells in (self._use, self._paid):
                hourcells.shift(cells, oldest - self._low)
        self._low = oldest

    def _forget(self, meters: Sequence[int]) -> None:
        self._free += [self._row.pop(meter) for meter in meters]
        if meters:
            self._sorted = None

    def _load(self, meters: Sequence[int], end: datetime) -> None:
        """Read meters from the store into free rows."""
        if not meters:
            return
        size = len(self._use.end)
        if len(meters) > len(self._free):
            room = max(size + len(meters) - len(self._free), min(2 * size, self._most))
            self._free += range(size, room)
            for cells in (self._use, self._paid):
                hourcells.larger(cells, room)
        rows = [self._free.pop() for _ in meters]
        self._row.update(zip(meters, rows, strict=True))
        self._sorted = None
        for cells in (self._use, self._paid):
            hourcells.clear(cells, np.array(rows, np.int64))
        ids = sorted(meters)
        begin = end - timedelta(days=self.days)
        self._note("intervals", self.store.intervals(begin, end + FAR, ids), trusted=True)
        self._note("charges", self.store.charges(end - timedelta(days=PRICE_DAYS), end + FAR, ids), trusted=True)

    def _note(self, name: str, table: pa.Table, *, trusted: bool = False) -> list[int]:
        """Put rows in their hours; returns the meters that must be read anew."""
        if name == "intervals":
            table = table.filter(pc.field("channel") == int(Channel.IMPORT))
        numbers, rows_of = self._index()
        meter = table.column("meter_id").to_numpy().astype(np.int64)
        if not numbers.size or not meter.size:
            return []
        place = np.minimum(np.searchsorted(numbers, meter), numbers.size - 1)
        mine = np.flatnonzero(numbers[place] == meter)
        if not mine.size:
            return []
        ends = table.column("end").cast(pa.int64()).to_numpy()[mine]
        cells: Use | Paid = self._use if name == "intervals" else self._paid
        column = _hours(ends) - self._low - (0 if name == "intervals" else self._skip)
        news = News(rows_of[place[mine]], ends, column, table.take(pa.array(mine)))
        doubtful = cells.take(news, trusted=trusted)
        found: list[int] = [] if trusted else np.unique(meter[mine][doubtful]).tolist()
        return found

    def _index(self) -> tuple[Ints, Ints]:
        """Numbers of the meters kept, in order, and the row of each."""
        if self._sorted is None:
            numbers = np.array(sorted(self._row), np.int64)
            self._sorted = numbers, np.array([self._row[one] for one in numbers.tolist()], np.int64)
        return self._sorted


def _hours(ends_ms: Ints) -> Ints:
    """The number of the hour (since 1970) in which each slot ends; a full hour belongs to the hour that it ends."""
    return np.asarray(-(-ends_ms // HOUR_MS) - 1)


def _hour(end_ms: int) -> int:
    return -(-end_ms // HOUR_MS) - 1
