"""A book and a span of slots become a Plan; a state and energies become the next state and the exact running charge.

``advance`` is the one step: the daemon calls it with one slot, a batch with a month, and both give the same integers.
``rate`` adds what a charge row holds: round(F(t)) - round(F(t-1)) in micro-units, so that slots add up to the bill.
"""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from tariff.charges import charges, marks
from tariff.kernel import Room
from tariff.plan import MAX_SLOT_WH, EnergyKey, Plan, State, compile
from tariff.step import advance, join, settle

__all__ = ["MAX_SLOT_WH", "EnergyKey", "Plan", "Rated", "Room", "State", "advance", "compile", "join", "rate", "settle"]

Ints = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Rated:
    """Charge rows of [n, slots]: micro-units, and the period, tier and price of each slot's last unit."""

    state: State
    amount_micro: Ints
    exact: Ints
    scale: int
    periods: tuple[str, ...]
    period: Ints  # [slots] index into periods
    tier: Ints
    price: Ints
    price_scale: int


def rate(plan: Plan, wh: Ints, *, state: State | None = None, export: Ints | None = None) -> Rated:
    """Charge rows of ``wh`` [n, k] from ``state`` on (default: the start of the bill, nothing carried)."""
    begin = state if state is not None else plan.zero(wh.shape[0])
    after, running = advance(plan, begin, begin.done, wh, export)
    amounts = charges(plan, begin, wh, export)
    tier, price, labels, period = marks(plan, begin, wh, export)
    return Rated(after, amounts, running, plan.scale, labels, period, tier, price, plan.price_scale)
