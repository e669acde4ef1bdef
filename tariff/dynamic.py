"""A dynamic energy component and slots go in, the price or band that its series gives each slot comes out."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tariff.calendar import Calendar, minutes_of
from tariff.components.energy import Energy
from tariff.errors import RatingError

Ints = NDArray[Any]
BLIND = "?"  # period of slots for which a series has no price


def lookup(spec: Energy, calendar: Calendar, columns: Ints) -> NDArray[np.object_]:
    """The series' value of each slot, BLIND where it has none."""
    series = spec.series
    if series is None:
        raise RatingError(
            f"component {spec.id}: its series file {spec.series_file!r} is not there; put it beside the book"
        )
    if calendar.slot_min > series.minutes:
        raise RatingError(
            f"component {spec.id}: slots of {calendar.slot_min} minutes cannot be priced by a series of "
            f"{series.minutes} minutes; give shorter intervals"
        )
    at = minutes_of(calendar.start) + columns * calendar.slot_min
    starts = np.array(series.starts, np.int64)
    index = np.searchsorted(starts, at, side="right") - 1
    known = (index >= 0) & (at + calendar.slot_min <= starts[index] + series.minutes)
    values = np.array(series.values, object)[np.maximum(index, 0)]
    found: NDArray[np.object_] = np.where(known, values, BLIND)
    return found
