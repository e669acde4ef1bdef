"""An amount of money goes in, the Wh that it buys come out: the exact inverse of the bill, whatever the book says.

The bill's total rises with energy, so the largest energy whose bill stays within the money is found by halving;
ladders, taxes on taxes and roundings need no formula of their own. Fixed charges fall on the period's first purchase.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from tariff.evaluation import evaluate, totals
from tariff.model import Book
from tariff.periods import period_of
from tariff.plan import MAX_SLOT_WH, Plan, compile
from tariff.slots import Slots
from tariff.step import settle


@dataclass(frozen=True, slots=True)
class Sale:
    """What one purchase buys: ``wh``, what it costs, and what is left over because the next Wh costs more."""

    wh: int
    cost_micro: int
    arrears_micro: int
    change_micro: int


def vend(
    book: Book,
    at: datetime,
    money_micro: int,
    *,
    bought_wh: int = 0,
    first: bool = True,
    attributes: Mapping[str, str] | None = None,
    arrears_micro: int = 0,
    arrears_percent: int = 0,
) -> Sale:
    """Energy for ``money_micro`` at the UTC instant ``at``, after ``bought_wh`` of the same billing period.

    ``first``: the period's first purchase, which bears its fixed charges. Up to ``arrears_percent`` of the money goes
    to ``arrears_micro`` first. A purchase that cannot pay the fixed charges buys nothing and returns all of the rest.
    """
    share = min(arrears_micro, money_micro * arrears_percent // 100)
    purse = money_micro - share
    start, end = period_of(book, at)
    plan = compile(book, start, end, 60, attributes)
    slot = min(plan.slots - 1, int((at - start).total_seconds() // 3600))

    def total(wh: int) -> int:
        return _total(plan, slot, wh)

    before = total(bought_wh) - (total(0) if first else 0)
    wh = _largest(lambda more: total(bought_wh + more) - before <= purse, MAX_SLOT_WH - bought_wh)
    cost = total(bought_wh + wh) - before if wh else 0
    return Sale(wh, cost, share, purse - cost)


def _total(plan: Plan, slot: int, wh: int) -> int:
    """Micro-units of the bill whose energy all falls into ``slot``."""
    energy = np.zeros((1, plan.slots), np.int64)
    energy[0, slot] = wh
    state = settle(plan, plan.zero(1), 0, energy)
    return int(totals(plan.book, evaluate(plan, state, slots=Slots(plan.calendar, energy)))[0])


def _largest(fits: Callable[[int], bool], high: int) -> int:
    """The largest number up to ``high`` that ``fits``, 0 if none does; what fits at one fits below."""
    low = 0
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low
