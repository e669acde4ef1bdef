"""A plan and a state go in, the energy lines of n bills come out, exact and rounded.

Graduated ladders price each line's Wh. A by-total ladder ran all its classes side by side; here the class is chosen by
the span's total. Pro rata shares the tiers of the span's total over its periods.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tariff import money
from tariff.facts import narrow
from tariff.plan import Plan, State
from tariff.streams import BEFORE, Stream

Ints = NDArray[Any]


@dataclass(slots=True)
class EnergyLine:
    """One version x period x tier of a component: Wh and exact charge (at the plan's scale) of n bills.

    ``price`` is "" where the kWh of the line have several.
    Values are integers, or Fractions where tiers are shared pro rata.
    """

    component: str
    version: int
    period: str
    tier: int
    price: list[str]
    wh: Ints
    exact: Ints


def energy_lines(plan: Plan, state: State, component: str) -> list[EnergyLine]:
    """The lines of ``component``, in order of version, period and tier."""
    found: dict[tuple[int, str, int], EnergyLine] = {}
    for piece in _pieces(plan, state, component):
        key = (piece.version, piece.period, piece.tier)
        if key not in found:
            found[key] = piece
            continue
        line = found[key]
        line.price = [
            (old if old == new or not more else new if not some else "")
            for new, old, more, some in zip(piece.price, line.price, piece.wh != 0, line.wh != 0, strict=True)
        ]
        line.wh, line.exact = line.wh + piece.wh, line.exact + piece.exact
    order = {key: place for place, key in enumerate(found)}
    first = {key[:2]: order[key] for key in reversed(found)}
    return [found[key] for key in sorted(found, key=lambda key: (key[0], first[key[:2]], key[2]))]


def _pieces(plan: Plan, state: State, component: str) -> Iterator[EnergyLine]:
    for index, stream in enumerate(plan.streams):
        if stream.component != component:
            continue
        counts = state.quantity[:, stream.first_line : stream.first_line + stream.prices.size]
        quantity = counts.reshape(state.n, *stream.prices.shape)
        if stream.ladder is not None and stream.ladder.mode == "by_total":
            chosen = _chosen(stream, quantity)
        else:
            chosen = np.ones(quantity.shape[:2], np.bool_)
        if stream.pro_rata:
            yield from _shared(stream, quantity, chosen)
            continue
        if stream.tops.shape[1]:
            quantity = np.where(chosen[:, :, None], quantity, 0)
        for cell, (version, label, _) in enumerate(stream.cells):
            for tier in range(stream.prices.shape[1] if priced(stream, version) else 0):
                wh = _share(stream, quantity[:, cell, tier])
                charge = wh * int(stream.prices[cell, tier])
                text = stream.texts[cell][tier]
                if stream.slot_prices is not None:
                    charge, text = _share(stream, state.dynamic[:, index]), ""
                yield EnergyLine(component, version, label, stream.first_tier + tier, [text] * state.n, wh, charge)


def _share(stream: Stream, values: Ints) -> Ints:
    """The stream's share of days of ``values``, as Fractions where it is not all of them."""
    if stream.share == (1, 1):
        return values
    share = Fraction(*stream.share)
    return np.array([int(value) * share for value in values], object)


def priced(stream: Stream, version: int) -> bool:
    """Whether a cell of ``version`` has lines in this stream, and is not only counted by its ladder."""
    return version != BEFORE and version not in stream.silent


def _chosen(stream: Stream, quantity: Ints) -> NDArray[np.bool_]:
    """[n, C]: whether the total of a cell's span picks this stream's class; a total on a limit stays below it.

    What the span had before the bill counts too, but is never priced anew.
    """
    spans = np.array([span for _, _, span in stream.cells])
    by_cell = quantity.sum(axis=2)
    chosen = np.zeros(by_cell.shape, np.bool_)
    for cell, span in enumerate(spans):
        total = by_cell[:, spans == span].sum(axis=1)
        above = (total[:, None] > stream.tops[cell][None, :]).sum(axis=1)
        chosen[:, cell] = above == stream.klass
    return chosen


def _shared(stream: Stream, quantity: Ints, chosen: NDArray[np.bool_]) -> Iterator[EnergyLine]:
    """Each cell's Wh split over the tiers as the bill's part of its span is."""
    spans = np.array([span for _, _, span in stream.cells])
    bill = np.array([version != BEFORE for version, _, _ in stream.cells])
    own = quantity.sum(axis=2).astype(object)
    n, tiers = own.shape[0], stream.prices.shape[1]
    for cell, (version, label, span) in enumerate(stream.cells):
        if not priced(stream, version):
            continue
        begin = own[:, (spans == span) & ~bill].sum(axis=1)
        end = begin + own[:, (spans == span) & bill].sum(axis=1)
        last = np.flatnonzero(stream.cell == cell)[-1]
        edges = [int(limit) for limit in stream.limits[:, last]]
        for tier in range(tiers):
            wh = np.empty(n, object)
            for row in range(n):
                inside = inside_tier(int(end[row]), edges, tier) - inside_tier(int(begin[row]), edges, tier)
                part = Fraction(int(own[row, cell]) * inside, int(end[row] - begin[row]) or 1)
                wh[row] = part * Fraction(*stream.share) if chosen[row, cell] else Fraction(0)
            charge = wh * int(stream.prices[cell, tier])
            text = [stream.texts[cell][tier]] * n
            yield EnergyLine(stream.component, version, label, stream.first_tier + tier, text, wh, charge)


def inside_tier(total: int, edges: list[int], tier: int) -> int:
    """Wh of ``total`` that lie in ``tier``; below the first limit it may be negative."""
    high = min(total, edges[tier]) if tier < len(edges) else total
    low = min(total, edges[tier - 1]) if tier else 0
    return high - low


def rounded(plan: Plan, exact: Ints) -> Ints:
    """Micro-units [n] of exact charges, rounded once as the book's lines are."""
    book = plan.book
    if exact.dtype == object and any(isinstance(value, Fraction) for value in exact.flat):
        below = 10**plan.scale
        values = [money.fraction(value) / below for value in exact]
        micro = [money.to_micro(value.numerator, value.denominator, book.decimals, book.rounding) for value in values]
        return narrow(np.array(micro, object))
    if plan.scale >= book.decimals:
        step = 10 ** (plan.scale - book.decimals)
        whole = money.divide(exact, step, book.rounding)
        factor = 10 ** (money.MICRO_SCALE - book.decimals)
    else:
        whole, factor = exact, 10 ** (money.MICRO_SCALE - plan.scale)
    return narrow(money.wide(whole, factor) * factor)


def charges_of(plan: Plan, exact: Ints) -> Ints:
    """Micro-units [n] of exact charges: rounded as a line, or exact Fractions where only the total is rounded."""
    if plan.book.round_lines == "total":
        found: Ints = money.fractions(exact.astype(object) * 10**money.MICRO_SCALE, 10**plan.scale)
        return found
    return rounded(plan, exact)


def line_amounts(plan: Plan, found: list[EnergyLine]) -> list[Ints]:
    """Micro-units of each line: rounded on its own, or so that a component's lines add up to its one rounding.

    Where only the total is rounded, lines are exact Fractions.
    """
    if plan.book.round_lines != "component":
        return [charges_of(plan, line.exact) for line in found]
    amounts: list[Ints] = []
    total: Ints | None = None
    for line in found:
        after = line.exact if total is None else total + line.exact
        amounts.append(rounded(plan, after) - (rounded(plan, total) if total is not None else 0))
        total = after
    return amounts


def components(plan: Plan) -> tuple[str, ...]:
    """Ids of the energy components that the plan prices, in bill order."""
    return tuple(dict.fromkeys(stream.component for stream in plan.streams))


def energy_micro(plan: Plan, state: State) -> Ints:
    """[n] sum of the rounded energy lines; rounded once where the book rounds only the total."""
    total: Ints = np.zeros(state.n, np.int64)
    for component in components(plan):
        for amount in line_amounts(plan, energy_lines(plan, state, component)):
            total = total + amount
    if plan.book.round_lines == "total":
        return narrow(money.nearest(total, plan.book.decimals, plan.book.rounding))
    return total


def exact_total(plan: Plan, state: State) -> Ints:
    """[n] exact energy charge at the plan's scale; shared tiers are rounded to it."""
    total: Any = np.zeros(state.n, object)
    for component in components(plan):
        for line in energy_lines(plan, state, component):
            total = total + line.exact
    values = [money.fraction(value) for value in total]
    return np.array([money.divide(value.numerator, value.denominator) for value in values], object)
