"""The energy before a bill goes in, what it brings into the bill comes out: ladder positions, demands, banked credit.

Nothing of it is stored: the bills of the months that still count are made again from their intervals, in order, each
with what the ones before it left. Keys of ladders are those of their streams, others are "component:YYYY-MM".
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

import numpy as np

from tariff import components, money
from tariff import plan as plans
from tariff.components.energy import Energy, Ladder
from tariff.evaluation import Asked, facts_of
from tariff.facts import Facts, Ints
from tariff.model import Book
from tariff.periods import begin_of, open_since, period_of
from tariff.plan import Plan, State
from tariff.slots import Slots
from tariff.spans import spans_of
from tariff.step import settle
from tariff.usage import Usage, on_slots, placed, total_of

Attributes = Mapping[str, str]
PER_KW = "kWh_per_kw"


def carried(
    book: Book, start: datetime, usage: Usage, attributes: Attributes | None = None, *, end: datetime | None = None
) -> dict[str, int]:
    """What ``usage`` since ``ladder_start`` brings into the bill [``start``, ``end``); ``end``: of the book's cycle."""
    found = positions(book, start, usage, attributes, end=end)
    spans: list[tuple[datetime, datetime]] = []
    at = start
    for _ in range(components.lookback(book)):
        span = period_of(book, at - timedelta(minutes=1))
        if span[0] < begin_of(book):
            break
        spans.append((span[0], at))
        at = span[0]
    left: dict[str, int] = {}
    for begin, end in reversed(spans):
        left = after(
            book, (begin, end), usage, attributes, {**positions(book, begin, usage, attributes, end=end), **left}
        )
    return {**found, **left}


def after(
    book: Book,
    span: tuple[datetime, datetime],
    usage: Usage,
    attributes: Attributes | None,
    before: Mapping[str, int],
) -> dict[str, int]:
    """What the bill of ``span`` leaves to the next one, but for its ladders, given what it began with."""
    start, end = span
    if not components.lookback(book):
        return {}
    plan = plans.compile(book, start, end, usage.minutes, with_demand(book, usage, span, attributes))
    facts = facts_at(plan, usage, end, before)[0]
    kept = {key: value for key, value in before.items() if ":" in key and key.rpartition(":")[0] not in _left(facts)}
    return kept | {key: int(values[0]) for key, values in facts.after.items() if values[0]}


def _left(facts: Facts) -> set[str]:
    """Names under which this bill left something: what others brought into it waits until their component is back."""
    return {key.rpartition(":")[0] for key in facts.after}


def facts_at(
    plan: Plan,
    usage: Usage,
    until: datetime,
    before: Mapping[str, int] | int | None,
    asked: Asked | None = None,
) -> tuple[Facts, Ints]:
    """One account's lines as if the bill ended at ``until``, and the slots before it that have no interval."""
    wh, export, present = placed(plan, usage, until)
    state = settle(plan, plan.zero(1, before), 0, wh, export)
    reactive, varh = None, None
    if usage.reactive_varh is not None:
        reactive = total_of(plan, usage, usage.reactive_varh, until)
        varh = on_slots(plan, usage, usage.reactive_varh, until)
    known = (
        {key: np.array([value]) for key, value in before.items() if ":" in key} if isinstance(before, Mapping) else {}
    )
    slots = Slots(plan.calendar, wh, export, varh)
    facts = facts_of(plan, state, slots=slots, reactive_varh=reactive, before=known, asked=asked)
    return facts, np.flatnonzero(~present)


def with_demand(
    book: Book, usage: Usage, period: tuple[datetime, datetime], attributes: Attributes | None
) -> Attributes | None:
    """Attributes with the bill's largest kW, where a ladder's limits are per kW and the account has no such number."""
    names = demanded(book, attributes)
    if not names:
        return attributes
    begin, end = (np.datetime64(at, "m") for at in period)
    ends = np.asarray(usage.ends, "datetime64[m]")
    inside = np.asarray(usage.wh)[(ends > begin) & (ends <= end)]
    largest = money.divide(int(inside.max(initial=0)) * 60_000, usage.minutes)
    return {**(attributes or {}), **dict.fromkeys(names, money.text(largest, 6))}


def demanded(book: Book, attributes: Attributes | None) -> list[str]:
    """Attributes that ladders have limits per kW by and that the account does not have."""
    specs = [spec for version in book.versions for spec in version.components]
    ladders = [spec.ladder for spec in specs if isinstance(spec, Energy) and spec.ladder]
    known = {**book.attributes, **(attributes or {})}
    return [ladder.kw for ladder in ladders if ladder.unit == PER_KW and ladder.kw not in known]


def positions(
    book: Book,
    start: datetime,
    usage: Usage,
    attributes: Attributes | None = None,
    *,
    end: datetime | None = None,
) -> dict[str, int]:
    """Wh that each ladder of the bill [``start``, ``end``) has gone since it restarted; ``end``: of the book's cycle.

    The bill's own rules count, by their streams' keys: a ladder that begins inside it has counted what others priced.
    """
    opened = open_span(book, start, end)
    if opened is None:
        return {}
    plan = plans.compile(book, *opened, usage.minutes, with_demand(book, usage, (opened[0], start), attributes))
    wh, export, _ = placed(plan, usage, start)
    return {key: int(at[0]) for key, at in ladders_at(plan, settle(plan, plan.zero(1), 0, wh, export)).items()}


def open_span(book: Book, start: datetime, end: datetime | None = None) -> tuple[datetime, datetime] | None:
    """What a plan must span to find where ladders stand at a bill's ``start``; None where none of them is open."""
    first = max(open_since(book, start), begin_of(book))
    return None if first >= start else (first, end or period_of(book, start)[1])


def ladders_at(plan: Plan, state: State) -> dict[str, Ints]:
    """[n] Wh of each ladder whose span goes on after ``state``, by its stream's key."""
    found: dict[str, tuple[int, Ints]] = {}  # by key: the stream's last slot, and where it stands
    for index, stream in enumerate(plan.streams):
        if stream.ladder is not None and stream.ladder.reset != "bill" and _open(plan, state.done, stream.ladder):
            last = int(stream.columns[-1]) if stream.columns is not None else plan.slots
            if last >= found.get(stream.key, (-1,))[0]:
                found[stream.key] = last, state.position[:, index]
    return {key: position for key, (_, position) in found.items()}


def _open(plan: Plan, slot: int, ladder: Ladder) -> bool:
    """Whether the span of the slot before ``slot`` goes on in it."""
    spans = spans_of(plan.calendar, ladder)
    return bool(spans[slot - 1] == spans[slot])
