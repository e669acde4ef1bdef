"""A component that is no energy and the lines above it go in, its amounts come out, exact and unrounded.

Each function takes the bill, the component as the book writes it and the part of the bill in which it holds, and gives
its lines as entries.
"""

from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tests.exact.banks import credit_bank, net_metering
from tests.exact.numbers import rounded

if TYPE_CHECKING:
    from tests.exact.reference import Bill, Part, Result

Table = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """One line: its amount, and what a tax inside the prices holds; ``of`` names another version and its group."""

    amount: Fraction
    tier: int | None = None
    quantity: Fraction | None = None
    period: str = ""
    included: Fraction = Fraction(0)
    of: tuple[str, list[int]] | None = None


Found = list[Entry]


def fixed(bill: "Bill", spec: Table, part: "Part", result: "Result") -> Found:
    """An amount, of the class that the bill's kWh (or an attribute) reach, per bill, day or unit."""
    amount = str(spec.get("amount"))
    if "by_total" in spec:
        by = spec.get("class_by")
        used = Fraction(part.held[by]) if by else Fraction(sum(row.wh for row in bill.taken), 1000)
        amount = next(one["amount"] for one in spec["by_total"] if "up_to" not in one or used <= Fraction(one["up_to"]))
    per = spec.get("per", "bill")
    if per == "day":
        return [Entry(Fraction(amount) * part.days)]
    units = Fraction(1) if per == "bill" else Fraction(part.held[per])
    return [Entry(Fraction(amount) * units * part.days / bill.days, quantity=units)]


def percent(bill: "Bill", spec: Table, part: "Part", result: "Result") -> Found:
    """A share of rounded lines; one that they hold already is told and adds nothing."""
    base, rate = bill.base(spec, part, result), Fraction(spec["percent"])
    if spec.get("included"):
        return [Entry(Fraction(0), quantity=base, included=base * rate / (100 + rate))]
    return [Entry(base * rate / 100, quantity=base)]


def minimum(bill: "Bill", spec: Table, part: "Part", result: "Result") -> Found:
    """What is missing up to a least amount, which is rounded as a line is."""
    per = spec.get("per", "bill")
    share = part.days if per == "day" else part.days / bill.days
    units = Fraction(1) if per in ("bill", "day") else Fraction(part.held[per])
    least = bill.line(Fraction(spec["amount"]) * units * share)
    return [Entry(max(least - bill.base(spec, part, result), Fraction(0)), quantity=least)]


def demand(bill: "Bill", spec: Table, part: "Part", result: "Result") -> Found:
    """kW by block, times their price, times the share of days for which this price holds."""
    kw = billed_kw(bill, spec, part)
    prices = [spec["price"]] if "price" in spec else spec["prices"]
    limits = [Fraction(one) for one in spec.get("limits", [])]
    if spec.get("limit_unit") == "percent_of_contract":
        limits = [rounded(one * contract(spec, part) / 100, 6) for one in limits]
    found: Found = []
    for block, price in enumerate(prices):
        low = limits[block - 1] if block else Fraction(0)
        inside = max((min(kw, limits[block]) if block < len(limits) else kw) - low, Fraction(0))
        amount = inside * Fraction(price) * part.whole_days / bill.days
        found.append(Entry(amount, block if spec.get("limits") else None, inside))
    return found


def contract(spec: Table, part: "Part") -> Fraction:
    """The contracted kW."""
    return Fraction(part.held[spec["contract"]]) if spec.get("contract") else Fraction(0)


def billed_kw(bill: "Bill", spec: Table, part: "Part") -> Fraction:
    """The register, or the largest window; rounded; at least the ratchet, the share of the contract, the least kW."""
    given = part.held.get(spec.get("register", "demand_register_kw"), "")
    kw = Fraction(given) if given else largest_kw(bill, spec, part)
    kw = rounded(kw, spec.get("round_kw", 6), spec.get("rounding_kw", "half_up"))
    history = part.held.get(spec.get("history", "demand_history_kw"), "0")
    highest = max(Fraction(one.strip()) for one in history.split(","))
    months = bill.left.setdefault(spec["id"], {})
    season = spec.get("ratchet_season") or range(1, 13)
    for month, peak in months.items():
        if 0 < bill.month - month <= spec.get("ratchet_months", 0) and month % 12 + 1 in season:
            highest = max(highest, peak)
    months[bill.month] = max(months.get(bill.month, Fraction(0)), kw)
    ratchet = rounded(highest * Fraction(spec.get("ratchet_percent", "0")) / 100, 6)
    share = rounded(contract(spec, part) * Fraction(spec.get("contract_percent", "0")) / 100, 6)
    return max(kw, ratchet, share, Fraction(spec.get("minimum_kw", "0")))


def largest_kw(bill: "Bill", spec: Table, part: "Part") -> Fraction:
    """The largest average of a whole window that begins in the part and in one of the periods."""
    minutes = max(spec.get("window_min", 0), bill.minutes)
    length = minutes // bill.minutes
    frame, largest = bill.frame, 0
    for place in range(len(bill.taken) - length + 1):
        local = frame.local[place]
        if length > 1 and not spec.get("sliding") and (local.hour * 60 + local.minute) % minutes:
            continue
        if frame.version[place] not in part.versions:
            continue
        if spec.get("periods") and frame.period[place] not in spec["periods"]:
            continue
        largest = max(largest, sum(row.wh for row in bill.taken[place : place + length]))
    return rounded(Fraction(largest * 60, minutes * 1000), 6)


def kvarh(bill: "Bill", spec: Table, part: "Part", result: "Result") -> Found:
    """Each kvarh above a share of the kWh, in the periods that are named."""
    wh = varh = 0
    for row, version, period in zip(bill.taken, bill.frame.version, bill.frame.period, strict=False):
        if version in part.versions and (not spec.get("periods") or period in spec["periods"]):
            wh, varh = wh + row.wh, varh + row.varh
    above = max(varh - rounded(wh * Fraction(spec["free_percent"]) / 100, 0), Fraction(0)) / 1000
    return [Entry(above * Fraction(spec["price"]), quantity=above)]


def pf_adjust(bill: "Bill", spec: Table, part: "Part", result: "Result") -> Found:
    """The table of 1983 on rounded lines."""
    wh, varh = sum(row.wh for row in bill.taken), sum(row.varh for row in bill.taken)
    factor = power_factor(wh, varh)
    change = pf_percent(Fraction(spec["standard"]), factor)
    return [Entry(bill.base(spec, part, result) * change / 100, quantity=factor)]


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
    """The first kWh of the bill back, from the lowest tier up; of one that changes inside the bill its days' share."""
    entitled = "attribute" not in spec or part.held.get(spec["attribute"], "") == spec.get("equals", "")
    share = part.whole_days / bill.days
    left = rounded(Fraction(spec["kwh"]) * share, 3) if entitled else Fraction(0)
    given = used = Fraction(0)
    lines = [key for key in result.quantity if key[0] == spec["of"] and set(result.covers[key]) <= set(part.versions)]
    for key in sorted(lines, key=lambda key: key[3] or 0):
        free = min(left, max(result.quantity[key], Fraction(0)))
        if free:
            given += free * (Fraction(spec["price"]) if "price" in spec else result.mean(key))
        used, left = used + free, left - free
    return [Entry(-given, quantity=used)]


KINDS = {
    "fixed": fixed,
    "percent": percent,
    "minimum": minimum,
    "demand": demand,
    "kvarh": kvarh,
    "pf_adjust": pf_adjust,
    "free_kwh": free_kwh,
    "net_metering": net_metering,
    "credit_bank": credit_bank,
}
