"""An amount of money goes in, the Wh that it buys come out: the exact inverse of the bill, whatever the book says.

The bill's total rises with energy, so the largest energy whose bill stays within the money is found by halving;
ladders, taxes on taxes, rebates and roundings need no formula of their own. Fixed charges fall on the period's first
purchase.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from tariff import money
from tariff.errors import RatingError
from tariff.evaluation import evaluate, totals
from tariff.facts import Line
from tariff.model import Book
from tariff.periods import period_of
from tariff.plan import MAX_SLOT_WH, Plan, compile
from tariff.slots import Slots
from tariff.statement import printed, rounding
from tariff.step import settle

MAX_MONTHS = 120  # without a purchase; a longer pause is asked to be settled by hand


@dataclass(frozen=True, slots=True)
class Part:
    """What a purchase put on one line of the bill: micro-units, and of energy Wh; "" for periods without a purchase."""

    id: str
    period: str
    tier: int | None
    price: str
    wh: int
    amount_micro: int


@dataclass(frozen=True, slots=True)
class Sale:
    """What one purchase buys: ``wh``, what it costs, and what is left over because the next Wh costs more.

    ``cost_micro`` holds ``fixed_micro``, the charges that do not depend on energy. Cost, arrears, emergency credit and
    change add up to the payment, ``parts`` to the cost.
    """

    wh: int
    cost_micro: int
    arrears_micro: int
    change_micro: int
    emergency_micro: int = 0
    fixed_micro: int = 0
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Debts:
    """What a purchase pays before energy: emergency credit in full, then up to ``percent`` of the money for arrears."""

    arrears_micro: int = 0
    percent: int = 0
    emergency_micro: int = 0


def vend(
    book: Book,
    at: datetime,
    money_micro: int,
    *,
    bought_wh: int = 0,
    first: bool = True,
    since: datetime | None = None,
    attributes: Mapping[str, str] | None = None,
    debts: Debts = Debts(),
    step_wh: int = 1,
) -> Sale:
    """Energy for ``money_micro`` at the UTC instant ``at``, after ``bought_wh`` of the same billing period.

    ``first``: the period's first purchase, which bears its fixed charges; with ``since``, the purchase before, that is
    known by itself and the charges of periods without a purchase come with it. Energy is sold in whole ``step_wh``
    (100 for a token of 0.1 kWh). A purchase that cannot pay the fixed charges buys nothing and returns all of the rest.
    """
    emergency = min(debts.emergency_micro, money_micro)
    share = min(debts.arrears_micro, money_micro * debts.percent // 100, money_micro - emergency)
    purse = money_micro - emergency - share
    start, end = period_of(book, at)
    plan = compile(book, start, end, 60, attributes)
    slot = min(plan.slots - 1, int((at - start).total_seconds() // 3600))
    own = since < start if since is not None else first
    missed = _missed(book, since, start, attributes) if since is not None else 0
    fixed = (_total(plan, 0, 0) if own else 0) + missed
    before = _total(plan, slot, bought_wh) - fixed

    def cost(wh: int) -> int:
        return _total(plan, slot, bought_wh + wh) - before

    steps = _largest(lambda count: cost(count * step_wh) <= purse, (MAX_SLOT_WH - bought_wh) // step_wh)
    wh = steps * step_wh if purse > 0 else 0  # not the Wh that a rounding gives away
    spent = cost(wh) if wh else 0
    parts = tuple(_parts(plan, slot, (bought_wh, wh), own=own, missed=missed)) if wh else ()
    return Sale(wh, spent, share, purse - spent, emergency, fixed if wh else 0, parts)


def _missed(book: Book, since: datetime, start: datetime, attributes: Mapping[str, str] | None) -> int:
    """Micro-units of the bills without energy between the period of ``since`` and the one that begins at ``start``."""
    total = 0
    at = period_of(book, since)[1]
    for _ in range(MAX_MONTHS):
        if at >= start:
            return total
        end = period_of(book, at)[1]
        total += _total(compile(book, at, end, 60, attributes), 0, 0)
        at = end
    raise RatingError(f"the last purchase was more than {MAX_MONTHS} periods ago: settle the fixed charges by hand")


def _parts(plan: Plan, slot: int, energy: tuple[int, int], *, own: bool, missed: int) -> Iterator[Part]:
    """What ``energy`` (bought before, now) adds to each line; with fixed charges where they are its ``own``."""
    bought, wh = energy
    if missed:
        yield Part("", "", None, "", 0, missed)
    found: dict[tuple[str, str, int | None, str], tuple[int, int]] = {}
    signed = [(bought + wh, 1), (bought, -1), *([(0, 1)] if own else [])]
    for used, sign in signed:
        lines = _lines(plan, slot, used)
        rows = [row for line in lines if (row := printed(line)) is not None]
        for one in (*rows, *rounding(lines, int(totals(plan.book, lines)[0]))):
            key = (one.id, one.period, one.tier, one.price)
            counted = money.scaled(one.quantity, money.MICRO_SCALE) // 1000 if one.unit == "kWh" else 0
            held = found.get(key, (0, 0))
            found[key] = held[0] + sign * counted, held[1] + sign * one.amount_micro
    for (ident, period, tier, price), (counted, amount) in found.items():
        if counted or amount:
            yield Part(ident, period, tier, price, counted, amount)


def _total(plan: Plan, slot: int, wh: int) -> int:
    """Micro-units of the bill whose energy all falls into ``slot``."""
    return int(totals(plan.book, _lines(plan, slot, wh))[0])


def _lines(plan: Plan, slot: int, wh: int) -> list[Line]:
    energy = np.zeros((1, plan.slots), np.int64)
    energy[0, slot] = wh
    state = settle(plan, plan.zero(1), 0, energy)
    return evaluate(plan, state, slots=Slots(plan.calendar, energy))


def _largest(fits: Callable[[int], bool], high: int) -> int:
    """The largest number up to ``high`` that ``fits``, 0 if none does; what fits at one fits below."""
    low = 0
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low
