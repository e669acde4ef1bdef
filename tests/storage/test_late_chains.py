"""A late read of a billed month moves what later months rest on: each bill is corrected on its own period."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ingest.records import Channel
from storage import billing
from storage.rater import Rater, accounts_changed
from storage.records import Account, Posting, SupersededBill
from storage.rerate import rerate
from storage.store import Store
from storage.unit import Unit
from storage.writer import Priority
from tariff.model import Book
from tests.storage.conftest import StillClock
from tests.storage.test_rules_stored import at, last, send, town
from tests.tariff.making import ENERGY, made

LATER = datetime(2025, 6, 1)
MONTHS = (1, 2, 3)
RATCHET = {"id": "demand", "kind": "demand", "price": "1", "ratchet_percent": "80", "ratchet_months": 2}
BANK = {"id": "nm", "kind": "net_metering", "of": "energy", "by": "total", "expires_on": "04-01"}
VOLUME: dict[str, Any] = {
    "id": "energy",
    "kind": "energy",
    "prices": ["0.10", "0.20"],
    "ladder": {"mode": "volume", "reset": "year", "limits": ["100"], "allocate": "chronological"},
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path, clock=StillClock(LATER), writer="inline", durable=False) as opened:
        yield opened


def billed(store: Store, book: Book, kwh: int) -> Rater:
    """Three months of ``kwh`` in one hour each, rated and posted."""
    town(store)
    rater = Rater(store, {"made": book})
    for month in MONTHS:
        rows = [(at(month, 5, 12), Channel.IMPORT, kwh * 1000), (last(month), Channel.IMPORT, 0)]
        send(store, rater, rows, str(month))
    for month in MONTHS:
        billing.post(store, billing.compute(store, f"2025-0{month}", {"made": book}), LATER)
    rater.step(LATER)
    return rater


def corrected(store: Store) -> dict[str, int]:
    """What corrections booked to the customer, by the month that they are of (as of its end)."""
    rows = store.read(lambda reader: reader.find(Posting, source="correction", ledger_account="customer:A1"))
    assert all(row.at.month == int(row.source_id.split(":")[1][5:7]) % 12 + 1 for row in rows)
    return {row.source_id.split(":")[1][:7]: -row.amount_micro for row in rows}


@pytest.mark.parametrize(
    ("components", "late", "wanted"),
    [
        # 50 kW each month; 100 in January after all: 50 more there, 30 more (80 % of 100) in the two that look back
        (
            [ENERGY, RATCHET],
            (Channel.IMPORT, 100_000),
            {"2025-01": 60_000_000, "2025-02": 30_000_000, "2025-03": 30_000_000},
        ),
        # 120 kWh fed in, in January: its own 50, then 50 of February and 20 of March
        (
            [ENERGY, BANK],
            (Channel.EXPORT, 120_000),
            {"2025-01": -5_000_000, "2025-02": -5_000_000, "2025-03": -2_000_000},
        ),
        # 50, 100, 150 in the year: 30 more put February above 100; March was above it before
        ([VOLUME], (Channel.IMPORT, 30_000), {"2025-01": 3_000_000, "2025-02": 5_000_000}),
    ],
)
def test_every_later_bill_is_corrected_on_its_own_period(
    store: Store, components: list[dict[str, Any]], late: tuple[Channel, int], wanted: dict[str, int]
) -> None:
    book = made(*components)
    rater = billed(store, book, 50)
    send(store, rater, [(at(1, 9, 12), *late)], "late")
    assert corrected(store) == wanted
    found = rerate(store, {"made": book})
    assert (found.checked, found.differences) == (3, ())
    send(store, rater, [(at(1, 10, 12), Channel.IMPORT, 0)], "nothing")
    assert corrected(store) == wanted


def test_bills_of_a_book_that_the_account_has_left_are_corrected_too(store: Store) -> None:
    """The ratchet's book is the old one; the account is on a flat price now."""
    book, flat = made(ENERGY, RATCHET), made(ENERGY, name="flat")
    billed(store, book, 50)

    def moves(unit: Unit) -> None:
        unit.put(Account("A1", "", "residential", "flat", "UTC", "XXX"))
        accounts_changed(unit)

    store.write(Priority.MONEY, moves)
    rater = Rater(store, {"made": book, "flat": flat})
    send(store, rater, [(at(1, 9, 12), Channel.IMPORT, 100_000)], "late")
    assert corrected(store) == {"2025-01": 60_000_000, "2025-02": 30_000_000, "2025-03": 30_000_000}
    assert store.read(lambda reader: reader.count(SupersededBill)) == 3
