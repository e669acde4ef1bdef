"""A plan and a state go in, all lines of n bills come out, in the book's order, as if the period ended there."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta

import numpy as np

from tariff import money
from tariff.applied import reads
from tariff.calendar import EPOCH
from tariff.components import kinds
from tariff.components.energy import Energy
from tariff.facts import Facts, Ints, Line, Part, narrow
from tariff.jumps import deferred
from tariff.lines import energy_lines, line_amounts
from tariff.model import Book, Spec
from tariff.plan import Plan, State
from tariff.slots import Slots
from tariff.streams import covered
from tariff.supply import supplied

Before = Mapping[str, Ints]
Asked = Callable[[Spec, Facts], None]


def evaluate(
    plan: Plan,
    state: State,
    *,
    slots: Slots | None = None,
    reactive_varh: Ints | None = None,
    before: Before | None = None,
) -> list[Line]:
    """All lines of n bills at ``state``, in bill order, as if the period ended after ``state.done`` slots.

    ``slots`` are the energies so far, which demand, class ladders and net metering look at; ``reactive_varh`` [n] is
    what the bill has of it; ``before`` is what earlier bills left, each [n], by "component:YYYY-MM".
    """
    return facts_of(plan, state, slots=slots, reactive_varh=reactive_varh, before=before).lines


def facts_of(
    plan: Plan,
    state: State,
    *,
    slots: Slots | None = None,
    reactive_varh: Ints | None = None,
    before: Before | None = None,
    asked: Asked | None = None,
) -> Facts:
    """The lines as ``evaluate`` gives them, with what the next bill must know of this one in ``after``.

    ``asked`` is called before each part of a component that is no energy is priced.
    """
    facts = Facts(
        plan.book,
        state.n,
        Part((), "", 0, 0, 1, 1),
        state.used,
        plan.attributes,
        reactive_varh,
        slots,
        before or {},
        month=int(plan.calendar.month[0]),
        closing=state.done == plan.slots,
        ends_on=_ends_on(plan),
        weights=_weights(plan, state),
    )
    for ident in _order(plan):
        for part, spec in _parts(plan, state, ident):
            facts.part = part
            facts.attributes = dict(plan.book.versions[part.versions[0]].attributes)
            if isinstance(spec, Energy):
                facts.lines += _energy(plan, state, ident, slots)
                break
            if asked is not None:
                asked(spec, facts)
            facts.lines += kinds()[spec.kind].price(spec, facts)
    if plan.book.round_lines == "total":
        _round_once(plan.book, facts.lines)
    return facts


def _ends_on(plan: Plan) -> frozenset[str]:
    """The local days that begin inside the bill or at its very end, as MM-DD."""
    days = np.unique(plan.calendar.day)
    last = [int(days[-1]) + 1] if plan.calendar.minute[-1] + plan.calendar.slot_min == 1440 else []
    return frozenset(f"{EPOCH + timedelta(days=day):%m-%d}" for day in [*days[1:].tolist(), *last])


def _round_once(book: Book, lines: list[Line]) -> None:
    """Give exact lines whole amounts whose sum is the exact total, rounded once."""
    exact: Ints = np.zeros(1, object)
    before: Ints = np.zeros(1, object)
    for line in lines:
        exact = exact + line.amount_micro
        after = money.nearest(exact, book.decimals, book.rounding)
        line.amount_micro = narrow(after - before)
        before = after
        if line.included_micro is not None:
            line.included_micro = narrow(money.nearest(line.included_micro, book.decimals, book.rounding))


def _weights(plan: Plan, state: State) -> dict[int, int]:
    """Day units that have gone by in each version."""
    version, units = plan.calendar.version[: state.done], np.diff(plan.calendar.elapsed)[: state.done]
    return {int(index): int(units[version == index].sum()) for index in np.unique(plan.calendar.version)}


def _order(plan: Plan) -> tuple[str, ...]:
    versions = [plan.book.versions[int(index)] for index in np.unique(plan.calendar.version)]
    return tuple(dict.fromkeys(spec.id for version in versions for spec in version.components))


def _parts(plan: Plan, state: State, ident: str) -> Iterable[tuple[Part, Spec]]:
    """The component's stretches: neighbouring versions that price it alike are one, so an unchanged fee is one line."""
    calendar, book = plan.calendar, plan.book
    groups: list[tuple[object, Spec, list[int]]] = []
    for index in np.unique(calendar.version):
        spec = book.get(ident, book.versions[int(index)])
        if spec is None:
            continue
        alike = (spec, reads(spec, book.versions[int(index)]))
        if groups and groups[-1][0] == alike:
            groups[-1][2].append(int(index))
        else:
            groups.append((alike, spec, [int(index)]))
    weights = np.diff(calendar.elapsed)
    first, end = supplied(calendar, plan.attributes)
    for _, spec, versions in groups:
        inside = np.isin(calendar.version, versions)
        partial = getattr(spec, "partial", "full")
        if partial == "none" and (first, end) != (0, plan.slots):
            continue
        if partial == "days":
            inside[:first] = inside[end:] = False
        part = Part(
            versions=tuple(versions),
            label=book.versions[versions[0]].label,
            elapsed=int(weights[: state.done][inside[: state.done]].sum()),
            whole=int(weights[inside].sum()),
            total=int(calendar.elapsed[-1]),
            day_units=calendar.day_units,
            begin=int(inside.argmax()),
            stop=int(plan.slots - inside[::-1].argmax()),
        )
        if part.elapsed or book.price_change == "average_per_day":
            yield part, spec


def _energy(plan: Plan, state: State, ident: str, slots: Slots | None) -> list[Line]:
    found = energy_lines(plan, state, ident)
    result: list[Line] = []
    used = np.unique(plan.calendar.version).tolist()
    for line, amount in zip(found, line_amounts(plan, found), strict=True):
        label, versions = plan.book.versions[line.version].label, covered(used, plan.book, ident, line.version)
        where = label, versions, line.period, line.tier
        own = Line(ident, *where, line.wh, 3, "kWh", tuple(line.price), amount)
        own.exact, own.exact_scale = line.exact, plan.scale
        result.append(own)
    return result + (deferred(plan, state, ident, slots) if slots is not None else [])


def totals(book: Book, found: Sequence[Line]) -> Ints:
    """[n] totals in micro-units: the sum of the rounded lines, rounded again if the book says so."""
    total: Ints = sum((line.amount_micro for line in found), np.zeros(1, np.int64))
    if book.total_decimals is None:
        return total
    return narrow(money.to_micro(total, 10**money.MICRO_SCALE, book.total_decimals, book.rounding))
