"""Overdue amounts and dates go in, late fees come out: per day, at another rate after the year's end."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from tariff import money


@dataclass(frozen=True, slots=True)
class LateFeeRule:
    """``daily`` and ``daily_next_year`` are shares of the amount per day ("0.002" = 0.2 %); ``minimum`` is currency.

    Days count from the one after the due date to the day of payment; those after 31 December of the due year bear
    ``daily_next_year``. ``grace_days`` are free if payment comes within them. A bill is due ``due_days`` after its end.
    """

    daily: str
    daily_next_year: str = ""
    minimum: str = "0"
    grace_days: int = 0
    decimals: int = 2
    rounding: money.Rounding = "half_up"
    due_days: int = 0


@dataclass(frozen=True, slots=True)
class Due:
    """A bill to be paid by the day ``due``."""

    due: date
    amount_micro: int
    rule: LateFeeRule


@dataclass(frozen=True, slots=True)
class Paid:
    """Money that came in on a day."""

    at: date
    amount_micro: int


@dataclass(frozen=True, slots=True)
class Part:
    """What of a bill was paid on the day ``until``, or is unpaid then; ``days_next_year`` of its ``days`` overdue lie
    after the due year's end.
    """

    amount_micro: int
    until: date
    days: int
    days_next_year: int
    fee_micro: int


def in_year(due: date) -> int:
    """Days after ``due`` that its year still has."""
    return (date(due.year, 12, 31) - due).days


def late_fee(amount_micro: int, due: date, paid: date, rule: LateFeeRule) -> int:
    """Micro-units of the fee; nothing if paid by the due date or within the days of grace.

    >>> late_fee(100_000_000, date(2025, 12, 30), date(2026, 1, 2), LateFeeRule("0.002", "0.003", "1")) / 1e6
    1.0
    """
    days = (paid - due).days
    if days <= rule.grace_days or amount_micro <= 0:
        return 0
    same = min(days, in_year(due))
    scale = max(money.scale_of(rule.daily), money.scale_of(rule.daily_next_year or "0"))
    first = money.scaled(rule.daily, scale)
    later = money.scaled(rule.daily_next_year or rule.daily, scale)
    weight = same * first + (days - same) * later
    fee = money.to_micro(amount_micro * weight, 10 ** (scale + money.MICRO_SCALE), rule.decimals, rule.rounding)
    return max(int(fee), money.parse(rule.minimum))


def fees(bills: Sequence[Due], payments: Sequence[Paid], until: date) -> list[int]:
    """Micro-units of each bill's fee as of the day ``until``: payments settle the oldest bill first, in order of time.

    A part of a bill bears the days until it was paid, what is unpaid those up to ``until``; the minimum is one bill's.
    """
    return [fee_of(bill, own) for bill, own in zip(bills, parts(bills, payments, until), strict=True)]


def fee_of(bill: Due, own: Sequence[Part]) -> int:
    """Micro-units of one bill's fee: what its parts bear, at least the minimum if any of them was late."""
    late = any(one.days > bill.rule.grace_days for one in own)
    return max(sum(one.fee_micro for one in own), money.parse(bill.rule.minimum)) if late else 0


def parts(bills: Sequence[Due], payments: Sequence[Paid], until: date) -> list[list[Part]]:
    """The parts in which each bill was paid, or still is not as of the day ``until``."""
    left = sorted((one for one in payments if one.at <= until), key=lambda one: one.at)
    found: list[list[Part]] = []
    for bill in bills:
        owed, own = max(bill.amount_micro, 0), []
        while owed and left:
            share = min(owed, left[0].amount_micro)
            own.append(_part(bill, share, left[0].at))
            owed -= share
            left[0] = replace(left[0], amount_micro=left[0].amount_micro - share)
            if not left[0].amount_micro:
                left.pop(0)
        found.append([*own, _part(bill, owed, until)] if owed else own)
    return found


def _part(bill: Due, amount_micro: int, until: date) -> Part:
    fee = late_fee(amount_micro, bill.due, until, replace(bill.rule, minimum="0"))
    days = max(0, (until - bill.due).days)
    return Part(amount_micro, until, days, days - min(days, in_year(bill.due)), fee)
