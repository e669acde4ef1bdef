"""Free allowance: the first kWh of a bill are given back, at a price of their own or at what the lowest tiers cost.

``of`` names the energy component; without ``price`` the credit walks its lines tier by tier from the first, in a tier
the older prices first. It is granted once a bill; where the allowance itself changes inside a bill, each holds for its
share of the days, rounded to the Wh. ``partial`` says what holds for who moves in or out inside the bill: the "days" of
supply, the "full" allowance, or "none" of it. ``attribute`` = "name" and ``equals`` = "value" say for whom it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from tariff import money
from tariff.facts import Facts, Ints, Line
from tariff.inputs import Input, attribute, described
from tariff.section import Section, suggest
from tariff.series import Context
from tariff.supply import PARTIAL

KIND = "free_kwh"


@dataclass(frozen=True, slots=True)
class FreeKwh:
    """``kwh`` of every bill are free."""

    id: str
    kwh: str
    of: str
    price: str
    attribute: str
    equals: str
    partial: str = "full"
    kind: str = KIND


def parse(section: Section, context: Context) -> FreeKwh:
    """Read one allowance; the energy component must stand above it."""
    of = section.text("of")
    if of not in context.known:
        section.fail("of", f"no component {of!r} above it", suggest(of, context.known))
    price_text = section.number("price") if section.has("price") else ""
    kwh = section.number("kwh")
    if money.scale_of(kwh) > 3:
        section.fail("kwh", "an allowance is a whole number of Wh")
    attribute = section.text("attribute", "")
    partial = section.text("partial", "full", choices=PARTIAL)
    return FreeKwh(section.text("id"), kwh, of, price_text, attribute, section.text("equals", ""), partial)


def price(spec: FreeKwh, facts: Facts) -> list[Line]:
    """One line: minus the price of the free kWh, never more than was used."""
    given: Any = np.zeros(facts.n, object)
    used: Any = np.zeros(facts.n, object)
    for _, free, worth in _walk(spec, facts):
        given, used = given + worth, used + free
    return [facts.line(spec, facts.micro(-given, 1), (used, 3, "kWh"), spec.price)]


def inputs(spec: FreeKwh, facts: Facts) -> Iterator[Input]:
    """The lines that are given back, lowest tier first: kWh of each, and their price."""
    if spec.attribute:
        yield attribute(facts, spec.attribute)
    for line, free, worth in _walk(spec, facts):
        if free[0]:
            yield Input("free", money.text(int(free[0]), 3), "kWh", note=described(line), exact=-worth[0])


def _walk(spec: FreeKwh, facts: Facts) -> Iterator[tuple[Line, Ints, Ints]]:
    """Each line from the lowest tier on: [n] free Wh of it, and what they are worth as Fractions of currency."""
    entitled = not spec.attribute or facts.attributes.get(spec.attribute, "") == spec.equals
    lines = [line for line in facts.lines if line.id == spec.of and set(line.versions) <= set(facts.part.versions)]
    lines.sort(key=lambda line: line.tier or 0)
    allowed = money.divide(money.scaled(spec.kwh, 3) * facts.part.whole, facts.part.total)
    left: Ints = np.full(facts.n, allowed if entitled else 0, object)
    for line in lines:
        free = np.minimum(left, np.maximum(line.quantity.astype(object), 0))
        left = left - free
        yield line, free, free * (Fraction(spec.price) / 1000) if spec.price else line.worth(free)
