"""One stream and a block of energies go in, positions, line quantities and the exact running charge come out.

This is the one definition of the arithmetic: the hourly step calls it with one slot, a batch with a month. The state is
a position on the ladder and the Wh of every line. With M_k(x) = max(x, limit_k), the Wh above limit k between two slots
is M_k(end) - M_k(begin), whichever way the position went, so sums over a run telescope and any split of the slots gives
the same integers. Inside a run F(t) = p_0 x + sum_k (p_k - p_(k-1)) M_k(x) + a constant of the run.

int64 wraps modulo 2**64, so terms on the way may pass its bound; the compiler proves that what is read out fits.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tariff.streams import Stream

Ints = NDArray[Any]
FLOOR = None  # the lower edge of the first tier: no position is below it


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """The runs of a stream inside its slots [low, high): R runs, K tiers.

    ``last`` is each run's last slot, ``fresh`` marks runs that begin a ladder span, ``of_slot`` the run of each slot;
    ``steps`` [K, R] are p_0 and the price rises, ``limits`` [K-1, R].
    """

    low: int
    high: int
    last: Ints
    fresh: Ints
    of_slot: Ints
    cell: Ints
    steps: Ints
    limits: Ints
    spans: Ints  # first slot of every span after the first one
    slot_steps: Ints  # [K, m], or [K, 1] where there is one run
    slot_limits: Ints
    cells: list[int]  # cells in sight; ``by_cell`` sorts the runs by them, ``first_of_cell`` is where each begins
    by_cell: Ints
    first_of_cell: Ints


def cut(stream: Stream, low: int, high: int, last_reset: int | None, dtype: Any) -> Cut:
    """The runs inside [low, high) of the stream's own slots; ``last_reset`` is the span of the slot before."""
    first = int(np.searchsorted(stream.runs, low, side="right")) - 1
    end = int(np.searchsorted(stream.runs, high, side="left"))
    starts = np.maximum(stream.runs[first:end], low)
    reset = stream.reset[starts]
    fresh = np.ones(len(starts), np.bool_)
    fresh[1:] = np.diff(reset) != 0
    fresh[0] = last_reset is None or int(reset[0]) != last_reset
    last = np.append(starts[1:], high) - 1 - low
    lengths = np.diff(np.append(starts, high))
    cell = stream.cell[starts]
    prices = stream.prices[cell].T
    steps = np.diff(prices, axis=0, prepend=np.zeros((1, len(starts)), np.int64)).astype(dtype)
    limits = stream.limits[:, starts].astype(dtype)
    of_slot = np.repeat(np.arange(len(starts)), lengths)
    wanted = of_slot if len(starts) > 1 else of_slot[:1]
    cells, first_of_cell = np.unique(np.sort(cell), return_index=True)
    return Cut(
        low=low,
        high=high,
        last=last,
        fresh=fresh,
        of_slot=of_slot,
        cell=cell,
        steps=steps,
        limits=limits,
        spans=(starts - low)[1:][fresh[1:]],
        slot_steps=np.ascontiguousarray(steps[:, wanted]),
        slot_limits=np.ascontiguousarray(limits[:, wanted]),
        cells=cells.tolist(),
        by_cell=np.argsort(cell, kind="stable"),
        first_of_cell=first_of_cell,
    )


def positions(runs: Cut, wh: Ints, start: Ints) -> Ints:
    """[n, m] Wh since the ladder restarted, after each slot; ``start`` [n] is where the first slot begins."""
    if wh.shape[1] == 1:
        return wh + start[:, None]
    total = np.cumsum(wh, axis=1)
    total += start[:, None]
    if len(runs.spans):
        before = total[:, runs.spans - 1]
        lengths = np.diff(np.append(runs.spans, total.shape[1]))
        total[:, runs.spans[0] :] -= np.repeat(before, lengths, axis=1)
    return total


def boundaries(runs: Cut, position: Ints, start: Ints) -> tuple[Ints, Ints]:
    """[n, R] positions at which every run begins and ends."""
    end = np.take(position, runs.last, axis=1)
    begin = np.empty_like(end)
    begin[:, 0] = start
    begin[:, 1:] = np.where(runs.fresh[1:], 0, end[:, :-1])
    return begin, end


def above(runs: Cut, begin: Ints, end: Ints) -> list[Ints]:
    """K arrays [n, R]: Wh of each run above the lower limit of tier k."""
    found = [end - begin]
    for limit in runs.limits:
        found.append(np.maximum(end, limit) - np.maximum(begin, limit))
    return found


def line_energy(runs: Cut, over: list[Ints], quantity: Ints) -> None:
    """Add what the runs used to ``quantity`` [n, C * K], the Wh of each line."""
    tiers = len(over)
    if len(runs.cell) == 1:
        sums = over
    else:
        sums = [np.add.reduceat(np.take(one, runs.by_cell, axis=1), runs.first_of_cell, axis=1) for one in over]
    for place, cell in enumerate(runs.cells):
        for tier in range(tiers):
            used = sums[tier][:, place]
            inside = used - sums[tier + 1][:, place] if tier + 1 < tiers else used
            quantity[:, cell * tiers + tier] += inside


def running(runs: Cut, position: Ints, begin: Ints, over: list[Ints]) -> Ints:
    """[n, m] exact charge from the block's first slot to each slot's end, at the plan's scale."""
    gained = over[0] * runs.steps[0]
    at_begin = begin * runs.steps[0]
    for tier in range(1, len(over)):
        gained += over[tier] * runs.steps[tier]
        at_begin += np.maximum(begin, runs.limits[tier - 1]) * runs.steps[tier]
    constant = np.cumsum(gained, axis=1) - gained - at_begin
    if len(runs.cell) > 1:
        constant = np.take(constant, runs.of_slot, axis=1)
    work: Ints = position * runs.slot_steps[0]
    work += constant
    part = np.empty_like(work)
    for tier in range(1, len(over)):
        np.maximum(position, runs.slot_limits[tier - 1], out=part)
        part *= runs.slot_steps[tier]
        work += part
    return work
