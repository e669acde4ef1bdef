"""Slots that should be there against slots that are: the spans in between come out, oldest first."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Int = npt.NDArray[np.int64]
MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Gap:
    """Missing slots of one register: [``start_ms``, ``end_ms``) UTC and how many slots that is."""

    start_ms: int
    end_ms: int
    intervals: int


def gaps(end_ms: Int, start_ms: int, stop_ms: int, minutes: int) -> list[Gap]:
    """Return what is missing of [``start_ms``, ``stop_ms``) where slots that end at ``end_ms`` (any order) are stored.

    A hole counts as many slots of ``minutes`` as fit into it, a part of one as one.

    >>> gaps(np.array([1, 4]) * 3_600_000, 0, 5 * 3_600_000, 60)
    [Gap(start_ms=3600000, end_ms=10800000, intervals=2), Gap(start_ms=14400000, end_ms=18000000, intervals=1)]
    """
    slot = minutes * MINUTE_MS
    inside = np.unique(end_ms[(end_ms > start_ms) & (end_ms <= stop_ms)])
    ends = np.concatenate([[start_ms], inside, [stop_ms + slot]])
    steps = np.diff(ends)
    found = []
    for row in np.flatnonzero(steps > slot):
        first, last = int(ends[row]), int(ends[row + 1]) - slot
        found.append(Gap(first, last, -(-(last - first) // slot)))
    return found


def covered_gaps(end_ms: Int, length_ms: Int, start_ms: int, stop_ms: int, slot_ms: int) -> list[Gap]:
    """The same for slots of mixed lengths: what the union of (end - length, end] leaves open of the span.

    ``slot_ms`` counts what is open. Where a meter changed from hourly to half-hourly slots, nothing is missing.
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
