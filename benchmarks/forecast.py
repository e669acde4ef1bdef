"""``python -m benchmarks.forecast -o json``: hours left as control tells them, beside balance over the 7-day mean.

Fifty real London homes of 2013 (the shared material; its place is PREWATT_SHARED). Each case stands at a known moment
with four weeks of history and a balance that the home really used up some hours later; every method says how many
hours are left. ``too_hopeful_share``: how often it said over three hours too many, among cases within a day of running
out; ``median_error_h``: the median of what it was off, either way, in those; ``*_week``: the same up to a week ahead.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Options, Sample, main, timed
from control.forecast import HISTORY_DAYS, by_price, hours_left
from ingest import deliveries
from ingest.deliveries import ReadOptions

START = datetime(2013, 1, 1)
DAY, WEEK = 24, 168
PRICE = np.array([140_000], np.int64)  # micro-GBP per kWh: one price, so that only the use is guessed
TOO_HOPEFUL_H = 3
STRIDE_H = 61  # hours between the cases of one home: all hours of the day and days of the week come up
Hours = NDArray[np.float64]
Guess = Callable[[Hours, datetime, int], float]


def prepare(options: Options) -> None:
    """Hourly Wh of every home, NaN where a half hour is missing: ``homes.npy`` [homes, 8760]."""
    from tests.conftest import SHARED  # the one place that knows where the material lies

    folder = SHARED / "data" / "meters"
    paths = sorted(folder.glob("london_lcl_2013_*.csv.gz"))
    if not paths:
        raise SystemExit(f"no London homes in {folder}: set PREWATT_SHARED")
    homes: list[Hours] = []
    for path in paths:
        found = deliveries.parse(path.read_bytes(), ReadOptions(zone="UTC", stamp="start"))
        slot = (found.end - np.datetime64(START, "ms")) // np.timedelta64(30, "m") - 1
        for meter in range(len(found.meters)):
            half = np.full(2 * 8760, np.nan)
            rows = np.flatnonzero((found.meter == meter) & (slot >= 0) & (slot < half.size))
            half[slot[rows].astype(np.int64)] = found.energy_wh[rows]
            homes.append(half.reshape(-1, 2).sum(axis=1))
    np.save(options.prepared / "homes.npy", np.stack(homes))


def cases(homes: Hours) -> list[tuple[int, int, int]]:
    """(home, hour at which it stands, hours until the money is gone): no gap in its history or in what follows."""
    draw = np.random.default_rng(2013)
    found = []
    for home, series in enumerate(homes):
        for hour in range(HISTORY_DAYS * DAY, series.size - WEEK, STRIDE_H):
            ahead = int(draw.integers(1, DAY + 1) if draw.random() < 0.5 else draw.integers(DAY + 1, WEEK + 1))
            window = series[hour - HISTORY_DAYS * DAY : hour + ahead]
            if np.isfinite(window).all() and window[-ahead:].sum() > 0 and window[-1] > 0:
                found.append((home, hour, ahead))
    return found


def mean_of_week(history: Hours, now: datetime, left_micro: int) -> float:
    """The simple way: the balance over the mean use of the last seven days."""
    del now
    use = float(history[-WEEK:].mean()) * int(PRICE[0]) / 1000
    return left_micro / use if use > 0 else float(HISTORY_DAYS * DAY)


def median_path(history: Hours, now: datetime, left_micro: int) -> float:
    """P50 of control's forecast: the hour-of-day profile."""
    return float(hours_left(history, now, left_micro, by_price(PRICE)).p50 or 0.0)


def pessimistic(history: Hours, now: datetime, left_micro: int) -> float:
    """P10 of control's forecast: the analog days. Warnings stand on it."""
    return float(hours_left(history, now, left_micro, by_price(PRICE)).p10 or 0.0)


def judged(guess: Guess) -> Callable[[Options], Sample]:
    """The method that asks ``guess`` in every case."""

    def run(options: Options) -> Sample:
        homes = np.load(options.prepared / "homes.npy")
        asked = cases(homes)

        def work() -> list[float]:
            told = []
            for home, hour, ahead in asked:
                series = homes[home]
                left = int(series[hour : hour + ahead].sum()) * int(PRICE[0]) // 1000
                told.append(guess(series[hour - HISTORY_DAYS * DAY : hour], START + timedelta(hours=hour), left))
            return told

        wall, told = timed(work)
        ahead = np.array([case[2] for case in asked], np.float64)
        off = np.array(told) - ahead
        return Sample(wall, [round(value, 2) for value in told], _figures(off, ahead))

    return run


def _figures(off: Hours, ahead: Hours) -> dict[str, float]:
    day = ahead <= DAY
    return {
        "cases": float(day.sum()),
        "too_hopeful_share": float((off[day] > TOO_HOPEFUL_H).mean()),
        "median_error_h": float(np.median(np.abs(off[day]))),
        "cases_week": float(off.size),
        "too_hopeful_share_week": float((off > TOO_HOPEFUL_H).mean()),
        "median_error_h_week": float(np.median(np.abs(off))),
    }


METHODS = {"mean_of_week": judged(mean_of_week), "p50": judged(median_path), "p10": judged(pessimistic)}


def bars(found: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What CONTROL asks of the forecast: the P10 seldom too hopeful, the P50 half as far off as the plain mean."""
    if not {"mean_of_week", "p50", "p10"} <= set(found):
        return {}
    plain, middle, low = (found[name]["figures"] for name in ("mean_of_week", "p50", "p10"))
    times = middle["median_error_h"] / plain["median_error_h"]
    rare = plain["too_hopeful_share"] / max(low["too_hopeful_share"], 1e-9)
    return {
        "p10_too_hopeful_share": {
            "want": "<= 0.03",
            "got": low["too_hopeful_share"],
            "ok": low["too_hopeful_share"] <= 0.03,
        },
        "p50_error_over_mean": {"want": "<= 0.5", "got": round(times, 3), "ok": times <= 0.5},
        "p10_rarer_than_mean": {"want": ">= 5", "got": round(rare, 2), "ok": rare >= 5},
    }


if __name__ == "__main__":
    main("benchmarks.forecast", METHODS, floors={}, bars=bars, prepare=prepare, rows=0)
