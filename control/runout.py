"""Many accounts' past use, money and prices ahead go in, hours left of each come out: ``forecast.hours_left`` at once.

The same numbers as account by account (``tests/control/test_runout.py`` holds one against the other). A path of 720
hours is summed day by day first, by one product of the past days with the days of prices ahead; only the day in which
the money ends is looked at hour by hour. Sums are exact: float64 holds every integer below 2**53, and beyond it the
accounts go one by one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from control.forecast import (
    DAY,
    HISTORY_DAYS,
    HORIZON_H,
    LEAST_DAYS,
    PESSIMISTIC,
    WEEK_DAYS,
    HoursLeft,
    by_price,
    hours_left,
    hours_to,
)

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]
AHEAD_DAYS = HORIZON_H // DAY
SLICE = 512
"""Accounts at a time: some 30 MiB."""
EXACT = 2**53


@dataclass(frozen=True, slots=True)
class Purse:
    """What is asked of some accounts, row by row.

    ``past`` [n, hours] Wh, oldest first, NaN where nothing is known; ``left_micro`` [n] above the disconnection
    balance; ``prices`` [n, HORIZON_H] micro per kWh; ``next_wh`` [n] Wh to the next tier, -1 where nobody asks.
    """

    past: Floats
    left_micro: Ints
    prices: Ints
    next_wh: Ints


def run_out(purse: Purse, now: datetime) -> tuple[list[HoursLeft], list[float | None]]:
    """Hours left of every account from ``now`` (a full hour) on, and hours to its next tier."""
    known = np.isfinite(purse.past)
    size = purse.past.shape[1]
    first = np.where(known.any(axis=1), known.argmax(axis=1), size)
    days = np.minimum((size - first) // DAY, HISTORY_DAYS)
    hours, tiers = [HoursLeft()] * len(days), [None] * len(days)  # type: list[HoursLeft], list[float | None]
    for count in np.unique(days[days >= LEAST_DAYS]).tolist():
        rows = np.flatnonzero(days == count)
        for at in range(0, rows.size, SLICE):
            own = rows[at : at + SLICE]
            part = Purse(purse.past[own], purse.left_micro[own], purse.prices[own], purse.next_wh[own])
            for row, one, tier in zip(own.tolist(), *_some(part, count, now), strict=True):
                hours[row], tiers[row] = one, tier
    return hours, tiers


def _some(purse: Purse, count: int, now: datetime) -> tuple[Sequence[HoursLeft], Sequence[float | None]]:
    """Accounts that all have ``count`` days of past."""
    past = purse.past[:, purse.past.shape[1] - count * DAY :]
    most = float(np.nanmax(past, initial=0.0)) * float(purse.prices.max(initial=0)) * HORIZON_H
    if most >= EXACT:
        return _one_by_one(purse, past, now)
    days, enough = _whole_days(past.reshape(len(past), count, DAY))
    middle = _profile(days, now)
    used = np.cumsum(middle, axis=1)
    spent = np.cumsum(middle * purse.prices, axis=1)
    asked = np.maximum(purse.left_micro, 1) * 1000
    p50 = _when(spent, asked)
    times = _analogs(days, purse.prices, asked)
    p10 = np.minimum(np.quantile(times, PESSIMISTIC, axis=1, method="lower"), p50)
    wh = _bought(middle, used, p50)
    hours = [
        HoursLeft() if not known else HoursLeft(0.0, 0.0, 0) if left <= 0 else HoursLeft(round(a, 3), round(b, 3), c)
        for known, left, a, b, c in zip(
            enough.tolist(), purse.left_micro.tolist(), p10.tolist(), p50.tolist(), wh.tolist(), strict=True
        )
    ]
    return hours, _tiers(used, np.where(enough, purse.next_wh, -1))


def _one_by_one(purse: Purse, past: Floats, now: datetime) -> tuple[list[HoursLeft], list[float | None]]:
    """The same where sums leave the range of exact floats."""
    found, tiers = list[HoursLeft](), list[float | None]()
    for row, left in enumerate(purse.left_micro.tolist()):
        own = past[row]
        found.append(hours_left(own, now, left, by_price(purse.prices[row])))
        wanted = int(purse.next_wh[row])
        tiers.append(hours_to(own, now, wanted) if wanted >= 0 else None)
    return found, tiers


def _whole_days(days: Floats) -> tuple[Floats, Bool]:
    """[n, days, 24] whole Wh with gaps filled by their hour's mean, and who has enough to tell."""
    known = np.isfinite(days)
    total = known.sum(axis=(1, 2))
    filled = np.where(known, days, 0.0)
    seen = known.sum(axis=1)
    overall = filled.sum(axis=(1, 2)) / np.maximum(total, 1)
    mean = np.where(seen > 0, filled.sum(axis=1) / np.maximum(seen, 1), overall[:, None])
    whole = np.maximum(np.rint(np.where(known, days, mean[:, None, :])), 0)
    return whole, total >= LEAST_DAYS * DAY


def _profile(days: Floats, now: datetime) -> Floats:
    """[n, horizon] the mean of each hour of the day; working days and weekends apart after a week of past."""
    count = days.shape[1]
    free = np.array([(now + timedelta(days=shift)).weekday() >= 5 for shift in range(-count, AHEAD_DAYS)])
    before, ahead = free[:count], free[count:]
    whole: Floats = days.mean(axis=1)
    if count < WEEK_DAYS:
        return np.asarray(np.rint(np.tile(whole, (1, AHEAD_DAYS))))
    kinds = [days[:, before == kind].mean(axis=1) if (before == kind).sum() >= 2 else whole for kind in (False, True)]
    return np.asarray(np.rint(np.stack(kinds, axis=1)[:, ahead.astype(np.int64)].reshape(len(days), HORIZON_H)))


def _analogs(days: Floats, prices: Ints, asked: Ints) -> Floats:
    """[n, days] hours until the money is gone when each past day comes again, with the days that followed it."""
    n, count, _ = days.shape
    ahead = prices.reshape(n, AHEAD_DAYS, DAY).astype(np.float64)
    cost = np.matmul(days, ahead.transpose(0, 2, 1))  # [n, past day, day ahead] what that day would cost then
    turn = (np.arange(count)[:, None] + np.arange(AHEAD_DAYS)) % count
    spent = np.cumsum(cost[:, turn, np.arange(AHEAD_DAYS)], axis=2)
    over = spent >= asked[:, None, None]
    day = np.where(over[:, :, -1], over.argmax(axis=2), AHEAD_DAYS - 1)
    rows, paths = np.arange(n)[:, None], np.arange(count)
    earlier = np.where(day > 0, spent[rows, paths, np.maximum(day - 1, 0)], 0.0)
    hourly = days[rows, turn[paths, day]] * ahead[rows, day]
    inside = np.cumsum(hourly, axis=2) + earlier[:, :, None]
    found = day * DAY + _when(
        inside.reshape(n * count, DAY), np.repeat(asked, count), earlier.reshape(n * count)
    ).reshape(n, count)
    return np.where(over[:, :, -1], found, float(HORIZON_H))


def _when(spent: Floats, asked: Ints, earlier: Floats | None = None) -> Floats:
    """Hours until [n, hours] sums reach ``asked``, linear within the hour in whole micro-units; else all the hours."""
    n, size = spent.shape
    over = spent >= asked[:, None]
    hour = np.where(over[:, -1], over.argmax(axis=1), size)
    rows, inside = np.arange(n), np.minimum(hour, size - 1)
    start = earlier if earlier is not None else np.zeros(n)
    after = spent[rows, inside] // 1000
    before = np.where(inside > 0, spent[rows, np.maximum(inside - 1, 0)], start) // 1000
    part = np.clip((asked // 1000 - before) / np.maximum(after - before, 1.0), 0.0, 1.0)
    return np.where(hour < size, inside + part, float(size))


def _bought(middle: Floats, used: Floats, hours: Floats) -> Ints:
    """Wh used on the median path in so many hours."""
    size = middle.shape[1]
    whole = np.minimum(hours.astype(np.int64), size)
    rows = np.arange(len(middle))
    sums = np.where(whole > 0, used[rows, np.maximum(whole - 1, 0)], 0.0)
    rest = np.where(whole < size, middle[rows, np.minimum(whole, size - 1)] * (hours - whole), 0.0)
    return np.asarray(sums.astype(np.int64) + rest.astype(np.int64))


def _tiers(used: Floats, wanted: Ints) -> list[float | None]:
    """Hours until more than ``wanted`` Wh will have been used on the median path; None beyond it or not asked."""
    place = (used <= wanted[:, None]).sum(axis=1)
    rows, inside = np.arange(len(used)), np.minimum(place, used.shape[1] - 1)
    before = np.where(place > 0, used[rows, np.maximum(inside - 1, 0)], 0.0)
    part = (wanted - before) / np.maximum(used[rows, inside] - before, 1.0)
    ends = (place + part).tolist()
    told = ((wanted >= 0) & (place < used.shape[1])).tolist()
    return [round(end, 3) if known else None for end, known in zip(ends, told, strict=True)]
