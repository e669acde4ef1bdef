"""A payment and what the account owes go in and where each micro-unit goes comes out; the parts add up to the payment.

The order is fixed: the debt's share of the payment (capped per week), debt that accumulated while nothing could be
collected, the threshold (up to the connection balance), the emergency credit that was used, and the rest is credit. In
a friendly period no debt is taken at all: whoever tops up then must not be cut at its end by what was taken first.
"""

from dataclasses import dataclass

PER_CENT = 100


@dataclass(frozen=True, slots=True)
class Owed:
    """What an account owes, micro-units, none negative: agreed debt with its weekly cap, and the rest by purpose.

    ``debt_week_micro`` is what was already taken from payments for the debt in this week.
    """

    debt_micro: int = 0
    debt_share_percent: int = 0
    debt_cap_week_micro: int = 0
    debt_week_micro: int = 0
    accumulated_micro: int = 0
    to_threshold_micro: int = 0
    emergency_used_micro: int = 0


@dataclass(frozen=True, slots=True)
class Allocation:
    """Where a payment went; the five parts add up to it."""

    debt_micro: int
    accumulated_micro: int
    threshold_micro: int
    emergency_micro: int
    credit_micro: int

    @property
    def total_micro(self) -> int:
        """The payment."""
        return (
            self.debt_micro + self.accumulated_micro + self.threshold_micro + self.emergency_micro + self.credit_micro
        )


def allocate(amount_micro: int, owed: Owed, *, friendly: bool) -> Allocation:
    """Split a payment of ``amount_micro`` (not negative; ValueError) in the fixed order."""
    if amount_micro < 0:
        raise ValueError("a payment to allocate is not negative; a reversal undoes the allocation of its original")
    debt = accumulated = 0
    if not friendly:
        room = max(owed.debt_cap_week_micro - owed.debt_week_micro, 0)
        debt = min(amount_micro * owed.debt_share_percent // PER_CENT, owed.debt_micro, room)
        accumulated = min(amount_micro - debt, owed.accumulated_micro)
    left = amount_micro - debt - accumulated
    threshold = min(left, owed.to_threshold_micro)
    emergency = min(left - threshold, owed.emergency_used_micro)
    return Allocation(debt, accumulated, threshold, emergency, left - threshold - emergency)


def to_stay_on(owed: Owed, *, friendly: bool) -> int:
    """The smallest payment that fills the threshold after debt was taken: the amount to show to a customer who is off.

    Found by bisection, because the share is rounded down and capped.
    """
    low, high = 0, owed.to_threshold_micro + owed.accumulated_micro + owed.debt_micro
    while low < high:
        middle = (low + high) // 2
        if allocate(middle, owed, friendly=friendly).threshold_micro >= owed.to_threshold_micro:
            high = middle
        else:
            low = middle + 1
    return low
