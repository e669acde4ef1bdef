"""A register's slots and those delivered twice go in; stretches whose clock stood a whole hour off come out.

A clock set an hour forward leaves an hour's hole where it was set and writes an hour twice where it was set back; one
set backward does it the other way round. Neither alone says anything: holes and repeats have many causes. Together, of
one length, they name the stretch between them. Nothing is moved: which hour was meant is a person's to decide.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ingest.gaps import gaps

Int = npt.NDArray[np.int64]

HOUR_MS: Final = 3_600_000
LONGEST_MS: Final = 240 * 24 * HOUR_MS  # the longer half of a year between two changes of the clock, and some


@dataclass(frozen=True, slots=True)
class Shift:
    """[``start_ms``, ``end_ms``) UTC as stamped, and by how much its stamps are ahead (below zero: behind)."""

    start_ms: int
    end_ms: int
    ahead_ms: int


def shifts(end_ms: Int, twice_ms: Int, slot_ms: int) -> list[Shift]:
    """Pair each hour delivered twice (``twice_ms``, slot ends) with the nearest hour missing among ``end_ms``.

    >>> slots = np.array([h * HOUR_MS for h in (1, 2, 4, 5, 6)])
    >>> shifts(slots, np.array([6 * HOUR_MS]), HOUR_MS)
    [Shift(start_ms=7200000, end_ms=21600000, ahead_ms=3600000)]
    """
    if not end_ms.size or not twice_ms.size:
        return []
    length = np.full(end_ms.shape, slot_ms, np.int64)
    first, last = int(end_ms.min()) - slot_ms, int(end_ms.max())
    holes = [hole for hole in gaps(end_ms, length, first, last, slot_ms) if hole.end_ms - hole.start_ms == HOUR_MS]
    found = []
    for begin, end in _hours(np.unique(twice_ms), slot_ms):
        near = [hole for hole in holes if abs(hole.start_ms - begin) <= LONGEST_MS]
        if not near:
            continue
        hole = min(near, key=lambda one: abs(one.start_ms - begin))
        ahead = HOUR_MS if hole.start_ms < begin else -HOUR_MS
        found.append(Shift(min(hole.start_ms, begin), max(hole.end_ms, end), ahead))
        holes.remove(hole)
    return found


def _hours(twice_ms: Int, slot_ms: int) -> list[tuple[int, int]]:
    """Runs of neighbouring slots that are one hour long."""
    runs = np.split(twice_ms, np.flatnonzero(np.diff(twice_ms) != slot_ms) + 1)
    spans = [(int(run[0]) - slot_ms, int(run[-1])) for run in runs]
    return [(begin, end) for begin, end in spans if end - begin == HOUR_MS]
