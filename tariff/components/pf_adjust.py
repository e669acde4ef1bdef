"""Power factor: the Chinese table of 1983 for the standards 0.90, 0.85 and 0.80, on rounded lines of named components.

The factor is P / sqrt(P^2 + Q^2) of the bill's kWh and kvarh, rounded half-up to two digits (compared in integers).
Source: measures for the adjustment of charges by power factor, Ministry of Water Resources and Electric Power and State
Price Bureau, document 215 of 1983.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

import numpy as np

from tariff import money
from tariff.errors import RatingError
from tariff.facts import Facts, Line
from tariff.inputs import Input, hours, lines
from tariff.section import Section
from tariff.series import Context

KIND = "pf_adjust"
# Standard in hundredths: the reduction in 1/100 % by factor, the last entry holding for all above it.
REDUCTIONS: dict[int, dict[int, int]] = {
    90: {91: 15, 92: 30, 93: 45, 94: 60, 95: 75},
    85: {86: 10, 87: 20, 88: 30, 89: 40, 90: 50, 91: 65, 92: 80, 93: 95, 94: 110},
    80: {81: 10, 82: 20, 83: 30, 84: 40, 85: 50, 86: 60, 87: 70, 88: 80, 89: 90, 90: 100, 91: 115, 92: 130},
}
FIRST_STEPS, SECOND_STEPS = 20, 5  # hundredths below the standard at +0.5 %, then at +1 %, then at +2 %


@dataclass(frozen=True, slots=True)
class PowerFactor:
    """``standard`` in hundredths; ``of`` the components whose lines are adjusted (empty: all above)."""

    id: str
    standard: int
    of: tuple[str, ...]
    kind: str = KIND


def parse(section: Section, context: Context) -> PowerFactor:
    """Read one adjustment."""
    standard = section.text("standard", choices=("0.90", "0.85", "0.80"))
    return PowerFactor(section.text("id"), int(standard[2:]), section.bases("of", context.known))


def price(spec: PowerFactor, facts: Facts) -> list[Line]:
    """One line: the table's percentage of the bases; nothing where no energy was used."""
    if facts.reactive_varh is None:
        raise RatingError(f"component {spec.id}: the power factor needs reactive energy, and the bill has none")
    factors = [factor(int(wh), int(varh)) for wh, varh in zip(facts.used_wh, facts.reactive_varh, strict=True)]
    changes = np.array([adjustment(spec.standard, one) for one in factors], object)
    base = facts.base(spec.of)
    amount = facts.micro(base.astype(object) * changes, 10 ** (4 + money.MICRO_SCALE))
    line = facts.line(spec, amount, (np.array(factors, np.int64), 2, "pf"))
    line.price = tuple(money.text(int(one), 2) for one in changes)
    return [line]


def inputs(spec: PowerFactor, facts: Facts) -> Iterator[Input]:
    """The bill's kWh and kvarh hour by hour with their sums, and the lines that are adjusted, each with its part."""
    every = range(len(facts.book.versions))
    for quantity in ("import", "reactive"):
        yield from hours(facts, spec, quantity, versions=every)
    varh = int(facts.reactive_varh[0]) if facts.reactive_varh is not None else 0
    for what, value, unit in (("sum", int(facts.used_wh[0]), "kWh"), ("sum", varh, "kvarh")):
        yield Input(what, money.text(value, 3), unit)
    change = adjustment(spec.standard, factor(int(facts.used_wh[0]), varh))
    yield from lines(facts, spec.of, Fraction(change, 10_000))


def factor(wh: int, varh: int) -> int:
    """Power factor in hundredths, half-up; 100 where there is no energy at all.

    >>> factor(900, 435), factor(0, 0)
    (90, 100)
    """
    if wh == 0 and varh == 0:
        return 100
    square = wh * wh + varh * varh
    low = isqrt(10_000 * wh * wh // square)
    # (low + 1/2) / 100 <= factor, squared and without fractions
    return low + ((2 * low + 1) ** 2 * square <= 40_000 * wh * wh)


def adjustment(standard: int, value: int) -> int:
    """Change in 1/100 % of the bill for a factor in hundredths.

    >>> adjustment(90, 95), adjustment(90, 89), adjustment(90, 70), adjustment(90, 65), adjustment(90, 64)
    (-75, 50, 1000, 1500, 1700)
    """
    if value > standard:
        table = REDUCTIONS[standard]
        return -table[min(value, max(table))]
    below = standard - value
    first = min(below, FIRST_STEPS)
    second = min(below - first, SECOND_STEPS)
    return first * 50 + second * 100 + (below - first - second) * 200
