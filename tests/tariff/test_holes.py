"""What broken engines once got away with (tests/mutants.py), by hand."""

from datetime import datetime
from typing import Any

import numpy as np
import pytest

from tariff import rating, statement
from tariff.errors import BookError
from tariff.model import Book
from tests.tariff.making import ENERGY, amounts, dated, made
from tests.tariff.months import busy, month

SOLD = {"id": "sold", "kind": "energy", "quantity": "export", "prices": ["0.05"], "credit": True}
BANK = {"id": "bank", "kind": "credit_bank", "of": ["energy", "sold"]}


def left(book: Book, export: dict[int, int], before: dict[str, int] | None = None) -> dict[str, int]:
    """What March 2025 leaves to April, with some Wh fed in by hour, and what February left."""
    one = month(book, "2025-03-10", 0)
    fed = np.zeros_like(one.usage.wh)
    for hour, wh in export.items():
        fed[hour] = wh
    usage = statement.Usage(one.usage.ends, one.usage.wh, 60, fed)
    found = statement.after(book, (one.start, one.end), usage, None, before or {})
    return {key: value for key, value in found.items() if value}


def test_both_halves_of_a_bill_bank_into_its_month() -> None:
    old, new = ({**BANK, "expires_months": months} for months in (6, 7))
    book = dated(("2020-01-01", [ENERGY, SOLD, old]), ("2025-03-11", [ENERGY, SOLD, new]))
    assert left(book, {5: 100_000, 400: 60_000}) == {"bank:2025-03": 8_000_000}


def test_a_bank_is_not_touched_by_a_bill_that_earns() -> None:
    book = made(ENERGY, SOLD, {**BANK, "expires_months": 6})
    before = {"bank:2025-02": 5_000_000}
    assert left(book, {5: 100_000}, before) == {**before, "bank:2025-03": 5_000_000}


def test_a_bank_holds_whole_cents_where_only_the_total_is_rounded() -> None:
    """0.11 kWh at 0.05 are 0.0055: one cent."""
    book = made(ENERGY, SOLD, {**BANK, "expires_months": 6}, round_lines="total")
    assert left(book, {5: 110}) == {"bank:2025-03": 10_000}


def test_rows_of_a_slot_that_the_first_ladder_does_not_see_name_no_window() -> None:
    window = [{"period": "peak", "from": "12:00", "to": "24:00"}]
    ladder = {"reset": "bill", "allocate": "per_period", "limits": ["5"]}
    energy = {"id": "energy", "kind": "energy", "prices": {"off": ["1", "2"], "peak": ["3", "4"]}, "ladder": ladder}
    book = made(energy, version={"default_period": "off", "window": window})
    plan = rating.compile(book, datetime(2025, 3, 1), datetime(2025, 3, 2))
    rated = rating.rate(plan, np.full((1, 24), 1000))
    assert [rated.periods[place] for place in rated.period] == ["off"] * 12 + ["*"] * 12


def test_a_least_demand_accrues_evenly() -> None:
    """10 kW at 31.00: half of it after half of the hours."""
    book = made({"id": "kw", "kind": "demand", "price": "31", "minimum_kw": "10"})
    assert month(book, "2025-03-10", 0).accrued(372) == 155_000_000


def test_a_demand_window_of_a_day_and_none_longer() -> None:
    row = {"id": "kw", "kind": "demand", "price": "1", "window_min": 1440}
    assert made(row).versions[0].components[0].id == "kw"
    with pytest.raises(BookError, match="0 to 1440"):
        made({**row, "window_min": 1441})


def test_the_other_periods_net_only_their_own_export() -> None:
    """Export at noon is the peak's: the energy of the night, under "*", is paid."""
    window = [{"period": "peak", "from": "12:00", "to": "24:00"}]
    energy = {"id": "energy", "kind": "energy", "prices": {"peak": ["0.40"], "*": ["0.10"]}}
    meter = {"id": "nm", "kind": "net_metering", "of": "energy", "by": "period", "expires_months": 12}
    one = month(made(energy, meter, version={"default_period": "off", "window": window}), "2025-03-10", 0)
    one.usage.wh[3] = 10_000
    export = np.zeros_like(one.usage.wh)
    export[13], export[5] = 50_000, 2_000
    assert one.bill(export_wh=export).total_micro == 800_000


def test_a_volume_class_may_have_tiers_beyond_its_end() -> None:
    """Its last tier that can be reached ends with the class."""
    classes: list[dict[str, Any]] = [
        {"up_to": "40", "volume": True, "limits": ["20", "50"], "prices": ["1", "2", "9"]},
        {"prices": ["3"]},
    ]
    book = made({"id": "energy", "kind": "energy", "ladder": {"mode": "by_total", "reset": "bill", "classes": classes}})
    found = {kwh: amounts(busy(book, ("2025-03-05T10:00", kwh)))["energy"] for kwh in (20, 40, 41)}
    assert found == {20: "20.00", 40: "80.00", 41: "123.00"}


def test_free_energy_is_counted_to_the_wh() -> None:
    rows = [ENERGY, {"id": "gift", "kind": "free_kwh", "of": "energy", "kwh": "0.125", "price": "8"}]
    assert amounts(busy(made(*rows), ("2025-03-05T10:00", 1)))["gift"] == "-1.00"


@pytest.mark.parametrize("day", ["2025-02-05", "2025-04-05"])
def test_the_largest_power_is_the_bills_own(day: str) -> None:
    """Limits per kW without an attribute: 9 kWh in an hour of another month make March's no higher."""
    ladder = {"reset": "bill", "limits": ["1"], "limit_unit": "kWh_per_kw"}
    book = made({"id": "energy", "kind": "energy", "prices": ["1", "2"], "ladder": ladder})
    one = busy(book, ("2025-03-05T10:00", 3), ("2025-03-06T10:00", 3))
    other = busy(book, (f"{day}T10:00", 9))
    ends = np.concatenate([one.usage.ends, other.usage.ends])
    usage = statement.Usage(ends, np.concatenate([one.usage.wh, other.usage.wh]), 60)
    bill = statement.bill(book, "A", one.start, one.end, usage.ends, usage.wh, minutes=60)
    assert bill.total_micro == 9_000_000  # 3 kWh at 1, 3 at 2


def test_missing_slots_are_named_from_their_start_to_their_end() -> None:
    one = month(made(ENERGY), "2025-03-10", 100)
    kept = np.ones(one.slots, np.bool_)
    kept[[5, 6, 7, 100]] = False
    usage = one.usage
    bill = statement.bill(one.book, "A", one.start, one.end, usage.ends[kept], usage.wh[kept], minutes=60)
    assert [(span.start, span.end, span.intervals) for span in bill.missing] == [
        (datetime(2025, 3, 1, 5), datetime(2025, 3, 1, 8), 3),
        (datetime(2025, 3, 5, 4), datetime(2025, 3, 5, 5), 1),
    ]


def test_limits_per_day_of_a_year_are_of_its_days() -> None:
    ladder = {"reset": "year", "limits": ["1"], "limit_unit": "kWh_per_day"}
    book = made({"id": "energy", "kind": "energy", "prices": ["0", "1"], "ladder": ladder})
    assert amounts(busy(book, ("2025-03-05T10:00", 370)))["energy"] == "5.00"
    assert amounts(busy(book, ("2024-03-05T10:00", 370)))["energy"] == "4.00"


def test_a_jump_accrues_over_the_days_that_are_left() -> None:
    """150 kWh in the first hour reach the class at 2: 150.00 at once, the other 150.00 by the month's end."""
    classes: list[dict[str, Any]] = [{"up_to": "100", "prices": ["1"]}, {"prices": ["2"]}]
    ladder = {"mode": "by_total", "reset": "month", "classes": classes}
    one = busy(made({"id": "energy", "kind": "energy", "ladder": ladder}), ("2025-03-01T00:00", 150))
    assert [one.accrued(slots) // 10**6 for slots in (1, 744)] == [150, 300]


def test_a_bill_without_a_line_is_nothing() -> None:
    fee = {"id": "fee", "kind": "fixed", "amount": "5", "when": {"attribute": "poor", "equals": "yes"}}
    bill = month(made(fee), "2025-03-10", 10).bill()
    assert (bill.lines, bill.total_micro) == ((), 0)


def test_what_expires_without_a_price_is_no_line() -> None:
    meter = {"id": "nm", "kind": "net_metering", "of": "energy", "by": "total", "expires_months": 1}
    one = month(made(ENERGY, meter), "2025-03-10", 0)
    assert one.bill(carried={"nm/*:2025-02": 5_000}).lines == ()
