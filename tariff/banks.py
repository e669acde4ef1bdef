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


def held(facts: Facts, name: str, rule: Expiry) -> tuple[Lots, Ints]:
    """What earlier parts or bills left under ``name``; [n] what of it ended before, in bills that had no bank."""
    gone: Ints = np.zeros(facts.n, np.int64)
    live: Lots = {}
    for month, amount in facts.held(name).items():
        if _ended(month_of(month), rule, facts):
            gone = gone + amount
        else:
            live[month] = amount
    return live, gone


def _ended(month: int, rule: Expiry, facts: Facts) -> bool:
    """Whether a lot of the bill that began in ``month`` was at its end in a bill before this one."""
    if rule.months:
        return facts.month - facts.book.cycle_months - month >= rule.months
    day = facts.book.cycle_day
    turn, last = (int(text) for text in rule.on.split("-"))
    after = (turn - 1 - month) % 12
    if not after and last <= day:  # the day on which the lot's own bill began was the end of those before it
        after = 12
    return (month + after, last) <= (facts.month, day)


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
