"""Slots that should be there against slots that are: the spans in between come out, oldest first."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Int = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Gap:
    """Missing slots of one register: [``start_ms``, ``end_ms``) UTC and how many slots that is."""

    start_ms: int
    end_ms: int
    intervals: int


def gaps(end_ms: Int, length_ms: Int, start_ms: int, stop_ms: int, slot_ms: int) -> list[Gap]:
    """Return what the slots (end - length, end], in any order and of any lengths, leave open of [start, stop).

    ``slot_ms`` counts what is open, a part of a slot as one. Where a meter changed from hourly to half-hourly slots,
    nothing is missing.

    >>> hour = 3_600_000
    >>> gaps(np.array([hour, 4 * hour]), np.array([hour, hour]), 0, 5 * hour, hour)
    [Gap(start_ms=3600000, end_ms=10800000, intervals=2), Gap(start_ms=14400000, end_ms=18000000, intervals=1)]
    """
    order = np.argsort(end_ms, kind="stable")
    ends, starts = end_ms[order], (end_ms - length_ms)[order]
    reached = np.maximum.accumulate(np.concatenate([[start_ms], ends]))
    begins = np.concatenate([starts, [stop_ms]])
    found = []
    for row in np.flatnonzero(np.minimum(begins, stop_ms) > np.maximum(reached, start_ms)):
        first, last = max(int(reached[row]), start_ms), min(int(begins[row]), stop_ms)
        found.append(Gap(first, last, -(-(last - first) // slot_ms)))
    return found
