"""Minimum: what is missing from the lines of named components up to a least amount; it accrues by days.

The amount is per bill, per day, or per unit of an account's attribute such as the contracted kW. ``partial`` says what
holds for who moves in or out inside the bill: the "days" of supply, the "full" amount, or "none" of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tariff import money
from tariff.errors import RatingError
from tariff.facts import Facts, Line
from tariff.inputs import Input, attribute, lines, span
from tariff.section import Section
from tariff.series import Context
from tariff.supply import PARTIAL

KIND = "minimum"


@dataclass(frozen=True, slots=True)
class Minimum:
    """At least ``amount`` for the lines of ``of`` (empty: all above); ``per`` is "bill", "day" or an attribute."""

    id: str
    amount: str
    per: str
    of: tuple[str, ...]
    partial: str = "days"
    kind: str = KIND


def parse(section: Section, context: Context) -> Minimum:
    """Read one minimum; its bases must stand above it."""
    bases = section.bases("of", context.known)
    partial = section.text("partial", "days", choices=PARTIAL)
    return Minimum(section.text("id"), section.number("amount"), section.text("per", "bill"), bases, partial)


def price(spec: Minimum, facts: Facts) -> list[Line]:
    """One line: the difference to the least amount, or nothing."""
    value, scale = money.exact(spec.amount)
    units, places = _units(spec, facts)
    below = facts.part.day_units if spec.per == "day" else facts.part.total
    least = facts.micro(value * units * facts.part.elapsed, 10 ** (scale + places) * below)
    missing = facts.micro(np.maximum(least - facts.base(spec.of), 0), money.MICRO)
    return [facts.line(spec, missing, (least, money.MICRO_SCALE, facts.book.currency), spec.amount)]


def inputs(spec: Minimum, facts: Facts) -> Iterator[Input]:
    """The days and the attribute of the least amount, and the lines that count towards it."""
    if spec.per not in ("bill", "day"):
        yield attribute(facts, spec.per)
    yield span(facts)
    yield from lines(facts, spec.of)


def _units(spec: Minimum, facts: Facts) -> tuple[int, int]:
    if spec.per in ("bill", "day"):
        return 1, 0
    value = facts.attributes.get(spec.per, "")
    if not money.is_decimal(value):
        raise RatingError(f"component {spec.id}: attribute {spec.per!r} of the account must be a number, not {value!r}")
    return money.exact(value)
