"""A wall clock and a book's table go in, the billing period on that clock comes out: day after day to its start."""

from datetime import datetime, timedelta
from typing import Any

Span = tuple[datetime, datetime]


def period(local: datetime, book: dict[str, Any]) -> Span:
    """Start and end of the period that holds ``local``."""
    day = datetime(local.year, local.month, local.day)
    start = day
    while not begins(start, book):
        start -= timedelta(days=1)
    end = day + timedelta(days=1)
    while not begins(end, book):
        end += timedelta(days=1)
    return start, end


def begins(day: datetime, book: dict[str, Any]) -> bool:
    """Whether a period begins on a day."""
    months = (day.month - book.get("cycle_first", 1)) % book.get("cycle_months", 1)
    return bool(day.day == book.get("cycle_day", 1) and months == 0)
