"""Late fees on posted bills: numbers by hand, each rise posted once; a payment told late takes its part back."""

from datetime import date, datetime
from pathlib import Path

import pytest

from ingest.records import Channel
from storage import latefees
from storage.keptbooks import KeptBooks
from storage.rater import Rater
from storage.records import Posting
from storage.store import Store
from storage.writer import Priority
from tariff.errors import BookError
from tariff.model import Book
from tests.storage.conftest import StillClock
from tests.storage.test_rules_stored import LATER, at, bill, last, send, town
from tests.tariff.making import ENERGY, made

RULE = {"daily": "0.001", "daily_next_year": "0.002", "minimum": "1", "grace_days": 2, "due_days": 10}


@pytest.fixture
def store(tmp_path: Path):
    with Store.open(tmp_path, clock=StillClock(LATER), writer="inline", durable=False) as opened:
        yield opened


def billed(store: Store, **rule: object) -> Book:
    """January's bill of 1000.00, due on 11 February."""
    book = made(ENERGY, version={"late_fee": {**RULE, **rule}})
    town(store)
    rater = Rater(store, {"made": book})
    send(store, rater, [(at(1, 5, 12), Channel.IMPORT, 10_000_000), (last(1), Channel.IMPORT, 0)], "1")
    bill(store, book, "2025-01")
    return book


def pay(store: Store, amount_micro: int, when: datetime, number: str) -> None:
    legs = [
        Posting("payment", number, "customer:A1", amount_micro, "XXX", when, LATER),
        Posting("payment", number, "cash:desk", -amount_micro, "XXX", when, LATER),
    ]
    store.write(Priority.MONEY, lambda unit: unit.post(legs))


def fee(store: Store, book: Book, when: datetime) -> int:
    """What stands as the fee after a look at ``when``; a second look changes nothing."""
    kept = KeptBooks(store, {"made": book})
    latefees.post(store, kept, when)
    assert latefees.post(store, kept, when) == 0
    return store.read(lambda reader: reader.balance(latefees.REVENUE))


def test_a_fee_grows_by_days_after_the_days_of_grace(store: Store) -> None:
    book = billed(store)
    found = [fee(store, book, datetime(2025, 2, day, 12)) for day in (11, 13, 14, 21)]
    assert found == [0, 0, 3_000_000, 10_000_000]
    assert fee(store, book, datetime(2026, 1, 2, 12)) == 323_000_000 + 4_000_000  # 323 days of 2025 and two of 2026


def test_a_part_that_was_paid_bears_its_own_days(store: Store) -> None:
    """400 of 1000 after ten days: 4.00, and the other 600 after twenty: 12.00."""
    book = billed(store)
    assert fee(store, book, datetime(2025, 3, 3, 12)) == 20_000_000
    pay(store, 400_000_000, datetime(2025, 2, 21, 12), "1")
    assert fee(store, book, datetime(2025, 3, 3, 12)) == 16_000_000
    pay(store, 600_000_000, datetime(2025, 3, 3, 12), "2")
    assert fee(store, book, datetime(2025, 5, 1)) == 16_000_000


def test_a_fee_is_told_by_its_parts(store: Store) -> None:
    """400 paid after ten days, 600 unpaid over the year's end, as it stands since the last posting."""
    book = billed(store)
    kept = KeptBooks(store, {"made": book})
    assert latefees.told(store, kept, "A1", datetime(2025, 1, 1)) is None
    pay(store, 400_000_000, datetime(2025, 2, 21, 12), "1")
    assert fee(store, book, datetime(2026, 1, 2, 12)) == 4_000_000 + 600_000 * (323 + 2 * 2)
    told = latefees.told(store, kept, "A1", datetime(2025, 1, 1))
    assert told is not None and told.fee_micro == told.posted_micro == sum(part.fee_micro for part in told.parts)
    assert [(part.amount_micro // 10**6, part.days, part.days_next_year) for part in told.parts] == [
        (400, 10, 0),
        (600, 325, 2),
    ]
    assert (told.due.due, told.at) == (date(2025, 2, 11), date(2026, 1, 2))


def test_a_bill_that_was_paid_in_time_bears_nothing(store: Store) -> None:
    book = billed(store)
    pay(store, 1_000_000_000, datetime(2025, 1, 15), "1")
    assert fee(store, book, datetime(2025, 5, 1)) == 0


def test_the_least_fee(store: Store) -> None:
    book = billed(store, minimum="50")
    assert fee(store, book, datetime(2025, 2, 14, 12)) == 50_000_000


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ({"daily": "-0.1"}, "must be 0 or more"),
        ({"dayly": "0.1"}, "unknown key 'dayly'|'daily' is missing"),
        ({"daily": "0.001", "grace_days": -1}, "whole number"),
    ],
)
def test_a_rule_that_is_none_is_refused(rule: dict[str, object], says: str) -> None:
    with pytest.raises(BookError, match=says):
        made(ENERGY, version={"late_fee": rule})
