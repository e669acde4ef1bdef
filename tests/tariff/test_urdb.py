"""Rates of the Utility Rate Database become books: what is mapped prices alike, what is not is named by its field."""

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tariff import book as books
from tariff import money, urdb
from tariff.components.demand import Demand
from tariff.errors import ImportRefusedError
from tariff.locate import lines_of
from tariff.oddities import oddities
from tests.tariff.months import Month, month

ZONE = "America/New_York"
SUMMER = (5, 6, 7, 8)  # places of June to September


def table(summer: list[int], other: list[int]) -> list[list[int]]:
    return [summer if month in SUMMER else other for month in range(12)]


NIGHT = [1] * 12 + [0] * 7 + [1] * 5
RATE: dict[str, Any] = {
    "label": "abc123",
    "uri": "https://apps.openei.org/IURDB/rate/view/abc123",
    "utility": "Sample Electric Co",
    "name": "General Service TOU",
    "startdate": 1704085200,
    "enddate": 1735621200,
    "sector": "Commercial",
    "country": "USA",
    "energyratestructure": [
        [{"max": 500, "rate": 0.20, "adj": 0.01, "unit": "kWh"}, {"rate": 0.30, "adj": 0.01, "unit": "kWh"}],
        [{"max": 500, "rate": 0.10, "unit": "kWh"}, {"rate": 0.15, "unit": "kWh"}],
    ],
    "energyweekdayschedule": table(NIGHT, [1] * 24),
    "energyweekendschedule": table([1] * 24, [1] * 24),
    "flatdemandstructure": [[{"rate": 5}], [{"max": 50, "rate": 8}, {"rate": 9, "adj": 0.5}]],
    "flatdemandmonths": [0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0],
    "demandratestructure": [[{"rate": 0}], [{"rate": 3.25}]],
    "demandweekdayschedule": table([0] * 12 + [1] * 7 + [0] * 5, [0] * 24),
    "demandweekendschedule": table([0] * 24, [0] * 24),
    "demandrateunit": "kW",
    "demandwindow": 15,
    "fixedchargefirstmeter": 15.75,
    "fixedchargeunits": "$/month",
    "mincharge": 20,
    "minchargeunits": "$/month",
    "dgrules": "Net Metering",
    "coincidentratestructure": [[{"rate": 1.5}]],
    "energycomments": "Adjustments = fuel",
    "newfangled": 7,
}


def converted(allocate: str = "chronological", **changes: Any) -> urdb.Conversion:
    rate = {key: value for key, value in {**RATE, **changes}.items() if value is not None}
    return urdb.convert(rate, zone=ZONE, allocate=allocate)


def priced(made: urdb.Conversion, day: str, kwh: int, minutes: int = 15) -> Month:
    return month(books.load(made.text, made.name), day, kwh, minutes=minutes)


def money_of(one: Month, **options: Any) -> dict[str, str]:
    found: dict[str, int] = {}
    for line in one.bill(**options).lines:
        found[line.id] = found.get(line.id, 0) + line.amount_micro
    return {ident: money.format(micro) for ident, micro in found.items() if micro}


def test_a_rate_becomes_a_book_that_checks() -> None:
    made = converted()
    book = books.load(made.text, made.name)
    assert (book.title, book.currency, book.zone) == ("Sample Electric Co - General Service TOU", "USD", ZONE)
    assert book.source["address"] == RATE["uri"]
    assert book.versions[0].label == "2024-01-01"
    assert [odd.code for odd in oddities(book, lines_of(made.text), book.versions[0].start.date())] == []


def test_what_no_book_says_is_named_with_its_reason() -> None:
    left = {one.field: one.why for one in converted().unmapped}
    assert list(left) == ["enddate", "dgrules", "coincidentratestructure", "energycomments", "newfangled"]
    assert left["newfangled"] == "not a field that this importer knows"
    assert "next begins" in left["enddate"]
    assert "#   dgrules: energy is priced as imported" in converted().text


def test_energy_demand_and_fixed_charges_by_hand() -> None:
    """July: 600 kWh in a weekday's afternoon hours at 0.21 and 0.31; 100 kW for 8 x 50 + 9.5 x 50."""
    one = priced(converted(), "2024-07-10", 0)
    noon = 4 * 12  # Monday, 1 July 2024
    one.usage.wh[noon : noon + 20] = 20_000
    one.usage.wh[noon + 20 : noon + 28] = 25_000
    assert money_of(one) == {
        "energy": money.format((500 * 21 + 100 * 31) * 10_000),
        "demand_1": "875.00",
        "demand_tou_1": "325.00",
        "fixed": "15.75",
    }


def test_demand_of_the_other_months_and_hours() -> None:
    """Saturday noon in July counts for the month only; January has its own price and no time-of-use demand."""
    saturday = priced(converted(), "2024-07-10", 0)
    saturday.usage.wh[5 * 96 + 48] = 5_000
    assert money_of(saturday) == {"energy": "0.50", "demand_1": "160.00", "fixed": "15.75"}
    january = priced(converted(), "2024-01-10", 0)
    january.usage.wh[48] = 5_000
    assert money_of(january) == {"energy": "0.50", "demand_0": "100.00", "fixed": "15.75"}


def test_the_minimum_stands_last() -> None:
    one = priced(converted(), "2024-01-10", 0)
    assert money_of(one) == {"fixed": "15.75", "minimum": "4.25"}


def test_tiers_by_time_of_use_need_a_named_allocation() -> None:
    with pytest.raises(ImportRefusedError, match="tiers by time of use") as caught:
        converted("")
    assert "--allocate chronological | pro_rata | per_period" in caught.value.hint
    with pytest.raises(ImportRefusedError, match="'fair' is not known"):
        converted("fair")
    demandless = {"demandratestructure": None, "flatdemandstructure": None, "flatdemandmonths": None}
    totals = set()
    for allocate in ("chronological", "pro_rata", "per_period"):
        one = priced(converted(allocate, **demandless), "2024-07-10", 0)
        one.usage.wh[0:48] = 10_000
        one.usage.wh[48:76] = 10_000
        totals.add(one.bill().total_micro)
    assert len(totals) == 3


def test_a_ladder_per_period_beside_demand_hours_is_refused() -> None:
    with pytest.raises(ImportRefusedError, match="beside demand periods"):
        converted("per_period")


def seasonal(**changes: Any) -> dict[str, Any]:
    """E-1's form: daily limits that differ by season, one period a month."""
    day = [[1] * 24 if month < 4 or month > 9 else [0] * 24 for month in range(12)]
    rate = {
        "label": "e1",
        "name": "E-1",
        "startdate": 1614585600,
        "energyratestructure": [
            [{"max": 6.8, "rate": 0.25902, "unit": "kWh daily"}, {"rate": 0.40745, "unit": "kWh daily"}],
            [{"max": 8.2, "rate": 0.25902, "unit": "kWh daily"}, {"rate": 0.40745, "unit": "kWh daily"}],
        ],
        "energyweekdayschedule": day,
        "energyweekendschedule": day,
        "mincharge": 10,
    }
    return {**rate, **changes}


def test_seasons_need_no_allocation_and_limits_follow_the_months() -> None:
    """July: 31 x 6.8 = 210.8 kWh in the first tier; January: 31 x 8.2 = 254.2."""
    made = urdb.convert(seasonal(), zone="America/Los_Angeles")
    for day, first in (("2022-07-10", "210.8"), ("2022-01-10", "254.2")):
        lines = [line for line in priced(made, day, 400, 60).bill().lines if line.id == "energy"]
        assert [line.quantity for line in lines] == [first, str(Decimal(400) - Decimal(first))]


def test_periods_with_fewer_tiers_repeat_their_last_price() -> None:
    structure = [*seasonal()["energyratestructure"][:1], [{"rate": 0.11}]]
    made = urdb.convert(seasonal(energyratestructure=structure), zone="America/Los_Angeles")
    assert money_of(priced(made, "2022-01-10", 400, 60)) == {"energy": "44.00"}
    july = money_of(priced(made, "2022-07-10", 400, 60))
    assert july == {
        "energy": str(round(Decimal("210.8") * Decimal("0.25902"), 2) + round(Decimal("189.2") * Decimal("0.40745"), 2))
    }


def test_different_limits_in_one_month_are_only_ladders_per_period() -> None:
    structure = [[{"max": 100, "rate": 1}, {"rate": 2}], [{"max": 300, "rate": 3}, {"rate": 4}]]
    bare = {"demandratestructure": None, "flatdemandstructure": None, "flatdemandmonths": None}
    with pytest.raises(ImportRefusedError, match="limits"):
        converted("chronological", energyratestructure=structure, **bare)
    one = priced(converted("per_period", energyratestructure=structure, **bare), "2024-07-10", 0)
    one.usage.wh[0:4] = 100_000  # Monday night: 400 kWh
    one.usage.wh[48:50] = 100_000  # and noon: 200 kWh
    assert money_of(one)["energy"] == f"{100 * 1 + 100 * 2 + 300 * 3 + 100 * 4}.00"


def test_export_is_credited_where_the_rate_buys_it() -> None:
    structure = [[{"rate": 0.2, "sell": 0.05}], [{"rate": 0.1, "sell": 0.04}]]
    one = priced(converted(energyratestructure=structure), "2024-01-10", 0)
    export = np.zeros_like(one.usage.wh)
    export[0] = 10_000
    assert money_of(one, export_wh=export)["export"] == "-0.40"
    tiers = [[{"max": 9, "rate": 0.2, "sell": 0.05}, {"rate": 0.3}], [{"max": 9, "rate": 0.1}, {"rate": 0.2}]]
    left = {one.field: one.why for one in converted(energyratestructure=tiers).unmapped}
    assert "differs by tier" in left["energyratestructure"]


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"country": "CAN"}, "country", "currency"),
        ({"energyweekdayschedule": None}, "energyweekdayschedule", "no schedule"),
        ({"energyweekdayschedule": [[0] * 24] * 11}, "energyweekdayschedule", "12 rows of 24"),
        ({"energyweekendschedule": [[2] * 24] * 12}, "energyweekendschedule", "does not have"),
        ({"flatdemandmonths": None}, "flatdemandmonths", "2 periods"),
        ({"flatdemandmonths": [0] * 11 + [2]}, "flatdemandmonths", "12 numbers"),
        ({"energyratestructure": [[{"rate": "cheap"}], [{"rate": 1}]]}, "energyratestructure", "no number"),
        ({"energyratestructure": [[], [{"rate": 1}]]}, "energyratestructure", "no tier"),
        (
            {"energyratestructure": [[{"rate": 1}, {"rate": 2}], [{"rate": 1}, {"rate": 2}]]},
            "energyratestructure",
            "no max",
        ),
        (
            {"energyratestructure": [[{"max": 3, "rate": 1, "unit": "kWh/kW daily"}, {"rate": 2}], [{"rate": 1}]]},
            "energyratestructure",
            "kWh/kW daily",
        ),
    ],
)
def test_energy_that_no_rule_can_price_is_refused_by_field(changes: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(ImportRefusedError, match=words) as caught:
        converted(**changes)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"fixedchargeunits": "$/year"}, "fixedchargefirstmeter", "of a year"),
        ({"minchargeunits": "$/year"}, "mincharge", "of a year"),
        ({"minchargeunits": "$/kW"}, "mincharge", "no rule"),
        ({"demandrateunit": "kVA"}, "demandratestructure", "kVA"),
        ({"flatdemandunit": "hp"}, "flatdemandstructure", "hp"),
        ({"demandratchetpercentage": [0.5] * 6 + [0.8] * 6}, "demandratchetpercentage", "differs by month"),
        ({"fueladjustmentsmonthly": [0.01] * 12}, "fueladjustmentsmonthly", "for each month"),
        ({"demandreactivepowercharge": 0.4}, "demandreactivepowercharge", "kvar"),
        ({"peakkwcapacitymax": 50}, "peakkwcapacitymax", "who may have the rate"),
    ],
)
def test_what_cannot_be_said_is_left_out_and_named(changes: dict[str, Any], field: str, words: str) -> None:
    made = converted(**changes)
    left = {one.field: one.why for one in made.unmapped}
    assert words in left[field]
    books.load(made.text, made.name)


def test_daily_charges() -> None:
    one = priced(converted(fixedchargeunits="$/day", fixedchargefirstmeter=0.6), "2024-01-10", 0)
    assert money_of(one) == {"fixed": "18.60", "minimum": "1.40"}


@pytest.mark.parametrize("ratchet", [{"demandratchetpercentage": [0.75] * 12}, {"lookbackpercent": 0.75}])
def test_a_ratchet_of_all_months(ratchet: dict[str, Any]) -> None:
    whole = {"demandratestructure": None, "flatdemandstructure": [[{"rate": 5}]], "flatdemandmonths": [0] * 12}
    one = priced(converted(**whole, **ratchet), "2024-01-10", 0)
    assert money_of(one, attributes={"demand_history_kw": "40"})["demand"] == "150.00"
    left = {one.field: one.why for one in converted(**ratchet).unmapped}
    assert "some months only" in left[next(iter(ratchet))]


def test_a_lookback_keeps_its_range_and_months() -> None:
    whole = {"demandratestructure": None, "flatdemandstructure": [[{"rate": 5}]], "flatdemandmonths": [0] * 12}
    summer = [0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0]
    made = converted(**whole, lookbackpercent=0.8, lookbackrange=11, lookbackmonths=summer)
    (spec,) = [one for one in books.load(made.text, "x").versions[0].components if one.kind == "demand"]
    assert isinstance(spec, Demand)
    assert (spec.ratchet_percent, spec.ratchet_months, spec.ratchet_season) == ("80", 11, (6, 7, 8, 9))
    assert not {"lookbackpercent", "lookbackrange", "lookbackmonths"} & {one.field for one in made.unmapped}


def test_the_rate_of_a_file_is_picked_by_label() -> None:
    text = '{"items": [{"label": "a"}, {"label": "b"}]}'
    assert urdb.rates(text, "b")["label"] == "b"
    assert urdb.rates('{"label": "c"}')["label"] == "c"
    for wrong in ("", "z"):
        with pytest.raises(ImportRefusedError, match="rates fit") as caught:
            urdb.rates(text, wrong)
        assert "a, b" in caught.value.hint
    with pytest.raises(ImportRefusedError, match="not JSON"):
        urdb.rates("{")
    with pytest.raises(ImportRefusedError, match="no rates"):
        urdb.rates("[1]")


def test_prices_keep_every_digit() -> None:
    rate = urdb.rates('{"label": "x", "energyratestructure": [[{"rate": 0.24477, "adj": 0.02824917}]]}')
    assert 'prices = ["0.27301917"]' in urdb.convert(rate, zone=ZONE).text


@pytest.mark.shared
@pytest.mark.parametrize(
    ("file", "kwh", "total"),
    [
        # 1000 x (0.06821 + 0.03726) + 15.75
        ("urdb_fixed_charge_rate.json", 1000, "121.22"),
        # January, 31 x 8.2 = 254.2 x 0.25902 and 745.8 x 0.32596
        ("urdb_plan_tier_data.json", 1000, "308.94"),
    ],
)
def test_real_answers_of_the_rate_database(shared: Path, file: str, kwh: int, total: str) -> None:
    text = (shared / "data" / "tariffs" / file).read_text(encoding="utf-8")
    made = urdb.convert(urdb.rates(text), zone="America/Los_Angeles")
    assert money.format(priced(made, "2026-01-10", kwh, 60).bill().total_micro) == total


@pytest.mark.shared
def test_a_real_time_of_use_rate_prices_weekday_afternoons(shared: Path) -> None:
    text = (shared / "data" / "tariffs" / "urdb_plan_data.json").read_text(encoding="utf-8")
    made = urdb.convert(urdb.rates(text), zone="America/Phoenix")
    one = priced(made, "2025-07-10", 0, 60)
    assert one.start == datetime(2025, 7, 1, 7)
    one.usage.wh[12:19] = 1000  # Tuesday
    one.usage.wh[24 * 4 + 12 : 24 * 4 + 19] = 1000  # Saturday
    lines = {line.period: line.amount_micro for line in one.bill().lines if line.id == "energy"}
    assert lines == {"e0": 1_910_000, "e1": 580_000}
