"""One stream and a block of energies go in, positions, line quantities and the exact charge of every slot come out.

This is the one definition of the arithmetic: the hourly step calls it with one slot, a batch with a month. The state is
a position on the ladder and the Wh of every line. With M_k(x) = max(x, limit_k), the Wh above limit k between two slots
is M_k(end) - M_k(begin), whichever way the position went, so sums over a run telescope and any split of the slots gives
the same integers. A slot costs sum_k (p_k - p_(k-1)) (M_k(end) - M_k(begin)).

Where no energy is negative a position only rises: then every run has one price, but the few that pass a limit.

int64 wraps modulo 2**64, so terms on the way may pass its bound; the compiler proves that what is read out fits.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tariff.streams import Stream

Ints = NDArray[Any]
FLOOR = None  # the lower edge of the first tier: no position is below it
LONGEST = 24  # slots of a run at most, so that little is looked at where one passes a limit
KEPT = 64  # cuts: the blocks of one batch share theirs


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """The runs of a stream inside its slots [low, high), sorted by cell: R runs, K tiers; slots count from ``low``.

    ``first`` is each run's first slot, ``after`` the one after its last, ``span`` the first of the ladder span that it
    lies in; ``of_slot`` [m] is the run of each slot, ``final`` that of the last. ``steps`` [K, R] are p_0 and the price
    rises, ``limits`` [K-1, R]. The runs of ``cells`` begin at ``first_of_cell``.
    """

    fresh: bool  # the first slot begins a ladder span
    first: Ints
    after: Ints
    span: Ints
    of_slot: Ints
    final: int
    steps: Ints
    limits: Ints
    cells: list[int]
    first_of_cell: Ints


@lru_cache(maxsize=KEPT)
def cut(stream: Stream, low: int, high: int, last_reset: int | None, dtype: Any) -> Cut:
    """The runs inside [low, high) of the stream's own slots; ``last_reset`` is the span of the slot before."""
    begin = int(np.searchsorted(stream.runs, low, side="right")) - 1
    end = int(np.searchsorted(stream.runs, high, side="left"))
    edges = np.append(np.maximum(stream.runs[begin:end], low), high).tolist()
    starts = np.array([at for pair in pairwise(edges) for at in range(*pair, LONGEST)])
    order = np.argsort(stream.cell[starts], kind="stable")
    reset = stream.reset[low:high]
    spans = np.concatenate([[0], np.flatnonzero(np.diff(reset)) + 1])
    rows = starts[order]
    cell = stream.cell[rows]
    prices = stream.prices[cell].T
    cells, first_of_cell = np.unique(cell, return_index=True)
    place = np.argsort(order)
    return Cut(
        fresh=fresh(stream, low, last_reset),
        first=rows - low,
        after=np.append(starts[1:], high)[order] - low,
        span=spans[np.searchsorted(spans, rows - low, side="right") - 1],
        of_slot=np.repeat(place, np.diff(np.append(starts, high))),
        final=int(place[-1]),
        steps=np.diff(prices, axis=0, prepend=np.zeros((1, len(rows)), np.int64)).astype(dtype),
        limits=stream.limits[:, rows].astype(dtype),
        cells=cells.tolist(),
        first_of_cell=first_of_cell,
    )


def fresh(stream: Stream, slot: int, last_reset: int | None) -> bool:
    """Whether the stream's own ``slot`` begins a ladder span; ``last_reset`` is the span of the slot before."""
    return last_reset is None or int(stream.reset[slot]) != last_reset


class Room:
    """Memory that calls one after the other work in: what a call gave back holds until the next one of the same room.

    A fresh array of a block's size costs as much in page faults as what is then done with it.
    """

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._kept: dict[str, Ints] = {}

    def array(self, name: str, shape: tuple[int, int], dtype: Any) -> Ints:
        """An array of that shape, with whatever it held before."""
        size = shape[0] * shape[1]
        kept = self._kept.get(name)
        if kept is None or kept.size < size or kept.dtype != dtype:
            kept = self._kept[name] = np.empty(size, dtype)
        return kept[:size].reshape(shape)


def totals(wh: Ints, room: Room) -> Ints:
    """[n, m + 1] Wh since the first slot, before each slot and after the last."""
    n, m = wh.shape
    total = room.array("total", (n, m + 1), wh.dtype)
    total[:, 0] = 0
    np.cumsum(wh, axis=1, out=total[:, 1:])
    return total


def positions(runs: Cut, wh: Ints, start: Ints) -> Ints:
    """[n, m] Wh since the ladder restarted, after each slot; ``start`` [n] is where the first slot begins."""
    total = totals(wh, Room())
    found: Ints = total[:, 1:] + np.take(_offset(runs, total, start), runs.of_slot, axis=1, mode="clip")
    return found


def _offset(runs: Cut, total: Ints, start: Ints) -> Ints:
    """[n, R] (or [n, 1] for one span) what ``total`` lacks to the position in each run."""
    if not runs.span.any():
        return start[:, None]
    return np.where(runs.span == 0, start[:, None], -np.take(total, runs.span, axis=1))


def boundaries(runs: Cut, total: Ints, start: Ints) -> tuple[Ints, Ints]:
    """[n, R] positions at which every run begins and ends."""
    begin, end = np.take(total, runs.first, axis=1), np.take(total, runs.after, axis=1)
    offset = _offset(runs, total, start)
    begin += offset
    end += offset
    return begin, end


def above(runs: Cut, begin: Ints, end: Ints) -> list[Ints]:
    """K arrays [n, R]: Wh of each run above the lower limit of tier k."""
    found = [end - begin]
    for limit in runs.limits:
        over = np.maximum(end, limit)
        over -= np.maximum(begin, limit)
        found.append(over)
    return found


def line_energy(runs: Cut, over: list[Ints], quantity: Ints) -> None:
    """Add what the runs used to ``quantity`` [n, C * K], the Wh of each line."""
    tiers = len(over)
    sums = [np.add.reduceat(one, runs.first_of_cell, axis=1) for one in over]
    for place, cell in enumerate(runs.cells):
        for tier in range(tiers):
            used = sums[tier][:, place]
            inside = used - sums[tier + 1][:, place] if tier + 1 < tiers else used
            quantity[:, cell * tiers + tier] += inside


def one(stream: Stream, slot: int, start: Ints, wh: Ints, quantity: Ints) -> tuple[Ints, Ints]:
    """[n] position after the stream's own slot and the slot's exact charge [n, 1]; adds to ``quantity`` [n, C * K]."""
    end = start + wh
    cell = int(stream.cell[slot])
    prices = stream.prices[cell].tolist()
    first = cell * len(prices)
    charge = np.zeros_like(wh)
    over = wh
    for tier, price in enumerate(prices):
        inside = over
        if tier + 1 < len(prices):
            limit = int(stream.limits[tier, slot])
            over = np.maximum(end, limit)
            over -= np.maximum(start, limit)
            inside = inside - over
        quantity[:, first + tier] += inside
        charge += inside * price
    return end, charge[:, None]


def gains(runs: Cut, wh: Ints, total: Ints, end: Ints) -> Ints:
    """[n, m] exact charge of each slot, at the plan's scale; ``end`` [n, R] are the positions after the runs."""
    offset = end - np.take(total, runs.after, axis=1)
    position = total[:, 1:] + np.take(offset, runs.of_slot, axis=1)
    before = position - wh
    steps, limits = runs.steps[:, runs.of_slot], runs.limits[:, runs.of_slot]
    found: Ints = wh * steps[0]
    for limit, step in zip(limits, steps[1:], strict=True):
        found += (np.maximum(position, limit) - np.maximum(before, limit)) * step
    return found


def rising(runs: Cut, wh: Ints, total: Ints, ends: tuple[Ints, Ints], room: Room) -> Ints:
    """``gains`` where no energy is negative: one price a run, corrected in the slots of runs that pass a limit.

    ``ends`` are the positions at which the runs begin and end.
    """
    begin, end = ends
    price = np.empty_like(begin)
    price[:] = runs.steps[0]
    passed = []
    for limit, step in zip(runs.limits, runs.steps[1:], strict=True):
        beyond = begin >= limit
        passed.append(np.flatnonzero((end > limit) > beyond))
        price += beyond * step
    found = room.array("gained", wh.shape, wh.dtype)
    np.take(price, runs.of_slot, axis=1, mode="clip", out=found)
    found *= wh
    if any(where.size for where in passed):
        _pass(runs, wh, total, end, passed, found)
    return found


def _pass(runs: Cut, wh: Ints, total: Ints, end: Ints, passed: list[Ints], found: Ints) -> None:
    """Add to ``found`` what the Wh above limit k cost more, in the runs ``passed[k]`` (row * R + run) that pass it."""
    m = wh.shape[1]
    row, run = np.divmod(np.concatenate(passed), len(runs.first))
    tier = np.repeat(np.arange(len(passed)), [where.size for where in passed])
    first, after = runs.first[run], runs.after[run]
    lengths = after - first
    which = np.repeat(np.arange(len(run)), lengths)
    slot = np.arange(len(which)) + (first - np.cumsum(lengths) + lengths)[which]
    beyond = end[row, run] - total[row, after] - runs.limits[tier, run]
    row = row[which]
    over = np.maximum(total[row, slot + 1] + beyond[which], 0)
    over = np.minimum(over, wh[row, slot]) * runs.steps[tier + 1, run][which]
    np.add.at(found.reshape(-1), row * m + slot, over)
