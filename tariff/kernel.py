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
    steps = np.diff(prices, axis=0, prepend=np.zeros((1, len(starts)), np.int64))
    return Cut(
        low=low,
        high=high,
        last=last,
        fresh=fresh,
        of_slot=np.repeat(np.arange(len(starts)), lengths),
        cell=cell,
        steps=steps.astype(dtype),
        limits=stream.limits[:, starts].astype(dtype),
        spans=(starts - low)[1:][fresh[1:]],
    )


def positions(runs: Cut, wh: Ints, start: Ints) -> Ints:
    """[n, m] Wh since the ladder restarted, after each slot; ``start`` [n] is where the first slot begins."""
    total = np.cumsum(wh, axis=1)
    if start.any():
        total += start[:, None]
    if len(runs.spans):
        before = total[:, runs.spans - 1]
        lengths = np.diff(np.append(runs.spans, total.shape[1]))
        total[:, runs.spans[0] :] -= np.repeat(before, lengths, axis=1)
    return total


def boundaries(runs: Cut, position: Ints, start: Ints) -> tuple[Ints, Ints]:
    """[n, R] positions at which every run begins and ends."""
    end = position[:, runs.last]
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


def line_energy(stream: Stream, runs: Cut, over: list[Ints]) -> Ints:
    """[n, C * K] Wh that the runs add to each line."""
    n, tiers = over[0].shape[0], len(over)
    result = np.zeros((n, len(stream.cells), tiers), over[0].dtype)
    for cell in np.unique(runs.cell):
        own = np.flatnonzero(runs.cell == cell)
        for tier in range(tiers):
            result[:, cell, tier] = over[tier][:, own].sum(axis=1)
    result[:, :, :-1] -= result[:, :, 1:]
    return result.reshape(n, len(stream.cells) * tiers)


def running(runs: Cut, position: Ints, begin: Ints, over: list[Ints]) -> Ints:
    """[n, m] exact charge from the block's first slot to each slot's end, at the plan's scale."""
    gained = over[0] * runs.steps[0]
    at_begin = begin * runs.steps[0]
    for tier in range(1, len(over)):
        gained += over[tier] * runs.steps[tier]
        at_begin += np.maximum(begin, runs.limits[tier - 1]) * runs.steps[tier]
    constant = np.cumsum(gained, axis=1) - gained - at_begin
    slot = runs.of_slot
    if len(runs.cell) == 1:
        result: Ints = position * runs.steps[0] + constant
        for tier in range(1, len(over)):
            result += np.maximum(position, runs.limits[tier - 1]) * runs.steps[tier]
        return result
    result = np.take(constant, slot, axis=1)
    work = position * runs.steps[0][slot]
    result += work
    for tier in range(1, len(over)):
        np.maximum(position, runs.limits[tier - 1][slot], out=work)
        work *= runs.steps[tier][slot]
        result += work
    return result
