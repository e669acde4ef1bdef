"""Credit status, epochs and what counts as a payment."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control import credit
from control.records import Credit
from tests.control.scenes import CNY, HOUR, NOW, POLICY, ready_to_cut, well_off, with_policy

EMERGENCY = with_policy(
    disconnection_balance_micro=-10 * CNY, emergency_credit_micro=10 * CNY, connection_balance_micro=CNY
)
ORDER = list(Credit)


@pytest.mark.parametrize(
    ("amount", "status"),
    [
        (30 * CNY + 1, "ok"),
        (30 * CNY, "low"),
        (5 * CNY + 1, "low"),
        (5 * CNY, "low2"),
        (1, "low2"),
        (0, "exhausted"),
        (-1, "negative"),
    ],
)
def test_status_by_money(amount: int, status: str) -> None:
    assert credit.grade(amount, POLICY) == status


@pytest.mark.parametrize(
    ("amount", "status"),
    [
        (1, "low2"),
        (0, "emergency"),
        (-10 * CNY + 1, "emergency"),
        (-10 * CNY, "exhausted"),
        (-10 * CNY - 1, "negative"),
    ],
)
def test_emergency_credit_is_part_of_the_line(amount: int, status: str) -> None:
    assert credit.grade(amount, EMERGENCY) == status


@pytest.mark.parametrize(("amount", "status"), [(301, "ok"), (300, "low"), (101, "low"), (100, "low2")])
def test_status_by_share(amount: int, status: str) -> None:
    assert credit.grade(amount * CNY, POLICY, 1000 * CNY, 2000 * CNY) == status
    assert credit.grade(amount * CNY, with_policy(share_of="last_payment"), 5, 1000 * CNY) == status


@given(st.integers(-300, 300), st.integers(1, 300), st.integers(0, 1000))
def test_more_money_is_never_a_worse_status(amount: int, more: int, base: int) -> None:
    poor, rich = (credit.grade(value * CNY, POLICY, base * CNY) for value in (amount, amount + more))
    assert ORDER.index(rich) <= ORDER.index(poor)


def test_available_is_posted_less_accrued_and_nothing_else() -> None:
    case = ready_to_cut(pending_micro=99 * CNY, estimate_micro=50 * CNY)
    assert credit.available(case) == -3 * CNY
    assert credit.expected(case) == -53 * CNY
    assert credit.shortfall(case, POLICY) == 3 * CNY
    assert credit.needed(case, POLICY) == 4 * CNY
    assert credit.status(case, POLICY) is Credit.NEGATIVE
    assert credit.status(well_off(), POLICY) is Credit.OK
    late = ready_to_cut(mode="postpaid", overdue_micro=7 * CNY)
    assert credit.available(late) == -7 * CNY


def test_what_is_needed_counts_the_debts_share_and_none_of_it_in_a_friendly_period() -> None:
    case = ready_to_cut(debt_micro=50 * CNY, debt_share_percent=20, debt_cap_week_micro=9 * CNY)
    assert credit.needed(case, POLICY) == 5 * CNY - 1  # a fifth of it, rounded down, goes to the debt
    assert credit.needed(replace(case, now=NOW + 10 * HOUR), POLICY) == 4 * CNY
    assert credit.needed(replace(case, debt_week_micro=9 * CNY), POLICY) == 4 * CNY
    assert credit.needed(well_off(), POLICY) == 0


@pytest.mark.parametrize(
    ("before", "after", "raised", "opens"),
    [
        (-3, 31, False, False),  # 5 % above 30 is 31.5
        (-3, 31.5, False, True),
        (-3, 20, False, False),
        (40, 90, False, False),  # was ok, nothing raised: the same epoch
        (40, 90, True, True),  # an hours rung had been raised
    ],
)
def test_an_epoch_opens_when_a_payment_lifts_to_ok(before: float, after: float, raised: bool, opens: bool) -> None:
    found = credit.opens_epoch(
        POLICY,
        int(before * CNY),
        int(after * CNY),
        base_before_micro=0,
        payment_micro=int((after - before) * CNY),
        raised=raised,
    )
    assert found is opens


def test_what_is_no_payment_opens_nothing() -> None:
    assert not credit.opens_epoch(POLICY, -5, 90 * CNY, base_before_micro=0, payment_micro=0, raised=True)


@pytest.mark.parametrize(
    ("amount", "short", "bill", "counts"),
    [
        (10, 10, 100, True),
        (9, 10, 100, False),
        (20, 90, 100, True),
        (19, 90, 100, False),
        (1, 90, 0, True),
        (0, 0, 0, False),
    ],
)
def test_a_payment_counts_by_shortfall_or_a_fifth_of_the_bill(amount: int, short: int, bill: int, counts: bool) -> None:
    assert credit.qualifies(amount, POLICY, shortfall_micro=short, last_bill_micro=bill) is counts
