"""S12: allocation equals a slow reference that moves one micro-unit at a time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.allocation import Allocation, Owed, allocate, to_stay_on

small = st.integers(0, 60)
owed_any = st.builds(Owed, small, st.integers(0, 100), small, small, small, small, small)


def slow(amount: int, owed: Owed, friendly: bool) -> Allocation:
    """The same order, unit by unit."""
    share = amount * owed.debt_share_percent // 100
    room = owed.debt_cap_week_micro - owed.debt_week_micro
    limits = [
        0 if friendly else max(0, min(share, owed.debt_micro, room)),
        0 if friendly else owed.accumulated_micro,
        owed.to_threshold_micro,
        owed.emergency_used_micro,
        amount,
    ]
    parts = [0] * 5
    for _ in range(amount):
        place = next(n for n in range(5) if parts[n] < limits[n])
        parts[place] += 1
    return Allocation(*parts)


@given(st.integers(0, 300), owed_any, st.booleans())
def test_against_the_slow_reference(amount: int, owed: Owed, friendly: bool) -> None:
    found = allocate(amount, owed, friendly=friendly)
    assert found == slow(amount, owed, friendly)
    assert found.total_micro == amount


@given(owed_any, st.booleans())
def test_the_amount_to_stay_on_is_the_smallest(owed: Owed, friendly: bool) -> None:
    least = to_stay_on(owed, friendly=friendly)
    for amount in range(least + 2):
        enough = allocate(amount, owed, friendly=friendly).threshold_micro >= owed.to_threshold_micro
        assert enough is (amount >= least)


def test_no_debt_is_taken_in_a_friendly_period() -> None:
    owed = Owed(100, 50, 100, 0, 10, 20, 5)
    assert allocate(40, owed, friendly=False) == Allocation(20, 10, 10, 0, 0)
    assert allocate(40, owed, friendly=True) == Allocation(0, 0, 20, 5, 15)
    with pytest.raises(ValueError, match="not negative"):
        allocate(-1, owed, friendly=True)
