"""A meter's intervals go in, verdicts come out: spike, catch-up block, stuck register, surge, drop, stale clock.

A verdict never edits a value. It names one event once (one work order, however many slots it has) and may set a flag:
a spike is SUSPECT (not billed until confirmed), the slots of a catch-up are UNCERTAIN (the energy is right, its hours
are not). The thresholds were set on 57 real homes and plants: the highest slot is at most 3.8 times the level (99th
percentile of the non-zero slots), and the longest run of one non-zero value is 17 half hours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ingest.limits import CLOCK_LIMIT_S
from ingest.records import Flag

Int = npt.NDArray[np.int64]

SPIKE_TIMES: Final = 5  # times the level
FEWEST_FOR_LEVEL: Final = 96  # non-zero slots: two days of half hours
FEWEST_ZEROS: Final = 4  # slots of nothing before a catch-up
CATCH_UP_TIMES: Final = 2  # times the level, in the slot that carries the block
STUCK_MS: Final = 24 * 3_600_000
SURGE_TIMES: Final = 5
DROP_PERCENT: Final = 10
FEWEST_DAYS: Final = 7


@dataclass(frozen=True, slots=True)
class Verdict:
    """One event: its word, the rows [first, last] it spans, and what was seen."""

    code: str
    first: int
    last: int
    detail: str


def level_wh(energy_wh: Int) -> int:
    """Return what a meter's high slots are: the 99th percentile of its non-zero ones, 0 when there are too few."""
    some = np.sort(energy_wh[energy_wh > 0])
    return int(some[(some.size * 99) // 100]) if some.size >= FEWEST_FOR_LEVEL else 0


def judge(end_ms: Int, energy_wh: Int, minutes: int, *, level: int, most_wh: int) -> tuple[Int, list[Verdict]]:
    """Judge one register's intervals in order of time; return the flags to add per row, and the events.

    ``level`` from ``level_wh`` (0: only the absolute limit counts), ``most_wh`` what the meter can count in one slot.
    """
    flags = np.zeros(energy_wh.shape, np.int64)
    verdicts: list[Verdict] = []
    caught = _catch_ups(energy_wh, level, verdicts)
    for verdict in verdicts:
        flags[verdict.first : verdict.last + 1] |= int(Flag.UNCERTAIN)
    limit = min(most_wh, SPIKE_TIMES * level) if level else most_wh
    for row in np.flatnonzero((energy_wh > limit) & ~caught):
        flags[row] |= int(Flag.SUSPECT)
        detail = f"{int(energy_wh[row])} Wh in {minutes} minutes, at most {limit}; not billed until confirmed"
        verdicts.append(Verdict("spike", int(row), int(row), detail))
    verdicts += _stuck(end_ms, energy_wh)
    return flags, sorted(verdicts, key=lambda verdict: (verdict.first, verdict.code))


def _runs(energy_wh: Int) -> tuple[Int, Int]:
    """Return first and last row of each run of equal values."""
    change = np.flatnonzero(np.diff(energy_wh) != 0)
    first = np.concatenate([[0], change + 1]).astype(np.int64)
    last = np.concatenate([change, [energy_wh.size - 1]]).astype(np.int64)
    return first, last


def _catch_ups(energy_wh: Int, level: int, verdicts: list[Verdict]) -> npt.NDArray[np.bool_]:
    """Find runs of nothing that end in one slot with the energy of them all; mark that slot."""
    caught = np.zeros(energy_wh.shape, dtype=bool)
    if not level or energy_wh.size < FEWEST_ZEROS + 1:
        return caught
    first, last = _runs(energy_wh)
    for begin, end in zip(first.tolist(), last.tolist(), strict=True):
        count = end - begin + 1
        if energy_wh[begin] or count < FEWEST_ZEROS or end + 1 >= energy_wh.size:
            continue
        block = int(energy_wh[end + 1])
        if CATCH_UP_TIMES * level < block <= level * (count + 1):
            caught[end + 1] = True
            detail = f"{block} Wh after {count} slots of nothing: right in sum, its hours unknown"
            verdicts.append(Verdict("catch_up", begin, end + 1, detail))
    return caught


def _stuck(end_ms: Int, energy_wh: Int) -> list[Verdict]:
    """Find a day and longer of one and the same non-zero value."""
    if energy_wh.size < 2:
        return []
    first, last = _runs(energy_wh)
    long = (end_ms[last] - end_ms[first] >= STUCK_MS) & (energy_wh[first] > 0)
    rows = [(int(begin), int(end)) for begin, end in zip(first[long], last[long], strict=True)]
    return [
        Verdict("stuck", b, e, f"{int(energy_wh[b])} Wh in each of {e - b + 1} slots: check on site") for b, e in rows
    ]


def day_verdict(day_wh: int, usual_wh: Sequence[int]) -> str:
    """Judge one day against the same register's earlier days: ``surge``, ``drop`` or "".

    Fewer than seven earlier days, or a home that uses next to nothing, say nothing.
    """
    if len(usual_wh) < FEWEST_DAYS:
        return ""
    middle = sorted(usual_wh)[len(usual_wh) // 2]
    if middle < 500:
        return ""
    if day_wh > SURGE_TIMES * middle:
        return "surge"
    return "drop" if day_wh * 100 < DROP_PERCENT * middle else ""


def stale_clock(offset_s: int | None, limit_s: int = CLOCK_LIMIT_S) -> bool:
    """Whether a device's clock is further off than the limit; one that was not read is not judged."""
    return offset_s is not None and abs(offset_s) > limit_s
