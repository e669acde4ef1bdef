"""Times near a meter's slots go in; the slot length and the slots themselves come out, with how far each time was off.

A drifting clock stamps a slot some seconds or minutes late: up to a quarter of a slot it is snapped to the slot meant
and flagged; beyond that nobody can say which slot it is, and the row is refused.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

NATIVE_MIN: Final = (60, 30, 15, 20, 10, 5)  # slot lengths that meters have; the first wins a tie
MINUTE_MS: Final = 60_000
CLOCK_LIMIT_MS: Final = 60_000  # a clock further off than this is worth a finding


@dataclass(frozen=True, slots=True)
class Slots:
    """The slot start of each row (ms UTC), its length, how far the stamp was off, and whether it fits at all."""

    start_ms: Int
    minutes: Int
    offset_ms: Int
    fits: Bool


def groups(meter: Int) -> list[tuple[int, Int]]:
    """Return (meter, its row numbers in file order) for every meter, by meter number."""
    order = np.argsort(meter, kind="stable")
    cuts = np.flatnonzero(np.diff(meter[order])) + 1
    return [(int(meter[part[0]]), part) for part in np.split(order, cuts) if part.size]


def slot_minutes(at_ms: Int) -> int:
    """Return the slot length that most steps between a meter's times have, 0 when none is a meter's slot length."""
    steps = np.diff(np.unique(at_ms))
    near = np.rint(steps / MINUTE_MS).astype(np.int64)
    counts = {minutes: int(np.count_nonzero(near == minutes)) for minutes in NATIVE_MIN}
    best = max(NATIVE_MIN, key=lambda minutes: counts[minutes])
    return best if counts[best] else 0


def phase_ms(at_ms: Int, slot_ms: int) -> int:
    """Return where slots begin after a full UTC hour: 0, or a quarter for zones off by 15, 30 or 45 minutes."""
    best, least = 0, -1.0
    for phase in range(0, slot_ms, 15 * MINUTE_MS):
        off = np.abs((at_ms - phase + slot_ms // 2) % slot_ms - slot_ms // 2)
        middle = float(np.median(off)) if off.size else 0.0
        if least < 0 or middle < least:
            best, least = phase, middle
    return best


def settle(at_ms: Int, meter: Int, *, minutes: int = 0, hint: int = 0) -> Slots:
    """Snap each row to its meter's slots; ``minutes`` fixes their length, ``hint`` is for meters with too few rows."""
    start, length = at_ms.copy(), np.zeros_like(at_ms)
    offset, fits = np.zeros_like(at_ms), np.zeros(at_ms.shape, dtype=bool)
    parts = groups(meter)
    found = [minutes or slot_minutes(at_ms[rows]) for _, rows in parts]
    common = max(set(found) - {0}, key=lambda value: (found.count(value), value), default=0)
    for (_, rows), own in zip(parts, found, strict=True):
        slot = own or hint or common or 60
        slot_ms = slot * MINUTE_MS
        mine = at_ms[rows]
        phase = phase_ms(mine, slot_ms)
        nearest = (mine - phase + slot_ms // 2) // slot_ms * slot_ms + phase
        start[rows], length[rows] = nearest, slot
        offset[rows] = mine - nearest
        fits[rows] = np.abs(mine - nearest) <= slot_ms // 4
    return Slots(start, length, offset, fits)
