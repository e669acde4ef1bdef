"""Reads that are rated while bills are made: what is posted holds them, or is refused."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ingest.records import Interval, MeterPoint
from storage import billing, posting, schemas
from storage.billing import Look
from storage.customers import Run, plan_run
from storage.errors import Outdated
from storage.rater import NAME, Rater
from storage.records import Account, AccountState, Install, OpenPeriod, StoredBill
from storage.rerate import rerate
from storage.store import Store
from storage.unit import Unit
from storage.writer import Priority
from tariff import book as books
from tests.storage.conftest import StillClock

START = datetime(2026, 2, 28, 16)
HOURS = 31 * 24
NOW = datetime(2026, 5, 1)
BOOKS = {"demo": books.load(books.shipped_text("demo"), "demo")}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path, clock=StillClock(), writer="inline", durable=False) as opened:

        def town(unit: Unit) -> None:
            for number in (1, 2):
                unit.put(MeterPoint(number, f"M{number}", "", "x", "modbus", "", "", 0, number))
                unit.put(Account(f"A{number}", "", "residential", "demo", "Asia/Shanghai", "CNY"))
                unit.put(Install(number, f"M{number}", f"A{number}", "", START))

        opened.write(Priority.MONEY, town)
        yield opened


def read(store: Store, meter: int, hours: range, wh: int = 1000) -> None:
    rows = [Interval(meter, 1, START + timedelta(hours=hour + 1), 60, wh, 0) for hour in hours]
    table = schemas.intervals_table(rows)
    store.write(Priority.INBOX, lambda unit: unit.append_batch("intervals", "t", f"{meter}{hours}", table, NOW))


def late(store: Store, rater: Rater, hour: int) -> None:
    read(store, 1, range(hour, hour + 1), 5000)
    rater.step(NOW)


@pytest.fixture
def rater(store: Store) -> Rater:
    for meter in (1, 2):
        read(store, meter, range(HOURS - 8))
    made = Rater(store, BOOKS)
    made.step(NOW)
    return made


def looked(store: Store) -> tuple[Run, Look]:
    run = plan_run(store, "2026-03", BOOKS)
    (look,) = billing.looks(store, run)
    return run, look


def right(store: Store) -> None:
    """What is posted is what the reads say, and the account owes nothing beside it."""
    state = store.read(lambda reader: reader.get(AccountState, "A1"))
    assert state is not None and state.accrued_micro == 0
    found = rerate(store, BOOKS)
    assert (found.checked, found.differences) == (2, ())
    assert store.read(lambda reader: reader.count(OpenPeriod)) == 0


def test_a_read_between_making_and_posting_is_in_the_bill(store: Store, rater: Rater) -> None:
    run, look = looked(store)
    late(store, rater, HOURS - 8)
    new, posted = posting.post_look(store, run, look, NOW)
    assert new == 2
    assert [len(bill.missing) and bill.missing[0].intervals for bill in posted] == [7, 8]
    right(store)


def test_without_the_check_that_read_would_be_lost(store: Store, rater: Rater, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ablation: were the cursors not compared, the stale bill would stand, and clear what the read has accrued."""
    run, look = looked(store)
    late(store, rater, HOURS - 8)
    monkeypatch.setattr(billing, "rated_to", lambda _: look.seen)
    posting.post_look(store, run, look, NOW)
    with pytest.raises(AssertionError):
        right(store)


def test_bills_made_before_the_last_reads_were_rated_are_refused_whole(store: Store, rater: Rater) -> None:
    _, look = looked(store)
    late(store, rater, HOURS - 8)
    with pytest.raises(Outdated, match="bills of A1 and 1 more were made before the last reads were rated; make them"):
        billing.post(store, look.bills, NOW, seen=look.seen)
    assert store.read(lambda reader: reader.count(StoredBill)) == 0


def test_a_read_that_is_rated_after_posting_is_a_correction(store: Store, rater: Rater) -> None:
    """The other order, and an import that is stored but not rated yet when the bill is posted."""
    run, look = looked(store)
    read(store, 1, range(HOURS - 8, HOURS - 7), 5000)
    posting.post_look(store, run, look, NOW)
    assert rater.step(NOW).corrections == 1
    right(store)


def test_reads_that_never_stop_are_told(store: Store, rater: Rater, monkeypatch: pytest.MonkeyPatch) -> None:
    run, look = looked(store)
    hours = iter(range(HOURS - 8, HOURS))
    usual: Callable[..., Iterator[Look]] = billing.looks

    def busy(*given: object) -> Iterator[Look]:
        for one in usual(*given):
            late(store, rater, next(hours))
            yield one

    monkeypatch.setattr(posting, "looks", busy)
    late(store, rater, next(hours))
    with pytest.raises(Outdated):
        posting.post_look(store, run, look, NOW)
    assert HOURS - next(hours) == 8 - posting.TRIES
    assert replace(look, bills=()).seen != store.read(billing.rated_to)


def test_the_cursors_are_the_raters_own() -> None:
    assert billing.RATER == NAME
