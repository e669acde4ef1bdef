"""Percent: a tax, levy or rider on the rounded lines of named components, in file order; tax on tax is possible.

``of`` names components above it (all of them if left out); ``percent`` may be negative (a discount).
"""

from dataclasses import dataclass

from tariff import money
from tariff.facts import Facts, Line
from tariff.section import Section, suggest
from tariff.series import Context

KIND = "percent"


@dataclass(frozen=True, slots=True)
class Percent:
    """``percent`` of the sum of the lines of ``of``."""

    id: str
    percent: str
    of: tuple[str, ...]
    kind: str = KIND


def parse(section: Section, context: Context) -> Percent:
    """Read one percentage; its bases must stand above it."""
    spec = Percent(section.text("id"), section.number("percent"), section.names("of", ()))
    for base in spec.of:
        if base not in context.known:
            section.fail("of", f"component {spec.id!r}: no component {base!r} above it", suggest(base, context.known))
    return spec


def price(spec: Percent, facts: Facts) -> list[Line]:
    """One line: percent of the bases, rounded once."""
    base = facts.base(spec.of)
    value, scale = money.exact(spec.percent)
    amount = facts.micro(money.wide(base, abs(value)) * value, 10 ** (scale + 2 + money.MICRO_SCALE))
    return [facts.line(spec, amount, (base, money.MICRO_SCALE, facts.book.currency), spec.percent)]
