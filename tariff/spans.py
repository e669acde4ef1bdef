"""A calendar and a ladder go in, the spans in which the ladder's position rises come out, with their exact days."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tariff.calendar import Calendar
from tariff.components.energy import Ladder
from tariff.supply import supplied

Ints = NDArray[Any]


def spans_of(calendar: Calendar, ladder: Ladder | None) -> Ints:
    """The span of each slot in which a ladder's position rises; it restarts where this number changes."""
    reset = ladder.reset if ladder is not None else "bill"
    return {
        "bill": np.zeros(calendar.slots, np.int64),
        "day": calendar.day,
        "month": calendar.month,
        "year": calendar.year,
    }[reset]


def days_of(
    calendar: Calendar, ladder: Ladder, span: int, attributes: Mapping[str, str] | None = None
) -> tuple[int, int]:
    """Exact days (numerator, denominator) by which limits per day are multiplied: of the bill, or of the whole span.

    A position that goes on over bills is measured against the days of its whole month or year, not of one bill's part.
    Where the ladder's ``partial`` says so only the bill's days of supply count.
    """
    if ladder.reset == "bill":
        return share_of(calendar, ladder, attributes)[0], calendar.day_units
    if ladder.reset == "day":
        return 1, 1
    year, month = divmod(span, 12) if ladder.reset == "month" else (span, 0)
    after = divmod(span + 1, 12) if ladder.reset == "month" else (span + 1, 0)
    return (date(after[0], after[1] + 1, 1) - date(year, month + 1, 1)).days, 1


def share_of(calendar: Calendar, ladder: Ladder, attributes: Mapping[str, str] | None) -> tuple[int, int]:
    """Day units of the bill for which its limits are, and all it has: those of supply where ``partial`` is "days"."""
    whole = int(calendar.elapsed[-1])
    if ladder.partial != "days":
        return whole, whole
    first, end = supplied(calendar, attributes or {})
    return int(calendar.elapsed[end] - calendar.elapsed[first]), whole
