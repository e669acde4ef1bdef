"""Who moves in on the tenth owes nothing for the nine days before, not even as an estimate that warns."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ingest.records import Channel, Interval, MeterPoint
from storage import schemas
from storage.rater import Rater
from storage.records import Account, AccountState, Install
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
