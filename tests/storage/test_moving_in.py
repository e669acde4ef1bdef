"""Who moves in on the tenth owes nothing for the nine days before, not even as an estimate that warns."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ingest.records import Channel, Interval, MeterPoint
from storage import billing, schemas
from storage.rater import Rater
from storage.records import Account, AccountState, Install
from storage.rerate import rerate
from storage.store import Store
from storage.writer import Priority
from tariff import book as books
from tests.storage.test_rater import FixedClock

NAME = "london-flat-2013"
MOVED = datetime(2013, 2, 10)
NOW = datetime(2013, 2, 12)


@pytest.mark.parametrize(("moved", "hours"), [(MOVED, 6), (datetime(2013, 1, 1), 6 + 9 * 24)])
def test_only_slots_with_a_meter_are_estimated(tmp_path: Path, moved: datetime, hours: int):
    rows = [Interval(1, Channel.IMPORT, MOVED + timedelta(hours=n + 1), 60, 1000) for n in range(42)]
    with Store.open(tmp_path, clock=FixedClock(), writer="inline", durable=False) as store:

        def begin(unit) -> None:
            unit.add(Account("A", "A", "residential", NAME, "Europe/London", "GBP", "en"))
            unit.add(MeterPoint(1, "M", "", "file", "file", "", "", 0, 0))
            unit.add(Install(1, "M", "A", "", moved))
            unit.append_batch("intervals", "file", "1", schemas.intervals_table(rows), NOW)

        store.write(Priority.BATCH, begin)
        Rater(store, {NAME: books.load(books.shipped_text(NAME), NAME)}).step(NOW)
        state = store.read(lambda reader: reader.get(AccountState, "A"))
    owed = [round(count * 14.228) for count in (42, 42 + hours)]
    assert state is not None
    assert (state.accrued_micro, state.estimate_micro) == (owed[0] * 10_000, (owed[1] - owed[0]) * 10_000)


@pytest.mark.parametrize(
    ("moved", "closed", "fee"),
    [
        (datetime(2012, 1, 1), None, 6_000_000),
        (datetime(2026, 3, 16, 3), None, 3_100_000),  # 11:00 in Shanghai: 16 of 31 days
        (datetime(2012, 1, 1), datetime(2026, 3, 10, 16), 1_940_000),  # the end of the 10th there: 10 of 31 days
    ],
)
def test_a_part_of_the_month_costs_its_days_alike_on_the_bill_and_as_it_accrues(
    tmp_path: Path, moved: datetime, closed: datetime | None, fee: int
):
    """The demo book's 6.00 a month, with 6 % tax: by the days of supply; what accrued is what is billed."""
    start = datetime(2026, 2, 28, 16)
    rows = [Interval(1, Channel.IMPORT, start + timedelta(hours=n + 1), 60, 0) for n in range(31 * 24)]
    own = [row for row in rows if moved < row.end <= (closed or rows[-1].end)]
    books_ = {"demo": books.load(books.shipped_text("demo"), "demo")}
    later = datetime(2026, 5, 1)
    with Store.open(tmp_path, clock=FixedClock(), writer="inline", durable=False) as store:

        def begin(unit) -> None:
            unit.add(Account("A", "", "residential", "demo", "Asia/Shanghai", "CNY", closed=closed))
            unit.add(MeterPoint(1, "M", "", "x", "modbus", "", "", 0, 1))
            unit.add(Install(1, "M", "A", "", moved))
            unit.append_batch("intervals", "t", "1", schemas.intervals_table(own), later)

        store.write(Priority.BATCH, begin)
        Rater(store, books_).step(later)
        (bill,) = billing.compute(store, "2026-03", books_)
        assert [line.amount_micro for line in bill.lines if line.id == "service"] == [fee]
        state = store.read(lambda reader: reader.get(AccountState, "A"))
        assert state is not None
        if closed is None:  # of who left, the days after the last read accrue nothing more
            assert state.accrued_micro == bill.total_micro
        billing.post(store, [bill], later)
        found = rerate(store, books_, slots=True)
    assert (found.checked, found.differences) == (1, ())
