"""Demand: a price per kW of the largest average power in the bill, by blocks, with ratchet, floor and rounding of kW.

The meter's own maximum-demand register, given as attribute ``register`` (kW), wins over averages of intervals.
``ratchet_percent`` of the highest demand of the ``ratchet_months`` before, measured by us or given as attribute
``history`` (kW), is the least that is billed; so are ``minimum_kw`` and ``contract_percent`` of attribute ``contract``.
A new peak accrues over the days that are left of the bill. ``partial`` says what who moves in or out inside the bill
bears: the "days" of supply, the "full" amount, or "none" of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tariff import money
from tariff.errors import RatingError
from tariff.facts import Facts, Ints, Line, month_of, month_text
from tariff.inputs import Input, attribute, slot
from tariff.section import Section
from tariff.series import Context
from tariff.supply import PARTIAL

KIND = "demand"
KW_SCALE = 6  # decimals of kW inside: a Wh in a minute is 0.06 kW, so every average of whole minutes is rounded below W
MAX_MONTHS = 36
LIMIT_UNITS = ("kW", "percent_of_contract")


@dataclass(frozen=True, slots=True)
class Demand:
    """``prices`` per kW and block, ``limits`` between the blocks; ``periods`` empty = at all times."""

    id: str
    prices: tuple[str, ...]
    limits: tuple[str, ...]
    limit_unit: str
    periods: tuple[str, ...]
    window_min: int
    sliding: bool
    minimum_kw: str
    contract: str
    contract_percent: str
    round_kw: int
    rounding_kw: money.Rounding
    ratchet_percent: str
    ratchet_months: int
    ratchet_season: tuple[int, ...]
    history: str
    register: str
    partial: str = "days"
    kind: str = KIND


def parse(section: Section, context: Context) -> Demand:
    """Read one demand charge."""
    prices = (section.number("price"),) if section.has("price") else section.numbers("prices")
    limits = section.numbers("limits", ())
    scaled = [money.scaled(limit, 9) for limit in limits if money.scale_of(limit) <= KW_SCALE]
    if len(prices) != len(limits) + 1 or len(scaled) != len(limits) or scaled != sorted(set(scaled)):
        section.fail("limits", f"{len(prices)} prices need {len(prices) - 1} rising limits of at most 6 decimals")
    rounding = section.text("rounding_kw", "half_up", choices=money.ROUNDINGS)
    spec = Demand(
        id=section.text("id"),
        prices=prices,
        limits=limits,
        limit_unit=section.text("limit_unit", "kW", choices=LIMIT_UNITS),
        periods=section.periods("periods", context.periods),
        window_min=section.integer("window_min", 0, high=1440),
        sliding=section.flag("sliding"),
        minimum_kw=section.number("minimum_kw", "0"),
        contract=section.text("contract", ""),
        contract_percent=section.number("contract_percent", "0"),
        round_kw=section.integer("round_kw", KW_SCALE, high=KW_SCALE),
        rounding_kw=next(mode for mode in money.ROUNDINGS if mode == rounding),
        ratchet_percent=section.number("ratchet_percent", "0"),
        ratchet_months=section.integer("ratchet_months", 0, high=MAX_MONTHS),
        ratchet_season=section.integers("ratchet_season", low=1, high=12),
        history=section.text("history", "demand_history_kw"),
        register=section.text("register", "demand_register_kw"),
        partial=section.text("partial", "days", choices=PARTIAL),
    )
    _check(section, spec)
    return spec


def _check(section: Section, spec: Demand) -> None:
    contracted = spec.limit_unit != "kW" or spec.contract_percent != "0"
    if contracted != bool(spec.contract):
        section.fail("contract", "'contract' names the attribute of the contracted kW that the percentages are of")
    if (spec.ratchet_months or spec.ratchet_season) and spec.ratchet_percent == "0":
        section.fail("ratchet_percent", f"component {spec.id!r}: a ratchet needs 'ratchet_percent'", 'e.g. "80"')
    if spec.sliding and not spec.window_min:
        section.fail("sliding", f"component {spec.id!r}: a sliding window needs 'window_min'")


def needs_slots(spec: Demand) -> bool:
    """Demand looks at every interval of the bill."""
    return spec.kind == KIND


def lookback(spec: Demand) -> int:
    """How many months before a bill it rests on."""
    return spec.ratchet_months


def price(spec: Demand, facts: Facts) -> list[Line]:
    """One line per block: kW inside it times its price; a version that held for a part of the bill bears its days."""
    least = floor(spec, facts)
    steps, ramp = measured(spec, facts)
    levels = np.maximum.accumulate(np.concatenate([least[:, None], steps], axis=1), axis=1)
    edges = _edges(spec, facts)
    lines: list[Line] = []
    for block, text in enumerate(spec.prices):
        inside = np.maximum(levels - edges[block], 0)
        if block + 1 < len(edges):
            inside = np.minimum(inside, edges[block + 1] - edges[block])
        value, scale = money.exact(text)
        bearing = _accrued(inside, ramp, facts).astype(object) * value * facts.part.whole
        amount = facts.micro(bearing, 10 ** (scale + KW_SCALE) * facts.part.total)
        line = facts.line(spec, amount, (inside[:, -1], KW_SCALE, "kW"), text)
        line.tier = block if spec.limits else None
        lines.append(line)
    if spec.ratchet_months:
        facts.after.update(_history(spec, facts, steps.max(axis=1, initial=0)))
    return lines


def inputs(spec: Demand, facts: Facts) -> Iterator[Input]:
    """The register, or the window that was the largest with its hours; every least kW; what is billed of them all."""
    if facts.attributes.get(spec.register, ""):
        yield attribute(facts, spec.register, "kW")
    else:
        windows = facts.windows(spec, spec.window_min, spec.periods, sliding=spec.sliding)
        if windows.wh.any():
            place = int(windows.wh[0].argmax())
            end = int(windows.last[place]) + 1
            first = end - windows.minutes // facts.intervals(spec).calendar.slot_min
            for one, wh in enumerate(facts.intervals(spec).wh[0, first:end].tolist(), first):
                yield slot(facts, spec, one, one + 1, Input("import", money.text(wh, 3), "kWh"))
            kw = money.divide(int(windows.wh[0, place]) * (60 * 10 ** (KW_SCALE - 3)), windows.minutes)
            yield slot(facts, spec, first, end, Input("window", money.text(kw, KW_SCALE), "kW"))
    for what, note, least in floors(spec, facts):
        if least.any():
            yield Input(what, money.text(int(least[0]), KW_SCALE), "kW", note=note)
    billed = max(int(floor(spec, facts)[0]), int(measured(spec, facts)[0].max(initial=0)))
    yield Input("billed", money.text(billed, KW_SCALE), "kW")


def _accrued(inside: Ints, ramp: tuple[Ints, Ints], facts: Facts) -> Ints:
    """[n] kW that have accrued: the least from the first hour on, every rise over the days after it."""
    if facts.closing:
        last: Ints = inside[:, -1]
        return last
    gone, left = ramp
    rises = np.diff(inside, axis=1)
    total: Ints = inside[:, 0] * facts.part.elapsed // max(1, facts.part.whole) + (rises * gone // left).sum(axis=1)
    return total


def measured(spec: Demand, facts: Facts) -> tuple[Ints, tuple[Ints, Ints]]:
    """[n, w] kW of every window, rounded as billed, and how far each has accrued; the register stands for all."""
    step = 10 ** (KW_SCALE - spec.round_kw)
    given = facts.attributes.get(spec.register, "")
    if given:
        kw = np.full((facts.n, 1), money.scaled(_decimal(spec.register, given), KW_SCALE), np.int64)
        ramp = (np.array([facts.part.elapsed]), np.array([max(1, facts.part.whole)]))
    elif facts.slots is None:
        raise RatingError(f"component {spec.id}: demand needs the intervals of the bill or attribute {spec.register!r}")
    else:
        windows = facts.windows(spec, spec.window_min, spec.periods, sliding=spec.sliding)
        kw = money.divide(windows.wh * (60 * 10 ** (KW_SCALE - 3)), windows.minutes)
        ramp = facts.slots.ramp(windows.last)
    return money.divide(kw, step, spec.rounding_kw) * step, ramp


def floor(spec: Demand, facts: Facts) -> Ints:
    """[n] the least kW that is billed: the highest of ``floors``."""
    found: Ints = np.max([least for _, _, least in floors(spec, facts)], axis=0)
    return found


def floors(spec: Demand, facts: Facts) -> Iterator[tuple[str, str, Ints]]:
    """Every least kW, [n] each, with what it is and of what: the minimum, a share of the contract, the ratchet's."""
    yield "minimum", "", np.full(facts.n, money.scaled(spec.minimum_kw, KW_SCALE), np.int64)
    if spec.contract:
        share = money.divide(money.scaled(spec.contract_percent, 6) * _contract(spec, facts), 10**8)
        yield "contract", f"{spec.contract_percent} % of {spec.contract}", np.full(facts.n, share, np.int64)
    percent, scale = money.exact(spec.ratchet_percent)
    below = 10 ** (scale + 2)
    given = facts.attributes.get(spec.history, "0")
    highest = max(money.scaled(_decimal(spec.history, one), KW_SCALE) for one in given.split(","))
    ratchet = f"{spec.ratchet_percent} % of"
    yield "ratchet", f"{ratchet} {spec.history}", np.full(facts.n, money.divide(highest * percent, below), np.int64)
    for text, kw in facts.held(spec.id).items():
        month = month_of(text)
        inside = 0 < facts.month - month <= spec.ratchet_months
        if inside and (not spec.ratchet_season or month % 12 + 1 in spec.ratchet_season):
            yield "ratchet", f"{ratchet} {text}", money.divide(kw * percent, below)


def _contract(spec: Demand, facts: Facts) -> int:
    return money.scaled(_decimal(spec.contract, facts.attributes.get(spec.contract, "")), KW_SCALE)


def _edges(spec: Demand, facts: Facts) -> list[int]:
    """Lower edges of the blocks in kW; a share of the contract is rounded to the sixth decimal."""
    limits = [money.scaled(limit, KW_SCALE) for limit in spec.limits]
    if spec.limit_unit == "percent_of_contract":
        limits = [money.divide(limit * _contract(spec, facts), 10 ** (KW_SCALE + 2)) for limit in limits]
    return [0, *limits]


def _history(spec: Demand, facts: Facts, peak: Ints) -> dict[str, Ints]:
    """What later bills must know: the demand of each month that a ratchet still sees."""
    months = {text: kw for text, kw in facts.held(spec.id).items() if facts.month - month_of(text) < MAX_MONTHS}
    own = month_text(facts.month)
    months[own] = np.maximum(months.get(own, np.zeros(facts.n, np.int64)), peak)
    return {f"{spec.id}:{text}": kw for text, kw in months.items()}


def _decimal(name: str, value: str) -> str:
    if not money.is_decimal(value.strip()) or money.scale_of(value.strip()) > KW_SCALE:
        raise RatingError(f"attribute {name!r} of the account must be kW, at most {KW_SCALE} decimals, not {value!r}")
    return value.strip()
