"""UTC slots go in; one row per slot comes out: local date and time, version, period, and where each ladder restarts.

Days of 23 or 25 hours, price changes and holidays are just rows. A slot belongs to the period of its start.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from math import lcm
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from tariff.errors import RatingError
from tariff.model import Book, Version, Window

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
EPOCH = datetime(1970, 1, 1)
MINUTE = timedelta(minutes=1)
DAY_MIN = 1440


@dataclass(frozen=True, slots=True, eq=False)
class Calendar:
    """The rows of ``slots`` intervals of ``slot_min`` minutes from ``start`` (UTC).

    ``version`` indexes ``book.versions`` and ``period`` indexes ``periods``; ``day`` counts local days since 1970,
    ``month`` local months since year 0, ``year`` local years, ``minute`` is the local minute of the day.
    ``elapsed`` has one more entry than there are slots: exact day units gone by at each slot's start, so that a day of
    23 hours weighs as much as one of 24; ``day_units`` of them make a day.
    """

    start: datetime
    slot_min: int
    slots: int
    version: Ints
    period: Ints
    periods: tuple[str, ...]
    day: Ints
    month: Ints
    year: Ints
    minute: Ints
    elapsed: Ints
    day_units: int


def minutes_of(at: datetime) -> int:
    """Minutes from 1970 to ``at``; both without a zone."""
    return (at - EPOCH) // MINUTE


def to_local(at: datetime, zone: str) -> datetime:
    """Wall clock of ``zone`` at the UTC instant ``at`` (both naive)."""
    return at + timedelta(minutes=_offset_min(zone, minutes_of(at)))


def to_utc(local: datetime, zone: str) -> datetime:
    """First UTC instant at which the wall clock of ``zone`` shows ``local``, or has just passed it in a gap."""
    aware = local.replace(tzinfo=ZoneInfo(zone))
    offset = aware.utcoffset() or timedelta()
    at = local - offset
    while to_local(at, zone) > local and to_local(at - MINUTE, zone) >= local:
        at -= MINUTE  # in a gap the offset before it leads past its end
    return at


def build(book: Book, start: datetime, end: datetime, slot_min: int) -> Calendar:
    """The calendar of [start, end) in UTC for ``book``; RatingError if no version holds or slots do not fit."""
    if slot_min <= 0 or DAY_MIN % slot_min:
        raise RatingError(f"slots of {slot_min} minutes do not divide a day")
    span = (end - start) // MINUTE
    if span <= 0 or span % slot_min:
        raise RatingError(f"{start} to {end} is not a whole number of {slot_min}-minute slots")
    utc = minutes_of(start) + slot_min * np.arange(span // slot_min, dtype=np.int64)
    local = utc + offsets(book.zone, utc)
    day, minute = local // DAY_MIN, local % DAY_MIN
    dates = day.astype("datetime64[D]")
    month = dates.astype("datetime64[M]").astype(np.int64) + 1970 * 12
    version = _versions(book, utc, local)
    names: list[str] = []
    period = np.zeros(len(utc), np.int64)
    for index in np.unique(version):
        rows = version == index
        period[rows] = _periods(book.versions[int(index)], day[rows], month[rows], minute[rows], names)
    elapsed, units = _elapsed(book.zone, day, slot_min)
    return Calendar(
        start, slot_min, len(utc), version, period, tuple(names), day, month, month // 12, minute, elapsed, units
    )


def under(calendar: Calendar, book: Book, index: int) -> Calendar:
    """``calendar`` as if version ``index`` of ``book`` had held all the time."""
    names = list(calendar.periods)
    period = _periods(book.versions[index], calendar.day, calendar.month, calendar.minute, names)
    version = np.full(calendar.slots, index, np.int64)
    return replace(calendar, version=version, period=period, periods=tuple(names))


@lru_cache(maxsize=4096)
def _offset_min(zone: str, minute: int) -> int:
    aware = (EPOCH + minute * MINUTE).replace(tzinfo=ZoneInfo("UTC")).astimezone(ZoneInfo(zone))
    offset = aware.utcoffset() or timedelta()
    return int(offset / MINUTE)


def offsets(zone: str, utc: Ints) -> Ints:
    """Minutes to add to each of the rising UTC minutes ``utc``; only days with a change are looked at slot by slot."""
    result = np.empty_like(utc)
    days = utc // DAY_MIN
    for day in np.unique(days):
        low, high = np.searchsorted(days, [day, day + 1])
        first, last = _offset_min(zone, int(day) * DAY_MIN), _offset_min(zone, int(day + 1) * DAY_MIN)
        if first == last:
            result[low:high] = first
        else:
            result[low:high] = [_offset_min(zone, int(at)) for at in utc[low:high]]
    return result


def _versions(book: Book, utc: Ints, local: Ints) -> Ints:
    starts = np.array([minutes_of(to_utc(version.start, book.zone)) for version in book.versions], np.int64)
    index = np.searchsorted(starts, utc, side="right") - 1  # an hour that comes twice brings no version back
    if index.min() < 0:
        first = book.versions[0].label
        raise RatingError(f"book {book.name}: no version before {first}, but slots from {_iso(local[0])}")
    return index.astype(np.int64)


def _iso(minute: Any) -> str:
    return (EPOCH + int(minute) * MINUTE).isoformat(sep=" ", timespec="minutes")


def _periods(version: Version, day: Ints, month: Ints, minute: Ints, names: list[str]) -> Ints:
    """Index into ``names`` (grown as needed) of each row's period."""
    holiday, weekday = _kinds_of_day(version, day)
    result = np.full(len(day), _index(names, version.default_period), np.int64)
    for window in reversed(version.windows):
        rows = _matches(window, day, month, minute, weekday=weekday, holiday=holiday)
        result[rows] = _index(names, window.period)
    if version.holiday_as and not version.holiday_as.isdigit():
        result[holiday] = _index(names, version.holiday_as)
    return result


def _kinds_of_day(version: Version, day: Ints) -> tuple[Bools, Ints]:
    """Which rows are holidays, and each row's weekday (Monday 1) as the version counts it."""
    holiday: Bools = np.isin(day, np.array([_day(text) for text in version.holidays], np.int64))
    weekday = (day + 3) % 7 + 1
    if version.holiday_as.isdigit():
        weekday = np.where(holiday, int(version.holiday_as), weekday)
    return holiday, weekday


def first_window(version: Version, day: Ints, month: Ints, minute: Ints) -> Window | None:
    """The window that one row (arrays of length 1) falls into, None for the default period."""
    holiday, weekday = _kinds_of_day(version, day)
    for window in version.windows:
        if _matches(window, day, month, minute, weekday=weekday, holiday=holiday)[0]:
            return window
    return None


def _index(names: list[str], name: str) -> int:
    if name not in names:
        names.append(name)
    return names.index(name)


def _matches(window: Window, day: Ints, month: Ints, minute: Ints, *, weekday: Ints, holiday: Bools) -> Bools:
    rows: Bools = np.ones(len(day), np.bool_)
    if window.begin < window.end:
        rows &= (minute >= window.begin) & (minute < window.end)
    elif window.begin > window.end:
        rows &= (minute >= window.begin) | (minute < window.end)
    if window.months:
        rows &= np.isin(month % 12 + 1, window.months)
    if window.days:
        rows &= np.isin(weekday, window.days)
    if window.dates:
        rows &= _within(window.dates, day)
    if window.holidays is not None:
        rows &= holiday == window.holidays
    return rows


def _within(dates: tuple[tuple[str, str], ...], day: Ints) -> Bools:
    """Rows whose date lies in any of the inclusive spans; MM-DD spans return every year and may wrap it."""
    rows: Bools = np.zeros(len(day), np.bool_)
    stamps = day.astype("datetime64[D]")
    months = stamps.astype("datetime64[M]")
    yearly = (months.astype(np.int64) % 12 + 1) * 100 + (stamps - months).astype(np.int64) + 1
    for first, last in dates:
        if len(first) == 5:
            low, high = int(first.replace("-", "")), int(last.replace("-", ""))
            inside = (yearly >= low, yearly <= high)
            rows |= (inside[0] & inside[1]) if low <= high else (inside[0] | inside[1])
        else:
            rows |= (day >= _day(first)) & (day <= _day(last))
    return rows


def _day(text: str) -> int:
    return (date.fromisoformat(text) - EPOCH.date()).days


def _elapsed(zone: str, day: Ints, slot_min: int) -> tuple[Ints, int]:
    """Exact share of days gone by before each slot, and how many units make one day."""
    unique, inverse = np.unique(day, return_inverse=True)
    lengths = [max(1, _day_minutes(zone, int(one)) // slot_min) for one in unique]
    units = lcm(*lengths)
    weights = np.array([units // length for length in lengths], np.int64)[inverse]
    return np.concatenate([[0], np.cumsum(weights)]).astype(np.int64), units


def _day_minutes(zone: str, day: int) -> int:
    midnight = EPOCH + timedelta(days=day)
    return (to_utc(midnight + timedelta(days=1), zone) - to_utc(midnight, zone)) // MINUTE
