"""One stream and a block of energies go in, positions, line quantities and the exact running charge come out.

This is the one definition of the arithmetic: the hourly step calls it with one slot, a batch with a month. The state is
a position on the ladder and the Wh of every line. With M_k(x) = max(x, limit_k), the Wh above limit k between two slots
is M_k(end) - M_k(begin), whichever way the position went, so sums over a run telescope and any split of the slots gives
the same integers. Inside a run the charge grows by sum_k (p_k - p_(k-1)) (M_k(position) - M_k(begin)).

Where no energy is negative a position only rises: then every run has one price, but the few that pass a limit.

Inside, a row is a slot and a column an account: what is taken by slot or by run is copied in whole rows. int64 wraps
modulo 2**64, so terms on the way may pass its bound; the compiler proves that what is read out fits.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise, starmap
from math import prod
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
    """The runs of a stream inside its slots [low, high), in order of time: R runs, K tiers; slots count from ``low``.

    ``edges`` [R+1] are the first slot of every run and the one after the last, ``span`` the first slot of the ladder
    span that each lies in. ``of_slot`` [m] is the run of each slot. ``steps`` [K, R, 1] are p_0 and the price rises,
    ``limits`` [K-1, R, 1], ``prices`` [K, R, 1]. ``by_cell`` sorts the runs by cell; those of ``cells`` begin at
    ``first_of_cell`` of it.
    """

    fresh: bool  # the first slot begins a ladder span
    even: bool  # one ladder span, one set of limits: a run ends where the next begins, at the same M_k
    edges: Ints
    span: Ints
    of_slot: Ints
    prices: Ints
    steps: Ints
    limits: Ints
    by_cell: Ints
    cells: Ints
    first_of_cell: Ints


@lru_cache(maxsize=KEPT)
def cut(stream: Stream, low: int, high: int, last_reset: int | None, dtype: Any) -> Cut:
    """The runs inside [low, high) of the stream's own slots; ``last_reset`` is the span of the slot before."""
    begin = int(np.searchsorted(stream.runs, low, side="right")) - 1
    end = int(np.searchsorted(stream.runs, high, side="left"))
    coarse = np.append(np.maximum(stream.runs[begin:end], low), high).tolist()
    rows = np.array([at for pair in pairwise(coarse) for at in range(*pair, LONGEST)])
    spans = np.concatenate([[0], np.flatnonzero(np.diff(stream.reset[low:high])) + 1])
    edges = np.append(rows, high) - low
    cell = stream.cell[rows]
    by_cell = np.argsort(cell, kind="stable")
    cells, first_of_cell = np.unique(cell[by_cell], return_index=True)
    prices = stream.prices[cell].T.astype(dtype)[:, :, None]
    limits = stream.limits[:, rows].astype(dtype)[:, :, None]
    return Cut(
        fresh=fresh(stream, low, last_reset),
        even=len(spans) == 1 and bool((limits == limits[:, :1]).all()),
        edges=edges,
        span=spans[np.searchsorted(spans, edges[:-1], side="right") - 1],
        of_slot=np.repeat(np.arange(len(rows)), np.diff(edges)),
        prices=prices,
        steps=np.concatenate([prices[:1], prices[1:] - prices[:-1]]),
        limits=limits,
        by_cell=by_cell,
        cells=cells,
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
    rises: bool  # no energy is negative


def totals(wh: Ints, room: Room) -> Ints:
    """[m + 1, n] Wh since the first slot, before each slot and after the last; ``wh`` is [n, m]."""
    n, m = wh.shape
    total = room.array("total", (m + 1, n), wh.dtype)
    total[0] = 0
    np.cumsum(wh.T, axis=0, out=total[1:])
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


def walk(runs: Cut, wh: Ints, start: Ints, room: Room, *, rises: bool) -> Walk:
    """The block's way through the runs; ``start`` [n] is where the first slot begins, ``wh`` is [n, m]."""
    total = totals(wh, room)
    begin, end = boundaries(runs, total, start, room)
    over = room.array("over", (len(runs.steps), *end.shape), end.dtype)
    np.subtract(end, begin, out=over[0])
    low = room.array("low", (len(end) + 1, end.shape[1]), end.dtype)
    for beyond, limit in zip(over[1:], runs.limits, strict=True):
        if runs.even:
            np.maximum(begin, limit, out=low[:-1])
            np.maximum(end[-1], limit[0], out=low[-1])
            np.subtract(low[1:], low[:-1], out=beyond)
        else:
            np.maximum(end, limit, out=beyond)
            beyond -= np.maximum(begin, limit, out=low[:-1])
    return Walk(runs, total, begin, end, over, rises)


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
    if way.rises:
        _rising(way, base, out, room)
    else:
        _moving(way, base, out, room)


def _moving(way: Walk, base: Ints, out: Ints, room: Room) -> None:
    """``running``, whichever way the position goes."""
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


def _rising(way: Walk, base: Ints, out: Ints, room: Room) -> None:
    """``running`` where no energy is negative: one price a run, corrected in the slots of runs that pass a limit."""
    runs, total, shape = way.runs, way.total, way.begin.shape
    price = room.array("price", shape, total.dtype)
    price[:] = runs.prices[0]
    passed = []
    for limit, dearer in zip(runs.limits, runs.prices[1:], strict=True):
        beyond = way.begin >= limit
        np.copyto(price, dearer, where=beyond)
        passed.append(np.flatnonzero((way.end > limit) > beyond))
    before = room.array("before", (shape[0] + 1, shape[1]), total.dtype)
    before[0] = base
    np.multiply(way.over[0], price, out=before[1:])
    for tier, where in enumerate(passed, start=1):
        before[1:].reshape(-1)[where] += way.over[tier].reshape(-1)[where] * runs.steps[tier, where // shape[1], 0]
    np.cumsum(before, axis=0, out=before)
    low = room.rows("low", total, runs.edges[:-1])
    low *= price
    before[:-1] -= low
    np.multiply(room.rows("spread", price, runs.of_slot), total[1:], out=out)
    out += room.rows("spread", before, runs.of_slot)
    if any(where.size for where in passed):
        _pass(way, passed, out)


def _pass(way: Walk, passed: list[Ints], out: Ints) -> None:
    """Add to ``out`` what the Wh above limit k cost more, in the runs ``passed[k]`` (run * n + column) that pass it."""
    runs, total = way.runs, way.total
    flat = np.concatenate(passed)
    run, column = np.divmod(flat, total.shape[1])
    tier = np.repeat(np.arange(len(passed)), [where.size for where in passed])
    first = runs.edges[run]
    lengths = runs.edges[run + 1] - first
    ends = np.cumsum(lengths)
    which = np.repeat(np.arange(len(run)), lengths)
    slot = np.arange(len(which)) + (first - ends + lengths)[which]
    beyond = way.begin.reshape(-1)[flat] - total[first, column] - runs.limits[tier, run, 0]
    column = column[which]
    over = np.maximum(total[slot + 1, column] + beyond[which], 0)
    over *= runs.steps[tier + 1, run, 0][which]
    edges = np.append(0, ends)[np.searchsorted(tier, np.arange(len(passed) + 1))].tolist()
    for part in starmap(slice, pairwise(edges)):  # a run that passes two limits is there twice
        out[slot[part], column[part]] += over[part]
