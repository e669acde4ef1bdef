"""An instant, a zone and a policy's calendar go in; whether supply may be cut then, and when next, comes out.

A day of the calendar is written as a date ("2027-02-05"), a day of every year ("12-25"), a distance from Easter Sunday
("easter-2"), or the n-th weekday of a month ("4 thu 11", "-1 mon 5"). Supply is cut only inside the daily window, never
on a day off or a special day, and never on the eve of one: whoever is cut then finds no cashier open.
"""

import re
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HORIZON_DAYS = 90  # no window within three months is reported as none
NTH = re.compile(r"(-1|[1-5]) (mon|tue|wed|thu|fri|sat|sun) (1[0-2]|[1-9])")
EASTER = re.compile(r"easter([+-][0-9]{1,2})")


class Calendar(Protocol):
    """The part of a policy that says when."""

    @property
    def window_from_min(self) -> int: ...
    @property
    def window_to_min(self) -> int: ...
    @property
    def days_off(self) -> tuple[str, ...]: ...
    @property
    def special_days(self) -> tuple[str, ...]: ...
    @property
    def working_days(self) -> tuple[str, ...]: ...
    @property
    def calendar_years(self) -> tuple[int, ...]: ...


def local(at: datetime, zone: str) -> datetime:
    """Naive local time of a naive UTC instant; KeyError for a zone that does not exist."""
    return at.replace(tzinfo=timezone.utc).astimezone(_zone(zone)).replace(tzinfo=None)  # noqa: UP017


def utc(wall: datetime, zone: str) -> datetime:
    """Naive UTC of a naive local time (the first of two, where a clock goes back)."""
    return wall.replace(tzinfo=_zone(zone)).astimezone(timezone.utc).replace(tzinfo=None)  # noqa: UP017


def day_off(calendar: Calendar, day: date) -> bool:
    """Whether ``day`` is a day off or a special day; a listed working day is neither."""
    if day in _days(calendar.working_days, day.year):
        return False
    return WEEKDAYS[day.weekday()] in calendar.days_off or day in _days(calendar.special_days, day.year)


def shut(calendar: Calendar, at: datetime, zone: str) -> str:
    """Why the window is shut at ``at`` (naive UTC), "" if it is open; the reason is a plain sentence part."""
    try:
        wall = local(at, zone)
    except (KeyError, ValueError, OSError):
        return f"zone {zone!r} is not known"
    tomorrow = wall.date() + timedelta(days=1)
    if calendar.calendar_years and not {wall.year, tomorrow.year} <= set(calendar.calendar_years):
        return f"the calendar does not list the special days of {tomorrow.year}"
    minute = wall.hour * 60 + wall.minute
    if not calendar.window_from_min <= minute < calendar.window_to_min:
        return f"{wall:%H:%M} is outside {_clock(calendar.window_from_min)} to {_clock(calendar.window_to_min)}"
    if day_off(calendar, wall.date()):
        return f"{wall:%Y-%m-%d} is a day off"
    if day_off(calendar, tomorrow):
        return f"{wall:%Y-%m-%d} is the eve of a day off"
    return ""


def next_open(calendar: Calendar, after: datetime, zone: str) -> datetime | None:
    """The first instant at or after ``after`` (naive UTC) at which the window is open; None within 90 days."""
    if not shut(calendar, after, zone):
        return after
    try:
        wall = local(after, zone)
    except (KeyError, ValueError, OSError):
        return None
    for ahead in range(HORIZON_DAYS):
        midnight = datetime(wall.year, wall.month, wall.day) + timedelta(days=ahead)
        opens = utc(midnight + timedelta(minutes=calendar.window_from_min), zone)
        if opens >= after and not shut(calendar, opens, zone):
            return opens
    return None


def after_working_days(calendar: Calendar, start: datetime, days: int, zone: str) -> datetime:
    """The same local time ``days`` working days after ``start`` (naive UTC)."""
    wall = local(start, zone)
    left = days
    for _ in range(days + 60):  # no run of days off is longer than two months
        if left == 0:
            break
        wall += timedelta(days=1)
        left -= not day_off(calendar, wall.date())
    return utc(wall, zone)


def in_quiet(at: datetime, zone: str, start_min: int, end_min: int) -> datetime | None:
    """When the quiet hours that hold at ``at`` end (naive UTC); None outside them. Equal ends mean no quiet hours."""
    wall = local(at, zone)
    minute = wall.hour * 60 + wall.minute
    wraps = start_min > end_min
    inside = (minute >= start_min or minute < end_min) if wraps else (start_min <= minute < end_min)
    if not inside:
        return None
    ends = datetime(wall.year, wall.month, wall.day) + timedelta(minutes=end_min)
    return utc(ends if ends > wall else ends + timedelta(days=1), zone)


def check_day(spec: str) -> bool:
    """Whether ``spec`` is a day that this calendar understands."""
    if EASTER.fullmatch(spec) or NTH.fullmatch(spec):
        return True
    try:
        date.fromisoformat(spec if len(spec) == 10 else f"2024-{spec}")
    except ValueError:
        return False
    return len(spec) in (5, 10)


@lru_cache(maxsize=64)
def _zone(zone: str) -> ZoneInfo:
    """The zone by its IANA name."""
    return ZoneInfo(zone)


@lru_cache(maxsize=1024)
def _days(specs: tuple[str, ...], year: int) -> frozenset[date]:
    """The days of ``year`` that ``specs`` name."""
    return frozenset(found for spec in specs if (found := _day(spec, year)) is not None)


def _day(spec: str, year: int) -> date | None:
    """One day of ``year``, None if it has none (29 February, a fifth Monday, another year's date)."""
    if easter := EASTER.fullmatch(spec):
        return _easter(year) + timedelta(days=int(easter.group(1)))
    if nth := NTH.fullmatch(spec):
        return _nth(year, int(nth.group(3)), WEEKDAYS.index(nth.group(2)), int(nth.group(1)))
    try:
        found = date.fromisoformat(spec if len(spec) == 10 else f"{year}-{spec}")
    except ValueError:
        return None
    return found if found.year == year else None


def _nth(year: int, month: int, weekday: int, nth: int) -> date | None:
    """The n-th weekday of a month, -1 the last."""
    if nth == -1:
        last = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
        return last - timedelta(days=(last.weekday() - weekday) % 7)
    first = date(year, month, 1)
    found = first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))
    return found if found.month == month else None


def _easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (the anonymous algorithm, Nature, 20 April 1876)."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)


def _clock(minute: int) -> str:
    """HH:MM."""
    return f"{minute // 60:02d}:{minute % 60:02d}"
