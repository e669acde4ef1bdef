"""A tariff book and a tier go in; what a kWh costs in each hour ahead, and the period of its ladder, come out.

The hours ahead are priced at the tier in which the account stands now (and at the first from the hour on in which its
ladder restarts). Running the whole ladder for every past day and every account would cost a thousand times as much, and
a forecast matters when little money is left: that little does not carry an account far into the next tier, and when
it does the next hour's forecast stands in it. What is billed is never taken from here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from control.forecast import HORIZON_H
from tariff import calendar, charges, rating
from tariff.errors import RatingError
from tariff.model import Book
from tariff.streams import Stream

Ints = npt.NDArray[np.int64]
MICRO_PLACES = 6
SPARE_H = 48
"""Hours beyond the horizon that are compiled with it, so that the next two days' looks need no compiling."""
KEPT = 4096
"""Most price lists kept: one per book and set of attributes."""
_RESTARTS = {"year": "%Y", "month": "%Y-%m", "day": "%Y-%m-%d", "bill": "%Y-%m"}


@dataclass(frozen=True, slots=True)
class Ahead:
    """One book's prices from one hour on, for accounts of the same attributes."""

    prices: Ints  # [tiers, hours] micro per kWh; 0 = not known
    first_tier: int
    restart: str  # year | month | day | bill, "" = no ladder
    firm_h: int = 0  # so many hours later the same prices hold, from there on: no ladder restarts or changes before

    def later(self, hours: int) -> "Ahead":
        """The same list from so many hours later on (at most ``firm_h``), over the horizon."""
        return Ahead(self.prices[:, hours : hours + HORIZON_H], self.first_tier, self.restart, self.firm_h - hours)

    def at(self, tier: int) -> Ints | None:
        """Micro per kWh of each hour ahead; None where an hour has no price."""
        row = self.prices[min(max(tier - self.first_tier, 0), len(self.prices) - 1)]
        return row if row.size and bool((row > 0).all()) else None


def ahead(book: Book, start: datetime, attributes: Mapping[str, str], hours: int = HORIZON_H) -> Ahead | None:
    """Prices of ``hours`` from ``start`` (UTC) on; None where the book cannot tell them."""
    try:
        plan = rating.compile(book, start, start + timedelta(hours=hours), 60, attributes)
    except RatingError:
        return None
    if plan.primary < 0 or not plan.slots:
        return None
    stream = plan.streams[plan.primary]
    tiers = stream.prices.shape[1]
    state = plan.zero(tiers)
    if stream.limits.size:
        state.position[1:, plan.primary] = stream.limits[:, 0] + 1  # just inside each tier
    found = charges.marks(plan, state, np.zeros((tiers, plan.slots), np.int64), None)[1].astype(np.float64)
    micro = np.rint(found * 10.0 ** (MICRO_PLACES - plan.price_scale)).astype(np.int64)
    firm_h = _firm(stream, hours - HORIZON_H) if stream.columns is None else 0
    return Ahead(micro, stream.first_tier, stream.ladder.reset if stream.ladder is not None else "", firm_h)


def _firm(stream: Stream, most: int) -> int:
    """How many hours from the first on, at most ``most``, lie in its ladder span and under its limits."""
    if most <= 0:
        return 0
    same = (stream.reset[: most + 1] == stream.reset[0]) & (stream.limits[:, : most + 1] == stream.limits[:, :1]).all(
        axis=0
    )
    return int(np.argmin(same)) - 1 if not same.all() else most


class Lists:
    """Price lists by book and attributes, kept from one look to the next while they hold."""

    def __init__(self) -> None:
        """Nothing is compiled yet."""
        self._kept: dict[tuple[str, tuple[tuple[str, str], ...]], tuple[datetime, Ahead | None]] = {}

    def ahead(self, book: Book, start: datetime, attributes: Mapping[str, str]) -> Ahead | None:
        """``ahead`` over the horizon; ``start`` is a full hour."""
        key = book.hash, tuple(sorted(attributes.items()))
        since, known = self._kept.get(key, (start, None))
        shift = (start - since) // timedelta(hours=1)
        if known is None or not 0 <= shift <= known.firm_h:
            shift, known = 0, ahead(book, start, attributes, HORIZON_H + SPARE_H) or ahead(book, start, attributes)
            if len(self._kept) >= KEPT:
                self._kept.clear()
            self._kept[key] = start, known
        return known.later(shift) if known is not None else None


def ladder_period(restart: str, at: datetime, zone: str) -> str:
    """The name of the span that a ladder is in, local to the book: 2026, 2026-07 ...; "" without a ladder.

    >>> ladder_period("year", datetime(2025, 12, 31, 17), "Asia/Shanghai")
    '2026'
    """
    return calendar.to_local(at, zone).strftime(_RESTARTS[restart]) if restart in _RESTARTS else ""


@dataclass(slots=True)
class Prices:
    """Prices ahead of all accounts from ``start`` on; each book is compiled once for equal attributes.

    ``lists`` keeps what was compiled for the looks that follow.
    """

    books: Mapping[str, Book]
    accounts: Mapping[str, tuple[str, Mapping[str, str]]]  # account -> name of its book, its attributes
    start: datetime
    lists: Lists = field(default_factory=Lists)
    _kept: dict[tuple[str, tuple[tuple[str, str], ...]], Ahead | None] = field(default_factory=dict)

    def of(self, account: str) -> Ahead | None:
        """One account's prices; None where its book cannot tell."""
        name, attributes = self.accounts.get(account, ("", {}))
        book = self.books.get(name)
        if book is None:
            return None
        key = name, tuple(sorted(attributes.items()))
        if key not in self._kept:
            self._kept[key] = self.lists.ahead(book, self.start, attributes)
        return self._kept[key]

    def period(self, account: str, restart: str, later: timedelta = timedelta(0)) -> str:
        """The span of the account's ladder at the start, or so much ``later``."""
        book = self.books.get(self.accounts.get(account, ("", {}))[0])
        return ladder_period(restart, self.start + later, book.zone) if book is not None else ""
