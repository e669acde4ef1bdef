"""A component's spec and the facts of one bill go in, what its lines were made of comes out, row by row.

Energy lines are made of hours, which ``tariff.explain`` tells. The lines of every other kind are made of what its
module's ``inputs(spec, facts)`` yields: days, other lines, hours of import, export or reactive energy, a register, a
least amount, lots of a bank. It is asked before the component is priced, for the first account of ``facts``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from tariff import calendar as calendars
from tariff import money
from tariff.facts import Facts, Line
from tariff.model import Book, Spec


@dataclass(frozen=True, slots=True)
class Input:
    """One thing that a line was made of: ``quantity`` in ``unit``, in [start, end) UTC where it has a time.

    ``exact`` is its part of the line, in currency, where the line is a sum of such parts; ``amount_micro`` that part
    as it was rounded, so that parts add up to the line. ``period`` names the line among several of one component.
    """

    what: str
    quantity: str = ""
    unit: str = ""
    start: datetime | None = None
    end: datetime | None = None
    note: str = ""
    exact: Fraction | None = None
    amount_micro: int | None = None
    period: str = ""


def hours(
    facts: Facts,
    spec: Spec,
    quantity: str,
    periods: tuple[str, ...] = (),
    *,
    versions: Sequence[int] | None = None,
    label: str = "",
) -> Iterator[Input]:
    """The slots of ``versions`` (default: the part's) and ``periods`` that hold some of ``quantity``."""
    slots = facts.intervals(spec)
    places = np.arange(slots.done)
    own = facts.part.versions if versions is None else versions
    places = places[np.isin(slots.calendar.version[places], list(own)) & slots.inside(places, periods)]
    values = slots.of(quantity)[0, places]
    unit = "kvarh" if quantity == "reactive" else "kWh"
    for place, value in zip(places.tolist(), values.tolist(), strict=True):
        if value:
            yield slot(facts, spec, place, place + 1, Input(quantity, money.text(value, 3), unit, period=label))


def slot(facts: Facts, spec: Spec, first: int, end: int, row: Input) -> Input:
    """``row`` with the time of the slots [first, end)."""
    calendar = facts.intervals(spec).calendar
    at = [calendar.start + timedelta(minutes=calendar.slot_min * place) for place in (first, end)]
    return replace(row, start=at[0], end=at[1])


def days(facts: Facts, spec: Spec) -> Iterator[tuple[Input, int]]:
    """The local days of the part, and how many of the bill's day units each has."""
    calendar = facts.intervals(spec).calendar
    begin, stop = facts.part.begin, facts.part.stop
    units = np.diff(calendar.elapsed)[begin:stop]
    day = calendar.day[begin:stop]
    edges = [*np.flatnonzero(np.diff(day, prepend=day[:1] - 1)).tolist(), len(day)]
    for first, end in pairwise(edges):
        own = int(units[first:end].sum())
        date = (calendars.EPOCH + timedelta(days=int(day[first]))).date().isoformat()
        text = money.text(own * 1000 // facts.part.day_units, 3)
        yield slot(facts, spec, begin + first, begin + end, Input("day", text, "day", note=date)), own


def span(facts: Facts) -> Input:
    """How many of the bill's days the part has."""
    part = facts.part
    own, whole = (money.text(units * 1000 // part.day_units, 3) for units in (part.whole, part.total))
    return Input("days", own, "day", note=f"of {whole}")


def lines(facts: Facts, ids: tuple[str, ...], percent: Fraction | None = None) -> Iterator[Input]:
    """The lines of ``ids`` (empty: all so far) as they count in the part; with ``percent``, what each adds."""
    for line, amount in facts.bases(ids):
        text = money.format(int(amount[0])) if amount.dtype != object or amount[0].denominator == 1 else str(amount[0])
        own = money.fraction(amount[0]) / money.MICRO
        exact = None if percent is None else own * percent
        yield Input("line", text, facts.book.currency, note=described(line), exact=exact)


def described(line: Line) -> str:
    """A line's place on the bill: id, version, period, tier (from 1)."""
    tier = "" if line.tier is None else f"tier {line.tier + 1}"
    return " ".join(filter(None, [line.id, line.version, line.period, tier]))


def lots(held: dict[str, Any], scale: int, unit: str, label: str = "") -> Iterator[Input]:
    """What a bank held when the bill began, by the month that it came from."""
    for month, amount in sorted(held.items()):
        if amount[0]:
            yield Input("banked", money.text(int(amount[0]), scale), unit, note=month, period=label)


def attribute(facts: Facts, name: str, unit: str = "") -> Input:
    """An attribute of the account as it was in force."""
    return Input("attribute", facts.attributes.get(name, ""), unit, note=name)


def shared(rows: Sequence[Input], amount_micro: int, book: Book) -> tuple[Input, ...]:
    """``rows`` with rounded parts of a line of ``amount_micro``: sums so far are rounded, the last has the rest."""
    parts = [(place, row.exact) for place, row in enumerate(rows) if row.exact is not None]
    found, total, before = list(rows), Fraction(0), 0
    for place, exact in parts:
        total += exact
        after = amount_micro if place == parts[-1][0] else rounded(total, book)
        found[place] = replace(rows[place], amount_micro=after - before)
        before = after
    return tuple(found)


def rounded(exact: Fraction, book: Book) -> int:
    """Micro-units of an exact amount of currency, rounded as the book's lines are."""
    return int(money.to_micro(exact.numerator, exact.denominator, book.decimals, book.rounding))
