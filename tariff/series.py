"""The bytes of a CSV file of stamps and values go in, a Series of prices or band names by UTC time comes out."""

import csv
import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from tariff.calendar import minutes_of
from tariff.model import Series
from tariff.section import Section

Resolve = Callable[[str], bytes]
MAX_ROWS = 2_000_000


@dataclass(frozen=True, slots=True)
class Context:
    """What a component's parser may know of the book: ids above it, the zone, how to open a series, the periods."""

    known: tuple[str, ...]
    zone: str
    resolve: Resolve | None = None
    periods: tuple[str, ...] = ()  # of the version's windows


def read(section: Section, context: Context) -> Series | None:
    """The series that ``section`` names, None while its file is not there; BookError for a bad row.

    Keys: ``series`` (file), ``series_minutes`` (how long a value holds, 30), ``series_stamp`` (ISO 8601 or a strptime
    format; a stamp is the start of its slot), ``series_zone`` (of stamps without one; the book's zone by default).
    """
    name = section.text("series")
    minutes = section.integer("series_minutes", 30, low=1, high=1440)
    form = section.text("series_stamp", "iso")
    zone = section.text("series_zone", context.zone)
    if context.resolve is None:
        return None
    try:
        data = context.resolve(name)
    except OSError:
        return None
    rows: dict[int, str] = {}
    for number, row in enumerate(csv.reader(io.StringIO(data.decode("utf-8-sig", "replace")))):
        if not row or (number == 0 and _stamp(row[0], form, zone) is None):
            continue
        at = _stamp(row[0], form, zone)
        if at is None or len(row) < 2 or not row[1].strip() or number > MAX_ROWS:
            section.fail("series", f"{name}, line {number + 1}: no stamp and value in {','.join(row)[:60]!r}")
        if rows.setdefault(at, row[1].strip()) != row[1].strip():
            section.fail("series", f"{name}, line {number + 1}: a second value for {row[0]}")
    starts = tuple(sorted(rows))
    values = tuple(rows[start] for start in starts)
    return Series(name, minutes, starts, values, hashlib.sha256(data).hexdigest())


def _stamp(text: str, form: str, zone: str) -> int | None:
    """Minutes since 1970 UTC of a stamp, None if it is none."""
    try:
        at = datetime.fromisoformat(text.strip()) if form == "iso" else datetime.strptime(text.strip(), form)  # noqa: DTZ007
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=ZoneInfo(zone))
    return minutes_of((at - (at.utcoffset() or timedelta())).replace(tzinfo=None))
