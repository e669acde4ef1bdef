"""Demand: a price per kW of the largest average power in the bill, by blocks, with ratchet, floor and rounding of kW.

The meter's own maximum-demand register, given as attribute ``register`` (kW), wins over averages of intervals.
``ratchet_percent`` of the highest earlier demand (attribute ``history``, kW) is the least that is billed.
"""

from dataclasses import dataclass

import numpy as np

from tariff import money
from tariff.errors import RatingError
from tariff.facts import Facts, Ints, Line
from tariff.section import Section
from tariff.series import Context

KIND = "demand"
KW_SCALE = 6  # decimals of kW inside: a Wh in a minute is 0.06 kW, so every average of whole minutes is rounded below W


@dataclass(frozen=True, slots=True)
class Demand:
    """``prices`` per kW and block, ``limits`` in kW between the blocks; ``periods`` empty = at all times."""

    id: str
    prices: tuple[str, ...]
    limits: tuple[str, ...]
    periods: tuple[str, ...]
    window_min: int
    minimum_kw: str
    round_kw: int
    rounding_kw: money.Rounding
    ratchet_percent: str
    history: str
    register: str
    kind: str = KIND


def parse(section: Section, _context: Context) -> Demand:
    """Read one demand charge."""
    prices = (section.number("price"),) if section.has("price") else section.numbers("prices")
    limits = section.numbers("limits", ())
    scaled = [money.scaled(limit, 9) for limit in limits]
    if len(prices) != len(limits) + 1 or scaled != sorted(set(scaled)):
        section.fail("limits", f"{len(prices)} prices need {len(prices) - 1} rising limits")
    rounding = section.text("rounding_kw", "half_up", choices=money.ROUNDINGS)
    return Demand(
        id=section.text("id"),
        prices=prices,
        limits=limits,
        periods=section.names("periods", ()),
        window_min=section.integer("window_min", 0, high=1440),
        minimum_kw=section.number("minimum_kw", "0"),
        round_kw=section.integer("round_kw", KW_SCALE, high=KW_SCALE),
        rounding_kw=next(mode for mode in money.ROUNDINGS if mode == rounding),
        ratchet_percent=section.number("ratchet_percent", "0"),
        history=section.text("history", "demand_history_kw"),
        register=section.text("register", "demand_register_kw"),
    )


def price(spec: Demand, facts: Facts) -> list[Line]:
    """One line per block: kW inside it times its price; a version that held for a part of the bill bears its days."""
    demand = billed(spec, facts)
    edges = [0, *(money.scaled(limit, KW_SCALE) for limit in spec.limits)]
    lines: list[Line] = []
    for block, text in enumerate(spec.prices):
        inside = np.maximum(demand - edges[block], 0)
        if block + 1 < len(edges):
            inside = np.minimum(inside, edges[block + 1] - edges[block])
        value, scale = money.exact(text)
        bearing = inside.astype(object) * value * facts.part.whole
        amount = facts.micro(bearing, 10 ** (scale + KW_SCALE) * facts.part.total)
        line = facts.line(spec, amount, (inside, KW_SCALE, "kW"), text)
        line.tier = block if spec.limits else None
        lines.append(line)
    return lines


def billed(spec: Demand, facts: Facts) -> Ints:
    """[n] kW scaled at KW_SCALE: measured or registered, rounded, and never below ratchet and minimum."""
    given = facts.attributes.get(spec.register, "")
    if given:
        measured = np.full(facts.n, money.scaled(_decimal(spec.register, given), KW_SCALE), np.int64)
    elif facts.largest is None:
        raise RatingError(f"component {spec.id}: demand needs the intervals of the bill or attribute {spec.register!r}")
    else:
        wh, minutes = facts.largest(spec.window_min, spec.periods)
        measured = money.divide(wh * (60 * 10 ** (KW_SCALE - 3)), minutes)
    step = 10 ** (KW_SCALE - spec.round_kw)
    measured = money.divide(measured, step, spec.rounding_kw) * step
    history = facts.attributes.get(spec.history, "0")
    highest = max(money.scaled(_decimal(spec.history, one), KW_SCALE) for one in history.split(","))
    percent, scale = money.exact(spec.ratchet_percent)
    least = max(money.divide(highest * percent, 10 ** (scale + 2)), money.scaled(spec.minimum_kw, KW_SCALE))
    found: Ints = np.maximum(measured, least)
    return found


def _decimal(name: str, value: str) -> str:
    if not money.is_decimal(value.strip()) or money.scale_of(value.strip()) > KW_SCALE:
        raise RatingError(f"attribute {name!r} of the account must be kW, at most {KW_SCALE} decimals, not {value!r}")
    return value.strip()
