"""Rows of one batch and what is stored under their slots in, a verdict out: new, repeated or in conflict.

The same value again is a duplicate, unless it comes with better standing (final confirms provisional). Another value of
better standing is new and takes the slot; another value of equal or lesser standing is a conflict, and the first bills.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Slot = tuple[int, int, int]
"""(meter_id, channel, end in ms)."""
Held = tuple[int, int]
"""(value, rank of its flags)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Indexes of the rows that are new, how many are repeated, and (index, value that stays) of those in conflict."""

    new: tuple[int, ...]
    duplicate: int
    conflicts: tuple[tuple[int, int], ...]


def judge(slots: Sequence[Slot], held: Sequence[Held], stored: Mapping[Slot, Held]) -> Verdict:
    """Judge row by row, each also against the rows before it; ``held`` has the (value, rank) of each row.

    >>> judge([(1, 1, 60), (1, 1, 60), (1, 1, 120)], [(5, 1), (6, 1), (7, 1)], {(1, 1, 120): (7, 1)})
    Verdict(new=(0,), duplicate=1, conflicts=((1, 5),))
    """
    new: list[int] = []
    conflicts: list[tuple[int, int]] = []
    duplicate = 0
    taken: dict[Slot, Held] = {}
    for index, (slot, mine) in enumerate(zip(slots, held, strict=True)):
        there = taken.get(slot) or stored.get(slot)
        if there is None or mine[1] > there[1]:
            taken[slot] = mine
            new.append(index)
        elif mine[0] == there[0]:
            duplicate += 1
        else:
            conflicts.append((index, there[0]))
    return Verdict(tuple(new), duplicate, tuple(conflicts))
