"""A month of synthetic energy on a book, for tests."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tariff import book as books
from tariff import statement
from tariff.model import Book
from tariff.records import Bill
from tariff.statement import Usage


@dataclass(frozen=True)
class Month:
    """One billing period with energies for every slot."""

    book: Book
    start: datetime
    end: datetime
    usage: Usage

    @property
    def slots(self) -> int:
        """Number of slots."""
        return len(self.usage.wh)

    def bill(self, **options: Any) -> Bill:
        """The bill of the month."""
        usage = self.usage
        return statement.bill(
            self.book, "A1", self.start, self.end, usage.ends, usage.wh, minutes=usage.minutes, **options
        )

    def accrued(self, slots: int, **options: Any) -> int:
        """What would be billed after ``slots``."""
        usage = self.usage
        now = self.start + timedelta(minutes=usage.minutes * slots)
        return statement.accrued(
            self.book, self.start, now, self.end, usage.ends, usage.wh, minutes=usage.minutes, **options
        )


def shipped(name: str, **series: bytes) -> Book:
    """A book of the package."""
    return books.load(books.shipped_text(name), name, series=series.__getitem__ if series else None)


def spread(total_wh: int, slots: int) -> NDArray[np.int64]:
    """``total_wh`` in uneven whole numbers over ``slots``, the same every time."""
    weights = np.array([3 + (7 * slot) % 11 for slot in range(slots)], np.int64)
    edges = np.concatenate([[0], np.cumsum(weights)]) * total_wh // int(weights.sum())
    return np.diff(edges)


def month(book: Book, day: str, total_kwh: int, *, minutes: int = 60) -> Month:
    """``total_kwh`` over the period of ``book`` that holds ``day``."""
    start, end = statement.period_of(book, datetime.fromisoformat(day))
    slots = (end - start) // timedelta(minutes=minutes)
    ends = np.array([start + timedelta(minutes=minutes * (slot + 1)) for slot in range(slots)], "datetime64[ms]")
    return Month(book, start, end, Usage(ends, spread(total_kwh * 1000, slots), minutes))


def busy(book: Book, *uses: tuple[str, int], minutes: int = 60) -> Month:
    """The period of ``book`` that holds the first of ``uses`` (UTC, kWh); nothing is used in other slots."""
    empty = month(book, uses[0][0], 0, minutes=minutes)
    wh = np.zeros(empty.slots, np.int64)
    for at, kwh in uses:
        wh[(datetime.fromisoformat(at) - empty.start) // timedelta(minutes=minutes)] += kwh * 1000
    return Month(book, empty.start, empty.end, Usage(empty.usage.ends, wh, minutes))
