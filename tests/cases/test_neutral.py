"""Small cases of the neutral form, worked by hand: every key of it that the published bills do not exercise."""

import csv
import itertools
import json
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.cases.__main__ import main

Table = dict[str, Any]
ENERGY: Table = {"id": "energy", "kind": "energy", "prices": {"*": ["0.10"]}}
MARCH = {"from": "2025-03-01", "to": "2025-04-01"}


def case(
    folder: Path,
    components: list[Table],
    reads: dict[str, tuple[str, ...]],
    *,
    bills: list[Table] | None = None,
    context: Table | None = None,
    minutes: int = 60,
    **top: Any,
) -> list[dict[str, str]]:
    """Each bill's total and money by component; ``reads`` are (import, export, kvarh) by local start, in UTC."""
    version = {"from": "2000-01-01", "components": components, **top.pop("version", {})}
    tariff = {"currency": "XXX", "decimals": 2, "rounding": "half_up", "timezone": "UTC", "versions": [version], **top}
    found = {"kind": "bills", "bills": bills or [MARCH], "context": context or {}}
    (folder / "tariff.json").write_text(json.dumps(tariff), encoding="utf-8")
    (folder / "case.json").write_text(json.dumps(found), encoding="utf-8")
    with (folder / "reads.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["start", "minutes", "import_kwh", "export_kwh", "import_kvarh"])
        for start, values in reads.items():
            rows.writerow([f"{start}+00:00", minutes, *values, *("0",) * (3 - len(values))])
    bills_found = []
    for bill in main(folder)["bills"]:
        amounts: dict[str, Decimal] = {}
        for line in bill["lines"]:
            amounts[line["id"]] = amounts.get(line["id"], Decimal(0)) + Decimal(line["amount"])
        bills_found.append({"total": bill["total"], **{name: f"{value:.2f}" for name, value in amounts.items()}})
    return bills_found


def hours(*values: tuple[str, str]) -> dict[str, tuple[str, ...]]:
    """Reads of (local start, kWh)."""
    return {start: (kwh,) for start, kwh in values}


NOON, NIGHT = "2025-03-03T12:00:00", "2025-03-04T02:00:00"


@pytest.mark.parametrize(
    ("kwh", "total"), [("100", "100.00"), ("100.001", "150.00"), ("250", "550.00"), ("251", "1004.00")]
)
def test_by_total_with_a_volume_class(tmp_path: Path, kwh: str, total: str) -> None:
    classes = [
        {"up_to": "100", "limits": [], "prices": ["1.00"]},
        {"up_to": "250", "limits": ["100"], "prices": ["1.50", "2.666667"]},
        {"up_to": None, "limits": [], "prices": ["4.00"], "volume": True},
    ]
    energy = {"id": "energy", "kind": "energy", "ladder": {"mode": "by_total", "classes": classes}, "prices": {}}
    (bill,) = case(tmp_path, [energy], hours((NOON, kwh)))
    assert bill["total"] == total


def test_by_total_on_plain_limits_prices_everything_at_the_tier_that_is_reached(tmp_path: Path) -> None:
    ladder = {"mode": "by_total", "limits": [100, 200], "reset": "month"}
    energy = {"id": "energy", "kind": "energy", "ladder": ladder, "prices": {"*": ["1", "2", "3"]}}
    assert case(tmp_path, [energy], hours((NOON, "100")))[0]["total"] == "100.00"
    assert case(tmp_path, [energy], hours((NOON, "150")))[0]["total"] == "300.00"
    assert case(tmp_path, [energy], hours((NOON, "201")))[0]["total"] == "603.00"


WINDOWS = {
    "default_period": "off",
    "periods": [{"period": "peak", "days": [1, 2, 3, 4, 5], "from": "08:00", "to": "22:00"}],
}


def test_allocations_and_scope_of_a_ladder_over_windows(tmp_path: Path) -> None:
    """60 kWh at night, then 60 at noon, the limit at 100."""
    reads = hours(("2025-03-03T02:00:00", "60"), (NOON, "60"))
    prices = {"peak": ["1.00", "2.00"], "off": ["0.10", "0.20"]}
    for ladder, total in (
        ({"limits": ["100"]}, "86.00"),  # 60 x 0.1 + 40 x 1 + 20 x 2
        ({"limits": ["100"], "allocate": "pro_rata"}, "77.00"),  # half of 100 and of 20 each
        ({"limits": ["100"], "scope": "period"}, "66.00"),
        ({"limits": {"peak": ["30"], "off": ["50"]}, "scope": "period"}, "97.00"),  # 5 + 2 + 30 + 60
    ):
        energy = {"id": "energy", "kind": "energy", "ladder": {"reset": "month", **ladder}, "prices": prices}
        assert case(tmp_path, [energy], reads, version=WINDOWS)[0]["total"] == total, ladder


def test_a_component_for_one_window_costs_nothing_in_the_others(tmp_path: Path) -> None:
    adder = {"id": "adder", "kind": "energy", "prices": {"peak": ["0.50"]}}
    (bill,) = case(tmp_path, [ENERGY, adder], hours((NOON, "10"), (NIGHT, "10")), version=WINDOWS)
    assert (bill["energy"], bill["adder"]) == ("2.00", "5.00")


def test_windows_by_dates_months_and_holidays(tmp_path: Path) -> None:
    periods = [
        {"period": "event", "dates": ["2025-03-04"], "from": "01:00", "to": "05:00"},
        {"period": "summer", "months": [6, 7, 8]},
        *WINDOWS["periods"],
    ]
    version = {"default_period": "off", "periods": periods, "holidays": ["03-03"], "holiday_as": 7}
    energy = {**ENERGY, "prices": {"event": ["5"], "summer": ["3"], "peak": ["2"], "off": ["1"]}}
    reads = hours((NOON, "1"), (NIGHT, "1"), ("2025-03-04T12:00:00", "1"))
    assert case(tmp_path, [energy], reads, version=version)[0]["total"] == "8.00"  # off (holiday) + event + peak


def test_dynamic_prices_even_below_zero(tmp_path: Path) -> None:
    starts = [f"2025-03-03T{hour:02d}:{minute:02d}:00" for hour in range(2) for minute in (0, 30)]
    prices = ["0.20", "-0.1008", "0.30", "0.10"]
    reads = dict.fromkeys(starts, ("2",))
    pairs = [[f"{start}+00:00", price] for start, price in zip(starts, prices, strict=True)]
    for dynamic in (
        pairs,
        dict(pairs),
        {"prices": dict(pairs)},
        [{"start": at, "price": price} for at, price in pairs],
    ):
        energy = {"id": "energy", "kind": "energy", "dynamic": dynamic}
        assert case(tmp_path, [energy], reads, minutes=30)[0]["total"] == "1.00"
    (tmp_path / "prices.csv").write_text("start,price\n" + "".join(f"{a},{b}\n" for a, b in pairs), encoding="utf-8")
    assert (
        case(tmp_path, [{"id": "e", "kind": "energy", "dynamic": "prices.csv"}], reads, minutes=30)[0]["total"]
        == "1.00"
    )
    assert case(tmp_path, [{"id": "e", "kind": "energy", "dynamic": True}], reads, minutes=30)[0]["total"] == "1.00"


@pytest.mark.parametrize(
    ("fixed", "context", "amount"),
    [
        ({"amount": "0.50", "per": "day"}, {}, "15.50"),
        ({"amount": "35", "per": "sanctioned_kw"}, {"sanctioned_kw": 2.5}, "87.50"),
        (
            {"by_total": [{"up_to": "50", "amount": "4"}, {"up_to": None, "amount": "6"}], "per": "kva"},
            {"kva": "3"},
            "18.00",
        ),
        ({"by_total": [{"up_to": "100", "amount": "4"}, {"amount": "6"}]}, {}, "4.00"),
    ],
)
def test_fixed(tmp_path: Path, fixed: Table, context: Table, amount: str) -> None:
    (bill,) = case(tmp_path, [ENERGY, {"id": "fee", "kind": "fixed", **fixed}], hours((NOON, "100")), context=context)
    assert bill["fee"] == amount


@pytest.mark.parametrize(
    ("demand", "amount"),
    [
        ({"price": "2"}, "80.00"),
        ({"price": "2", "period": "off"}, "60.00"),
        ({"blocks": [{"up_to": "25", "price": "1"}, {"up_to": None, "price": "3"}]}, "70.00"),
        ({"blocks": [["25", "1"], [None, "3"]]}, "70.00"),
        ({"limits": ["25"], "prices": ["1", "3"]}, "70.00"),
        ({"price": "2", "minimum_kw": "50"}, "100.00"),
    ],
)
def test_demand(tmp_path: Path, demand: Table, amount: str) -> None:
    """Quarter hours of 10 and 7.5 kWh are 40 and 30 kW."""
    reads = hours((NOON, "10"), (NIGHT, "7.5"))
    row = {"id": "demand", "kind": "demand", **demand}
    assert case(tmp_path, [ENERGY, row], reads, minutes=15, version=WINDOWS)[0]["demand"] == amount


@pytest.mark.parametrize("ratchet", ["0.8", {"share": "0.8"}, {"percent": "80", "months": 11}])
def test_a_ratchet_over_several_bills(tmp_path: Path, ratchet: Any) -> None:
    """50 kW in January, 10 in February and 45 in March: 50, 40 and 45 are billed."""
    reads = hours(("2025-01-05T12:00:00", "50"), ("2025-02-05T12:00:00", "10"), (NOON, "45"))
    spans = ["2025-01-01", "2025-02-01", "2025-03-01", "2025-04-01"]
    bills = [{"from": one, "to": other} for one, other in itertools.pairwise(spans)]
    rows = [{"id": "demand", "kind": "demand", "price": "1", "ratchet": ratchet}]
    assert [bill["demand"] for bill in case(tmp_path, rows, reads, bills=bills)] == ["50.00", "40.00", "45.00"]


def test_percent_on_percent_and_a_minimum(tmp_path: Path) -> None:
    rows = [
        ENERGY,
        {"id": "minimum", "kind": "minimum", "amount": "20", "of": ["energy"]},
        {"id": "levy", "kind": "percent", "percent": "10", "of": ["energy", "minimum"]},
        {"id": "vat", "kind": "percent", "percent": "5", "of": ["energy", "minimum", "levy"]},
    ]
    (bill,) = case(tmp_path, rows, hours((NOON, "123.4")))
    assert bill == {"total": "23.10", "energy": "12.34", "minimum": "7.66", "levy": "2.00", "vat": "1.10"}


@pytest.mark.parametrize(
    ("standard", "kvarh", "change"),
    [
        ("0.90", "0", "-0.75"),
        ("0.9", "484.3221", "0.00"),
        ("0.85", "750", "2.50"),
        ("0.80", "750", "0.00"),
        (0.9, "750", "5.00"),
    ],
)
def test_power_factor(tmp_path: Path, standard: Any, kvarh: str, change: str) -> None:
    row = {"id": "pf", "kind": "pf_adjust", "standard": standard, "of": ["energy"]}
    (bill,) = case(tmp_path, [ENERGY, row], {NOON: ("1000", "0", kvarh)})
    assert bill["pf"] == change


def test_free_kwh_and_a_household_adder(tmp_path: Path) -> None:
    ladder = {"mode": "graduated", "reset": "month", "limits": ["200"]}
    energy = {"id": "energy", "kind": "energy", "prices": {"*": ["1", "2"]}, "ladder": ladder}
    free = {"id": "free", "kind": "free_kwh", "kwh": "10", "of": "energy"}
    assert case(tmp_path, [energy, free], hours((NOON, "250")))[0] == {
        "total": "290.00",
        "energy": "300.00",
        "free": "-10.00",
    }
    for adder in (
        {"attribute": "household", "at_least": 5, "kwh": ["100"]},
        {"when": "household >= 5", "add": "100"},
        {"if": {"household": {">=": 5}}, "kwh": "100"},
    ):
        wide = {**energy, "ladder": {**ladder, "adders": [adder]}}
        assert case(tmp_path, [wide], hours((NOON, "250")), context={"household": 5})[0]["total"] == "250.00"
        assert case(tmp_path, [wide], hours((NOON, "250")), context={"household": 4})[0]["total"] == "300.00"


def test_limits_by_day_kw_and_days(tmp_path: Path) -> None:
    for unit, limits, context, first in (
        ("kWh_per_day", ["5"], {}, "155"),
        ("kWh_per_kw", ["10"], {"contract_kw": "12"}, "120"),
        ("kWh_per_kw", ["0.5"], {}, "150"),
        ("kWh_per_30_days_rounded", ["50"], {}, "52"),
    ):
        ladder = {"limits": limits, "limit_unit": unit, "reset": "bill"}
        energy = {"id": "energy", "kind": "energy", "prices": {"*": ["1", "0"]}, "ladder": ladder}
        (bill,) = case(tmp_path, [energy], hours((NOON, "300")), context=context)
        assert bill["total"] == f"{first}.00", unit


def test_an_annual_ladder_goes_on_over_bills_and_restarts_with_the_year(tmp_path: Path) -> None:
    ladder = {"limits": ["100"], "reset": "year"}
    energy = {"id": "energy", "kind": "energy", "prices": {"*": ["1", "2"]}, "ladder": ladder}
    reads = hours(("2024-11-05T12:00:00", "80"), ("2024-12-05T12:00:00", "80"), ("2025-01-05T12:00:00", "80"))
    spans = ["2024-11-01", "2024-12-01", "2025-01-01", "2025-02-01"]
    bills = [{"from": one, "to": other} for one, other in itertools.pairwise(spans)]
    assert [bill["total"] for bill in case(tmp_path, [energy], reads, bills=bills)] == ["80.00", "140.00", "80.00"]
    (bill,) = case(tmp_path, [energy], reads, bills=bills[:1], context={"carried_kwh": "90"})
    assert bill["total"] == "150.00"


def test_export_credit_and_net(tmp_path: Path) -> None:
    sold = {"id": "sold", "kind": "energy", "quantity": "export", "prices": {"*": ["0.05"]}, "credit": True}
    reads = {NOON: ("10", "30"), NIGHT: ("20", "0")}
    (bill,) = case(tmp_path, [ENERGY, sold], reads)
    assert bill == {"total": "1.50", "energy": "3.00", "sold": "-1.50"}
    net = {**ENERGY, "quantity": "net", "ladder": {"limits": ["5"], "reset": "month"}, "prices": {"*": ["1", "2"]}}
    assert case(tmp_path, [net], {NOON: ("10", "30"), NIGHT: ("27", "0")})[0]["total"] == "9.00"


@pytest.mark.parametrize(("how", "total"), [("line", "0.74"), ("component", "0.74"), ("total", "0.73")])
def test_roundings(tmp_path: Path, how: str, total: str) -> None:
    rows = [{**ENERGY, "prices": {"*": ["0.335"]}}, {**ENERGY, "id": "more", "prices": {"*": ["0.395"]}}]
    assert case(tmp_path, rows, hours((NOON, "1")), round_lines=how)[0]["total"] == total


def test_a_price_that_changes_inside_a_bill(tmp_path: Path) -> None:
    old = {"from": "2000-01-01", "components": [ENERGY]}
    new = {"from": "2025-03-04T06:00", "components": [{**ENERGY, "prices": {"*": ["0.20"]}}]}
    reads = hours((NIGHT, "10"), ("2025-03-04T06:00:00", "10"))
    (bill,) = case(tmp_path, [], reads, versions=[old, new])
    assert bill["total"] == "3.00"


def test_every_hour_of_a_day_of_23_hours(tmp_path: Path) -> None:
    first = datetime(2025, 3, 29, 23)
    reads = {f"{first + timedelta(hours=hour):%Y-%m-%dT%H:%M:%S}": ("1",) for hour in range(23)}
    rows = [ENERGY, {"id": "fee", "kind": "fixed", "amount": "31", "per": "bill"}]
    (bill,) = case(tmp_path, rows, reads, timezone="Europe/Berlin")
    assert bill["total"] == "33.30"
