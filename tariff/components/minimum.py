"""Minimum: what is missing from the lines of named components up to a least amount per bill; it accrues by days."""

from dataclasses import dataclass

import numpy as np

from tariff import money
from tariff.facts import Facts, Line
from tariff.section import Section, suggest
from tariff.series import Context

KIND = "minimum"


@dataclass(frozen=True, slots=True)
class Minimum:
    """At least ``amount`` for the lines of ``of`` (empty: all above it); ``per`` is "bill" or "day"."""

    id: str
    amount: str
    per: str
    of: tuple[str, ...]
    kind: str = KIND


def parse(section: Section, context: Context) -> Minimum:
    """Read one minimum; its bases must stand above it."""
    per = section.text("per", "bill", choices=("bill", "day"))
    spec = Minimum(section.text("id"), section.number("amount"), per, section.names("of", ()))
    for base in spec.of:
        if base not in context.known:
            section.fail("of", f"component {spec.id!r}: no component {base!r} above it", suggest(base, context.known))
    return spec


def price(spec: Minimum, facts: Facts) -> list[Line]:
    """One line: the difference to the least amount, or nothing."""
    value, scale = money.exact(spec.amount)
    below = facts.part.day_units if spec.per == "day" else facts.part.total
    least = facts.micro(value * facts.part.elapsed, 10**scale * below)
    missing = np.maximum(least - facts.base(spec.of), 0)
    return [facts.line(spec, missing, (least, money.MICRO_SCALE, facts.book.currency), spec.amount)]
