"""Vending is the inverse of the bill; gas, late fees and explanations on published or hand-made numbers."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import IngestError
from ingest.rollover import Reading, consumed
from tariff import explain, gas, money
from tariff.late_fee import LateFeeRule, late_fee
from tariff.vend import vend
from tests.tariff.months import month, shipped

AT = datetime(2025, 3, 10, 4)  # noon in Shanghai: peak


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 400_000_000), st.integers(0, 400_000), st.booleans())
def test_what_is_vended_costs_no_more_than_the_money_and_one_wh_more_would(paid: int, bought: int, first: bool) -> None:
    book = shipped("demo")
    sale = vend(book, AT, paid, bought_wh=bought, first=first)
    assert sale.cost_micro + sale.change_micro + sale.arrears_micro == paid
    assert sale.change_micro >= 0
    dearest = 1_200 * 106 // 100 + 1
    if sale.wh:
        assert sale.change_micro <= dearest + 20_000  # a Wh and two roundings


def test_fixed_charges_fall_on_the_first_purchase() -> None:
    book = shipped("demo")
    first = vend(book, AT, 50_000_000)
    second = vend(book, AT, 50_000_000, bought_wh=first.wh, first=False)
    assert money.text(first.wh, 3) == "58.821"  # 41.1747 and 2.8302 are printed as 41.17 and 2.83
    assert second.wh > first.wh
    assert vend(book, AT, 6_000_000).wh == 0


def test_arrears_take_their_share() -> None:
    sale = vend(shipped("demo"), AT, 50_000_000, first=False, arrears_micro=80_000_000, arrears_percent=30)
    assert sale.arrears_micro == 15_000_000
    assert (
        vend(shipped("demo"), AT, 50_000_000, first=False, arrears_micro=1_000_000, arrears_percent=30).arrears_micro
        == 1_000_000
    )


def test_gas_is_rounded_as_a_cumulative() -> None:
    values = [gas.to_wh(litres, correction="1.02264", calorific_mj="39.3") for litres in range(2001)]
    assert values[2000] == 22_328
    assert sum(later - earlier for earlier, later in pairwise(values)) == values[2000]


@pytest.mark.parametrize(
    ("due", "paid", "fee"),
    [
        (date(2025, 6, 10), date(2025, 6, 10), "0.00"),
        (date(2025, 6, 10), date(2025, 6, 20), "20.00"),
        (date(2025, 12, 21), date(2026, 1, 5), "35.00"),
        (date(2025, 6, 10), date(2025, 6, 11), "5.00"),
    ],
)
def test_late_fee(due: date, paid: date, fee: str) -> None:
    rule = LateFeeRule("0.002", "0.003", minimum="5")
    assert money.format(late_fee(1_000_000_000, due, paid, rule)) == fee


def test_late_fee_has_days_of_grace() -> None:
    rule = LateFeeRule("0.01", grace_days=5)
    assert late_fee(100_000_000, date(2025, 1, 1), date(2025, 1, 6), rule) == 0
    assert late_fee(100_000_000, date(2025, 1, 1), date(2025, 1, 7), rule) == 6_000_000


def reading(register: str, event: str = "read", meter: str = "m", multiplier: str = "1") -> Reading:
    return Reading(meter, Decimal(register), event, 4, Decimal(multiplier))


def test_registers_roll_over_are_replaced_and_multiplied() -> None:
    assert consumed([reading("8865", "install"), reading("9975")]) == 1110
    assert consumed([reading("9990", "install"), reading("15.5")]) == Decimal("25.5")
    swap = [
        reading("100", "install"),
        reading("150", "remove"),
        reading("7", "install", "n", "40"),
        reading("9", meter="n"),
    ]
    assert consumed([*swap[:3], Reading("n", Decimal(9), "read", 4, Decimal(40))]) == 50 + 80
    with pytest.raises(IngestError, match="does not fit 4 digits"):
        consumed([reading("10000")])


def test_a_bill_line_expands_to_its_hours() -> None:
    one = month(shipped("zhejiang-residential"), "2025-03-10", 400)
    for line in one.bill(carried=2_700_000).lines:
        key = (line.id, line.version, line.period, line.tier)
        steps = explain.steps(one.book, one.start, one.end, one.usage, carried=2_700_000, line=key)
        assert sum(Decimal(step.kwh) for step in steps) == Decimal(line.quantity)
        exact = sum(Decimal(step.amount) for step in steps)
        assert money.to_micro(int(exact * 10**6), 10**6, 2) == line.amount_micro


def test_an_hour_names_window_tier_price_version_and_source() -> None:
    one = month(shipped("zhejiang-residential"), "2025-03-10", 400)
    (step,) = explain.steps(
        one.book, one.start, one.end, one.usage, carried=2_760_000, at=one.start + timedelta(hours=8)
    )
    assert (step.local, step.window, step.period) == (datetime(2025, 3, 1, 8), "08:00-22:00", "peak")
    assert (step.tier, step.price, step.version) == (1, "0.618", "2012-07-01")
    assert step.limits_kwh == ("2760", "4800")
    assert "State Grid" in step.source["title"]
    (night,) = explain.steps(one.book, one.start, one.end, one.usage, carried=2_760_000, at=one.start)
    assert night.window == "default (valley)"
