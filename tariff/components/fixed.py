"""Fixed: an amount per bill, per day, or per unit of an account's attribute (kW, kVA, phase), or by class of use.

It accrues evenly over the bill's days, so that nothing falls on a customer at month end. ``per`` is "bill", "day" or
the name of an attribute; ``by_total`` replaces ``amount`` by the amount of the class that the period's kWh reach.
"""

from dataclasses import dataclass

import numpy as np

from tariff import money
from tariff.errors import RatingError
from tariff.facts import Facts, Ints, Line
from tariff.section import Section
from tariff.series import Context

KIND = "fixed"


@dataclass(frozen=True, slots=True)
class Fixed:
    """``classes`` are (up to kWh or "", amount); a plain amount is one class without a limit."""

    id: str
    per: str
    classes: tuple[tuple[str, str], ...]
    kind: str = KIND


def parse(section: Section, _context: Context) -> Fixed:
    """Read one fixed charge."""
    ident, per = section.text("id"), section.text("per", "bill")
    rows = list(section.children("by_total"))
    if not rows:
        return Fixed(ident, per, (("", section.number("amount")),))
    classes: list[tuple[str, str]] = []
    for row in rows:
        classes.append((row.number("up_to") if row.has("up_to") else "", row.number("amount")))
        row.done()
    limits = [money.scaled(limit, 9) for limit, _ in classes[:-1] if limit]
    if classes[-1][0] or len(limits) != len(classes) - 1 or limits != sorted(set(limits)):
        section.fail("by_total", "every class but the last needs a rising 'up_to', the last has none")
    return Fixed(ident, per, tuple(classes))


def price(spec: Fixed, facts: Facts) -> list[Line]:
    """One line: amount x units x share of the bill's days that has gone by."""
    part = facts.part
    units, scale, unit = _units(spec, facts)
    per_day = spec.per == "day"
    below = part.day_units if per_day else part.total
    amounts = _amounts(spec, facts)
    numerator = amounts.astype(object) * units * part.elapsed
    denominator = 10 ** (_scale(spec) + scale) * below
    quantity = (part.elapsed * 1000 // part.day_units, 3, "day") if per_day else (units, scale, unit)
    price_text = spec.classes[0][1] if len(spec.classes) == 1 else ""
    return [facts.line(spec, facts.micro(numerator, denominator), quantity, price_text)]


def _scale(spec: Fixed) -> int:
    return max(money.scale_of(amount) for _, amount in spec.classes)


def _amounts(spec: Fixed, facts: Facts) -> Ints:
    """Scaled amount of each account's class; a total that ends on a limit stays in the class below it."""
    limits = np.array([money.scaled(limit, 9) // 10**6 for limit, _ in spec.classes[:-1]], np.int64)
    amounts = np.array([money.scaled(amount, _scale(spec)) for _, amount in spec.classes], np.int64)
    chosen: Ints = amounts[np.searchsorted(limits, facts.used_wh, side="left")]
    return chosen


def _units(spec: Fixed, facts: Facts) -> tuple[int, int, str]:
    if spec.per in ("bill", "day"):
        return 1, 0, spec.per
    value = facts.attributes.get(spec.per, "")
    if not money.is_decimal(value):
        raise RatingError(f"component {spec.id}: attribute {spec.per!r} of the account must be a number, not {value!r}")
    return *money.exact(value), spec.per
