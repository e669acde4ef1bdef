"""Hourly use, what is left and the prices ahead go in; hours left (P10, median) and a sealed forecast come out.

The median follows the hour-of-day profile of the last four weeks, working days and weekends apart. The pessimistic P10
lets each of the past days be today (analog days): every one of them, with the days that followed it, is run against the
prices ahead, tiers and time of use included, and the one in ten that runs out first is told: "balance over the 7-day
mean" is hours too hopeful just when it matters. Statistics use floats; the money that is compared is integer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from control.records import SealedForecast

Wh = npt.NDArray[np.int64]
Cost = Callable[[Wh], Wh]
"""Paths of hourly Wh, int64[paths, hours] from now on, to the money used up to each hour's end, cumulative micro."""

DAY, WEEK_DAYS = 24, 7
HISTORY_DAYS = 28
LEAST_DAYS = 2  # with less history there is no forecast
HORIZON_H = 720
PESSIMISTIC = 0.10


@dataclass(frozen=True, slots=True)
class HoursLeft:
    """Hours until the money is gone: pessimistic and median, at most ``horizon_h``; Wh that it buys on the median path.

    A value equal to ``horizon_h`` says "at least so long". All None: too little history to tell.
    """

    p10: float | None = None
    p50: float | None = None
    wh_left: int | None = None
    horizon_h: int = HORIZON_H

    @property
    def exhausts(self) -> bool:
        """Whether the median path runs out within the horizon."""
        return self.p50 is not None and self.p50 < self.horizon_h


def by_price(prices_micro_per_kwh: Wh) -> Cost:
    """The cost of use at hourly prices (int64[hours], micro per kWh, repeated to the horizon): no tiers.

    >>> by_price(np.array([500_000]))(np.array([[1000, 2000]])).tolist()
    [[500000, 1500000]]
    """

    def cost(wh: Wh) -> Wh:
        prices = np.resize(prices_micro_per_kwh, wh.shape[1])
        return np.asarray(np.cumsum(wh * prices, axis=1) // 1000, dtype=np.int64)

    return cost


def hours_left(
    history_wh: npt.ArrayLike, now: datetime, left_micro: int, cost: Cost, *, horizon_h: int = HORIZON_H
) -> HoursLeft:
    """How long ``left_micro`` (available above the disconnection balance) lasts.

    ``history_wh`` is hourly use, oldest first, the last hour ending at ``now`` (NaN = missing); ``cost`` prices the
    hours from ``now`` on. Fewer than two days of known hours give no forecast.
    """
    days = _whole_days(np.asarray(history_wh, dtype=np.float64))
    if days is None:
        return HoursLeft(horizon_h=horizon_h)
    if left_micro <= 0:
        return HoursLeft(0.0, 0.0, 0, horizon_h)
    paths = _analogs(days, horizon_h)
    middle = _profile(days, now, horizon_h)[np.newaxis, :]
    times = _exhausted(cost(paths), left_micro)
    p50 = float(_exhausted(cost(middle), left_micro)[0])
    p10 = min(float(np.quantile(times, PESSIMISTIC, method="lower")), p50)
    return HoursLeft(round(p10, 3), round(p50, 3), _bought(middle[0], p50), horizon_h)


def hours_to(history_wh: npt.ArrayLike, now: datetime, wh: int, *, horizon_h: int = HORIZON_H) -> float | None:
    """Hours until more than ``wh`` will have been used on the median path; None beyond the horizon or untold."""
    days = _whole_days(np.asarray(history_wh, dtype=np.float64))
    if days is None:
        return None
    used = np.cumsum(_profile(days, now, horizon_h))
    place = int(np.searchsorted(used, wh, side="right"))
    if place >= horizon_h:
        return None
    before = int(used[place - 1]) if place else 0
    return round(place + (wh - before) / max(int(used[place]) - before, 1), 3)


def seal(account: str, now: datetime, hours: HoursLeft, book_hash: str) -> SealedForecast:
    """The forecast as it is kept from ``now`` on, with the book of this time; None within it = not in the horizon."""
    return SealedForecast(
        account=account,
        sealed_at=now,
        exhausts_at=_at(now, hours.p50, hours.horizon_h),
        p10_at=_at(now, hours.p10, hours.horizon_h),
        book_hash=book_hash,
    )


def _at(now: datetime, hours: float | None, horizon_h: int) -> datetime | None:
    """The minute at which so many hours are over."""
    if hours is None or hours >= horizon_h:
        return None
    return now + timedelta(minutes=int(hours * 60))


def _whole_days(history: npt.NDArray[np.float64]) -> Wh | None:
    """The last whole days as int64[days, 24], column 0 the hour that begins now; gaps take their hour's mean."""
    count = min(history.size // DAY, HISTORY_DAYS)
    if count < LEAST_DAYS:
        return None
    days = history[history.size - count * DAY :].reshape(count, DAY)
    known = np.isfinite(days)
    if known.sum() < LEAST_DAYS * DAY:
        return None
    filled = np.where(known, days, 0.0)
    seen = known.sum(axis=0)
    mean = np.where(seen > 0, filled.sum(axis=0) / np.maximum(seen, 1), filled.sum() / known.sum())
    return np.maximum(np.rint(np.where(known, days, mean)), 0).astype(np.int64)


def _analogs(days: Wh, horizon_h: int) -> Wh:
    """int64[days, horizon]: each past day as if it were the next, then the days that followed it, going round."""
    starts = np.arange(days.shape[0])[:, np.newaxis] * DAY
    return np.asarray(days.reshape(-1)[(starts + np.arange(horizon_h)) % days.size], dtype=np.int64)


def _profile(days: Wh, now: datetime, horizon_h: int) -> Wh:
    """int64[horizon]: the mean of each hour of the day; working days and weekends apart after a week of history."""
    count = days.shape[0]
    ahead = -(-horizon_h // DAY)
    free = np.array([(now + timedelta(days=shift)).weekday() >= 5 for shift in range(-count, ahead)])
    past, future = free[:count], free[count:]
    whole = days.mean(axis=0)
    by_kind = {kind: days[past == kind].mean(axis=0) if (past == kind).sum() >= 2 else whole for kind in (False, True)}
    use = whole if count < WEEK_DAYS else np.concatenate([by_kind[bool(kind)] for kind in future])
    return np.rint(np.resize(use, horizon_h)).astype(np.int64)


def _exhausted(used: Wh, left_micro: int) -> npt.NDArray[np.float64]:
    """float64[paths]: hours until the cost reaches ``left_micro``, linear within the hour; else the horizon."""
    over = used >= left_micro
    hour = np.where(over.any(axis=1), over.argmax(axis=1), used.shape[1])
    rows = np.arange(used.shape[0])
    inside = np.minimum(hour, used.shape[1] - 1)
    after = used[rows, inside].astype(np.float64)
    before = np.where(inside > 0, used[rows, np.maximum(inside - 1, 0)], 0).astype(np.float64)
    part = np.clip((left_micro - before) / np.maximum(after - before, 1.0), 0.0, 1.0)
    return np.where(hour < used.shape[1], inside + part, float(used.shape[1]))


def _bought(path: Wh, hours: float) -> int:
    """Wh used on ``path`` in so many hours."""
    whole = min(int(hours), path.size)
    rest = float(path[whole]) * (hours - whole) if whole < path.size else 0.0
    return int(path[:whole].sum()) + int(rest)
