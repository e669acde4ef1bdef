"""One stream and a block of energies go in, positions, line quantities and the exact running charge come out.

This is the one definition of the arithmetic: the hourly step calls it with one slot, a batch with a month. The state is
a position on the ladder and the Wh of every line. With M_k(x) = max(x, limit_k), the Wh above limit k between two slots
is M_k(end) - M_k(begin), whichever way the position went, so sums over a run telescope and any split of the slots gives
the same integers. Inside a run the charge grows by sum_k (p_k - p_(k-1)) (M_k(position) - M_k(begin)).

Where no energy is negative a position only rises, and in a few days nearly every account stays in the tier in which it
began: all are priced so, and what the few that pass a limit took above it is added.

Inside, a row is a slot and a column an account: what is taken by slot or by run is copied in whole rows. int64 wraps
modulo 2**64, so terms on the way may pass its bound; the compiler proves that what is read out fits.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tariff.streams import Stream

Ints = NDArray[Any]
FLOOR = None  # the lower edge of the first tier: no position is below it
KEPT = 1024  # cuts: the blocks of one batch share theirs
WIDE = 256  # accounts from which it is faster to add row to row: a cumulative sum waits for each sum to be stored


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """The runs of a stream inside its slots [low, high), in order of time: R runs, K tiers; slots count from ``low``.

    ``edges`` [R+1] are the first slot of every run and the one after the last, ``span`` the first slot of the ladder
    span that each lies in. ``of_slot`` [m] is the run of each slot. ``steps`` [K, R, 1] are p_0 and the price rises,
    ``limits`` [K-1, R, 1]. ``by_cell`` sorts the runs by cell; those of ``cells`` [C] begin at ``first_of_cell`` of it.
    ``prices`` [C, K] and ``first_lines`` [C] are those of the cells, ``slots_of`` the slots of each, ``cell_of`` [m] is
    the cell of each slot.
    """

    fresh: bool  # the first slot begins a ladder span
    even: bool  # one ladder span, one set of limits that do not fall, plain integers
    edges: Ints
    span: Ints
    of_slot: Ints
    steps: Ints
    limits: Ints
    by_cell: Ints
    cells: Ints
    first_of_cell: Ints
    prices: Ints
    first_lines: Ints
    slots_of: tuple[Ints, ...]
    cell_of: Ints


@lru_cache(maxsize=KEPT)
def cut(stream: Stream, low: int, high: int, last_reset: int | None, dtype: Any) -> Cut:
    """The runs inside [low, high) of the stream's own slots; ``last_reset`` is the span of the slot before."""
    begin = int(np.searchsorted(stream.runs, low, side="right")) - 1
    end = int(np.searchsorted(stream.runs, high, side="left"))
    rows = np.maximum(stream.runs[begin:end], low)
    spans = np.concatenate([[0], np.flatnonzero(np.diff(stream.reset[low:high])) + 1])
    edges = np.append(rows, high) - low
    cell = stream.cell[rows]
    by_cell = np.argsort(cell, kind="stable")
    cells, first_of_cell = np.unique(cell[by_cell], return_index=True)
    prices = stream.prices[cell].T.astype(dtype)[:, :, None]
    limits = stream.limits[:, rows].astype(dtype)[:, :, None]
    cell_of = np.searchsorted(cells, stream.cell[low:high])
    same = dtype == np.int64 and len(spans) == 1 and bool((limits == limits[:, :1]).all())
    return Cut(
        fresh=fresh(stream, low, last_reset),
        even=same and bool((np.diff(limits, axis=0) >= 0).all()),
        edges=edges,
        span=spans[np.searchsorted(spans, edges[:-1], side="right") - 1],
        of_slot=np.repeat(np.arange(len(rows)), np.diff(edges)),
        steps=np.concatenate([prices[:1], prices[1:] - prices[:-1]]),
        limits=limits,
        by_cell=by_cell,
        cells=cells,
        first_of_cell=first_of_cell,
        prices=stream.prices[cells],
        first_lines=cells * stream.prices.shape[1],
        slots_of=tuple(np.flatnonzero(cell_of == cell) for cell in range(len(cells))),
        cell_of=cell_of,
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

    def array(self, name: str, shape: tuple[int, ...], dtype: Any) -> Ints:
        """An array of that shape, with whatever it held before."""
        size = prod(shape)
        kept = self._kept.get(name)
        if kept is None or kept.size < size or kept.dtype != dtype:
            kept = self._kept[name] = np.empty(size, dtype)
        return kept[:size].reshape(shape)

    def rows(self, name: str, source: Ints, rows: Ints) -> Ints:
        """Some rows of ``source``, copied."""
        found = self.array(name, (len(rows), source.shape[1]), source.dtype)
        return np.take(source, rows, axis=0, mode="clip", out=found)


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """The way of n accounts through the runs: ``total`` [m+1, n] Wh since the first slot, ``begin`` and ``end`` [R, n]
    the positions at which the runs do, ``over`` [K, R, n] the Wh of each run above the lower limit of tier k.
    """

    runs: Cut
    total: Ints
    begin: Ints
    end: Ints
    over: Ints


def summed(rows: Ints) -> Ints:
    """The rows, each with all before it added, in place."""
    if rows.shape[1] < WIDE:
        return np.cumsum(rows, axis=0, out=rows)
    for before, row in pairwise(rows):
        np.add(before, row, out=row)
    return rows


def totals(wh: Ints, room: Room) -> Ints:
    """[m + 1, n] Wh since the first slot, before each slot and after the last; ``wh`` is [n, m]."""
    n, m = wh.shape
    total = room.array("total", (m + 1, n), wh.dtype)
    total[0] = 0
    total[1:] = wh.T
    summed(total[1:])
    return total


def positions(runs: Cut, wh: Ints, start: Ints) -> Ints:
    """[n, m] Wh since the ladder restarted, after each slot; ``start`` [n] is where the first slot begins."""
    room = Room()
    total = totals(wh, room)
    found: Ints = total[1:]
    if runs.span.any():
        found += room.rows("offset", _offset(runs, total, start), runs.of_slot)
    else:
        found += start
    return found.T


def _offset(runs: Cut, total: Ints, start: Ints) -> Ints:
    """[R, n] what ``total`` lacks to the position in each run."""
    return np.where(runs.span[:, None] == 0, start, -total[runs.span])


def boundaries(runs: Cut, total: Ints, start: Ints, room: Room) -> tuple[Ints, Ints]:
    """[R, n] positions at which every run begins and ends."""
    at = room.rows("edge", total, runs.edges)
    if not runs.span.any():
        at += start
        return at[:-1], at[1:]
    offset = _offset(runs, total, start)
    return at[:-1] + offset, at[1:] + offset


def walk(runs: Cut, wh: Ints, start: Ints, room: Room) -> Walk:
    """The block's way through the runs; ``start`` [n] is where the first slot begins, ``wh`` is [n, m]."""
    total = totals(wh, room)
    begin, end = boundaries(runs, total, start, room)
    over = room.array("over", (len(runs.steps), *end.shape), end.dtype)
    np.subtract(end, begin, out=over[0])
    low = room.array("low", end.shape, end.dtype)
    for beyond, limit in zip(over[1:], runs.limits, strict=True):
        np.maximum(end, limit, out=beyond)
        beyond -= np.maximum(begin, limit, out=low)
    return Walk(runs, total, begin, end, over)


def line_energy(way: Walk, quantity: Ints, room: Room) -> None:
    """Add what the runs used to ``quantity`` [n, C * K], the Wh of each line."""
    runs, tiers = way.runs, len(way.over)
    sorted_ = room.array("sorted", way.over.shape, way.over.dtype)
    used = np.add.reduceat(
        np.take(way.over, runs.by_cell, axis=1, mode="clip", out=sorted_), runs.first_of_cell, axis=1
    )
    used[:-1] -= used[1:].copy()
    for tier in range(tiers):
        quantity.T[runs.cells * tiers + tier] += used[tier]


def one(stream: Stream, slot: int, start: Ints, wh: Ints, quantity: Ints) -> tuple[Ints, Ints]:
    """[n] position after the stream's own slot and the slot's exact charge; adds to ``quantity`` [n, C * K]."""
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
    return end, charge


def running(way: Walk, base: Ints, out: Ints, room: Room) -> None:
    """Fill ``out`` [m, n] with the exact charge up to each slot, at the plan's scale; ``base`` [n] is what it was."""
    runs, total = way.runs, way.total
    before = np.concatenate([base[None], (way.over[:, :-1] * runs.steps[:, :-1]).sum(axis=0)]).cumsum(axis=0)
    position = room.rows("spread", way.begin - total[runs.edges[:-1]], runs.of_slot)
    position += total[1:]
    out[:] = 0
    for tier, step in enumerate(runs.steps):
        begin, reached = way.begin, position
        if tier:
            limit = runs.limits[tier - 1]
            begin, reached = np.maximum(begin, limit), np.maximum(position, limit[runs.of_slot])
        before -= begin * step
        out += reached * step[runs.of_slot]
    out += room.rows("spread", before, runs.of_slot)


def climb(runs: Cut, wh: Ints, start: Ints, quantity: Ints, room: Room, charge: tuple[Ints, Ints] | None) -> Ints:
    """[n] positions after the slots of an ``even`` cut in which no energy is negative; adds to ``quantity`` [n, C * K].

    ``charge`` is the exact charge before the first slot, and where to put that up to each slot [m, n].
    """
    slots = wh.T
    if not slots.flags.c_contiguous:
        slots = room.array("slots", slots.shape, wh.dtype)
        slots[:] = wh.T
    limits = runs.limits[:, 0]
    tier = (start >= limits).sum(axis=0)
    used = _by_cell(runs, slots, room)
    end: Ints = start + used.sum(axis=0)
    for number in range(len(limits) + 1):
        inside = (tier == number).astype(used.dtype)
        for line, part in zip((runs.first_lines + number).tolist(), used, strict=True):
            quantity[:, line] += part * inside
    if charge is not None:
        before, out = charge
        prices = np.take(runs.prices, tier, axis=1, mode="clip")
        np.take(prices, runs.cell_of, axis=0, mode="clip", out=out)
        out *= slots
    for number, limit in enumerate(limits[:, 0].tolist()):
        some = np.flatnonzero((start < limit) & (end > limit))
        if some.size:
            above = _above(np.take(slots, some, axis=1, mode="clip"), start[some], limit)
            lines, passed = runs.first_lines[:, None] + number, _by_cell(runs, above, room)
            quantity[some, lines] -= passed
            quantity[some, lines + 1] += passed
            if charge is not None:
                above *= (runs.prices[:, number + 1] - runs.prices[:, number])[runs.cell_of, None]
                out[:, some] += above
    if charge is not None:
        out[0] += before
        summed(out)
    return end


def _by_cell(runs: Cut, slots: Ints, room: Room) -> Ints:
    """[C, n] sums of the slots of each cell."""
    if slots.shape[1] < WIDE:
        return np.stack([room.rows("cell", slots, own).sum(axis=0) for own in runs.slots_of])
    found = room.array("used", (len(runs.cells), slots.shape[1]), slots.dtype)
    found[:] = 0
    for row, cell in zip(slots, runs.cell_of.tolist(), strict=True):
        found[cell] += row
    return found


def _above(slots: Ints, start: Ints, limit: int) -> Ints:
    """[m, n] Wh of each slot above ``limit``, of accounts that begin below it; ``slots`` are theirs and used up."""
    slots[0] += start - limit
    position = np.maximum(summed(slots), 0)
    np.subtract(position[1:], position[:-1], out=slots[1:])
    slots[0] = position[0]
    return slots
