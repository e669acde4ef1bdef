"""A route's reading days and what was read go in; punctuality comes out, and who is due for a visit on site.

A read belongs to the planned day that is nearest to it; up to two days before or after it is on time. A meter that is
read remotely is checked on site every three cycles, a new one is visited within a month.
"""

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

PUNCTUAL_DAYS: Final = 2
CHECK_CYCLES: Final = 3
FIRST_VISIT_DAYS: Final = 30
ON_TIME, EARLY, LATE, MISSING, OPEN = "on_time", "early", "late", "missing", "open"


@dataclass(frozen=True, slots=True)
class Kept:
    """One planned day and what became of it; ``off_days`` is positive when the read was late."""

    planned: date
    read: date | None
    word: str
    off_days: int | None = None


@dataclass(frozen=True, slots=True)
class Visit:
    """Why a meter is due on site, since when, and by when."""

    reason: str  # "first_visit" or "verification"
    since: date
    due: date


def planned_days(day: int, months: int, since: date, until: date) -> list[date]:
    """The days from ``since`` to before ``until`` on which a route is read: the ``day`` of every ``months`` months.

    Months count from January; a day that a month lacks is its last.

    >>> planned_days(31, 2, date(2026, 1, 1), date(2026, 6, 1))
    [datetime.date(2026, 1, 31), datetime.date(2026, 3, 31), datetime.date(2026, 5, 31)]
    """
    found = []
    year, month = since.year, since.month
    while (year, month) <= (until.year, until.month):
        if (month - 1) % months == 0:
            at = date(year, month, min(day, calendar.monthrange(year, month)[1]))
            if since <= at < until:
                found.append(at)
        year, month = year + month // 12, month % 12 + 1
    return found


def kept(planned: Sequence[date], reads: Sequence[date], today: date) -> list[Kept]:
    """What became of each planned day; reads may come in any order, each counts for the nearest day."""
    by_day: dict[date, list[date]] = {at: [] for at in planned}
    for read in reads:
        if planned:
            by_day[min(planned, key=lambda at: (abs(read - at), at))].append(read)
    return [_one(at, by_day[at], today) for at in planned]


def _one(planned: date, reads: Sequence[date], today: date) -> Kept:
    if not reads:
        over = today > planned + timedelta(days=PUNCTUAL_DAYS)
        return Kept(planned, None, MISSING if over else OPEN)
    read = min(reads, key=lambda at: (abs(at - planned), at))
    off = (read - planned).days
    word = ON_TIME if abs(off) <= PUNCTUAL_DAYS else LATE if off > 0 else EARLY
    return Kept(planned, read, word, off)


def visit_due(installed: date, seen: date | None, *, remote: bool, months: int, today: date) -> Visit | None:
    """Whether a meter is due on site: a new one within a month, a remotely read one every three cycles.

    ``seen`` is the last time that a person stood before it, ``months`` the length of a reading cycle.
    """
    if seen is None or seen < installed:
        due = installed + timedelta(days=FIRST_VISIT_DAYS)
        if not remote and today > due:
            return None  # a person reads it on its round
        return Visit("first_visit", installed, due) if today >= installed else None
    if not remote:
        return None
    due = _months_after(seen, months * CHECK_CYCLES)
    return Visit("verification", seen, due) if today >= due else None


def _months_after(at: date, months: int) -> date:
    whole = at.year * 12 + at.month - 1 + months
    year, month = whole // 12, whole % 12 + 1
    return date(year, month, min(at.day, calendar.monthrange(year, month)[1]))
