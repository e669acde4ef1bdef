"""Rules that rest on earlier bills, through the store and made again from it: ratchet, banks, gas, dated attributes."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest.records import Channel, Finding, Interval, MeterPoint
from storage import billing, schemas
from storage.rater import Rater, accounts_changed
from storage.records import Account, AccountState, Install
from storage.rerate import rerate
from storage.store import Store
from storage.writer import Priority
from tariff.model import Book
from tests.storage.conftest import StillClock
from tests.tariff.making import ENERGY, made

H = timedelta(hours=1)
LATER = datetime(2025, 6, 1)
Row = tuple[datetime, Channel, int]


@pytest.fixture
def store(tmp_path: Path):
    with Store.open(tmp_path, clock=StillClock(LATER), writer="inline", durable=False) as opened:
        yield opened


def town(store: Store, **attributes: str) -> None:
    """One account with one meter."""

    def work(unit: Any) -> None:
        unit.put(Account("A1", "", "residential", "made", "UTC", "XXX", attributes=attributes))
        unit.put(MeterPoint(1, "M1", "S1", "sdm630", "modbus", "g", "h", 502, 1))
        unit.put(Install(1, "M1", "A1", "S1", datetime(2024, 1, 1)))

    store.write(Priority.MONEY, work)


def send(store: Store, rater: Rater, rows: list[Row], tag: str) -> int:
    """Take rows (end of the hour, channel, counted) and rate them; what has accrued then."""
    table = schemas.intervals_table([Interval(1, int(channel), end, 60, wh, 0) for end, channel, wh in rows])
    store.write(Priority.INBOX, lambda unit: unit.append_batch("intervals", "t", tag, table, LATER))
    rater.step(LATER)
    state = store.read(lambda reader: reader.get(AccountState, "A1"))
    return state.accrued_micro if state is not None else 0


def bill(store: Store, book: Book, period: str) -> dict[str, int]:
    """Post a month's bill; money by component."""
    found = billing.compute(store, period, {"made": book})
    billing.post(store, found, LATER)
    amounts: dict[str, int] = {}
    for line in found[0].lines:
        amounts[line.id] = amounts.get(line.id, 0) + line.amount_micro
    return amounts


def sound(store: Store, book: Book) -> bool:
    """Whether every posted bill is what it would be when made again."""
    found = rerate(store, {"made": book})
    return found.checked > 0 and not found.differences


def at(month: int, day: int, hour: int) -> datetime:
    return datetime(2025, month, day, hour)


def last(month: int) -> datetime:
    return datetime(2025, month + 1, 1)


def test_a_ratchet_reaches_into_the_months_before(store: Store) -> None:
    """50 kW in January are 40 in February and, with a late peak of 70 of January's, 56."""
    demand = {"id": "demand", "kind": "demand", "price": "1", "ratchet_percent": "80", "ratchet_months": 3}
    book = made(ENERGY, demand)
    town(store)
    rater = Rater(store, {"made": book})
    rows = [(at(1, 5, 12), Channel.IMPORT, 50_000), (last(1), Channel.IMPORT, 0)]
    assert send(store, rater, rows, "1") == 55_000_000
    found = send(store, rater, [(at(2, 5, 12), Channel.IMPORT, 10_000), (last(2), Channel.IMPORT, 0)], "2")
    assert found == 55_000_000 + 41_000_000
    assert send(store, rater, [(at(1, 7, 12), Channel.IMPORT, 70_000)], "3") == 82_000_000 + 57_000_000
    assert bill(store, book, "2025-01")["demand"] == 70_000_000
    assert bill(store, book, "2025-02")["demand"] == 56_000_000
    assert sound(store, book)


def test_a_bank_of_kwh_pays_in_the_next_month_and_after_a_restart(store: Store) -> None:
    meter = {"id": "nm", "kind": "net_metering", "of": "energy", "by": "total", "expires_on": "04-01"}
    book = made(ENERGY, meter)
    town(store)
    rater = Rater(store, {"made": book})
    rows = [(at(1, 5, 12), Channel.IMPORT, 40_000), (at(1, 5, 12), Channel.EXPORT, 100_000)]
    assert send(store, rater, [*rows, (last(1), Channel.IMPORT, 0)], "1") == 0
    assert send(store, rater, [(at(2, 5, 12), Channel.IMPORT, 90_000)], "2") == 3_000_000
    again = Rater(store, {"made": book})
    assert send(store, again, [(last(2), Channel.IMPORT, 10_000)], "3") == 4_000_000
    assert bill(store, book, "2025-01") == {"energy": 4_000_000, "nm": -4_000_000}
    assert bill(store, book, "2025-02") == {"energy": 10_000_000, "nm": -6_000_000}
    assert sound(store, book)


def test_a_bank_of_money(store: Store) -> None:
    sold = {"id": "sold", "kind": "energy", "quantity": "export", "prices": ["0.05"], "credit": True}
    bank = {"id": "bank", "kind": "credit_bank", "of": ["energy", "sold"], "expires_months": 6}
    book = made(ENERGY, sold, bank, {"id": "fee", "kind": "fixed", "amount": "5"})
    town(store)
    rater = Rater(store, {"made": book})
    rows = [(at(1, 5, 12), Channel.IMPORT, 0), (at(1, 5, 12), Channel.EXPORT, 200_000), (last(1), Channel.IMPORT, 0)]
    assert send(store, rater, rows, "1") == 5_000_000
    assert send(store, rater, [(last(2), Channel.IMPORT, 120_000)], "2") == 5_000_000 + 7_000_000
    assert bill(store, book, "2025-01")["bank"] == 10_000_000
    assert bill(store, book, "2025-02")["bank"] == -10_000_000
    assert sound(store, book)


def test_gas_is_counted_in_litres_and_billed_in_kwh(store: Store) -> None:
    book = made({**ENERGY, "id": "gas"}, version={"gas": {"correction": "1.02264", "calorific_mj": "39.3"}})
    town(store)
    rater = Rater(store, {"made": book})
    rows = [(at(1, 5, hour), Channel.GAS, 400) for hour in range(5)]
    assert send(store, rater, rows, "1") == 2_230_000  # 2 m3 are 22.328 kWh
    send(store, rater, [(last(1), Channel.GAS, 0)], "2")
    (found,) = billing.compute(store, "2025-01", {"made": book})
    assert [(line.quantity, line.amount_micro) for line in found.lines] == [("22.328", 2_230_000)]
    billing.post(store, [found], LATER)
    assert sound(store, book)


def test_the_choice_and_the_register_of_a_bill_come_as_dated_attributes(store: Store) -> None:
    rows = [
        {
            "id": "capacity",
            "kind": "fixed",
            "amount": "2",
            "per": "kva",
            "when": {"attribute": "part", "equals": "capacity"},
        },
        {"id": "demand", "kind": "demand", "price": "3", "when": {"attribute": "part", "equals": "demand"}},
    ]
    book = made(ENERGY, *rows)
    given = {"part": "capacity", "part@2025-02-01": "demand", "kva": "100", "demand_register_kw@2025-03": "77"}
    town(store, **given)
    rater = Rater(store, {"made": book})
    for month in (1, 2, 3):
        send(store, rater, [(at(month, 5, 12), Channel.IMPORT, 60_000), (last(month), Channel.IMPORT, 0)], str(month))
    found = [bill(store, book, f"2025-0{month}") for month in (1, 2, 3)]
    energy = {"energy": 6_000_000}
    assert found[0] == {**energy, "capacity": 200_000_000}
    assert found[1] == {**energy, "demand": 180_000_000}
    assert found[2] == {**energy, "demand": 231_000_000}
    assert sound(store, book)


def test_a_class_ladder_accrues_in_the_store_as_it_does_by_hand(store: Store) -> None:
    """310 hours of 1 kWh cross 100 kWh at 1.00 to 2.00; half way through the days that are left half has accrued."""
    classes = [{"up_to": "100", "prices": ["1"]}, {"prices": ["2"]}]
    ladder = {"mode": "by_total", "reset": "bill", "classes": classes}
    book = made({"id": "energy", "kind": "energy", "ladder": ladder})
    town(store)
    rater = Rater(store, {"made": book})
    first = datetime(2025, 1, 1)
    rows = [(first + hour * H, Channel.IMPORT, 1000) for hour in range(1, 102)]
    assert send(store, rater, rows, "1") == 101_000_000
    middle = first + timedelta(hours=101 + 322)
    half = send(store, rater, [(middle, Channel.IMPORT, 0)], "2")
    assert abs(half - (202_000_000 - 101_000_000 * 321 // 643)) < 200_000
    assert send(store, rater, [(last(1), Channel.IMPORT, 0)], "3") == 202_000_000
    assert bill(store, book, "2025-01") == {"energy": 202_000_000}
    assert sound(store, book)


def test_who_comes_near_a_dearer_class_is_told_once_and_before(store: Store) -> None:
    classes = [{"up_to": "100", "prices": ["1"]}, {"prices": ["2"]}]
    ladder = {"mode": "by_total", "reset": "bill", "classes": classes}
    book = made({"id": "energy", "kind": "energy", "ladder": ladder})
    town(store)

    def told() -> list[str]:
        return store.read(lambda reader: [one.detail for one in reader.find(Finding, code="class_near")])

    rater = Rater(store, {"made": book})
    send(store, rater, [(at(1, 5, 1), Channel.IMPORT, 89_000)], "1")
    assert told() == []
    send(store, rater, [(at(1, 5, 2), Channel.IMPORT, 1_000)], "2")
    said = ["energy: 90 % of 100 kWh; above it all kWh cost more"]
    assert told() == said
    send(store, Rater(store, {"made": book}), [(at(1, 5, 3), Channel.IMPORT, 5_000)], "3")
    assert told() == said


def test_a_changed_attribute_is_rated_with_from_the_next_read_on(store: Store) -> None:
    """The register of the month comes in by an import: the same rater prices it, without a restart."""
    book = made(ENERGY, {"id": "demand", "kind": "demand", "price": "31"})
    town(store)
    rater = Rater(store, {"made": book})
    assert send(store, rater, [(at(1, 2, 0), Channel.IMPORT, 0)], "1") == 0

    def change(unit: Any) -> None:
        before = unit.get(Account, "A1")
        unit.put(replace(before, attributes={"demand_register_kw@2025-01": "10"}))
        accounts_changed(unit)

    store.write(Priority.MONEY, change)
    assert send(store, rater, [(at(1, 3, 0), Channel.IMPORT, 0)], "2") == 20_000_000
    assert send(store, rater, [(last(1), Channel.IMPORT, 0)], "3") == 310_000_000
