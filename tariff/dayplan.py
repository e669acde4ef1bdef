"""One version of a book and a year go in, its kinds of day come out: which window holds when, from midnight on.

Days that run alike are one kind. The scalar twin of ``tariff.calendar``, for people: a test keeps the two equal.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from tariff.model import Version, Window

DAY_MIN = 1440
HOLIDAY = -2  # the version's holiday period stands above all windows
DEFAULT = -1


@dataclass(frozen=True, slots=True)
class Stretch:
    """[begin, end) in minutes of the local day: the period, and the window's place in the version (DEFAULT: none)."""

    begin: int
    end: int
    period: str
    window: int


@dataclass(frozen=True, slots=True)
class DayKind:
    """Days that run alike: their dates in order, and their stretches."""

    days: tuple[date, ...]
    stretches: tuple[Stretch, ...]


def kinds_of_day(version: Version, year: int) -> tuple[DayKind, ...]:
    """The kinds of day of ``year``, in order of their first day."""
    found: dict[tuple[Stretch, ...], list[date]] = {}
    for day in days_of(year):
        found.setdefault(stretches(version, day), []).append(day)
    return tuple(DayKind(tuple(days), pieces) for pieces, days in found.items())


def days_of(year: int) -> Iterator[date]:
    """Every day of ``year``."""
    day = date(year, 1, 1)
    while day.year == year:
        yield day
        day += timedelta(days=1)


def stretches(version: Version, day: date) -> tuple[Stretch, ...]:
    """One day as the first matching windows share it; neighbours of one window are one stretch."""
    if is_holiday(version, day) and version.holiday_as and not version.holiday_as.isdigit():
        return (Stretch(0, DAY_MIN, version.holiday_as, HOLIDAY),)
    todays = [(place, window) for place, window in enumerate(version.windows) if on_day(window, version, day)]
    edges = sorted({0, DAY_MIN, *(edge for _, window in todays for edge in (window.begin, window.end))})
    pieces: list[Stretch] = []
    for begin, end in pairwise(edges):
        place = next((place for place, window in todays if at_minute(window, begin)), DEFAULT)
        period = version.default_period if place == DEFAULT else version.windows[place].period
        if pieces and (pieces[-1].period, pieces[-1].window) == (period, place):
            pieces[-1] = Stretch(pieces[-1].begin, end, period, place)
        else:
            pieces.append(Stretch(begin, end, period, place))
    return tuple(pieces)


def is_holiday(version: Version, day: date) -> bool:
    """Whether the version lists ``day``."""
    return day.isoformat() in version.holidays


def on_day(window: Window, version: Version, day: date) -> bool:
    """Whether ``window`` may hold on ``day``, whatever the hour."""
    holiday = is_holiday(version, day)
    weekday = int(version.holiday_as) if holiday and version.holiday_as.isdigit() else day.isoweekday()
    return (
        (not window.months or day.month in window.months)
        and (not window.days or weekday in window.days)
        and (not window.dates or any(_within(first, last, day) for first, last in window.dates))
        and (window.holidays is None or window.holidays == holiday)
    )


def at_minute(window: Window, minute: int) -> bool:
    """Whether ``window`` holds at a minute of the local day on which it may."""
    if window.begin < window.end:
        return window.begin <= minute < window.end
    return window.begin == window.end or minute >= window.begin or minute < window.end


def _within(first: str, last: str, day: date) -> bool:
    text = day.isoformat() if len(first) == 10 else f"{day:%m-%d}"
    if first <= last or len(first) == 10:
        return first <= text <= last
    return text >= first or text <= last


def clock(minute: int) -> str:
    """Minutes of the day as a clock shows them.

    >>> clock(480), clock(1440)
    ('08:00', '24:00')
    """
    return f"{minute // 60:02d}:{minute % 60:02d}"
