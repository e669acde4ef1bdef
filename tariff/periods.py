"""A book and an instant go in, the billing period and the ladders' starting points come out."""

from collections.abc import Mapping
from datetime import datetime

from tariff import calendar as calendars
from tariff import plan as plans
from tariff.components.energy import Energy
from tariff.model import Book
from tariff.plan import Plan
from tariff.step import settle
from tariff.usage import Usage, placed


def period_of(book: Book, at: datetime, cycle_day: int | None = None) -> tuple[datetime, datetime]:
    """The billing period (UTC) that holds the instant ``at``: a local month from the cycle's day on."""
    day = cycle_day or book.cycle_day
    local = calendars.to_local(at, book.zone)
    first = local.replace(day=day, hour=0, minute=0, second=0, microsecond=0)
    if local < first:
        first = _month_on(first, -1)
    return calendars.to_utc(first, book.zone), calendars.to_utc(_month_on(first, 1), book.zone)


def _month_on(at: datetime, step: int) -> datetime:
    index = at.year * 12 + at.month - 1 + step
    return at.replace(year=index // 12, month=index % 12 + 1)


def ladder_start(book: Book, start: datetime) -> datetime:
    """From when on energy must be known to place ``start`` on every ladder of the book (``start`` if none runs)."""
    local = calendars.to_local(start, book.zone)
    specs = (spec for version in book.versions for spec in version.components)
    resets = {spec.ladder.reset for spec in specs if isinstance(spec, Energy) and spec.ladder}
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    firsts = {"year": midnight.replace(month=1, day=1), "month": midnight.replace(day=1), "day": midnight}
    for reset, first in firsts.items():
        if reset in resets:
            return min(start, calendars.to_utc(first, book.zone))
    return start


def carried(book: Book, start: datetime, usage: Usage, attributes: Mapping[str, str] | None = None) -> dict[str, int]:
    """Wh that each ladder has gone since it restarted, at ``start``, from the energy since ``ladder_start``."""
    begin = ladder_start(book, start)
    first = max(begin, calendars.to_utc(book.versions[0].start, book.zone))
    if first >= start:
        return {}
    plan = plans.compile(book, first, start, usage.minutes, attributes)
    wh, export, _ = placed(plan, usage, start)
    after = settle(plan, plan.zero(1), 0, wh, export)
    return {
        stream.key: int(after.position[0, index])
        for index, stream in enumerate(plan.streams)
        if stream.ladder is not None and stream.ladder.reset != "bill" and _open(plan, start, stream.ladder.reset)
    }


def _open(plan: Plan, start: datetime, reset: str) -> bool:
    """Whether the span of the slot before ``start`` goes on at ``start``."""
    last = plan.calendar
    local = calendars.to_local(start, plan.book.zone)
    month = local.year * 12 + local.month - 1
    now = {"year": local.year, "month": month, "day": (local - calendars.EPOCH).days}[reset]
    before = {"year": last.year, "month": last.month, "day": last.day}[reset]
    return int(before[-1]) == now
