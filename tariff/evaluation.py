"""A plan and a state go in, all lines of n bills come out, in the book's order, as if the period ended there."""

from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np

from tariff import money
from tariff.components import kinds
from tariff.components.energy import Energy
from tariff.errors import RatingError
from tariff.facts import Facts, Ints, Line, Part, narrow
from tariff.lines import energy_lines, line_amounts
from tariff.model import Book, Spec
from tariff.plan import Plan, State


def evaluate(plan: Plan, state: State, *, wh: Ints | None = None, reactive_varh: Ints | None = None) -> list[Line]:
    """All lines of n bills at ``state``, in bill order, as if the period ended after ``state.done`` slots.

    ``wh`` [n, done] are the energies so far, which only demand charges need, ``reactive_varh`` [n] those of the bill.
    """
    facts = Facts(
        plan.book,
        state.n,
        Part((), "", 0, 0, 1, 1),
        state.used,
        state.exported,
        plan.attributes,
        reactive_varh,
    )
    for ident in _order(plan):
        for part, spec in _parts(plan, state, ident):
            facts.part = part
            facts.largest = None if wh is None else partial(_largest, plan, wh, part)
            if isinstance(spec, Energy):
                facts.lines += _energy(plan, state, ident)
                break
            facts.lines += kinds()[spec.kind].price(spec, facts)
    return facts.lines


def _largest(plan: Plan, wh: Ints, part: Part, window_min: int, periods: tuple[str, ...]) -> tuple[Ints, int]:
    """[n] largest Wh of any whole clock window of the part in ``periods``, and the window's minutes.

    A window belongs to the version and period of its first slot; the one that has not ended yet does not count.
    """
    calendar, done = plan.calendar, wh.shape[1]
    minutes = max(window_min, calendar.slot_min)
    if minutes % calendar.slot_min:
        raise RatingError(f"demand windows of {minutes} minutes are not made of {calendar.slot_min}-minute slots")
    length = minutes // calendar.slot_min
    first = np.flatnonzero(calendar.minute[:done] % minutes == 0) if length > 1 else np.arange(done)
    first = first[first + length <= done]
    inside = np.isin(calendar.version[first], part.versions)
    if periods:
        inside &= np.isin(calendar.period[first], [calendar.periods.index(p) for p in periods if p in calendar.periods])
    first = first[inside]
    total = np.concatenate([np.zeros((wh.shape[0], 1), wh.dtype), np.cumsum(wh, axis=1)], axis=1)
    windows = total[:, first + length] - total[:, first]
    return windows.max(axis=1, initial=0), minutes


def _order(plan: Plan) -> tuple[str, ...]:
    versions = [plan.book.versions[int(index)] for index in np.unique(plan.calendar.version)]
    return tuple(dict.fromkeys(spec.id for version in versions for spec in version.components))


def _parts(plan: Plan, state: State, ident: str) -> Iterable[tuple[Part, Spec]]:
    """The component's stretches: neighbouring versions that write it alike are one, so an unchanged fee is one line."""
    calendar, book = plan.calendar, plan.book
    groups: list[tuple[Spec, list[int]]] = []
    for index in np.unique(calendar.version):
        spec = book.get(ident, book.versions[int(index)])
        if spec is None:
            continue
        if groups and groups[-1][0] == spec:
            groups[-1][1].append(int(index))
        else:
            groups.append((spec, [int(index)]))
    weights = np.diff(calendar.elapsed)
    for spec, versions in groups:
        inside = np.isin(calendar.version, versions)
        part = Part(
            versions=tuple(versions),
            label=book.versions[versions[0]].label,
            elapsed=int(weights[: state.done][inside[: state.done]].sum()),
            whole=int(weights[inside].sum()),
            total=int(calendar.elapsed[-1]),
            day_units=calendar.day_units,
        )
        if part.elapsed:
            yield part, spec


def _energy(plan: Plan, state: State, ident: str) -> list[Line]:
    found = energy_lines(plan, state, ident)
    result: list[Line] = []
    for line, amount in zip(found, line_amounts(plan, found), strict=True):
        label = plan.book.versions[line.version].label
        result.append(
            Line(ident, label, (line.version,), line.period, line.tier, line.wh, 3, "kWh", tuple(line.price), amount)
        )
    return result


def totals(book: Book, found: Sequence[Line]) -> Ints:
    """[n] totals in micro-units: the sum of the rounded lines, rounded again if the book says so."""
    total: Ints = sum((line.amount_micro for line in found), np.zeros(1, np.int64))
    if book.total_decimals is None:
        return total
    return narrow(money.to_micro(total, 10**money.MICRO_SCALE, book.total_decimals, book.rounding))
