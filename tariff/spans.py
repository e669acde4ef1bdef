"""A calendar and a ladder go in, the spans in which the ladder's position rises come out, with their exact days."""

from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tariff.calendar import Calendar
from tariff.components.energy import Ladder

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


def days_of(calendar: Calendar, ladder: Ladder, span: int) -> tuple[int, int]:
    """Exact days (numerator, denominator) by which limits per day are multiplied: of the bill, or of the whole span.

    A position that goes on over bills is measured against the days of its whole month or year, not of one bill's part.
    """
    if ladder.reset == "bill":
        return int(calendar.elapsed[-1]), calendar.day_units
    if ladder.reset == "day":
        return 1, 1
    year, month = divmod(span, 12) if ladder.reset == "month" else (span, 0)
    after = divmod(span + 1, 12) if ladder.reset == "month" else (span + 1, 0)
    return (date(after[0], after[1] + 1, 1) - date(year, month + 1, 1)).days, 1
