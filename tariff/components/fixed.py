"""Fixed: an amount per bill, per day, or per unit of an account's attribute (kW, kVA, phase), or by class of use.

It accrues evenly over the bill's days, so that nothing falls on a customer at month end. ``per`` is "bill", "day" or
the name of an attribute; ``by_total`` replaces ``amount`` by the amount of the class that the period's kWh reach (or
attribute ``class_by``, where one is named). A dearer class accrues over the days that are left. ``partial`` says what
who moves in or out inside the bill bears: the "days" of supply, the "full" amount, or "none" of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from tariff import money
from tariff.errors import RatingError
from tariff.facts import Facts, Ints, Line
from tariff.inputs import Input, attribute, days, slot
from tariff.section import Section
from tariff.series import Context
from tariff.supply import PARTIAL

KIND = "fixed"
WH_DECIMALS = 3


@dataclass(frozen=True, slots=True)
class Fixed:
    """``classes`` are (up to kWh or "", amount); a plain amount is one class without a limit."""

    id: str
    per: str
    classes: tuple[tuple[str, str], ...]
    class_by: str = ""
    partial: str = "days"
    kind: str = KIND


def parse(section: Section, _context: Context) -> Fixed:
    """Read one fixed charge."""
    ident, per = section.text("id"), section.text("per", "bill")
    partial = section.text("partial", "days", choices=PARTIAL)
    rows = list(section.children("by_total"))
    if not rows:
        return Fixed(ident, per, (("", section.number("amount")),), partial=partial)
    classes: list[tuple[str, str]] = []
    for row in rows:
        classes.append((row.number("up_to") if row.has("up_to") else "", row.number("amount")))
        row.done()
    if any(money.scale_of(limit) > WH_DECIMALS for limit, _ in classes):
        section.fail("by_total", f"'up_to' has at most {WH_DECIMALS} decimals")
    limits = [money.scaled(limit, WH_DECIMALS) for limit, _ in classes[:-1] if limit]
    if classes[-1][0] or len(limits) != len(classes) - 1 or limits != sorted(set(limits)):
        section.fail("by_total", "every class but the last needs a rising 'up_to', the last has none")
    return Fixed(ident, per, tuple(classes), section.text("class_by", ""), partial)


def needs_slots(spec: Fixed) -> bool:
    """Only a class of use does: when its limit was crossed says how much of the rise has accrued."""
    return len(spec.classes) > 1 and not spec.class_by


def price(spec: Fixed, facts: Facts) -> list[Line]:
    """One line: amount x units x share of the bill's days that has gone by."""
    part = facts.part
    units, scale, unit = _units(spec, facts)
    per_day = spec.per == "day"
    below = part.day_units if per_day else part.total
    numerator = _amounts(spec, facts).astype(object) * units
    denominator = 10 ** (_scale(spec) + scale) * below
    quantity = (part.elapsed * 1000 // part.day_units, 3, "day") if per_day else (units, scale, unit)
    price_text = spec.classes[0][1] if len(spec.classes) == 1 else ""
    return [facts.line(spec, facts.micro(numerator, denominator), quantity, price_text)]


def inputs(spec: Fixed, facts: Facts) -> Iterator[Input]:
    """The attributes that it names, the class and the hour in which it was reached, and each day with its part."""
    if spec.per not in ("bill", "day"):
        yield attribute(facts, spec.per)
    if spec.class_by:
        yield attribute(facts, spec.class_by)
    elif len(spec.classes) > 1:
        yield Input("import", money.text(int(facts.used_wh[0]), WH_DECIMALS), "kWh")
        for limit, _ in spec.classes[:-1]:
            passed = int(facts.intervals(spec).crossed(np.array([money.scaled(limit, WH_DECIMALS)]))[0])
            if passed < facts.intervals(spec).done:
                yield slot(facts, spec, passed, passed + 1, Input("passes", limit, "kWh"))
    units, scale, _ = _units(spec, facts)
    below = facts.part.day_units if spec.per == "day" else facts.part.total
    below *= max(1, facts.part.elapsed) * 10 ** (_scale(spec) + scale)
    each = Fraction(int(_amounts(spec, facts)[0]) * units, below)
    for row, own in days(facts, spec):
        yield replace(row, exact=each * own)


def _scale(spec: Fixed) -> int:
    return max(money.scale_of(amount) for _, amount in spec.classes)


def _amounts(spec: Fixed, facts: Facts) -> Ints:
    """[n] scaled amount x day units; a total that ends on a limit stays in the class below it."""
    part = facts.part
    limits = np.array([money.scaled(limit, WH_DECIMALS) for limit, _ in spec.classes[:-1]], np.int64)
    amounts = [money.scaled(amount, _scale(spec)) for _, amount in spec.classes]
    reached = facts.used_wh
    if spec.class_by:
        value, scale = money.exact(_number(spec, facts, spec.class_by))
        up = money.divide(value * 10**WH_DECIMALS, 10**scale, "up")  # above a limit by less than its places is above
        return np.full(facts.n, amounts[int(np.searchsorted(limits, up, side="left"))] * part.elapsed, object)
    if facts.closing or facts.slots is None:
        return np.array(amounts, object)[np.searchsorted(limits, reached, side="left")] * part.elapsed
    found: Ints = np.full(facts.n, amounts[0] * part.elapsed, object)
    for limit, low, high in zip(limits, amounts, amounts[1:], strict=False):
        gone, left = facts.slots.ramp(facts.slots.crossed(np.full(facts.n, limit)))
        rise = (high - low) * part.whole * gone.astype(object) // left
        found = found + np.where(reached > limit, rise, 0)
    return found


def _units(spec: Fixed, facts: Facts) -> tuple[int, int, str]:
    if spec.per in ("bill", "day"):
        return 1, 0, spec.per
    return *money.exact(_number(spec, facts, spec.per)), spec.per


def _number(spec: Fixed, facts: Facts, name: str) -> str:
    value = facts.attributes.get(name, "")
    if not money.is_decimal(value):
        raise RatingError(f"component {spec.id}: attribute {name!r} of the account must be a number, not {value!r}")
    return value
