"""Net metering: export takes back the bill's own kWh, what is left over is banked as kWh for the next bills.

``of`` names the energy component (of what is imported). ``by = "period"`` nets each window with its own export and
bank, ``by = "total"`` the whole; the credit walks the component's lines from the highest tier down, at their prices (at
the mean of a line whose kWh have several), and never goes below nothing. Banked kWh expire (``expires_months``,
``expires_on``), at price ``payout`` if any.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tariff import banks, money
from tariff.errors import RatingError
from tariff.facts import Facts, Ints, Line
from tariff.inputs import Input, hours, lots
from tariff.section import Section, suggest
from tariff.series import Context

KIND = "net_metering"
BY = ("period", "total")


@dataclass(frozen=True, slots=True)
class NetMetering:
    """Export credits the lines of ``of`` one to one; the rest is banked."""

    id: str
    of: str
    by: str
    expiry: banks.Expiry
    payout: str
    kind: str = KIND


def parse(section: Section, context: Context) -> NetMetering:
    """Read one agreement."""
    of = section.text("of")
    if of not in context.known:
        section.fail("of", f"no component {of!r} above it", suggest(of, context.known))
    payout = section.number("payout", "0")
    return NetMetering(section.text("id"), of, section.text("by", choices=BY), banks.expiry(section), payout)


def needs_slots(spec: NetMetering) -> bool:
    """Export by window is made of intervals."""
    return spec.kind == KIND


def lookback(spec: NetMetering) -> int:
    """How many months of bills the bank is made again from."""
    return banks.lookback(spec.expiry)


def price(spec: NetMetering, facts: Facts) -> list[Line]:
    """A credit line for each line of ``of`` that export or the bank takes back, and one for what is paid out."""
    lines = [line for line in facts.lines if line.id == spec.of and set(line.versions) <= set(facts.part.versions)]
    labels = list(dict.fromkeys(line.period for line in lines))
    if spec.by == "total" and len(labels) > 1:
        raise RatingError(
            f"component {spec.id}: by = 'total' over prices of several periods ({', '.join(labels)}) does not say "
            "whose kWh are taken back; write by = 'period'"
        )
    found: list[Line] = []
    expired: Ints = np.zeros(facts.n, np.int64)
    for label in dict.fromkeys([*labels, *_banked(spec, facts)]):  # a window without an hour here keeps its bank
        own = [line for line in lines if line.period == label]
        held, late = banks.held(facts, _name(spec, label), spec.expiry)
        left, credits = _net(spec, facts, label, own, held)
        found += credits
        kept, gone = banks.expire(left, spec.expiry, facts)
        expired = expired + gone + late
        facts.leave(_name(spec, label), kept)
    if facts.closing and expired.any() and spec.payout != "0":
        value, scale = money.exact(spec.payout)
        amount = facts.micro(-expired.astype(object) * value, 10 ** (scale + 3))
        line = facts.line(spec, amount, (expired, 3, "kWh"), spec.payout)
        line.period = "payout"
        found.append(line)
    return found


def inputs(spec: NetMetering, facts: Facts) -> Iterator[Input]:
    """What was exported hour by hour and what was banked in which month, by window."""
    own = [line for line in facts.lines if line.id == spec.of and set(line.versions) <= set(facts.part.versions)]
    for label in dict.fromkeys([*(line.period for line in own), *_banked(spec, facts)]):
        yield from lots(banks.held(facts, _name(spec, label), spec.expiry)[0], 3, "kWh", label)
        for version in sorted({line.versions for line in own if line.period == label}):
            periods = () if spec.by == "total" else _periods(facts, spec, label, version)
            if periods or spec.by == "total":
                yield from hours(facts, spec, "export", periods, versions=version, label=label)


def _banked(spec: NetMetering, facts: Facts) -> list[str]:
    """The windows that earlier bills left something of."""
    return [key.partition("/")[2].partition(":")[0] for key in facts.before if key.startswith(f"{spec.id}/")]


def _name(spec: NetMetering, label: str) -> str:
    return f"{spec.id}/{label}"


def _net(
    spec: NetMetering, facts: Facts, label: str, lines: list[Line], held: banks.Lots
) -> tuple[banks.Lots, list[Line]]:
    """What is ``held`` after netting one label's lines, version after version, and their credits."""
    slots = facts.intervals(spec)
    found: list[Line] = []
    for version in sorted({line.versions for line in lines}):
        periods = () if spec.by == "total" else _periods(facts, spec, label, version)
        own = sorted((line for line in lines if line.versions == version), key=lambda line: -(line.tier or 0))
        none = spec.by == "period" and not periods  # no hour of the bill is the label's
        export = np.zeros(facts.n, np.int64) if none else slots.sums("export", version, periods)
        used: Ints = np.array([int(sum(line.quantity[row] for line in own)) for row in range(facts.n)], np.int64)
        direct = np.minimum(np.maximum(used, 0), export)
        held, drawn = banks.use(held, np.maximum(used - direct, 0))
        held = banks.put(held, facts, export - direct)
        found += _credits(spec, facts, own, direct + drawn)
    return held, found


def _periods(facts: Facts, spec: NetMetering, label: str, versions: tuple[int, ...]) -> tuple[str, ...]:
    """The calendar's periods behind a label; "*" stands for all that have no label of their own in those versions."""
    if label != "*":
        return (label,)
    named = {line.period for line in facts.lines if line.id == spec.of and line.versions == versions}
    return tuple(period for period in facts.intervals(spec).calendar.periods if period not in named - {"*"})


def _credits(spec: NetMetering, facts: Facts, lines: list[Line], wh: Ints) -> list[Line]:
    """``wh`` [n] taken back from the highest tier down."""
    found: list[Line] = []
    left: Ints = wh.astype(object)
    for line in lines:
        back = np.minimum(left, np.maximum(line.quantity.astype(object), 0))
        left = left - back
        if not back.any():
            continue
        credit = facts.line(spec, facts.micro(-line.worth(back), 1), (back, 3, "kWh"))
        credit.version, credit.versions = line.version, line.versions
        credit.period, credit.tier, credit.price = line.period, line.tier, line.price
        found.append(credit)
    return found
