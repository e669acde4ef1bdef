"""Rows of intervals and charges go in, arrays by meter and hour come out, with what stands last of each meter.

A row after the meter's last one is added to its hour. A later word on a whole hour replaces it, as the store's merge
would. Everything else is doubtful: the caller reads that meter anew.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from storage.merge import rank

Ints = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]
HOUR_MS: Final = 3_600_000
MISSING: Final = -1
WIDEST: Final = 2**31 - 1
MICRO, MILLI = 6, 3  # places of a micro-unit, and of a kWh in Wh


@dataclass(frozen=True, slots=True)
class News:
    """New rows: the meter's row here, the end in ms, the column of its hour (any, also outside), the values."""

    row: Ints
    end: Ints
    column: Ints
    table: pa.Table

    def values(self, name: str) -> Ints:
        """A column as int64."""
        return np.asarray(self.table.column(name).to_numpy().astype(np.int64))

    @property
    def twice(self) -> Bool:
        """Rows of one meter and one end that is there more than once."""
        _, place, count = np.unique(np.stack([self.row, self.end]), axis=1, return_inverse=True, return_counts=True)
        return np.asarray(count[place.reshape(-1)] > 1)

    def newest(self, of: Bool) -> Ints:
        """Of the rows ``of``, the number of each meter's last one."""
        picked = np.flatnonzero(of)
        order = picked[np.lexsort((self.end[picked], self.row[picked]))]
        last = np.append(np.diff(self.row[order]) != 0, True) if order.size else np.zeros(0, np.bool_)
        return np.asarray(order[last])


class Use:
    """Wh by hour (-1: nothing is stored), and the end and flags of each meter's newest interval."""

    def __init__(self, size: int, wide: int) -> None:
        """``size`` meters, ``wide`` hours, all empty."""
        self.wh = np.full((size, wide), MISSING, np.int32)
        self.grade = np.zeros((size, wide), np.int8)
        self.end = np.full(size, -1, np.int64)
        self.flags = np.zeros(size, np.int64)
        self.fine = np.zeros(size, np.bool_)  # has parts of hours

    def take(self, news: News, *, trusted: bool) -> Bool:
        """Put rows in their hours; which of them are doubtful (none when they are all that there is)."""
        wh, flags = news.values("energy_wh"), news.values("flags")
        part = news.end % HOUR_MS != 0
        self.fine[news.row[part]] = True
        late = news.end <= self.end[news.row]
        inside = (news.column >= 0) & (news.column < self.wh.shape[1])
        whole = ~self.fine[news.row]
        doubt = (late & ~whole) | (wh > WIDEST) | (wh < 0) | (news.column >= self.wh.shape[1])
        doubt |= news.twice if not trusted else False
        self._put(news, wh, flags, ~doubt & inside, late)
        newest = news.newest(~doubt & ~late)
        self.end[news.row[newest]], self.flags[news.row[newest]] = news.end[newest], flags[newest]
        return doubt

    def _put(self, news: News, wh: Ints, flags: Ints, good: Bool, late: Bool) -> None:
        own = np.flatnonzero(good & ~late)
        row, column = news.row[own], news.column[own]
        self.wh[row, column] = np.maximum(self.wh[row, column], 0)
        np.add.at(self.wh, (row, column), wh[own].astype(np.int32))
        self.grade[row, column] = rank(flags[own])
        own = np.flatnonzero(good & late)
        row, column, grade = news.row[own], news.column[own], rank(flags[own])
        wins = (self.wh[row, column] == MISSING) | (grade >= self.grade[row, column])
        own, row, column = own[wins], row[wins], column[wins]
        self.wh[row, column], self.grade[row, column] = wh[own], grade[wins]
        last = news.end[own] == self.end[row]
        self.flags[row[last]] = flags[own[last]]


class Paid:
    """Charged Wh, money and the money of the price list by hour; the end and tier of each meter's newest charge."""

    def __init__(self, size: int, wide: int) -> None:
        """``size`` meters, ``wide`` hours, all empty."""
        self.wh = np.zeros((size, wide), np.int32)
        self.micro = np.zeros((size, wide), np.int64)
        self.listed = np.zeros((size, wide), np.float64)
        self.end = np.full(size, -1, np.int64)
        self.tier = np.full(size, -1, np.int64)
        self.fine = np.zeros(size, np.bool_)  # has parts of hours, or charges of several accounts
        self.account = np.full(size, "", object)

    def take(self, news: News, *, trusted: bool) -> Bool:
        """Put rows in their hours; which of them are doubtful (none when they are all that there is)."""
        wh = news.values("energy_wh")
        micro = np.where(wh > 0, news.values("amount_micro"), 0)
        scale = MICRO - MILLI - news.values("price_scale").astype(np.float64)
        listed = np.where(wh > 0, wh * (news.values("price") * 10.0**scale), 0.0)
        self.fine[news.row[news.end % HOUR_MS != 0]] = True
        self._holders(news)
        late = news.end <= self.end[news.row]
        inside = (news.column >= 0) & (news.column < self.wh.shape[1])
        doubt = (late & self.fine[news.row]) | (wh > WIDEST) | (news.column >= self.wh.shape[1])
        doubt |= news.twice if not trusted else False
        own = np.flatnonzero(~doubt & inside & ~late)
        for array, values in ((self.wh, wh.astype(np.int32)), (self.micro, micro), (self.listed, listed)):
            np.add.at(array, (news.row[own], news.column[own]), values[own])
        own = np.flatnonzero(~doubt & inside & late)
        place = news.row[own], news.column[own]
        self.wh[place], self.micro[place], self.listed[place] = wh[own], micro[own], listed[own]
        newest = news.newest(~doubt & (news.end >= self.end[news.row]))
        self.end[news.row[newest]] = news.end[newest]
        self.tier[news.row[newest]] = news.values("tier")[newest]
        return doubt

    def _holders(self, news: News) -> None:
        """Note whose charges these are; what comes late for a meter of several accounts is doubtful."""
        words = pc.dictionary_encode(news.table.column("account").combine_chunks())
        names = np.array(words.dictionary.to_pylist(), object)[words.indices.to_numpy()]
        known = self.account[news.row]
        self.fine[news.row[(known != "") & (known != names)]] = True
        self.account[news.row] = names
        self.fine[news.row[self.account[news.row] != names]] = True


def clear(cells: Use | Paid, rows: Ints) -> None:
    """Empty these meters' rows."""
    empty = type(cells)(1, cells.wh.shape[1])
    for name, array in vars(cells).items():
        array[rows] = getattr(empty, name)[0]


def larger(cells: Use | Paid, size: int) -> None:
    """Make room for ``size`` meters."""
    more = type(cells)(size - len(cells.end), cells.wh.shape[1])
    for name, array in list(vars(cells).items()):
        setattr(cells, name, np.concatenate([array, getattr(more, name)]))


def shift(cells: Use | Paid, hours: int) -> None:
    """Let so many of the oldest hours fall out at the left, and as many empty ones come in at the right."""
    empty = type(cells)(1, cells.wh.shape[1])
    for name, array in vars(cells).items():
        if array.ndim == 2:
            kept = max(array.shape[1] - hours, 0)
            array[:, :kept] = array[:, array.shape[1] - kept :]
            array[:, kept:] = getattr(empty, name)[0, 0]
