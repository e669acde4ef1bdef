"""Texts of local or absolute time go in, milliseconds since 1970 in UTC come out, with a word for what was wrong.

A stamp with its own offset (``2016-11-06T01:00:00-06:00``, ``Z``) is taken at its word; one without is wall time in the
given zone. In the hour that a clock change repeats, a meter's first stamp of a text is the earlier one, its second the
later; in the hour that it skips, no stamp can be right. A clock that has lost the time says 1970 or 2000: such stamps
are kept aside by name, never stored.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

Int = npt.NDArray[np.int64]

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
EARLIEST: Final = datetime(2000, 1, 2)  # before: a clock that starts again from its first day
LATEST: Final = datetime(2100, 1, 1)
_EPOCH: Final = datetime(1970, 1, 1)

_CLOCK = r"(?:[T ]\s*(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d{1,9})?)?)?\s*(Z|[+-]\d{2}:?\d{2})?"
_YEAR_FIRST: Final = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})" + _CLOCK, re.ASCII)
_YEAR_LAST: Final = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})" + _CLOCK, re.ASCII)


class Trouble(IntEnum):
    """What was wrong with a stamp."""

    NONE = 0
    BAD_STAMP = 1
    CLOCK_LOST = 2
    NO_SUCH_HOUR = 3


@dataclass(frozen=True, slots=True)
class Stamps:
    """Wall clock (as written) and UTC, both in ms since 1970, and the trouble of each row."""

    wall_ms: Int
    utc_ms: Int
    trouble: Int


@dataclass(frozen=True, slots=True)
class _Read:
    wall: datetime
    offset_min: int | None  # east of Greenwich; None: not said


def read(text: str, *, day_first: bool = True) -> _Read | None:
    """Return one stamp's wall time and offset, or None if it is no time; 24:00 is the next day's midnight."""
    text = text.strip()
    match = _YEAR_FIRST.fullmatch(text)
    if match is not None:
        year, month, day = int(match[1]), int(match[2]), int(match[3])
    else:
        match = _YEAR_LAST.fullmatch(text)
        if match is None:
            return None
        year, month, day = int(match[3]), int(match[2]), int(match[1])
        if not day_first:
            month, day = day, month
    hour, minute, second = (int(match[group] or 0) for group in (4, 5, 6))
    try:
        wall = datetime(year, month, day, 0 if (hour, minute, second) == (24, 0, 0) else hour, minute, second)
    except ValueError:
        return None
    if hour == 24:
        wall += timedelta(days=1)
    return _Read(wall, _offset(match[7]))


def _offset(text: str | None) -> int | None:
    """Return an offset in minutes: Z, +HH:MM or +HHMM."""
    if not text:
        return None
    if text == "Z":
        return 0
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    return -minutes if text[0] == "-" else minutes


def day_first(texts: Sequence[str]) -> bool:
    """Whether stamps with the year last are day/month: yes unless one of them can only be month/day."""
    for text in texts:
        match = _YEAR_LAST.fullmatch(text.strip())
        if match is not None and int(match[2]) > 12 >= int(match[1]):
            return False
    return True


def _ms(wall: datetime) -> int:
    return (wall - _EPOCH) // timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class _Known:
    wall_ms: int
    first_ms: int
    second_ms: int  # differs from the first in a repeated hour only
    trouble: int


def _know(stamp: _Read | None, zone: ZoneInfo | None) -> _Known:
    if stamp is None:
        return _Known(0, 0, 0, Trouble.BAD_STAMP)
    wall_ms = _ms(stamp.wall)
    if not EARLIEST <= stamp.wall < LATEST:
        return _Known(wall_ms, wall_ms, wall_ms, Trouble.CLOCK_LOST)
    if stamp.offset_min is not None:
        utc = wall_ms - stamp.offset_min * 60_000
        return _Known(wall_ms, utc, utc, Trouble.NONE)
    if zone is None:
        return _Known(wall_ms, wall_ms, wall_ms, Trouble.NONE)
    earlier, later = (stamp.wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if earlier.astimezone(zone).replace(tzinfo=None) != stamp.wall:
        return _Known(wall_ms, wall_ms, wall_ms, Trouble.NO_SUCH_HOUR)
    first, second = (_ms(at.replace(tzinfo=None)) for at in (earlier, later))
    return _Known(wall_ms, first, second, Trouble.NONE)


def midnight_ms(day: datetime, zone: str) -> int:
    """Return the start of a local day in ms since 1970, UTC."""
    return _know(_Read(day, None), ZoneInfo(zone)).first_ms


def resolve(texts: Sequence[str], meter: Int, *, zone: str = "UTC", day: bool | None = None) -> Stamps:
    """Return every row's time; ``meter`` (same length) tells whose clock it is, for the repeated hour.

    ``day`` True: day/month/year, False: month/day/year, None: as the texts show. Raises KeyError
    (zoneinfo.ZoneInfoNotFoundError) for a zone that does not exist.
    """
    unique = list(dict.fromkeys(texts))
    index = {text: number for number, text in enumerate(unique)}
    first = day_first(unique) if day is None else day
    place = None if zone in ("UTC", "GMT", "Etc/UTC", "Z") else ZoneInfo(zone)
    known = [_know(read(text, day_first=first), place) for text in unique]
    columns = np.array([(k.wall_ms, k.first_ms, k.second_ms, k.trouble) for k in known], np.int64).reshape(-1, 4)
    rows = np.fromiter((index[text] for text in texts), np.int64, len(texts))
    wall, utc, second, trouble = columns[rows].T
    utc = utc.copy()
    seen: set[tuple[int, int]] = set()
    for row in np.flatnonzero(utc != second):
        key = (int(meter[row]), int(rows[row]))
        if key in seen:
            utc[row] = second[row]
        seen.add(key)
    return Stamps(wall.copy(), utc, trouble.copy())
