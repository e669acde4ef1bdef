"""Conditions, dated attributes, tax inside prices, reactive energy, gas, averages and one rounding: numbers by hand."""

from datetime import datetime
from typing import Any

import numpy as np
import pytest

from tariff import statement
from tariff.errors import BookError, RatingError
from tests.tariff.making import ENERGY, amounts, dated, made
from tests.tariff.months import Month, month

CAPACITY = {
    "id": "capacity",
    "kind": "fixed",
    "amount": "24",
    "per": "contract_kva",
    "when": {"attribute": "two_part", "equals": "capacity"},
}
DEMAND = {"id": "demand", "kind": "demand", "price": "38.4", "when": {"attribute": "two_part", "equals": "demand"}}


def test_two_part_by_capacity_or_demand_as_the_account_chose() -> None:
    one = month(made(ENERGY, CAPACITY, DEMAND), "2025-03-10", 0)
    one.usage.wh[:] = 100_000
    one.usage.wh[7] = 250_000
    chosen = amounts(one, attributes={"two_part": "capacity", "contract_kva": "315"})
    assert chosen == {"energy": "7455.00", "capacity": "7560.00"}
    assert amounts(one, attributes={"two_part": "demand"}) == {"energy": "7455.00", "demand": "9600.00"}
    assert amounts(one) == {"energy": "7455.00"}


def test_a_choice_changes_on_its_day() -> None:
    """The 11th of a month of 31 days: ten days of capacity, 21 of demand, whose peak is that of its own days."""
    one = month(made(ENERGY, CAPACITY, DEMAND), "2025-03-10", 0)
    one.usage.wh[5], one.usage.wh[400] = 900_000, 155_000
    given = {"two_part": "capacity", "two_part@2025-03-11": "demand", "contract_kva": "310"}
    bill = one.bill(attributes=given)
    found = {line.id: (line.version, line.amount_micro) for line in bill.lines}
    assert found["capacity"] == ("2020-01-01", 2_400_000_000)
    assert found["demand"] == ("2020-01-01@2025-03-11", 155 * 38_400_000 * 21 // 31)
    assert [line.amount_micro for line in bill.lines if line.id == "energy"] == [105_500_000]


def test_a_household_that_grows_has_wider_tiers_from_its_day_on() -> None:
    adders = [{"attribute": "household", "at_least": "5", "kwh": ["100"]}]
    ladder = {"reset": "month", "limits": ["200"], "adders": adders}
    one = month(made({"id": "energy", "kind": "energy", "prices": ["1", "2"], "ladder": ladder}), "2025-03-10", 0)
    one.usage.wh[0], one.usage.wh[500] = 250_000, 100_000
    assert one.bill(attributes={"household": "4"}).total_micro == 200_000_000 + 150 * 2_000_000
    assert one.bill(attributes={"household": "5"}).total_micro == 300_000_000 + 50 * 2_000_000
    grown = one.bill(attributes={"household": "4", "household@2025-03-20": "5"})
    assert grown.total_micro == (200 + 2 * 50) * 1_000_000 + (50 + 2 * 50) * 1_000_000
    assert {line.version for line in grown.lines} == {"2020-01-01", "2020-01-01@2025-03-20"}
    assert one.bill(attributes={"household": "4", "household@2025-04-01": "5"}).lines == one.bill().lines


def test_an_attribute_that_nothing_reads_splits_nothing() -> None:
    one = month(made(ENERGY), "2025-03-10", 100)
    assert one.bill(attributes={"colour@2025-03-20": "red"}).lines == one.bill().lines


def test_the_register_of_one_month_is_of_that_bill_only() -> None:
    book = made(ENERGY, {"id": "demand", "kind": "demand", "price": "1"})
    given = {"demand_register_kw@2025-03": "9.87"}
    assert amounts(month(book, "2025-03-10", 0), attributes=given)["demand"] == "9.87"
    assert amounts(month(book, "2025-04-10", 0), attributes=given)["demand"] == "0.00"


def test_a_date_that_is_none_is_refused() -> None:
    with pytest.raises(RatingError, match="'household@summer' of the account"):
        month(made(ENERGY), "2025-03-10", 0).bill(attributes={"household@summer": "5"})


@pytest.mark.parametrize(
    ("when", "says"),
    [
        ({"attribute": "a"}, "say what the attribute must be"),
        ({"attribute": "a", "equal": "b"}, "unknown key 'equal'"),
        ({"equals": "b"}, "'attribute' is missing"),
        ({"attribute": "a", "at_least": "much"}, "must be a decimal number"),
    ],
)
def test_a_condition_that_says_nothing_is_refused(when: dict[str, str], says: str) -> None:
    with pytest.raises(BookError, match=says):
        made({**ENERGY, "when": when})


@pytest.mark.parametrize(
    ("when", "given", "there"),
    [
        ({"at_least": "10"}, "9.99", False),
        ({"at_least": "10"}, "10.0", True),
        ({"at_most": "10"}, "10.01", False),
        ({"at_least": "5", "at_most": "10"}, "7", True),
        ({"at_least": "5"}, "", False),
        ({"differs": "yes"}, "", True),
        ({"differs": "yes"}, "yes", False),
    ],
)
def test_conditions_on_numbers(when: dict[str, str], given: str, there: bool) -> None:
    fee = {"id": "fee", "kind": "fixed", "amount": "1", "when": {"attribute": "kw", **when}}
    assert ("fee" in amounts(month(made(ENERGY, fee), "2025-03-10", 0), attributes={"kw": given})) == there


def test_a_tax_inside_the_prices_is_split_out_and_adds_nothing() -> None:
    """121.00 of which VAT at 21 % is 21.00; 100.00 of which 16 % is 13.79."""
    for kwh, percent, held in ((1210, "21", 21_000_000), (1000, "16", 13_790_000)):
        vat = {"id": "vat", "kind": "percent", "percent": percent, "included": True}
        bill = month(made(ENERGY, vat), "2025-03-10", kwh).bill()
        assert bill.total_micro == kwh * 100_000
        assert [(line.amount_micro, line.included_micro) for line in bill.lines if line.id == "vat"] == [(0, held)]
    with pytest.raises(BookError, match="'levy' and 'vat' are both included"):
        made(ENERGY, *({"id": name, "kind": "percent", "percent": "5", "included": True} for name in ("vat", "levy")))
    with pytest.raises(BookError, match="negative tax"):
        made(ENERGY, {"id": "vat", "kind": "percent", "percent": "-5", "included": True})


def test_a_tax_that_changes_bears_a_fee_that_does_not() -> None:
    """A fee of 31.00, 10 % for ten days and 20 % for 21: 1.00 and 4.20."""
    fee = {"id": "fee", "kind": "fixed", "amount": "31"}
    old, new = ({"id": "vat", "kind": "percent", "percent": percent} for percent in ("10", "20"))
    one = month(dated(("2020-01-01", [fee, old]), ("2025-03-11", [fee, new])), "2025-03-10", 0)
    assert amounts(one) == {"fee": "31.00", "vat": "5.20"}


def test_kvarh_above_a_share_of_the_kwh() -> None:
    """1000 kWh and 600 kvarh, a third of the kWh free: 270 kvarh at 0.05."""
    row = {"id": "kvarh", "kind": "kvarh", "price": "0.05", "free_percent": "33"}
    one = month(made(ENERGY, row), "2025-03-10", 0)
    one.usage.wh[:10] = 100_000
    varh = np.zeros_like(one.usage.wh)
    varh[:10] = 60_000
    assert amounts(one, reactive_varh=varh)["kvarh"] == "13.50"
    assert amounts(one, reactive_varh=varh // 2)["kvarh"] == "0.00"
    with pytest.raises(RatingError, match="needs reactive energy"):
        one.bill()
    night = {"default_period": "day", "window": [{"period": "night", "from": "00:00", "to": "06:00"}]}
    own = made(ENERGY, {**row, "periods": ["day"]}, version=night)
    assert amounts(Month(own, one.start, one.end, one.usage), reactive_varh=varh)["kvarh"] == "5.40"
    with pytest.raises(BookError, match="no window gives period 'dya'"):
        made(ENERGY, {**row, "periods": ["dya"]}, version=night)


GAS = {"gas": {"correction": "1.02264", "calorific_mj": "39.3"}}


def test_gas_is_converted_as_a_cumulative() -> None:
    """The published example: 2 m3 are 22.33 kWh; a thousand hours of 2 litres each come to the same."""
    energy = {"id": "gas", "kind": "energy", "prices": ["0.0624"]}
    one = month(made(energy, version=GAS), "2025-03-10", 0)
    one.usage.wh[:500] = 4
    (line,) = one.bill().lines
    assert (line.quantity, line.amount_micro) == ("22.328", 1_390_000)
    assert one.accrued(250) == 700_000


def test_gas_of_another_calorific_value_is_converted_from_its_day_on() -> None:
    versions = [
        {"from": "2020-01-01", "gas": {"calorific_mj": "36"}, "component": [ENERGY]},
        {"from": "2025-03-11", "gas": {"calorific_mj": "39.6"}, "component": [ENERGY]},
    ]
    from tariff import book as books
    from tests.cases.toml_text import document

    book = books.load(document({"currency": "XXX", "zone": "UTC", "version": versions}), "made")
    one = month(book, "2025-03-10", 0)
    one.usage.wh[0], one.usage.wh[700] = 1000, 1000
    assert [line.quantity for line in one.bill().lines] == ["10", "11"]
    with pytest.raises(BookError, match="some versions convert gas"):
        del versions[0]["gas"]
        books.load(document({"currency": "XXX", "zone": "UTC", "version": versions}), "made")


def test_a_price_that_changes_by_average_per_day() -> None:
    """310 kWh, all of it in the last hour: by timestamp all at the new price, by average ten days of 31 at the old."""
    old = {"id": "energy", "kind": "energy", "prices": ["1.00", "2.00"], "ladder": {"reset": "bill", "limits": ["155"]}}
    new = {**old, "prices": ["3.00", "4.00"]}
    for how, total in (("timestamp", 155 * 3 + 155 * 4), ("average_per_day", 50 * 1 + 50 * 2 + 105 * 3 + 105 * 4)):
        one = month(dated(("2020-01-01", [old]), ("2025-03-11", [new]), price_change=how), "2025-03-10", 0)
        one.usage.wh[-1] = 310_000
        assert one.bill().total_micro == total * 1_000_000, how
        assert one.accrued(one.slots) == total * 1_000_000


def test_an_average_needs_no_second_version_inside_the_bill() -> None:
    book = dated(("2020-01-01", [ENERGY]), ("2026-01-01", [ENERGY]), price_change="average_per_day")
    assert amounts(month(book, "2025-03-10", 100)) == {"energy": "10.00"}


def test_only_the_total_is_rounded_where_the_book_says_so() -> None:
    """0.333 + 0.333 and 10 % of it: 0.7326, not 0.33 + 0.33 + 0.07."""
    rider = {"id": "rider", "kind": "energy", "prices": ["0.333"]}
    tax = {"id": "tax", "kind": "percent", "percent": "10"}
    rows: list[dict[str, Any]] = [{**rider, "id": "energy"}, rider, tax]
    one = month(made(*rows, round_lines="total"), "2025-03-10", 1)
    bill = one.bill()
    assert bill.total_micro == 730_000
    assert sum(line.amount_micro for line in bill.lines) == bill.total_micro
    assert month(made(*rows, round_lines="line"), "2025-03-10", 1).bill().total_micro == 730_000
    more = month(made(*rows, *[{**rider, "id": f"r{n}"} for n in range(3)], round_lines="total"), "2025-03-10", 1)
    assert more.bill().total_micro == 1_730_000  # 0.7326 + 0.999 = 1.7316
    assert amounts(more)["r2"] == "0.33"


def test_periods_of_several_months() -> None:
    book = made(ENERGY, cycle_months=2)
    assert statement.period_of(book, datetime(2025, 4, 30)) == (datetime(2025, 3, 1), datetime(2025, 5, 1))
    odd = made(ENERGY, cycle_months=2, cycle_first=2, cycle_day=15)
    assert statement.period_of(odd, datetime(2025, 4, 14)) == (datetime(2025, 2, 15), datetime(2025, 4, 15))
    assert statement.period_of(odd, datetime(2025, 1, 1)) == (datetime(2024, 12, 15), datetime(2025, 2, 15))
    with pytest.raises(BookError, match="a year has no whole number"):
        made(ENERGY, cycle_months=5)


def test_a_demand_window_that_the_intervals_cannot_tell_is_refused() -> None:
    book = made(ENERGY, {"id": "demand", "kind": "demand", "price": "1", "window_min": 15})
    with pytest.raises(RatingError, match="windows of 15 minutes are not made of 60-minute slots"):
        month(book, "2025-03-10", 10).bill()
    assert amounts(month(book, "2025-03-10", 10), attributes={"demand_register_kw": "4.2"})["demand"] == "4.20"


def test_a_sliding_window_sees_a_peak_across_the_clock() -> None:
    """Two half hours of 5 kW either side of noon: 2.5 kW in the clock's hours, 5 kW in a sliding one."""
    for sliding, kw in ((False, "2.50"), (True, "5.00")):
        row = {"id": "demand", "kind": "demand", "price": "1", "window_min": 60, "sliding": sliding}
        one = month(made(ENERGY, row), "2025-03-10", 0, minutes=30)
        one.usage.wh[23], one.usage.wh[24] = 2500, 2500
        assert amounts(one)["demand"] == kw


def test_demand_above_the_contract_costs_double_and_the_contract_is_the_least() -> None:
    """A contract of 100 kW: 80 bill 100, 105 bill 105, 120 bill 105 and 15 more at twice the price."""
    row = {
        "id": "demand",
        "kind": "demand",
        "prices": ["40", "80"],
        "limits": ["105"],
        "limit_unit": "percent_of_contract",
        "contract": "contract_kw",
        "contract_percent": "100",
    }
    for kw, amount in ((80, "4000.00"), (105, "4200.00"), (120, "5400.00")):
        one = month(made({**ENERGY, "prices": ["0"]}, row), "2025-03-10", 0)
        one.usage.wh[7] = kw * 1000
        assert amounts(one, attributes={"contract_kw": "100"})["demand"] == amount
