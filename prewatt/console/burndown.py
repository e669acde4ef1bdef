"""What is available now, charged slots and postings go in; what was available at each moment before comes out."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from prewatt.console.usage import HOUR, hour_floor
from prewatt.console.views import Bar
from storage.records import Posting

BACK = timedelta(days=14)
AHEAD_H = 72
ACCRUED = ("bill", "correction")  # move money from accrued to the ledger: what is available stays
Point = tuple[datetime, int]


def balance(
    available_micro: int, charged: Sequence[Point], postings: Sequence[Posting], now: datetime
) -> tuple[Point, ...]:
    """What was available, oldest first: exact now, falling by each charge at its slot's end, jumping at each payment.

    ``charged`` is (end, micro) by slot. Walks back from now; a payment gives two points, one second before and at it.
    """
    start = hour_floor(now) - BACK
    amount = available_micro
    points = [(now, amount)]
    for at, change, jumps in _steps(charged, postings, start, now):
        points.append((at, amount))
        amount -= change
        if jumps:
            points.append((at - timedelta(seconds=1), amount))
    points.append((max(start, points[-1][0] - HOUR), amount))
    return tuple(sorted(dict(reversed(points)).items()))


def _steps(
    charged: Sequence[Point], postings: Sequence[Posting], start: datetime, now: datetime
) -> list[tuple[datetime, int, bool]]:
    """Every change of what is available, newest first; the last word says whether it is a posting."""
    steps = [(end, -micro, False) for end, micro in charged if start < end <= now]
    steps += [
        (row.at, row.amount_micro, True)
        for row in postings
        if start < row.at <= now and row.source.partition(":")[0] not in ACCRUED
    ]
    return sorted(steps, key=lambda step: (step[0], step[2]), reverse=True)


def gone_since(
    available_micro: int, charged: Sequence[Point], postings: Sequence[Posting], now: datetime
) -> datetime | None:
    """Since when the balance has been below zero without a break; None when it is not.

    Whoever was below already before everything that is known was so at least since then.
    """
    since, amount = None, available_micro
    for at, change, _ in _steps(charged, postings, hour_floor(now) - BACK, now):
        if amount >= 0:
            return since
        since, amount = at, amount - change
    return since


def projection(bars: Sequence[Bar], available_micro: int, now: datetime) -> tuple[Point, ...]:
    """The next three days at the mean charge of each hour of the day: for the eye only."""
    sums, days = [0] * 24, [set[datetime]() for _ in range(24)]
    for bar in bars:
        hour = hour_floor(bar.end - timedelta(minutes=1))
        sums[hour.hour] += bar.amount_micro
        days[hour.hour].add(hour)
    if not bars:
        return ()
    at, amount, points = hour_floor(now), available_micro, []
    for _ in range(AHEAD_H):
        amount -= sums[at.hour] // max(1, len(days[at.hour]))
        at += HOUR
        points.append((at, amount))
    return tuple(points)
