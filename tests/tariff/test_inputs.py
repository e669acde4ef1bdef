"""A bill line that is no energy expands to what it was made of: days, hours, lines, registers, banks."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from tariff import explain, money, statement
from tariff.inputs import Input
from tariff.reasons import Reason, reasons
from tariff.records import Bill, BillLine
from tests.tariff.making import ENERGY, dated, made
from tests.tariff.months import Month, busy

BUSY = (("2025-03-03T10:00", 3), ("2025-03-03T11:00", 7), ("2025-03-20T18:00", 9))
Told = dict[str, tuple[BillLine, Reason]]


def told(one: Month, *, carried: dict[str, int] | None = None, **options: Any) -> Told:
    """Each line of the bill with its reason, by id (the last of equals)."""
    usage = replace(one.usage, **{key: options.pop(key) for key in ("export_wh", "reactive_varh") if key in options})
    given: dict[str, Any] = {"export_wh": usage.export_wh, "reactive_varh": usage.reactive_varh, "carried": carried}
    bill: Bill = one.bill(**given, **options)
    found = reasons(one.book, bill, usage, options.get("attributes"), carried)
    return {line.id: (line, why) for line, why in zip(bill.lines, found, strict=True)}


def of(found: Told, ident: str, what: str) -> list[Input]:
    """The inputs of one sort."""
    return [one for one in found[ident][1].inputs if one.what == what]


def parts(found: Told, ident: str) -> int:
    """The parts of a line, summed."""
    return sum(one.amount_micro or 0 for one in found[ident][1].inputs)


def export(one: Month, *uses: tuple[str, int]) -> Any:
    """Wh sent out."""
    return busy(one.book, *uses, minutes=one.usage.minutes).usage.wh


def test_a_fixed_charge_expands_to_its_days() -> None:
    one = busy(made(ENERGY, {"id": "fee", "kind": "fixed", "per": "phases", "amount": "1"}), *BUSY)
    found = told(one, attributes={"phases": "3", "supply_from": "2025-03-12"})
    days = of(found, "fee", "day")
    assert [day.note for day in days] == [f"2025-03-{day}" for day in range(12, 32)]
    assert {day.amount_micro for day in days} == {90_000, 100_000} and parts(found, "fee") == 1_940_000
    assert (days[0].start, days[0].end) == (datetime(2025, 3, 12), datetime(2025, 3, 13))
    assert [(one.note, one.quantity) for one in of(found, "fee", "attribute")] == [("phases", "3")]


def test_a_fixed_charge_by_class_names_the_hour_in_which_its_class_was_reached() -> None:
    classes = [{"up_to": "5", "amount": "20"}, {"up_to": "12", "amount": "25"}]
    classes += [{"up_to": "19", "amount": "30"}, {"amount": "40"}]
    found = told(busy(made(ENERGY, {"id": "fee", "kind": "fixed", "by_total": classes}), *BUSY))
    passed = [(one.start, one.quantity) for one in of(found, "fee", "passes")]
    assert passed == [(datetime(2025, 3, 3, 11), "5"), (datetime(2025, 3, 20, 18), "12")]
    assert [one.quantity for one in of(found, "fee", "import")] == ["19"]
    assert parts(found, "fee") == found["fee"][0].amount_micro == 30_000_000


def test_a_version_that_holds_for_a_part_bears_its_days() -> None:
    rows = [{"id": "fee", "kind": "fixed", "amount": amount} for amount in ("31", "62")]
    book = dated(("2020-01-01", [ENERGY, rows[0]]), ("2025-03-11", [ENERGY, rows[1]]))
    one = busy(book, *BUSY)
    bill = one.bill()
    whys = reasons(book, bill, one.usage)
    fees = [(line, why) for line, why in zip(bill.lines, whys, strict=True) if line.id == "fee"]
    assert [[day.note[-2:] for day in why.inputs][:: len(why.inputs) - 1] for _, why in fees] == [
        ["01", "10"],
        ["11", "31"],
    ]
    for line, why in fees:
        assert sum(day.amount_micro or 0 for day in why.inputs) == line.amount_micro


def test_a_demand_expands_to_the_hours_of_its_window() -> None:
    demand = {"id": "power", "kind": "demand", "price": "2", "window_min": 120, "sliding": True}
    found = told(busy(made(ENERGY, demand), *BUSY))
    (window,) = of(found, "power", "window")
    assert (window.start, window.end, window.quantity) == (datetime(2025, 3, 3, 10), datetime(2025, 3, 3, 12), "5")
    assert [one.quantity for one in of(found, "power", "import")] == ["3", "7"]
    assert [one.quantity for one in of(found, "power", "billed")] == ["5"]
    peak = found["power"][1].peak
    assert peak is not None and (peak.start, peak.kw) == (window.start, "5")


def test_a_demand_names_its_register_and_every_least_kw() -> None:
    demand = {"id": "power", "kind": "demand", "price": "2", "minimum_kw": "1", "round_kw": 0}
    demand |= {"contract": "kva", "contract_percent": "40", "ratchet_percent": "80", "ratchet_months": 2}
    attributes = {"kva": "10", "demand_register_kw": "4.4", "demand_history_kw": "3"}
    before = {"power:2024-12": 90_000_000, "power:2025-01": 20_000_000, "power:2025-02": 5_500_000}
    found = told(busy(made(ENERGY, demand), *BUSY), attributes=attributes, carried=before)
    assert [(one.note, one.quantity) for one in of(found, "power", "attribute")] == [("demand_register_kw", "4.4")]
    assert [one.quantity for one in of(found, "power", "minimum")] == ["1"]
    assert [(one.note, one.quantity) for one in of(found, "power", "contract")] == [("40 % of kva", "4")]
    ratchet = {one.note: one.quantity for one in of(found, "power", "ratchet")}
    assert ratchet == {"80 % of demand_history_kw": "2.4", "80 % of 2025-01": "16", "80 % of 2025-02": "4.4"}
    assert [one.quantity for one in of(found, "power", "billed")] == [found["power"][0].quantity] == ["16"]
    assert found["power"][1].peak is None


@pytest.mark.parametrize("round_lines", ["line", "component", "total"])
def test_percentages_expand_to_their_lines(round_lines: str) -> None:
    rows: list[dict[str, Any]] = [
        {**ENERGY, "prices": ["0.333"]},
        {"id": "fee", "kind": "fixed", "amount": "1.11"},
        {"id": "tax", "kind": "percent", "percent": "7.5"},
        {"id": "held", "kind": "percent", "percent": "20", "of": ["energy", "fee"], "included": True},
    ]
    found = told(busy(made(*rows, round_lines=round_lines), *BUSY))
    assert [one.note for one in of(found, "tax", "line")] == ["energy 2020-01-01 * tier 1", "fee 2020-01-01"]
    assert parts(found, "tax") == found["tax"][0].amount_micro
    assert parts(found, "held") == found["held"][0].included_micro > 0


def test_a_minimum_and_a_power_factor_name_what_they_look_at() -> None:
    rows: list[dict[str, Any]] = [
        ENERGY,
        {"id": "pf", "kind": "pf_adjust", "standard": "0.90"},
        {"id": "least", "kind": "minimum", "amount": "0.5", "per": "day"},
        {"id": "reactive", "kind": "kvarh", "price": "0.02", "free_percent": "50"},
    ]
    one = busy(made(*rows), *BUSY)
    found = told(one, reactive_varh=export(one, ("2025-03-03T10:00", 4), ("2025-03-20T18:00", 11)))
    for ident in ("pf", "reactive"):
        assert sum(Decimal(row.quantity) for row in of(found, ident, "import")) == 19
        assert sum(Decimal(row.quantity) for row in of(found, ident, "reactive")) == 15
        assert [(row.quantity, row.unit) for row in of(found, ident, "sum")] == [("19", "kWh"), ("15", "kvarh")]
    assert parts(found, "pf") == found["pf"][0].amount_micro == 110_000  # 0.78: +6 % of 1.90
    assert [(row.quantity, row.note) for row in of(found, "least", "days")] == [("31", "of 31")]
    assert [row.note for row in of(found, "least", "line")] == ["energy 2020-01-01 * tier 1", "pf 2020-01-01"]


@pytest.mark.parametrize("by", ["period", "total"])
def test_free_energy_and_banks_name_their_lines_and_lots(by: str) -> None:
    ladder = {"mode": "graduated", "reset": "month", "limits": ["10"]}
    rows: list[dict[str, Any]] = [
        {**ENERGY, "prices": ["0.1", "0.3"], "ladder": {**ladder, "allocate": "chronological"}},
        {"id": "gift", "kind": "free_kwh", "of": "energy", "kwh": "12", "attribute": "poor", "equals": "yes"},
        {"id": "net", "kind": "net_metering", "of": "energy", "by": by, "expires_months": 12},
        {"id": "bank", "kind": "credit_bank", "of": ["energy", "gift", "net"], "expires_months": 6},
    ]
    one = busy(made(*rows), *BUSY)
    sent = export(one, ("2025-03-10T12:00", 4), ("2025-03-11T12:00", 2))
    before = {"net/*:2025-02": 1_000, "bank:2025-01": 250_000}
    found = told(one, export_wh=sent, attributes={"poor": "yes"}, carried=before)
    free = [(row.quantity, row.amount_micro) for row in of(found, "gift", "free")]
    assert free == [("10", -1_000_000), ("2", -600_000)] and parts(found, "gift") == -1_600_000
    assert [row.quantity for row in of(found, "net", "export")] == ["4", "2"]
    assert [(row.note, row.quantity) for row in of(found, "net", "banked")] == [("2025-02", "1")]
    assert [(row.note, row.quantity) for row in of(found, "bank", "banked")] == [("2025-01", "0.25")]
    assert {row.note.split()[0] for row in of(found, "bank", "line")} == {"energy", "gift", "net"}


def test_what_a_bill_looks_at_is_what_it_was_priced_by() -> None:
    """Sums of the inputs give the bill's quantities on half-hourly slots over a change of the clock."""
    book = made(
        {"id": "energy", "kind": "energy", "prices": {"peak": ["1"], "off": ["0.5"]}},
        {"id": "reactive", "kind": "kvarh", "price": "1", "free_percent": "0", "periods": ["peak"]},
        {"id": "fee", "kind": "fixed", "per": "day", "amount": "0.777"},
        zone="Europe/London",
        version={"window": [{"period": "peak", "from": "07:00", "to": "21:00"}], "default_period": "off"},
    )
    start, end = statement.period_of(book, datetime(2025, 3, 10))
    slots = (end - start) // timedelta(minutes=30)
    ends = np.array([start + timedelta(minutes=30 * (slot + 1)) for slot in range(slots)], "datetime64[ms]")
    values = np.arange(slots, dtype=np.int64) * 7 % 1000
    one = Month(book, start, end, statement.Usage(ends, values, 30))
    found = told(one, reactive_varh=values[::-1].copy())
    drawn = sum(Decimal(row.quantity) for row in of(found, "reactive", "reactive"))
    assert drawn == Decimal(found["reactive"][0].quantity)
    days = of(found, "fee", "day")
    assert found["fee"][0].quantity == "31" and {one.quantity for one in days} == {"1"}
    assert len(days) == 31 and parts(found, "fee") == found["fee"][0].amount_micro == 24_090_000
    assert {row.end - row.start for row in days if row.start and row.end} == {timedelta(hours=24), timedelta(hours=23)}


@pytest.mark.parametrize("shared", ["pro_rata", "average_per_day"])
def test_hours_that_are_shared_add_up_to_their_line(shared: str) -> None:
    """Tiers shared pro rata and prices averaged by days are thirds and sevenths of a Wh."""
    ladder = {"mode": "graduated", "reset": "bill", "limits": ["5"], "allocate": "pro_rata"}
    top: dict[str, Any] = {} if shared == "pro_rata" else {"price_change": "average_per_day"}
    energy = {**ENERGY, "prices": ["0.111", "0.317"], "ladder": ladder} if shared == "pro_rata" else ENERGY
    later = {**energy, "prices": ["0.211", "0.419"] if shared == "pro_rata" else ["0.777"]}
    book = dated(("2020-01-01", [energy]), ("2025-03-14", [later]), **top)
    one = busy(book, *BUSY)
    for line in one.bill().lines:
        key = (line.id, line.version, line.period, line.tier)
        own = explain.steps(book, one.start, one.end, one.usage, line=key)
        exact = sum(Fraction(step.amount) for step in own)
        assert money.to_micro(exact.numerator, exact.denominator, 2) == line.amount_micro
        assert sum(Decimal(step.kwh) for step in own) == Decimal(line.quantity)
