"""Who moves in or out inside a bill: fixed charges and minimums by days, in full, or not at all."""

from typing import Any

import pytest

from tariff.errors import BookError, RatingError
from tests.tariff.making import ENERGY, amounts, dated, made
from tests.tariff.months import busy

Row = dict[str, Any]
FEE: Row = {"id": "fee", "kind": "fixed", "amount": "31"}
USE = ("2025-03-15", 10)


@pytest.mark.parametrize(
    ("partial", "attributes", "fee"),
    [
        ({}, {}, "31.00"),
        ({}, {"supply_from": "2025-03-11"}, "21.00"),
        ({}, {"supply_from": "2025-03-11T15:30"}, "21.00"),  # the day of moving in counts whole
        ({}, {"supply_until": "2025-03-21T09:00"}, "21.00"),  # and so does that of moving out
        ({}, {"supply_until": "2025-03-21"}, "20.00"),
        ({}, {"supply_from": "2025-03-11", "supply_until": "2025-03-21"}, "10.00"),
        ({"partial": "full"}, {"supply_from": "2025-03-11"}, "31.00"),
        ({"partial": "none"}, {"supply_from": "2025-03-11"}, None),
        ({"partial": "none"}, {}, "31.00"),
        ({"per": "day"}, {"supply_from": "2025-03-11"}, "651.00"),
        ({"per": "day", "partial": "full"}, {"supply_from": "2025-03-11"}, "961.00"),
        ({"per": "kw"}, {"supply_from": "2025-03-11", "kw": "2"}, "42.00"),
    ],
)
def test_a_fixed_charge_for_a_part_of_the_bill(partial: Row, attributes: dict[str, str], fee: str | None) -> None:
    assert amounts(busy(made(ENERGY, {**FEE, **partial}), USE), attributes=attributes).get("fee") == fee


@pytest.mark.parametrize(("partial", "missing"), [("days", "20.00"), ("full", "30.00"), ("none", None)])
def test_a_minimum_for_a_part_of_the_bill(partial: str, missing: str | None) -> None:
    least = {"id": "least", "kind": "minimum", "amount": "31", "of": ["energy"], "partial": partial}
    one = busy(made(ENERGY, least), USE)
    assert amounts(one, attributes={"supply_from": "2025-03-11"}).get("least") == missing


def test_a_class_of_use_and_a_price_change_bear_the_days_of_supply() -> None:
    """21 days with supply: 11 of them at 31 a bill, 10 at 62; the class above 5 kWh."""
    old = {"id": "fee", "kind": "fixed", "by_total": [{"up_to": "5", "amount": "1"}, {"amount": "31"}]}
    new = {**old, "by_total": [{"up_to": "5", "amount": "1"}, {"amount": "62"}]}
    book = dated(("2020-01-01", [ENERGY, old]), ("2025-03-22", [ENERGY, new]))
    assert amounts(busy(book, USE), attributes={"supply_from": "2025-03-11"})["fee"] == "31.00"


def test_what_accrues_begins_and_ends_with_the_supply() -> None:
    attributes = {"supply_from": "2025-03-11", "supply_until": "2025-03-21"}
    one = busy(made(FEE, ENERGY), ("2025-03-31T23:00", 0))
    days = [0, 9, 10, 11, 15, 20, 21, 31]
    found = [one.accrued(24 * day, attributes=attributes) // 10**6 for day in days]
    assert found == [0, 0, 0, 1, 5, 10, 10, 10]


def test_dates_that_are_none_and_rules_that_are_none_are_refused() -> None:
    with pytest.raises(RatingError, match="'supply_from' of the account must be a local date such as 2025-07-10"):
        busy(made(FEE, ENERGY), USE).bill(attributes={"supply_from": "yesterday"})
    with pytest.raises(BookError, match="half") as caught:
        made({**FEE, "partial": "half"})
    assert caught.value.line


LADDER: Row = {"id": "energy", "kind": "energy", "prices": ["0", "1"]}
BIG: Row = {"attribute": "size", "at_least": "5", "kwh": "31"}
FROM = {"supply_from": "2025-03-22"}  # ten of 31 days


@pytest.mark.parametrize(
    ("ladder", "energy"),
    [
        ({"limits": ["62"]}, "38.00"),  # in full, if the book says nothing
        ({"limits": ["62"], "partial": "days"}, "80.00"),
        ({"limits": ["2"], "limit_unit": "kWh_per_kw", "kw": "kva", "partial": "days"}, "80.00"),
        ({"limits": ["2"], "limit_unit": "kWh_per_day"}, "80.00"),  # a baseline is of the days of supply
        ({"limits": ["2"], "limit_unit": "kWh_per_day", "partial": "full"}, "38.00"),
        ({"limits": ["60"], "limit_unit": "kWh_per_30_days"}, "80.00"),
        ({"limits": ["60"], "limit_unit": "kWh_per_30_days", "round_limits": "coefficient_0.1"}, "82.00"),
        ({"limits": ["62"], "partial": "days", "adders": [BIG]}, "70.00"),
        ({"limits": ["2"], "limit_unit": "kWh_per_day", "reset": "month"}, "38.00"),
    ],
)
def test_limits_for_a_part_of_the_bill(ladder: Row, energy: str) -> None:
    """100 kWh in the last ten days of March."""
    one = busy(made({**LADDER, "ladder": {"reset": "bill", **ladder}}), ("2025-03-25", 100))
    assert amounts(one, attributes={**FROM, "kva": "31", "size": "5"}) == {"energy": energy}
    if "round_limits" not in ladder:
        assert amounts(one, attributes={"kva": "31", "size": "1"})["energy"] == "38.00"


def test_limits_that_go_on_over_bills_are_not_shortened() -> None:
    with pytest.raises(BookError, match="limits of a year go on over bills"):
        made({**LADDER, "ladder": {"reset": "year", "limits": ["62"], "partial": "days"}})


def said(partial: str) -> Row:
    return {"partial": partial} if partial else {}


@pytest.mark.parametrize(("partial", "power"), [("days", "10.00"), ("full", "31.00"), ("none", None), ("", "10.00")])
def test_a_demand_for_a_part_of_the_bill(partial: str, power: str | None) -> None:
    demand = {"id": "power", "kind": "demand", "price": "3.1", **said(partial)}
    one = busy(made(ENERGY, demand), ("2025-03-25", 10))
    assert amounts(one, attributes=FROM).get("power") == power
    assert amounts(one)["power"] == "31.00"


@pytest.mark.parametrize(("partial", "gift"), [("full", "-3.10"), ("days", "-1.00"), ("none", None), ("", "-3.10")])
def test_free_energy_for_a_part_of_the_bill(partial: str, gift: str | None) -> None:
    free = {"id": "gift", "kind": "free_kwh", "of": "energy", "kwh": "31", **said(partial)}
    one = busy(made(ENERGY, free), ("2025-03-25", 50))
    assert amounts(one, attributes=FROM).get("gift") == gift
    assert amounts(one)["gift"] == "-3.10"
