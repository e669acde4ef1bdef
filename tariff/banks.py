"""Lots of a bank by the month they came from go in, what is used and what expires comes out, oldest first.

A bank is what a bill leaves to the next ones: kWh of net metering, or money that export earned. Lots are arrays over
n accounts; all amounts are whole (Wh or micro-units).
"""

from dataclasses import dataclass

import numpy as np

from tariff.facts import Facts, Ints, month_of, month_text
from tariff.section import Section

MAX_MONTHS = 60
Lots = dict[str, Ints]  # by YYYY-MM


@dataclass(frozen=True, slots=True)
class Expiry:
    """A lot is of use in ``months`` bills after its own (0: no such limit), and until the bill that reaches ``on``."""

    months: int
    on: str  # MM-DD


def expiry(section: Section) -> Expiry:
    """``expires_months`` or ``expires_on``, one of them."""
    months = section.integer("expires_months", 0, high=MAX_MONTHS)
    on = section.day("expires_on")
    if bool(months) == bool(on):
        section.fail(
            "expires_months",
            f"{section.name}: say when what is banked expires: 'expires_months' (1 to {MAX_MONTHS}) or 'expires_on'",
            'e.g. expires_on = "04-01"; a bank without an end cannot be derived again from the reads',
        )
    return Expiry(months, on)


def lookback(rule: Expiry) -> int:
    """How many months of bills a bank is made again from: a date empties it each year, months let it reach far back."""
    return 13 if rule.on else MAX_MONTHS


def use(lots: Lots, wanted: Ints) -> tuple[Lots, Ints]:
    """Take up to ``wanted`` [n] from the oldest lots; what is left of them, and [n] what was taken."""
    left: Lots = {}
    taken = np.zeros_like(wanted)
    for month in sorted(lots):
        part = np.minimum(lots[month], wanted - taken)
        left[month] = lots[month] - part
        taken = taken + part
    return left, taken


def put(lots: Lots, facts: Facts, more: Ints) -> Lots:
    """``lots`` with ``more`` [n] of the bill's own month."""
    own = month_text(facts.month)
    return {**lots, own: lots[own] + more if own in lots else more}


def expire(lots: Lots, rule: Expiry, facts: Facts) -> tuple[Lots, Ints]:
    """What lives on after this bill, and [n] what expires with it."""
    gone: Ints = np.zeros(facts.n, np.int64)
    kept: Lots = {}
    for month, amount in lots.items():
        old = bool(rule.months) and facts.month - month_of(month) >= rule.months
        if old or rule.on in facts.ends_on:
            gone = gone + amount
        elif amount.any():
            kept[month] = amount
    return kept, gone
