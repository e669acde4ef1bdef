"""A component with a bank and the lines above it go in, credits and pay-outs come out; the bill's lots move.

Lots are kept by the month (counted since year 0) of the bill that banked them: Wh of net metering, or currency.
"""

from datetime import datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tests.exact.energy import UNITS, units
from tests.exact.numbers import rounded
from tests.exact.periods import Span
from tests.exact.periods import period as period_of

if TYPE_CHECKING:
    from tests.exact.kinds import Found
    from tests.exact.reference import Bill, Key, Part, Result

Table = dict[str, Any]
Lots = dict[int, Fraction]


def take(lots: Lots, wanted: Fraction) -> Fraction:
    """Take up to ``wanted`` out of the oldest lots; how much there was."""
    taken = Fraction(0)
    for month in sorted(lots):
        part = min(lots[month], wanted - taken)
        lots[month] -= part
        taken += part
    return taken


def put(lots: Lots, bill: "Bill", more: Fraction) -> None:
    """Bank what this bill leaves over."""
    lots[bill.month] = lots.get(bill.month, Fraction(0)) + more


def expire(lots: Lots, spec: Table, bill: "Bill") -> Fraction:
    """What is of no use any more after this bill goes out of the lots; how much that is."""
    emptied = spec.get("expires_on", "") in bill.begins
    old = [month for month in lots if emptied or bill.month - month >= spec.get("expires_months", 10**6)]
    return sum((lots.pop(month) for month in old), Fraction(0))


def ended(lots: Lots, spec: Table, bill: "Bill") -> Fraction:
    """What was at its end in an earlier bill, which had no such component, goes first; how much that is."""
    old = [
        month for month in lots if month < bill.month and any(_ends(month, spec, one) for one in _between(month, bill))
    ]
    return sum((lots.pop(month) for month in old), Fraction(0))


def _between(month: int, bill: "Bill") -> list[Span]:
    """The billing periods from a lot's own to the one before this bill."""
    found: list[Span] = []
    at = datetime(month // 12, month % 12 + 1, 28)
    while True:
        span = period_of(at, bill.frame.book)
        if span[0] >= bill.frame.local[0]:
            return found
        found.append(span)
        at = span[1]


def _ends(month: int, spec: Table, span: Span) -> bool:
    """Whether a lot is at its end in the bill of a period."""
    days = [span[0] + timedelta(days=day) for day in range(1, (span[1] - span[0]).days + 1)]
    if "expires_on" in spec:
        return spec["expires_on"] in [f"{day:%m-%d}" for day in days]
    return bool(span[0].year * 12 + span[0].month - 1 - month >= spec["expires_months"])


def credit_bank(bill: "Bill", spec: Table, part: "Part", result: "Result") -> "Found":
    """The named lines together are never below zero: what they would be is banked and pays for them later."""
    lots = bill.left.setdefault(spec["id"], {})
    gone = ended(lots, spec, bill)
    whole = rounded(bill.base(spec, part, result), bill.decimals, bill.mode)
    paid = take(lots, max(whole, Fraction(0)))
    surplus = max(-whole, Fraction(0))
    put(lots, bill, surplus)
    found = [bill.entry(surplus - paid)]
    gone += expire(lots, spec, bill)
    percent = Fraction(spec.get("payout_percent", "0"))
    if bill.closing and gone and percent:
        found.append(bill.entry(-gone * percent / 100, period="payout", quantity=gone))
    return found


def net_metering(bill: "Bill", spec: Table, part: "Part", result: "Result") -> "Found":
    """Export takes back the kWh of the lines it is netted with, from the highest tier down; the rest is banked."""
    lines = [key for key in result.quantity if key[0] == spec["of"] and set(result.covers[key]) <= set(part.versions)]
    groups = [bill.group(spec["of"], index) for index in dict.fromkeys(index for index, _ in bill.seen[spec["of"]])]
    groups = sorted(versions for versions in groups if set(versions) <= set(part.versions))
    kept = [name.partition("/")[2] for name in bill.left if name.startswith(f"{spec['id']}/")]
    found: Found = []
    gone = Fraction(0)
    for label in dict.fromkeys([*(label for _, label in bill.seen[spec["of"]]), *kept]):
        lots = bill.left.setdefault(f"{spec['id']}/{label}", {})
        gone += ended(lots, spec, bill)
        for versions in groups:
            labels = [one for index, one in bill.seen[spec["of"]] if index == versions[0]]
            if label in labels:
                own = [key for key in lines if key[2] == label and result.covers[key] == versions]
                used = sum((result.quantity[key] * 1000 for key in own), Fraction(0))
                export = _export(bill, spec, label, labels, versions)
                back = _drawn(bill, lots, max(used, Fraction(0)), export)
                found += _taken_back(bill, own, back, versions, result)
        gone += expire(lots, spec, bill)
    if bill.closing and gone and Fraction(spec.get("payout", "0")):
        amount = -gone * units(spec["payout"]) / UNITS
        found.append(bill.entry(amount, period="payout", quantity=gone / 1000))
    return found


def _export(bill: "Bill", spec: Table, label: str, labels: list[str], versions: list[int]) -> Fraction:
    """Wh that were fed in where the label's price holds."""
    total = 0
    for row, version, period in zip(bill.taken, bill.frame.version, bill.frame.period, strict=False):
        mine = spec["by"] == "total" or period == label or (label == "*" and period not in labels)
        total += row.export_wh if version in versions and mine else 0
    return Fraction(total)


def _drawn(bill: "Bill", lots: Lots, used: Fraction, export: Fraction) -> Fraction:
    """Wh that export and then the bank take back of ``used``; export that is left over is banked."""
    direct = min(used, export)
    drawn = take(lots, used - direct)
    put(lots, bill, export - direct)
    return direct + drawn


def _taken_back(bill: "Bill", own: list["Key"], left: Fraction, versions: list[int], result: "Result") -> "Found":
    found: Found = []
    for key in sorted(own, key=lambda key: -(key[3] or 0)):
        back = min(left, max(result.quantity[key] * 1000, Fraction(0)))
        left -= back
        if back:
            amount = -back * result.mean(key) / 1000
            found.append(bill.entry(amount, period=key[2], tier=key[3], quantity=back / 1000, of=(key[1], versions)))
    return found
