"""A component that is no energy and the lines above it go in, its amounts come out, exact and unrounded.

Each function takes the bill, the component as the book writes it and the part of the bill in which it holds, and gives
(tier, quantity, amount) for each of its lines.
"""

from decimal import Decimal, localcontext
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tests.exact.numbers import rounded

if TYPE_CHECKING:
    from tests.exact.reference import Bill, Part, Result

Table = dict[str, Any]
Found = list[tuple[int | None, Fraction | None, Fraction]]


def fixed(bill: "Bill", spec: Table, part: "Part", result: "Result") -> Found:
    """An amount, of the class that the bill's kWh reach, per bill, day or unit."""
    amount = str(spec.get("amount"))
    if "by_total" in spec:
        used = Fraction(sum(row.wh for row in bill.taken), 1000)
        amount = next(one["amount"] for one in spec["by_total"] if "up_to" not in one or used <= Fraction(one["up_to"]))
    per = spec.get("per", "bill")
    if per == "day":
        return [(None, None, Fraction(amount) * part.days)]
    units = Fraction(1) if per == "bill" else Fraction(bill.attributes[per])
    return [(None, units, Fraction(amount) * units * part.days / bill.days)]


def percent(bill: "Bill", spec: Table, part: "Part", result: "Result") -> Found:
    """A share of rounded lines."""
    base = bill.base(spec, part, result)
    return [(None, base, base * Fraction(spec["percent"]) / 100)]


def minimum(bill: "Bill", spec: Table, part: "Part", result: "Result") -> Found:
    """What is missing up to a least amount, which is rounded as a line is."""
    share = part.days if spec.get("per") == "day" else part.days / bill.days
    least = rounded(Fraction(spec["amount"]) * share, bill.decimals, bill.mode)
    return [(None, least, max(least - bill.base(spec, part, result), Fraction(0)))]


def demand(bill: "Bill", spec: Table, part: "Part", result: "Result") -> Found:
    """kW by block, times their price, times the share of days for which this price holds."""
    kw = billed_kw(bill, spec, part)
    prices = [spec["price"]] if "price" in spec else spec["prices"]
    edges = [Fraction(0), *(Fraction(one) for one in spec.get("limits", [])), None]
    found: Found = []
    for block, price in enumerate(prices):
        low, high = edges[block], edges[block + 1]
        assert low is not None
        inside = max((kw if high is None else min(kw, high)) - low, Fraction(0))
        amount = inside * Fraction(price) * part.whole_days / bill.days
        found.append((block if spec.get("limits") else None, inside, amount))
    return found


def billed_kw(bill: "Bill", spec: Table, part: "Part") -> Fraction:
    """The register, or the largest window; rounded; at least the ratchet and the least kW."""
    given = bill.attributes.get(spec.get("register", "demand_register_kw"), "")
    kw = Fraction(given) if given else largest_kw(bill, spec, part)
    kw = rounded(kw, spec.get("round_kw", 6), spec.get("rounding_kw", "half_up"))
    history = bill.attributes.get(spec.get("history", "demand_history_kw"), "0")
    highest = max(Fraction(one.strip()) for one in history.split(","))
    ratchet = rounded(highest * Fraction(spec.get("ratchet_percent", "0")) / 100, 6)
    return max(kw, ratchet, Fraction(spec.get("minimum_kw", "0")))


def largest_kw(bill: "Bill", spec: Table, part: "Part") -> Fraction:
    """The largest average of a whole clock window that begins in the part and in one of the periods."""
    minutes = max(spec.get("window_min", 0), bill.minutes)
    length = minutes // bill.minutes
    highest = Fraction(0)
    for place in range(len(bill.taken) - length + 1):
        first = bill.taken[place].start
        local = bill.clock.local(first)
        if length > 1 and (local.hour * 60 + local.minute) % minutes:
            continue
        if bill.clock.version(first) not in part.versions:
            continue
        if spec.get("periods") and bill.clock.period(first) not in spec["periods"]:
            continue
        wh = sum(row.wh for row in bill.taken[place : place + length])
        highest = max(highest, rounded(Fraction(wh * 60, minutes * 1000), 6))
    return highest


def pf_adjust(bill: "Bill", spec: Table, part: "Part", result: "Result") -> Found:
    """The table of 1983 on rounded lines."""
    wh, varh = sum(row.wh for row in bill.taken), sum(row.varh for row in bill.taken)
    factor = power_factor(wh, varh)
    change = pf_percent(Fraction(spec["standard"]), factor)
    return [(None, factor, bill.base(spec, part, result) * change / 100)]


def power_factor(wh: int, varh: int) -> Fraction:
    """P / sqrt(P^2 + Q^2) to two places; one without energy."""
    if not wh and not varh:
        return Fraction(1)
    with localcontext() as context:
        context.prec = 60
        exact = Decimal(wh) / (Decimal(wh) ** 2 + Decimal(varh) ** 2).sqrt()
    # a factor that ends in 5 at the third place is only met exactly where the root is whole: 60 digits show it
    return rounded(Fraction(exact), 2)


def pf_percent(standard: Fraction, factor: Fraction) -> Fraction:
    """Percent by which a bill changes, step by step from the standard."""
    change = Fraction(0)
    at = standard
    while at < factor:  # reductions: a tenth, then 0.15 from 0.90 on, no more after the last step of each standard
        at += Fraction(1, 100)
        if at > {90: Fraction("0.95"), 85: Fraction("0.94"), 80: Fraction("0.92")}[int(standard * 100)]:
            break
        change -= Fraction("0.15") if at > Fraction("0.90") else Fraction("0.10")
    at = standard
    while at > factor:
        at -= Fraction(1, 100)
        below = standard - at
        change += Fraction("0.5") if below <= Fraction("0.20") else 1 if below <= Fraction("0.25") else 2
    return change


def free_kwh(bill: "Bill", spec: Table, part: "Part", result: "Result") -> Found:
    """The first kWh of the bill back, from the lowest tier up."""
    entitled = "attribute" not in spec or bill.attributes.get(spec["attribute"], "") == spec.get("equals", "")
    share = part.whole_days / bill.days
    left = rounded(Fraction(spec["kwh"]) * share, 3) if entitled else Fraction(0)
    given = used = Fraction(0)
    lines = [key for key in result.quantity if key[0] == spec["of"] and key[1] in part.labels]
    for key in sorted(lines, key=lambda key: key[3] or 0):
        free = min(left, max(result.quantity[key], Fraction(0)))
        given += free * Fraction(spec.get("price") or result.price[key])
        used, left = used + free, left - free
    return [(None, used, -given)]


KINDS = {
    "fixed": fixed,
    "percent": percent,
    "minimum": minimum,
    "demand": demand,
    "pf_adjust": pf_adjust,
    "free_kwh": free_kwh,
}
