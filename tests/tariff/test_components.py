"""Each kind of component on numbers that can be done by hand, and the loader that finds them."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tariff import book as books
from tariff import components, money, statement
from tariff.components import pf_adjust
from tariff.errors import BookError, RatingError, TariffError
from tariff.model import Book
from tests.cases.toml_text import document
from tests.tariff.months import Month, month

ENERGY = {"id": "energy", "kind": "energy", "prices": ["0.10"]}


def made(*rows: dict[str, Any], **top: Any) -> Book:
    version = {"from": "2020-01-01", "component": list(rows), **top.pop("version", {})}
    return books.load(document({"currency": "XXX", "zone": "UTC", **top, "version": [version]}), "made")


def amounts(one: Month, **options: Any) -> dict[str, str]:
    """Each component's money as text."""
    found: dict[str, int] = {}
    for line in one.bill(**options).lines:
        found[line.id] = found.get(line.id, 0) + line.amount_micro
    return {ident: money.format(micro) for ident, micro in found.items()}


def test_every_kind_of_the_folder_is_found_and_two_of_one_kind_are_an_error() -> None:
    kinds = components.kinds()
    assert {"energy", "fixed", "percent", "minimum", "demand", "pf_adjust", "free_kwh"} <= set(kinds)
    twin = ModuleType("elsewhere")
    twin.KIND = "fixed"  # type: ignore[attr-defined]
    with pytest.raises(TariffError, match="'fixed' is in both"):
        components.index([kinds["fixed"], twin])


@pytest.mark.parametrize(
    ("fee", "amount"),
    [
        ({"amount": "7.50"}, "7.50"),
        ({"amount": "0.4692", "per": "day"}, "14.55"),
        ({"amount": "42", "per": "sanctioned_kw"}, "105.00"),
        ({"by_total": [{"up_to": "200", "amount": "20"}, {"amount": "30"}]}, "20.00"),
        ({"by_total": [{"up_to": "199.999", "amount": "20"}, {"amount": "30"}]}, "30.00"),
    ],
)
def test_fixed(fee: dict[str, Any], amount: str) -> None:
    one = month(made(ENERGY, {"id": "fee", "kind": "fixed", **fee}), "2025-03-10", 200)
    assert amounts(one, attributes={"sanctioned_kw": "2.5"})["fee"] == amount


def test_fixed_by_an_attribute_that_the_account_does_not_have_is_refused() -> None:
    one = month(made(ENERGY, {"id": "fee", "kind": "fixed", "amount": "1", "per": "kva"}), "2025-03-10", 200)
    with pytest.raises(RatingError, match="'kva' of the account must be a number"):
        one.bill()


def test_tax_on_tax_and_named_bases() -> None:
    levy = {"id": "levy", "kind": "percent", "percent": "10", "of": ["energy"]}
    tax = {"id": "tax", "kind": "percent", "percent": "5"}
    one = month(made(ENERGY, {"id": "fee", "kind": "fixed", "amount": "3"}, levy, tax), "2025-03-10", 123)
    assert amounts(one) == {"energy": "12.30", "fee": "3.00", "levy": "1.23", "tax": "0.83"}


def test_percent_acts_on_rounded_lines_and_rounds_half_away_from_zero() -> None:
    """0.125 of a currency: half-up makes 0.13, and a discount of it -0.13."""
    for percent, amount in (("12.5", "0.13"), ("-12.5", "-0.13")):
        one = month(made(ENERGY, {"id": "tax", "kind": "percent", "percent": percent}), "2025-03-10", 10)
        assert amounts(one)["tax"] == amount


def test_minimum() -> None:
    floor = {"id": "floor", "kind": "minimum", "amount": "20", "of": ["energy"]}
    assert amounts(month(made(ENERGY, floor), "2025-03-10", 123))["floor"] == "7.70"
    assert amounts(month(made(ENERGY, floor), "2025-03-10", 223))["floor"] == "0.00"


def peaked(book: Book, peaks: dict[int, int], minutes: int = 60) -> Month:
    """A month of zero energy but for the slots ``peaks``."""
    one = month(book, "2025-03-10", 0, minutes=minutes)
    for slot, wh in peaks.items():
        one.usage.wh[slot] = wh
    return one


@pytest.mark.parametrize(
    ("demand", "attributes", "amount"),
    [
        ({"price": "9.50"}, {}, "95.00"),
        ({"price": "9.50", "round_kw": 0, "rounding_kw": "up"}, {}, "95.00"),
        ({"prices": ["0", "2"], "limits": ["8"]}, {}, "4.00"),
        ({"price": "1", "minimum_kw": "12"}, {}, "12.00"),
        ({"price": "1", "ratchet_percent": "80"}, {"demand_history_kw": "7,20"}, "16.00"),
        ({"price": "1", "ratchet_percent": "50"}, {"demand_history_kw": "7,15"}, "10.00"),
        ({"price": "1"}, {"demand_register_kw": "9.87"}, "9.87"),
        ({"price": "1", "periods": ["night"]}, {}, "4.00"),
        ({"price": "1", "window_min": 120}, {}, "7.50"),
    ],
)
def test_demand(demand: dict[str, Any], attributes: dict[str, str], amount: str) -> None:
    window = {"default_period": "*", "window": [{"period": "night", "from": "00:00", "to": "06:00"}]}
    book = made(ENERGY, {"id": "demand", "kind": "demand", **demand}, version=window)
    one = peaked(book, {3: 4000, 34: 10_000, 35: 5000, 37: 6000})
    assert amounts(one, attributes=attributes)["demand"] == amount


def test_demand_of_quarter_hours_is_power_and_not_energy() -> None:
    one = peaked(made(ENERGY, {"id": "demand", "kind": "demand", "price": "1"}), {5: 2500}, minutes=15)
    assert amounts(one)["demand"] == "10.00"


def test_power_factor_needs_reactive_energy_and_acts_on_the_lines() -> None:
    adjust = {"id": "pf", "kind": "pf_adjust", "standard": "0.90", "of": ["energy"]}
    one = month(made(ENERGY, adjust), "2025-03-10", 1000)
    with pytest.raises(RatingError, match="needs reactive energy"):
        one.bill()
    reactive = one.usage.wh * 3 // 4  # 0.80
    assert amounts(one, reactive_varh=reactive)["pf"] == "5.00"
    assert amounts(one, reactive_varh=np.zeros_like(reactive))["pf"] == "-0.75"


@pytest.mark.parametrize(
    ("standard", "factor", "change"),
    [
        (90, 90, 0),
        (90, 91, -15),
        (90, 94, -60),
        (90, 95, -75),
        (90, 100, -75),
        (90, 89, 50),
        (90, 70, 1000),
        (90, 69, 1100),
        (90, 65, 1500),
        (90, 64, 1700),
        (85, 90, -50),
        (85, 91, -65),
        (85, 94, -110),
        (85, 99, -110),
        (85, 65, 1000),
        (85, 60, 1500),
        (85, 59, 1700),
        (80, 90, -100),
        (80, 92, -130),
        (80, 60, 1000),
        (80, 55, 1500),
        (80, 54, 1700),
    ],
)
def test_the_table_of_1983(standard: int, factor: int, change: int) -> None:
    assert pf_adjust.adjustment(standard, factor) == change


def test_a_power_factor_on_a_half_is_rounded_up() -> None:
    """tan of 0.895: 0.895 exactly is 0.90; a watt-hour less of P is 0.89."""
    # 179^2 + q^2 = 200^2 has no whole q; scaled so that P / S is just above or below 0.895.
    assert pf_adjust.factor(895_000_000, 446_066_138) == 90
    assert pf_adjust.factor(894_999_999, 446_066_141) == 89


def test_free_kwh_walk_the_cheapest_tiers_first() -> None:
    ladder = {"reset": "bill", "limits": ["10"]}
    energy = {"id": "energy", "kind": "energy", "prices": ["0.5", "0.8"], "ladder": ladder}
    free = {"id": "free", "kind": "free_kwh", "kwh": "15", "of": "energy"}
    assert amounts(month(made(energy, free), "2025-03-10", 100))["free"] == "-9.00"
    assert amounts(month(made(energy, free), "2025-03-10", 4))["free"] == "-2.00"
    own = {**free, "price": "0.538", "attribute": "low_income", "equals": "yes"}
    one = month(made(energy, own), "2025-03-10", 100)
    assert "free" not in amounts(one)
    assert amounts(one, attributes={"low_income": "yes"})["free"] == "-8.07"


@pytest.mark.parametrize(
    ("unit", "extra", "attributes", "first"),
    [
        ("kWh_per_day", {"limits": ["2"]}, {}, "62"),
        ("kWh_per_kw", {"limits": ["10"], "kw": "contract_kw"}, {"contract_kw": "3.5"}, "35"),
        ("kWh_per_kw", {"limits": ["10"]}, {}, "100"),
        ("kWh_per_30_days", {"limits": ["50"], "round_limits": "kWh"}, {}, "52"),
        ("kWh_per_30_days", {"limits": ["50"], "round_limits": "kWh_up"}, {}, "52"),
        ("kWh_per_30_days", {"limits": ["50"], "round_limits": "kWh_down"}, {}, "51"),
        ("kWh_per_30_days", {"limits": ["50"], "round_limits": "coefficient_0.1"}, {}, "50"),
        ("kWh_per_30_days", {"limits": ["50"]}, {}, "51.667"),
        ("kWh", {"limits": ["50"], "times": "households"}, {"households": "3"}, "150"),
        ("kWh", {"limits": ["50"], "adders": [{"attribute": "h", "at_least": "5", "kwh": ["7"]}]}, {"h": "4"}, "50"),
        ("kWh", {"limits": ["50"], "adders": [{"attribute": "h", "at_least": "5", "kwh": ["7"]}]}, {"h": "5"}, "57"),
        (
            "kWh",
            {"limits": ["50"], "adders": [{"attribute": "h", "at_least": "5", "kwh": ["7"], "per": "above"}]},
            {"h": "7"},
            "71",
        ),
    ],
)
def test_limits_by_day_kw_days_household_and_meters(
    unit: str, extra: dict[str, Any], attributes: dict[str, str], first: str
) -> None:
    ladder = {"reset": "bill", "limit_unit": unit, **extra}
    one = month(made({"id": "energy", "kind": "energy", "prices": ["1", "2"], "ladder": ladder}), "2025-03-10", 0)
    one.usage.wh[:] = 1000
    one.usage.wh[7] = 10_000
    lines = one.bill(attributes=attributes).lines
    assert [line.quantity for line in lines if line.tier == 0] == [first]


def test_volume_reprices_the_whole_month() -> None:
    ladder = {"mode": "volume", "reset": "month", "limits": ["100"]}
    book = made({"id": "energy", "kind": "energy", "prices": ["1", "2"], "ladder": ladder})
    assert amounts(month(book, "2025-03-10", 100)) == {"energy": "100.00"}
    assert amounts(month(book, "2025-03-10", 101)) == {"energy": "202.00"}


def test_a_class_may_itself_be_volume() -> None:
    """Kerala: telescopic to 250 kWh, then all units at one price that rises with the total."""
    classes = [
        {"up_to": "250", "limits": ["50", "100"], "prices": ["3", "4", "5"]},
        {"volume": True, "limits": ["300", "400"], "prices": ["6", "7", "8"]},
    ]
    energy = {"id": "energy", "kind": "energy", "ladder": {"mode": "by_total", "reset": "month", "classes": classes}}
    book = made(energy)
    for kwh, total in ((250, 50 * 3 + 50 * 4 + 150 * 5), (251, 251 * 6), (300, 1800), (301, 301 * 7), (401, 401 * 8)):
        assert amounts(month(book, "2025-03-10", kwh)) == {"energy": f"{total}.00"}


def test_time_of_use_on_a_ladder_has_three_meanings() -> None:
    """The same load under each allocation: the book must say which, and a book that does not is refused."""
    window = {"default_period": "off", "window": [{"period": "peak", "from": "12:00", "to": "24:00"}]}

    def total(allocate: str) -> int:
        ladder = {"reset": "month", "limits": ["100"], "allocate": allocate}
        energy = {
            "id": "energy",
            "kind": "energy",
            "prices": {"peak": ["0.4", "0.8"], "off": ["0.1", "0.2"]},
            "ladder": {key: value for key, value in ladder.items() if value},
        }
        one = month(made(energy, version=window), "2025-03-10", 0)
        one.usage.wh[0:12] = 10_000  # 120 kWh off peak, then 60 at peak
        one.usage.wh[12:18] = 10_000
        return one.bill().total_micro

    assert total("chronological") == 100 * 100_000 + 20 * 200_000 + 60 * 800_000
    shared = (120 * 100, 120 * 80, 60 * 100, 60 * 80)
    prices = (100_000, 200_000, 400_000, 800_000)
    rounded = [round(kwh * price / 180 / 10_000) * 10_000 for kwh, price in zip(shared, prices, strict=True)]
    assert total("pro_rata") == sum(rounded)
    assert total("per_period") == 100 * 100_000 + 20 * 200_000 + 60 * 400_000
    with pytest.raises(BookError, match="'allocate' is missing"):
        total("")


def test_a_component_rounded_once_still_adds_up() -> None:
    ladder = {"reset": "bill", "limits": ["1", "2"]}
    energy = {"id": "energy", "kind": "energy", "prices": ["0.333", "0.333", "0.333"], "ladder": ladder}
    one = month(made(energy, round_lines="component"), "2025-03-10", 3)
    assert amounts(one) == {"energy": "1.00"}
    assert len(one.bill().lines) == 3


def test_the_total_may_be_rounded_again_and_says_so() -> None:
    one = month(made(ENERGY, total_decimals=0), "2025-03-10", 126)
    bill = one.bill()
    assert money.format(bill.total_micro) == "13.00"
    assert bill.lines[-1].id == "rounding"
    assert sum(line.amount_micro for line in bill.lines) == bill.total_micro


def test_export_is_paid_and_net_may_go_below_zero() -> None:
    sold = {"id": "sold", "kind": "energy", "quantity": "export", "prices": ["0.08"], "credit": True}
    one = month(made(ENERGY, sold), "2025-03-10", 100)
    assert amounts(one, export_wh=one.usage.wh * 2) == {"energy": "10.00", "sold": "-16.00"}


def test_a_changed_ladder_goes_on_from_what_was_used_under_the_old_one() -> None:
    """15 March: the flat price becomes a monthly ladder; what was used since the 1st has filled its tiers."""
    ladder = {"reset": "month", "limits": ["100"]}
    versions = [
        {"from": "2020-01-01", "component": [{"id": "energy", "kind": "energy", "prices": ["1"]}]},
        {
            "from": "2025-03-15",
            "component": [{"id": "energy", "kind": "energy", "prices": ["2", "3"], "ladder": ladder}],
        },
    ]
    book = books.load(document({"currency": "XXX", "zone": "UTC", "version": versions}), "made")
    one = month(book, "2025-03-10", 0)
    one.usage.wh[0], one.usage.wh[400] = 80_000, 50_000
    found = [(line.version, line.tier, line.quantity) for line in one.bill().lines]
    assert found == [("2020-01-01", 0, "80"), ("2025-03-15", 0, "20"), ("2025-03-15", 1, "30")]
    assert statement.ladder_start(book, one.start) == one.start
