"""Stored intervals and charges go in; how long each account's money lasts comes out, and is sealed once a day.

Use is the hourly energy of the last weeks; prices ahead are what each hour of the day cost in the last week, so that
time of use and the tier that an account stands in carry on.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from control import credit, forecast
from control.assemble import Outlook
from control.policy import Policy
from control.records import Case, SealedForecast
from storage.store import Store

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
PRICE_DAYS = 7
DAY_H = 24
_MICRO_PER_KWH = 1000  # micro per Wh to micro per kWh


def outlooks(
    store: Store, cases: Mapping[str, Case], meters: Mapping[str, Sequence[int]], policies: Mapping[str, Policy],
    now: datetime, *, days: int,
) -> dict[str, Outlook]:  # fmt: skip
    """Hours left of every account of ``cases``; ``meters`` are the surrogate ids of each account's meters."""
    end = now.replace(minute=0, second=0, microsecond=0)
    ids = sorted({meter for name in cases for meter in meters.get(name, ())})
    if not ids:
        return {}
    use = _hourly(store.intervals(end - timedelta(days=days), end, ids), end, days * DAY_H)
    prices = _prices(store.charges(end - timedelta(days=PRICE_DAYS), end, ids), end)
    found = {}
    for name, case in cases.items():
        mine = [meter for meter in meters.get(name, ()) if meter in use]
        price = next((prices[meter] for meter in mine if meter in prices), None)
        if not mine or price is None:
            continue
        left = credit.available(case) - policies[case.klass].disconnection_balance_micro
        history = np.sum([use[meter] for meter in mine], axis=0)
        hours = forecast.hours_left(_known(history), end, left, forecast.by_price(price))
        found[name] = Outlook(hours.p10, hours.p50, hours.wh_left)
    return found


def seal(case: Case, outlook: Outlook | None, now: datetime) -> SealedForecast:
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


def _columns(table: pa.Table, end: datetime, hours: int) -> tuple[Ints, Ints]:
    """Meter and hour number (0 = the oldest of ``hours``, the last ends at ``end``) of each row."""
    meter = table.column("meter_id").to_numpy().astype(np.int64)
    ends = table.column("end").to_numpy().astype("datetime64[ms]").astype(np.int64)
    last = int(np.datetime64(end, "ms").astype(np.int64))
    return meter, hours - 1 - (last - ends) // 3_600_000
