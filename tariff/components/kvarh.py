"""Reactive energy: a price per kvarh above a share of the kWh, over the bill or the windows that are named.

``free_percent`` of the kWh are free (33 where the power factor may fall to 0.95, 62 for 0.85).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tariff import money
from tariff.errors import RatingError
from tariff.facts import Facts, Ints, Line
from tariff.inputs import Input, hours
from tariff.section import Section
from tariff.series import Context

KIND = "kvarh"


@dataclass(frozen=True, slots=True)
class Kvarh:
    """``price`` for each kvarh above ``free_percent`` of the kWh in ``periods`` (empty: all)."""

    id: str
    price: str
    free_percent: str
    periods: tuple[str, ...]
    kind: str = KIND


def parse(section: Section, context: Context) -> Kvarh:
    """Read one charge."""
    free = section.number("free_percent")
    if free.startswith("-") or money.scale_of(free) > 4:
        section.fail("free_percent", f"free_percent = {free!r} must be 0 or more with at most 4 decimals")
    return Kvarh(section.text("id"), section.number("price"), free, section.periods("periods", context.periods))


def needs_slots(spec: Kvarh) -> bool:
    """A sum by window or version is made of intervals."""
    return spec.kind == KIND


def price(spec: Kvarh, facts: Facts) -> list[Line]:
    """One line: the kvarh (to the whole varh, halves up) above the free ones, times the price."""
    if facts.reactive_varh is None:
        raise RatingError(f"component {spec.id}: a kvarh charge needs reactive energy, and the bill has none")
    slots = facts.intervals(spec)
    used = slots.sums("import", facts.part.versions, spec.periods)
    drawn = slots.sums("reactive", facts.part.versions, spec.periods)
    share, scale = money.exact(spec.free_percent)
    free: Ints = money.divide(money.wide(used, share) * share, 10 ** (scale + 2))
    above = np.maximum(drawn - free, 0)
    value, places = money.exact(spec.price)
    amount = facts.micro(above.astype(object) * value, 10 ** (places + 3))
    return [facts.line(spec, amount, (above, 3, "kvarh"), spec.price)]


def inputs(spec: Kvarh, facts: Facts) -> Iterator[Input]:
    """kWh and kvarh hour by hour, and their sums."""
    for quantity, unit in (("import", "kWh"), ("reactive", "kvarh")):
        yield from hours(facts, spec, quantity, spec.periods)
        total = facts.intervals(spec).sums(quantity, facts.part.versions, spec.periods)
        yield Input("sum", money.text(int(total[0]), 3), unit)
