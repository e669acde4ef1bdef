"""A book, kWh and the shape of a day go in, the bill that they would make comes out, each line with its why.

Energy is spread over the slots in whole Wh (of a gas book: 0.001 m3) that sum to the total. A profile is a day's shape
by the clock (``HH:MM,weight`` in equal steps) or stamped energies of the period (``2025-01-01T00:00,kWh`` on the book's
wall clock).
"""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from math import gcd

import numpy as np
from numpy.typing import NDArray

from tariff import calendar as calendars
from tariff import explain, money, statement, wording
from tariff.components.energy import Energy
from tariff.errors import RatingError
from tariff.model import Book, Version
from tariff.records import Bill, BillLine
from tariff.usage import Usage

DAY_MIN = 1440
HOUR = 60
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\Z")


@dataclass(frozen=True, slots=True)
class Profile:
    """``weights`` of the steps of ``minutes`` of a local day, or of the slots that ``starts`` (local) names."""

    minutes: int
    weights: tuple[int, ...]
    starts: tuple[datetime, ...] = ()


FLAT = Profile(DAY_MIN, (1,))


def read_profile(text: str) -> Profile:
    """A profile from CSV text; ValueError that names the row for what is none."""
    rows = [row for row in csv.reader(text.splitlines()) if row and not row[0].startswith("#")]
    if rows and not any(character.isdigit() for character in rows[0][-1]):
        rows = rows[1:]
    if len(rows) < 2 and [row[0] for row in rows] != ["00:00"]:
        raise ValueError("a profile has rows of time,weight: at least two, or one at 00:00")
    weights = tuple(_weight(row) for row in rows)
    if not sum(weights):
        raise ValueError("the weights of a profile are all 0")
    if len(rows[0][0]) <= len("00:00"):
        clocks = [_clock(row) for row in rows]
        step = DAY_MIN // len(rows)
        if DAY_MIN % len(rows) or clocks != list(range(0, DAY_MIN, step)):
            raise ValueError("a day's profile begins at 00:00 and has equal steps that fill the day")
        return Profile(step, weights)
    starts = tuple(_stamp(row) for row in rows)
    step = (starts[1] - starts[0]) // timedelta(minutes=1)
    if any(later - earlier != starts[1] - starts[0] for earlier, later in pairwise(starts)):
        raise ValueError("the stamps of a profile must rise in equal steps")
    return Profile(step, weights, starts)


def _weight(row: Sequence[str]) -> int:
    text = row[1].strip() if len(row) == 2 else ""
    if not money.is_decimal(text) or text.startswith("-") or money.scale_of(text) > 6:
        raise ValueError(f"{','.join(row)!r} is no row of time,weight (a number of 0 or more, at most 6 decimals)")
    return money.scaled(text, 6)


def _clock(row: Sequence[str]) -> int:
    match = _CLOCK.match(row[0].strip())
    if match is None:
        raise ValueError(f"{row[0]!r} is no time of day such as 08:30")
    return int(match[1]) * 60 + int(match[2])


def _stamp(row: Sequence[str]) -> datetime:
    try:
        at = datetime.fromisoformat(row[0].strip())
    except ValueError:
        raise ValueError(f"{row[0]!r} is no time such as 2025-01-01T00:00") from None
    if at.tzinfo is not None:
        raise ValueError(f"{row[0]!r}: a profile's stamps are the book's wall clock: leave the offset away")
    return at


def slot_minutes(book: Book, start: datetime, profile: Profile = FLAT) -> int:
    """The longest slots, of an hour at most, on which the book's series, demand windows, zone and the profile fit."""
    specs = [spec for version in book.versions for spec in version.components]
    steps = [spec.series.minutes for spec in specs if isinstance(spec, Energy) and spec.series is not None]
    windows = [getattr(spec, "window_min", 0) for spec in specs]  # of demand charges
    minutes = gcd(HOUR, start.minute, *steps, *windows)
    return gcd(minutes, profile.minutes) if profile.minutes < HOUR else minutes


def usage(book: Book, start: datetime, end: datetime, wh: int, profile: Profile = FLAT) -> Usage:
    """``wh`` spread over [start, end) in UTC by the profile."""
    minutes = slot_minutes(book, start, profile)
    slots = (end - start) // timedelta(minutes=minutes)
    first = calendars.minutes_of(start) + minutes * np.arange(slots, dtype=np.int64)
    local = first + calendars.offsets(book.zone, first)
    weights = _weights(profile, local)
    total = int(weights.sum())
    if not total:
        raise RatingError("the profile has no energy between the two dates")
    edges = np.concatenate([[0], np.cumsum(weights.astype(object))]) * wh // total
    return Usage((first + minutes).astype("datetime64[m]"), np.diff(edges).astype(np.int64), minutes)


def _weights(profile: Profile, local: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each slot's weight: that of its step of the day, or of its stamp; a long step is shared by its slots alike."""
    table = np.array(profile.weights, np.int64)
    if not profile.starts:
        return table[(local % DAY_MIN) // profile.minutes]
    place = (local - calendars.minutes_of(profile.starts[0])) // profile.minutes
    inside = (place >= 0) & (place < len(table))
    return np.where(inside, table[np.clip(place, 0, len(table) - 1)], 0)


def bill(
    book: Book,
    span: tuple[datetime, datetime],
    wh: int,
    *,
    attributes: Mapping[str, str] | None = None,
    profile: Profile = FLAT,
    used_wh: int = 0,
    reactive_varh: int | None = None,
) -> Bill:
    """The bill of ``wh`` over ``span`` (UTC); ``used_wh`` has gone by on the ladder before, by month or year."""
    load = usage(book, *span, wh, profile)
    reactive = None if reactive_varh is None else _spread(reactive_varh, len(load.wh))
    return statement.bill(
        book,
        "",
        *span,
        load.ends,
        load.wh,
        minutes=load.minutes,
        attributes=attributes,
        carried=used_wh or None,
        reactive_varh=reactive,
    )


def _spread(total: int, slots: int) -> NDArray[np.int64]:
    return np.diff(np.arange(slots + 1, dtype=np.int64) * total // slots)


def why(book: Book, line: BillLine) -> str:
    """What made a line: kWh times price with the hours of its period, or its component's rule in words."""
    version = next((one for one in book.versions if one.label == line.version), None)
    spec = book.get(line.id, version) if version is not None else None
    if version is None or spec is None:
        return "the total is rounded once more"
    if not isinstance(spec, Energy):
        return wording.component(spec, book.currency)
    times = f"{line.quantity} kWh x {line.price}" if line.price else f"{line.quantity} kWh at each slot's price"
    tier = f", tier {line.tier + 1}" if spec.ladder is not None and line.tier is not None else ""
    return times + tier + _hours(version, line.period)


def _hours(version: Version, period: str) -> str:
    """The windows of a period in words; nothing where it is the only one."""
    windows = [explain.describe(window, version) for window in version.windows if window.period == period]
    if not version.windows or period == "*":
        return ""
    if period == version.default_period:
        windows.append("all other hours")
    return f", {period}: {' or '.join(windows)}"
