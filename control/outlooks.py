"""Stored intervals and charges go in; how long each account's money lasts comes out, and is sealed once a day.

Use is the hourly energy of the last weeks. Prices ahead are those of the account's book, hour by hour, at the tier of
its last charge, times what the account really paid in the last week for each kWh at those prices (further lines of
energy). Where the book cannot tell them, they are what each hour of the day cost in the last week.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import reduce
from operator import or_

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from control import credit, forecast
from control.assemble import CHUNK, Outlook
from control.credit import Owing
from control.policy import Policy
from control.prices import Prices
from control.records import SealedForecast
from storage.records import Account, AccountState
from storage.store import Store
from storage.unit import Reader
from tariff.model import Book

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
PRICE_DAYS = 7
DAY_H = 24
_MICRO_PER_KWH = 1000  # micro per Wh to micro per kWh


def outlooks(
    store: Store, cases: Mapping[str, Owing], meters: Mapping[str, Sequence[int]], policies: Mapping[str, Policy],
    prices_ahead: Prices, *, days: int,
) -> dict[str, Outlook]:  # fmt: skip
    """Hours left of every account of ``cases``, and hours to its next tier where that lies in the ladder's span.

    ``meters`` are the surrogate ids of each account's meters.

    ``prices_ahead`` holds the books' prices from the full hour on at which everything here begins.
    """
    end = prices_ahead.start
    ids = sorted({meter for name in cases for meter in meters.get(name, ())})
    if not ids:
        return {}
    intervals = store.intervals(end - timedelta(days=days), end, ids)
    use, flags = _hourly(intervals, end, days * DAY_H), _last(intervals, "flags")
    charges = store.charges(end - timedelta(days=PRICE_DAYS), end, ids)
    prices, tiers = _prices(charges, end), _last(charges, "tier")
    paid = _paid(charges)
    next_wh = store.read(lambda reader: _next_tiers(reader, cases))
    found = {}
    for name, case in cases.items():
        mine = [meter for meter in meters.get(name, ()) if meter in use]
        rated = next((meter for meter in mine if meter in prices), None)
        if rated is None:
            continue
        book = prices_ahead.of(name)
        price = prices[rated]
        if book is not None and (list_price := book.at(tiers[rated])) is not None:
            price = np.maximum(np.rint(list_price * paid.get(rated, 1.0)), 1).astype(np.int64)
        left = credit.available(case) - policies[case.klass].disconnection_balance_micro
        history = np.sum([use[meter] for meter in mine], axis=0)
        hours = forecast.hours_left(_known(history), end, left, forecast.by_price(price))
        restart = book.restart if book is not None else ""
        found[name] = Outlook(
            hours.p10, hours.p50, hours.wh_left,
            tier=tiers[rated] if restart else None,
            tier_period=prices_ahead.period(name, restart),
            next_tier_h=_next_tier(prices_ahead, name, restart, forecast.hours_to(_known(history), end, next_wh[name]))
            if restart and next_wh.get(name) is not None else None,
            read_flags=reduce(or_, (flags[meter] for meter in mine), 0),
        )  # fmt: skip
    return found


def _next_tiers(reader: Reader, names: Iterable[str]) -> dict[str, int]:
    """Wh that accounts had left in their tier at the last actual read; none for those in their last tier."""
    wanted, found = sorted(names), dict[str, int]()
    for at in range(0, len(wanted), CHUNK):
        for row in reader.find(AccountState, account__in=wanted[at : at + CHUNK], next_tier_wh__null=False):
            if row.next_tier_wh is not None:
                found[row.account] = row.next_tier_wh
    return found


def _next_tier(prices_ahead: Prices, account: str, restart: str, hours: float | None) -> float | None:
    """``hours`` if the ladder is then in the same span as now: one that restarts first is never climbed."""
    if hours is None:
        return None
    then = prices_ahead.period(account, restart, timedelta(hours=hours))
    return hours if then == prices_ahead.period(account, restart) else None


def ahead(reader: Reader, books: Mapping[str, Book], now: datetime) -> Prices:
    """The prices of every account's book from the last full hour on."""
    accounts = {row.account: (row.book, row.attributes) for row in reader.find(Account)}
    return Prices(books, accounts, now.replace(minute=0, second=0, microsecond=0))


def seal(case: Owing, outlook: Outlook | None, now: datetime) -> SealedForecast:
    """One account's forecast as it is kept from now on; without a forecast it saw nothing."""
    hours = forecast.HoursLeft(outlook.hours_p10, outlook.hours_p50) if outlook else forecast.HoursLeft()
    return forecast.seal(case.account, now, hours, case.book_hash)


def _known(history: Floats) -> Floats:
    """The history from its first known hour on: what lies before is no use of nothing."""
    known = np.flatnonzero(np.isfinite(history))
    return history[known[0] :] if known.size else history[:0]


def _hourly(table: pa.Table, end: datetime, hours: int) -> dict[int, Floats]:
    """Wh by hour, oldest first, NaN where nothing is stored, by meter."""
    meter, hour = _columns(table, end, hours)
    wh = table.column("energy_wh").to_numpy().astype(np.float64)
    found = {}
    for number in np.unique(meter).tolist():
        rows = (meter == number) & (hour >= 0) & (hour < hours)
        sums = np.bincount(hour[rows], weights=wh[rows], minlength=hours)
        seen = np.bincount(hour[rows], minlength=hours)
        found[int(number)] = np.where(seen > 0, sums, np.nan)
    return found


def _prices(table: pa.Table, end: datetime) -> dict[int, Ints]:
    """Micro per kWh of the 24 hours ahead, by meter: what each hour of the day cost in the last week."""
    hours = PRICE_DAYS * DAY_H
    meter, hour = _columns(table, end, hours)
    wh = table.column("energy_wh").to_numpy().astype(np.float64)
    micro = table.column("amount_micro").to_numpy().astype(np.float64)
    found = {}
    for number in np.unique(meter).tolist():
        rows = (meter == number) & (hour >= 0) & (hour < hours) & (wh > 0)
        if not rows.any():
            continue
        of_day = hour[rows] % DAY_H
        energy = np.bincount(of_day, weights=wh[rows], minlength=DAY_H)
        money = np.bincount(of_day, weights=micro[rows], minlength=DAY_H)
        mean = money.sum() / energy.sum()
        price = np.where(energy > 0, money / np.maximum(energy, 1.0), mean)
        found[int(number)] = np.maximum(np.rint(price * _MICRO_PER_KWH), 1).astype(np.int64)
    return found


def _last(table: pa.Table, column: str) -> dict[int, int]:
    """The newest value of a column by meter."""
    meter = table.column("meter_id").to_numpy()
    order = np.lexsort((table.column("end").to_numpy(), meter))
    newest = np.flatnonzero(np.append(np.diff(meter[order]) != 0, True)) if order.size else order
    values = table.column(column).to_numpy()
    return dict(zip(meter[order][newest].tolist(), values[order][newest].tolist(), strict=True))


def _paid(table: pa.Table) -> dict[int, float]:
    """Money charged over the price list's money, by meter: above one where other energy lines come on top."""
    meter = table.column("meter_id").to_numpy()
    price = table.column("price").to_numpy().astype(np.float64)
    micro_per_wh = price * 10.0 ** (6 - 3 - table.column("price_scale").to_numpy().astype(np.float64))
    listed = table.column("energy_wh").to_numpy().astype(np.float64) * micro_per_wh
    micro = table.column("amount_micro").to_numpy().astype(np.float64)
    numbers, place = np.unique(meter, return_inverse=True)
    sums = np.bincount(place, weights=listed, minlength=numbers.size)
    money = np.bincount(place, weights=micro, minlength=numbers.size)
    known = np.flatnonzero((sums > 0) & (money > 0))
    return dict(zip(numbers[known].tolist(), (money[known] / sums[known]).tolist(), strict=True))


def _columns(table: pa.Table, end: datetime, hours: int) -> tuple[Ints, Ints]:
    """Meter and hour number (0 = the oldest of ``hours``, the last ends at ``end``) of each row."""
    meter = table.column("meter_id").to_numpy().astype(np.int64)
    ends = table.column("end").to_numpy().astype("datetime64[ms]").astype(np.int64)
    last = int(np.datetime64(end, "ms").astype(np.int64))
    return meter, hours - 1 - (last - ends) // 3_600_000
