"""A book and an instant go in, the billing period and the start of what it rests on come out."""

from datetime import datetime, timedelta

from tariff import calendar as calendars
from tariff import components
from tariff.components.energy import Energy
from tariff.model import Book


def period_of(book: Book, at: datetime, cycle_day: int | None = None) -> tuple[datetime, datetime]:
    """The billing period (UTC) that holds the instant ``at``: local months from the cycle's day on.

    A book whose ``cycle_months`` are more than one counts them from month ``cycle_first`` of the year.
    """
    day = cycle_day or book.cycle_day
    local = calendars.to_local(at, book.zone)
    first = local.replace(day=day, hour=0, minute=0, second=0, microsecond=0)
    back = (first.month - book.cycle_first) % book.cycle_months
    first = _month_on(first, -back)
    if local < first:
        first = _month_on(first, -book.cycle_months)
    return calendars.to_utc(first, book.zone), calendars.to_utc(_month_on(first, book.cycle_months), book.zone)


def _month_on(at: datetime, step: int) -> datetime:
    index = at.year * 12 + at.month - 1 + step
    return at.replace(year=index // 12, month=index % 12 + 1)


def ladder_start(book: Book, start: datetime) -> datetime:
    """From when on energy must be known to price a bill that begins at ``start`` (``start`` if nothing goes on).

    The start of the open span of every ladder, and of the months that a ratchet or a bank looks back on.
    """
    first = start
    for _ in range(components.lookback(book)):
        earlier = period_of(book, first - timedelta(minutes=1))[0]
        if earlier < begin_of(book):
            break
        first = earlier
    return min(open_since(book, first), first)


def begin_of(book: Book) -> datetime:
    """When the book's first version begins, in UTC."""
    return calendars.to_utc(book.versions[0].start, book.zone)


def open_since(book: Book, start: datetime) -> datetime:
    """Where the longest ladder span that is open at ``start`` began."""
    local = calendars.to_local(start, book.zone)
    specs = (spec for version in book.versions for spec in version.components)
    resets = {spec.ladder.reset for spec in specs if isinstance(spec, Energy) and spec.ladder}
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    firsts = {"year": midnight.replace(month=1, day=1), "month": midnight.replace(day=1), "day": midnight}
    for reset, first in firsts.items():
        if reset in resets:
            return min(start, calendars.to_utc(first, book.zone))
    return start
