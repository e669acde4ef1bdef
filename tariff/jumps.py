"""A plan, a state and the intervals so far go in; what a class ladder's jump holds back, and what lies ahead, out.

Where the total of a span picks the class, one more kWh can reprice all of them. The bill bears that at once; what
accrues bears it evenly over the days that are left of the span, so that it falls on nobody in one hour.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from tariff.facts import Ints, Line
from tariff.lines import charges_of, inside_tier, priced
from tariff.plan import Plan, State
from tariff.slots import Slots
from tariff.streams import Stream, covered

Classes = tuple[Stream, ...]
NEAR_PERCENT = 90  # of a class's limit: from here on its customer is told


@dataclass(frozen=True, slots=True)
class Ahead:
    """The next limit of a class ladder: Wh left to it, and the exact charge that crossing it adds, in micro-units."""

    component: str
    limit_wh: int
    left_wh: int
    jump_micro: int


def class_sets(plan: Plan, ident: str = "") -> Iterator[Classes]:
    """The streams of each class ladder (of component ``ident``), class after class."""
    found: list[Stream] = []
    for stream in plan.streams:
        if not stream.tops.shape[1] or (ident and stream.component != ident):
            continue
        if stream.klass == 0 and found:
            yield tuple(found)
            found = []
        found.append(stream)
    if found:
        yield tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class _Walk:
    """What r accounts used in the m slots of one span: ``inside`` are the stream's own slots, ``columns`` the plan's.

    The span goes on to slot ``end`` of the plan and had ``before`` [r] Wh when the bill began; ``energy`` is [r, m].
    """

    inside: Ints
    columns: Ints
    end: int
    before: Ints
    energy: Ints

    @property
    def total(self) -> Ints:
        """[r, m] Wh of the span after each slot."""
        found: Ints = self.before[:, None] + np.cumsum(self.energy, axis=1)
        return found

    def take(self, rows: Ints) -> "_Walk":
        """That of some accounts."""
        return replace(self, before=self.before[rows], energy=self.energy[rows])


def deferred(plan: Plan, state: State, ident: str, slots: Slots) -> list[Line]:
    """Lines that take back what jumps of this component's classes have not accrued yet; none at the bill's end."""
    if state.done == plan.slots:
        return []
    held: dict[int, Ints] = {}
    for classes in class_sets(plan, ident):
        for version, amount in _held(classes, state, slots):
            held[version] = held[version] + amount if version in held else amount
    lines: list[Line] = []
    for version, amount in held.items():
        if amount.any():
            label = plan.book.versions[version].label
            count, unit = np.zeros(state.n, np.int64), "deferred"
            micro = charges_of(plan, -amount)
            versions = covered(np.unique(plan.calendar.version).tolist(), plan.book, ident, version)
            lines.append(Line(ident, label, versions, "", None, count, 0, unit, ("",) * state.n, micro))
    return lines


def _held(classes: Classes, state: State, slots: Slots) -> Iterator[tuple[int, Ints]]:
    """(version, [n] exact charge held back) of every span and class limit that was crossed."""
    first = classes[0]
    columns = np.arange(len(first.cell)) if first.columns is None else first.columns
    own = np.flatnonzero(columns < slots.done)
    energy = slots.of(first.quantity)[:, columns[own]]
    for span in np.unique([span for _, _, span in first.cells]).tolist():
        cells = [cell for cell, (_, _, other) in enumerate(first.cells) if other == span]
        inside = np.flatnonzero(np.isin(first.cell[own], cells))
        if not len(inside):
            continue
        end = int(columns[np.flatnonzero(np.isin(first.cell, cells))[-1]]) + 1
        before: Ints = np.zeros(energy.shape[0], energy.dtype)
        if first.before in cells:
            before = _counts(first, state)[:, first.before].sum(axis=1)
        total = before + energy[:, inside].sum(axis=1)
        rows = np.flatnonzero(total > int(first.tops[cells].min()))
        walk = _Walk(inside, columns[own[inside]], end, before[rows], energy[rows][:, inside])
        for cell in cells:
            if not priced(first, first.cells[cell][0]):
                continue
            for edge in range(len(classes) - 1):
                amount = np.zeros(energy.shape[0], object)
                amount[rows] = _jump(classes, cell, edge, walk, slots)
                yield first.cells[cell][0], amount


def _jump(classes: Classes, cell: int, edge: int, walk: _Walk, slots: Slots) -> Ints:
    """[r] exact charge of one class's limit that has not accrued, of those who passed it inside the bill."""
    amount = np.zeros(len(walk.before), object)
    limit = int(classes[0].tops[cell, edge])
    rows = np.flatnonzero((walk.total[:, -1] > limit) & (walk.before <= limit))
    if not len(rows):
        return amount
    walk = walk.take(rows)
    at = (walk.total > limit).argmax(axis=1)
    dear, cheap = classes[edge + 1], classes[edge]
    if dear.pro_rata or cheap.pro_rata:
        rise = _shared(dear, cell, walk, at) - _shared(cheap, cell, walk, at)
    elif (classes[0].cell[walk.inside] == cell).all() and (np.diff(dear.limits[:, walk.inside], axis=1) == 0).all():
        place, reached = int(walk.inside[0]), walk.total[np.arange(len(at)), at]
        rise = _flat(dear, cell, place, reached) - _flat(cheap, cell, place, reached)
        rise = rise - _flat(dear, cell, place, walk.before) + _flat(cheap, cell, place, walk.before)
    else:
        mine = np.arange(walk.total.shape[1])[None, :] <= at[:, None]
        mine &= (classes[0].cell[walk.inside] == cell)[None, :]
        rise = _charge(dear, cell, walk, mine) - _charge(cheap, cell, walk, mine)
    gone, left = slots.ramp(walk.columns[at], walk.end)
    amount[rows] = rise - rise * gone.astype(object) // left.astype(object)
    return amount


def _flat(stream: Stream, cell: int, slot: int, reached: Ints) -> Ints:
    """[r] exact charge of totals in one cell whose limits stay the same."""
    charge: Ints = reached.astype(object) * int(stream.prices[cell, 0])
    for tier in range(1, stream.prices.shape[1]):
        over = np.maximum(reached - int(stream.limits[tier - 1, slot]), 0)
        charge = charge + over.astype(object) * int(stream.prices[cell, tier] - stream.prices[cell, tier - 1])
    return charge


def _charge(stream: Stream, cell: int, walk: _Walk, mine: Ints) -> Ints:
    """[r] exact charge of the slots ``mine`` [r, m] of ``cell`` in this class, where its own ladder is walked."""
    begin = np.concatenate([walk.before[:, None], walk.total[:, :-1]], axis=1)
    charge: Ints = np.zeros(len(walk.before), object)
    over = np.where(mine, walk.total - begin, 0)
    for tier in range(stream.prices.shape[1]):
        used = over
        if tier + 1 < stream.prices.shape[1]:
            limit = stream.limits[tier, walk.inside][None, :]
            over = np.where(mine, np.maximum(walk.total, limit) - np.maximum(begin, limit), 0)
            used = used - over
        charge = charge + used.sum(axis=1).astype(object) * int(stream.prices[cell, tier])
    return charge


def _shared(stream: Stream, cell: int, walk: _Walk, at: Ints) -> Ints:
    """[r] exact charge of ``cell`` up to slot ``at`` [r] in this class, where its tiers are shared pro rata."""
    own = np.where(stream.cell[walk.inside] == cell, walk.energy, 0).cumsum(axis=1)
    edges = [int(limit) for limit in stream.limits[:, walk.inside[0]]]
    charge: Ints = np.zeros(len(at), object)
    for row, slot in enumerate(at.tolist()):
        begin, end = int(walk.before[row]), int(walk.total[row, slot])
        for tier, price in enumerate(stream.prices[cell].tolist()):
            part = inside_tier(end, edges, tier) - inside_tier(begin, edges, tier)
            charge[row] += Fraction(int(own[row, slot]) * part * int(price), end - begin or 1)
    return charge


def ahead(plan: Plan, state: State) -> list[list[Ahead]]:
    """For each of n accounts the next limit of every class ladder in the span that the last slot lies in."""
    found: list[list[Ahead]] = [[] for _ in range(state.n)]
    for classes in class_sets(plan):
        cell, cells = _open_cells(classes[0], state.done)
        counts = [_counts(stream, state) for stream in classes]
        total = counts[0][:, cells].sum(axis=(1, 2))
        for row in range(state.n):
            edge = int((total[row] > classes[0].tops[cell]).sum())
            if edge + 1 < len(classes):
                limit = int(classes[0].tops[cell, edge])
                rise = sum(
                    sign * int((counts[klass][row, cells] * classes[klass].prices[cells]).sum())
                    for klass, sign in ((edge + 1, 1), (edge, -1))
                )
                micro = charges_of(plan, np.array([rise], object))
                found[row].append(Ahead(classes[0].component, limit, limit - int(total[row]), int(micro[0])))
    return found


def near(plan: Plan, state: State) -> list[tuple[int, str, int]]:
    """(row, component, limit in Wh) of accounts that have NEAR_PERCENT of a class's limit and are not above it."""
    found: list[tuple[int, str, int]] = []
    for classes in class_sets(plan):
        cell, cells = _open_cells(classes[0], state.done)
        total = _counts(classes[0], state)[:, cells].sum(axis=(1, 2))
        for limit in classes[0].tops[cell].tolist():
            rows = np.flatnonzero((total * 100 >= limit * NEAR_PERCENT) & (total <= limit) & (total > 0))
            found += [(row, classes[0].component, limit) for row in rows.tolist()]
    return found


def _open_cells(stream: Stream, done: int) -> tuple[int, list[int]]:
    """The cell of the last slot before ``done``, and all cells of its span."""
    columns = np.arange(len(stream.cell)) if stream.columns is None else stream.columns
    place = max(0, int(np.searchsorted(columns, done)) - 1)
    cell = int(stream.cell[min(place, len(stream.cell) - 1)])
    span = stream.cells[cell][2]
    return cell, [one for one, (_, _, other) in enumerate(stream.cells) if other == span]


def _counts(stream: Stream, state: State) -> Ints:
    counts = state.quantity[:, stream.first_line : stream.first_line + stream.prices.size]
    return counts.reshape(state.n, *stream.prices.shape)
