"""Percent: a tax, levy or rider on the rounded lines of named components, in file order; tax on tax is possible.

``of`` names components above it (all of them if left out); ``percent`` may be negative (a discount, a rebate).
``included = true``: the amounts of the bases hold the tax already, the line says how much, and adds nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from tariff import money
from tariff.facts import Facts, Line
from tariff.inputs import Input, lines
from tariff.section import Section
from tariff.series import Context

KIND = "percent"


@dataclass(frozen=True, slots=True)
class Percent:
    """``percent`` of the sum of the lines of ``of``; contained in them where ``included``."""

    id: str
    percent: str
    of: tuple[str, ...]
    included: bool = False
    kind: str = KIND


def parse(section: Section, context: Context) -> Percent:
    """Read one percentage; its bases must stand above it."""
    bases = section.bases("of", context.known)
    spec = Percent(section.text("id"), section.number("percent"), bases, section.flag("included"))
    if spec.included and spec.percent.startswith("-"):
        section.fail("percent", f"component {spec.id!r}: prices cannot include a negative tax")
    return spec


def inputs(spec: Percent, facts: Facts) -> Iterator[Input]:
    """The lines that it is of, each with its part of the tax."""
    percent = Fraction(spec.percent)
    return lines(facts, spec.of, percent / (100 + percent if spec.included else 100))


def price(spec: Percent, facts: Facts) -> list[Line]:
    """One line: percent of the bases, rounded once; where included, base x p / (100 + p) beside no amount."""
    base = facts.base(spec.of)
    value, scale = money.exact(spec.percent)
    quantity = (base, money.MICRO_SCALE, facts.book.currency)
    if not spec.included:
        amount = facts.micro(money.wide(base, abs(value)) * value, 10 ** (scale + 2 + money.MICRO_SCALE))
        return [facts.line(spec, amount, quantity, spec.percent)]
    held = facts.micro(base.astype(object) * value, (10 ** (scale + 2) + value) * 10**money.MICRO_SCALE)
    line = facts.line(spec, np.zeros(facts.n, np.int64), quantity, spec.percent)
    line.included_micro = held
    return [line]
