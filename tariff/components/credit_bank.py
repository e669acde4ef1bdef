"""Credit bank: what named lines leave below zero is banked as money, and pays for the same lines of later bills.

``of`` names the lines that a credit may pay for, the credit among them; other charges stay due. Banked money expires
(``expires_months`` or ``expires_on``), ``payout_percent`` of it is then paid out.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tariff import banks, money
from tariff.facts import Facts, Ints, Line
from tariff.inputs import Input, lines, lots
from tariff.section import Section
from tariff.series import Context

KIND = "credit_bank"


@dataclass(frozen=True, slots=True)
class CreditBank:
    """The lines of ``of`` together never go below zero; what they would is kept for later."""

    id: str
    of: tuple[str, ...]
    expiry: banks.Expiry
    payout_percent: str
    kind: str = KIND


def parse(section: Section, context: Context) -> CreditBank:
    """Read one bank; its lines must stand above it."""
    of = section.bases("of", context.known, required=True)
    percent = section.number("payout_percent", "0")
    if percent.startswith("-") or money.scale_of(percent) > 4 or money.scaled(percent, 4) > 10**6:
        section.fail("payout_percent", f"payout_percent = {percent!r} must lie between 0 and 100")
    return CreditBank(section.text("id"), of, banks.expiry(section), percent)


def lookback(spec: CreditBank) -> int:
    """How many months of bills the bank is made again from."""
    return banks.lookback(spec.expiry)


def price(spec: CreditBank, facts: Facts) -> list[Line]:
    """One line: plus what is banked, or minus what the bank pays; another for what is paid out at its end."""
    base = facts.base(spec.of)
    whole = money.nearest(base, facts.book.decimals, facts.book.rounding) if base.dtype == object else base
    held, late = banks.held(facts, spec.id, spec.expiry)
    held, paid = banks.use(held, np.maximum(whole, 0))
    surplus = np.maximum(-whole, 0)
    held = banks.put(held, facts, surplus)
    kept, gone = banks.expire(held, spec.expiry, facts)
    left = sum(held.values(), np.zeros(facts.n, np.int64))
    line = facts.line(spec, surplus - paid, (left, money.MICRO_SCALE, facts.book.currency))
    facts.leave(spec.id, kept)
    return [line, *_payout(spec, facts, gone + late)]


def inputs(spec: CreditBank, facts: Facts) -> Iterator[Input]:
    """The lines that a credit may pay for, and what was banked in which month."""
    yield from lines(facts, spec.of)
    yield from lots(banks.held(facts, spec.id, spec.expiry)[0], money.MICRO_SCALE, facts.book.currency)


def _payout(spec: CreditBank, facts: Facts, gone: Ints) -> list[Line]:
    if not facts.closing or not gone.any() or spec.payout_percent == "0":
        return []
    value, scale = money.exact(spec.payout_percent)
    amount = facts.micro(-gone.astype(object) * value, 10 ** (scale + 2 + money.MICRO_SCALE))
    line = facts.line(spec, amount, (gone, money.MICRO_SCALE, facts.book.currency), spec.payout_percent)
    line.period = "payout"
    return [line]
