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
from tariff.errors import RatingError
from tariff.late_fee import LateFeeRule, late_fee
from tariff.vend import Debts, vend
from tests.tariff.making import made
from tests.tariff.months import month, shipped

AT = datetime(2025, 3, 10, 4)  # noon in Shanghai: peak
SINCE = (datetime(2024, 12, 20), datetime(2025, 2, 20), datetime(2025, 3, 1))
FEE = {"id": "fee", "kind": "fixed", "amount": "1"}


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 400_000_000), st.integers(0, 400_000), st.booleans())
def test_what_is_vended_costs_no_more_than_the_money_and_one_wh_more_would(paid: int, bought: int, first: bool) -> None:
    book = shipped("demo")
    sale = vend(book, AT, paid, bought_wh=bought, first=first)
    assert sale.cost_micro + sale.change_micro + sale.arrears_micro == paid
    assert sale.change_micro >= 0
    assert sum(part.amount_micro for part in sale.parts) == sale.cost_micro
    assert sum(part.wh for part in sale.parts if part.id == "energy") == sale.wh
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
    fees = [part.amount_micro for sale in (first, second) for part in sale.parts if part.id == "service"]
    assert fees == [6_000_000]


def test_arrears_take_their_share() -> None:
    owed = Debts(arrears_micro=80_000_000, percent=30)
    assert vend(shipped("demo"), AT, 50_000_000, first=False, debts=owed).arrears_micro == 15_000_000
    little = Debts(arrears_micro=1_000_000, percent=30)
    assert vend(shipped("demo"), AT, 50_000_000, first=False, debts=little).arrears_micro == 1_000_000


def test_emergency_credit_is_repaid_first() -> None:
    owed = Debts(arrears_micro=80_000_000, percent=30, emergency_micro=20_000_000)
    sale = vend(shipped("demo"), AT, 50_000_000, first=False, debts=owed)
    assert (sale.emergency_micro, sale.arrears_micro) == (20_000_000, 15_000_000)
    assert sale.cost_micro + sale.change_micro == 15_000_000
    short = vend(shipped("demo"), AT, 15_000_000, first=False, debts=owed)
    assert (short.emergency_micro, short.arrears_micro, short.wh) == (15_000_000, 0, 0)


def test_months_without_a_purchase_bear_their_fixed_charges() -> None:
    """6.00 and 6 % VAT a month: three months for who bought last in December, one for February, none for March."""
    charges = {since: vend(shipped("demo"), AT, 50_000_000, since=since).fixed_micro for since in SINCE}
    assert list(charges.values()) == [3 * 6_360_000, 6_360_000, 0]
    with pytest.raises(RatingError, match="settle the fixed charges by hand"):
        vend(made(FEE, cycle_months=1, version={"from": "2000-01-01"}), AT, 1, since=datetime(2010, 1, 1))


def test_energy_is_sold_in_whole_steps() -> None:
    sale = vend(shipped("demo"), AT, 50_000_000, step_wh=100)
    assert sale.wh == 58_800
    assert sale.change_micro > 0


def test_the_prepaid_rebate_of_bangladesh() -> None:
    """2024, LT-A: 75 kWh at 5.26, then 7.20; half a percent back, 5 % VAT on what is left: 1000.00 buys 156.77 kWh."""
    ladder = {"reset": "month", "limits": ["75", "200"]}
    rows = [
        {"id": "energy", "kind": "energy", "prices": ["5.26", "7.20", "7.59"], "ladder": ladder},
        {"id": "rebate", "kind": "percent", "percent": "-0.5", "of": ["energy"]},
        {"id": "vat", "kind": "percent", "percent": "5", "of": ["energy", "rebate"]},
    ]
    sale = vend(made(*rows), AT, 1_000_000_000, first=False)
    exact = Decimal(75) + (Decimal(1000) / Decimal("1.05") / Decimal("0.995") - 75 * Decimal("5.26")) / Decimal("7.20")
    assert abs(Decimal(sale.wh) / 1000 - exact) < Decimal("0.003")
    assert sale.change_micro < 20_000


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
