"""Stored intervals and charges go in; how long each account's money lasts comes out, and is sealed once a day.

Use is the hourly energy of the last weeks. Prices ahead are those of the account's book, hour by hour, at the tier of
its last charge, times what the account really paid in the last week for each kWh at those prices (further lines of
energy). Where the book cannot tell them, they are what each hour of the day cost in the last week.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from control import credit, forecast, runout
from control.assemble import CHUNK, Outlook
from control.credit import Owing
from control.histories import DAY_H, PRICE_DAYS, Histories, Past
from control.policy import Policy
from control.prices import Ahead, Lists, Prices
from control.records import SealedForecast
from storage.records import Account, AccountState
from storage.unit import Reader
from tariff.model import Book

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
TOGETHER = 4096
"""Accounts that are worked out together: some 100 MiB."""
_MICRO_PER_KWH = 1000  # micro per Wh to micro per kWh


def outlooks(
    histories: Histories, cases: Mapping[str, Owing], meters: Mapping[str, Sequence[int]],
    policies: Mapping[str, Policy], prices_ahead: Prices,
) -> dict[str, Outlook]:  # fmt: skip
    """Hours left of every account of ``cases``, and hours to its next tier where that lies in the ladder's span.

    ``meters`` are the surrogate ids of each account's meters.

    ``prices_ahead`` holds the books' prices from the full hour on at which everything here begins.
    """
    found: dict[str, Outlook] = {}
    names = [name for name in cases if meters.get(name)]
    for at in range(0, len(names), TOGETHER):
        part = _Part.of(histories, names[at : at + TOGETHER], meters, prices_ahead)
        lefts = [
            credit.available(cases[name]) - policies[cases[name].klass].disconnection_balance_micro
            for name in part.names
        ]
        found |= part.outlooks(histories, np.array(lefts, np.int64), prices_ahead)
    return found


@dataclass(frozen=True, slots=True)
class _Part:
    """Some accounts that were charged in the last week: the past of their meters, the rows of it that are theirs."""

    names: list[str]
    past: Past
    rows: list[list[int]]  # of each account's meters that have intervals
    rated: Ints  # of its first meter that was charged
    books: list[Ahead | None]

    @classmethod
    def of(
        cls, histories: Histories, names: Sequence[str], meters: Mapping[str, Sequence[int]], prices_ahead: Prices
    ) -> "_Part":
        """Read the past of ``names``; those without a charge are left out."""
        ids = sorted({meter for name in names for meter in meters[name]})
        past = histories.of(ids, prices_ahead.start)
        row_of = {meter: row for row, meter in enumerate(ids)}
        stored, charged = past.stored.tolist(), past.charged.tolist()
        kept, rows, rated = [], [], []
        for name in names:
            mine = [row for meter in meters[name] if stored[row := row_of[meter]]]
            first = next((row for row in mine if charged[row]), None)
            if first is not None:
                kept.append(name)
                rows.append(mine)
                rated.append(first)
        return cls(kept, past, rows, np.array(rated, np.int64), [prices_ahead.of(name) for name in kept])

    def outlooks(self, histories: Histories, left: Ints, prices_ahead: Prices) -> dict[str, Outlook]:
        """Everybody's outlook with so much money ``left``."""
        asked = [name for name, book in zip(self.names, self.books, strict=True) if book is not None and book.restart]
        next_wh = histories.store.read(lambda reader: _next_tiers(reader, asked))
        wanted = np.array([next_wh.get(name, -1) for name in self.names], np.int64)
        use, flags = self._whole()
        hours, tier_h = runout.run_out(runout.Purse(use, left, self._prices(), wanted), prices_ahead.start)
        tiers = self.past.tier[self.rated].tolist()
        found = {}
        for at, (name, book, one) in enumerate(zip(self.names, self.books, hours, strict=True)):
            restart = book.restart if book is not None else ""
            found[name] = Outlook(
                one.p10, one.p50, one.wh_left,
                tier=tiers[at] if restart else None,
                tier_period=prices_ahead.period(name, restart),
                next_tier_h=_next_tier(prices_ahead, name, restart, tier_h[at]),
                read_flags=flags[at],
            )  # fmt: skip
        return found

    def _whole(self) -> tuple[Floats, list[int]]:
        """[n, hours] use of all meters of each account together, and the flags of their newest intervals."""
        use, flags = self.past.use[self.rated], self.past.flags[self.rated].tolist()
        for at, rows in enumerate(self.rows):
            if len(rows) > 1:
                use[at] = self.past.use[rows].sum(axis=0)
                flags[at] = int(np.bitwise_or.reduce(self.past.flags[rows]))
        return use, flags

    def _prices(self) -> Ints:
        """[n, horizon] micro per kWh: the book's at the tier reached times what is really paid, or the last week's."""
        rated, tiers = self.rated, self.past.tier[self.rated].tolist()
        prices = np.zeros((len(self.names), forecast.HORIZON_H), np.int64)
        groups: dict[tuple[int, int], list[int]] = {}
        for at, (book, tier) in enumerate(zip(self.books, tiers, strict=True)):
            groups.setdefault((id(book), tier), []).append(at)
        paid = _paid(self.past.micro[rated], self.past.listed[rated])
        for (_, tier), numbers in groups.items():
            book = self.books[numbers[0]]
            own = np.array(numbers, np.int64)
            if book is not None and (listed := book.at(tier)) is not None:
                prices[own] = np.maximum(np.rint(listed * paid[own, None]), 1)
            else:
                day = _by_hour(self.past.energy[rated[own]], self.past.micro[rated[own]])
                prices[own] = np.tile(day, (1, forecast.HORIZON_H // DAY_H))
        return prices


def _next_tiers(reader: Reader, names: Iterable[str]) -> dict[str, int]:
    """Wh that accounts had left in their tier at the last actual read; none for those in their last tier."""
    wanted, found = sorted(names), dict[str, int]()
    table = reader.tables.of(AccountState).spec.name
    for at in range(0, len(wanted), CHUNK):
        part = wanted[at : at + CHUNK]
        some = ", ".join("?" * len(part))
        sql = f'SELECT account, next_tier_wh FROM "{table}" WHERE account IN ({some}) AND next_tier_wh IS NOT NULL'
        found |= dict(reader.connection.execute(sql, part))
    return found


def _next_tier(prices_ahead: Prices, account: str, restart: str, hours: float | None) -> float | None:
    """``hours`` if the ladder is then in the same span as now: one that restarts first is never climbed."""
    if hours is None:
        return None
    then = prices_ahead.period(account, restart, timedelta(hours=hours))
    return hours if then == prices_ahead.period(account, restart) else None


def ahead(reader: Reader, books: Mapping[str, Book], now: datetime, lists: Lists | None = None) -> Prices:
    """The prices of every account's book from the last full hour on; ``lists`` are those of earlier looks."""
    table, decoded = reader.tables.of(Account).spec.name, dict[str, Mapping[str, str]]()
    accounts = {}
    for name, book, text in reader.connection.execute(f'SELECT account, book, attributes FROM "{table}"'):
        if text not in decoded:
            decoded[text] = json.loads(text)
        accounts[name] = (book, decoded[text])
    start = now.replace(minute=0, second=0, microsecond=0)
    return Prices(books, accounts, start, lists if lists is not None else Lists())


def seal(case: Owing, outlook: Outlook | None, now: datetime) -> SealedForecast:
    """One account's forecast as it is kept from now on; without a forecast it saw nothing."""
    hours = forecast.HoursLeft(outlook.hours_p10, outlook.hours_p50) if outlook else forecast.HoursLeft()
    return forecast.seal(case.account, now, hours, case.book_hash)


def _by_hour(energy: Ints, micro: Ints) -> Ints:
    """[n, 24] micro per kWh of the hours ahead: what each hour of the day cost in the last week, else the mean."""
    wh = energy.reshape(-1, PRICE_DAYS, DAY_H).sum(axis=1).astype(np.float64)
    money = micro.reshape(-1, PRICE_DAYS, DAY_H).sum(axis=1).astype(np.float64)
    mean = money.sum(axis=1) / np.maximum(wh.sum(axis=1), 1.0)
    price = np.where(wh > 0, money / np.maximum(wh, 1.0), mean[:, None])
    return np.asarray(np.maximum(np.rint(price * _MICRO_PER_KWH), 1).astype(np.int64))


def _paid(micro: Ints, listed: Floats) -> Floats:
    """[n] money charged over the price list's money: above one where other energy lines come on top."""
    sums = np.cumsum(listed, axis=1)[:, -1]  # hour by hour, so that a sum does not depend on how many are summed
    money = micro.sum(axis=1).astype(np.float64)
    return np.asarray(np.where((sums > 0) & (money > 0), money / np.where(sums > 0, sums, 1.0), 1.0))
