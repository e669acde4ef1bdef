"""What the rater owes equals the statement's own figure, for every shipped book and whatever happens to the reads."""

import asyncio
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.records import Channel, Interval, MeterPoint
from storage.inbox import ReadInbox
from storage.rater import Rater
from storage.records import Account, Install, OpenPeriod
from storage.store import Store
from storage.writer import Priority
from tariff import book as books
from tariff.gas import is_gas
from tariff.statement import Usage, accrued, carried, period_of
from tests.storage.test_rater import FixedClock

BOOKS = {name: books.load(books.shipped_text(name), name) for name in books.shipped()}
NEEDS_SERIES = {
    name for name, book in BOOKS.items() for v in book.versions for s in v.components if getattr(s, "series_file", "")
}
SPECS = [(name, spec) for name, book in BOOKS.items() for version in book.versions for spec in version.components]
NEEDS_KVARH = {name for name, spec in SPECS if spec.kind == "pf_adjust"}
HALF_HOUR_ZONES = {name for name, book in BOOKS.items() if book.zone == "Asia/Kolkata"}  # its hours begin at :30 UTC
ATTRIBUTES = {"household": "5", "kva": "50", "kw": "30", "phases": "3", "contracted_kva": "50", "sanctioned_kw": "5"}
FROM = datetime(2026, 7, 20)


def at(slot: int, minutes: int) -> datetime:
    return FROM + slot * timedelta(minutes=minutes)


def run(home: Path, name: str, batches: list[list[Interval]], now: datetime, minutes: int) -> tuple[list, list]:
    with Store.open(home, clock=FixedClock(), writer="inline", durable=False) as store:

        def found(unit) -> None:
            book = BOOKS[name]
            unit.put(Account("A", "", "large", name, book.zone, book.currency, attributes=ATTRIBUTES))
            unit.put(MeterPoint(1, "M", "", "x", "modbus", "", "", 0, 1, slot_min=minutes))
            unit.put(Install(1, "M", "A", "", datetime(2020, 1, 1)))

        store.write(Priority.MONEY, found)
        rater = Rater(store, BOOKS)
        findings = []
        for number, rows in enumerate(batches):
            if rows:
                asyncio.run(ReadInbox(store).accept_intervals("t", str(number), rows, now))
            findings += rater.step(now).findings
        periods = store.read(lambda r: r.find(OpenPeriod, order="start"))
        for period in periods:
            month = period_of(BOOKS[name], period.start)
            assert month == (period.start, period.end)
        return periods, findings


CASES = [
    (name, minutes)
    for minutes in (60, 30)
    for name in sorted(set(BOOKS) - NEEDS_SERIES - NEEDS_KVARH - (HALF_HOUR_ZONES if minutes == 60 else set()))
]


@pytest.mark.parametrize(("name", "minutes"), CASES)
def test_every_book_owes_what_its_statement_says(tmp_path: Path, name: str, minutes: int):
    book = BOOKS[name]
    count = 20 * 1440 // minutes
    wh = np.random.default_rng(5).integers(0, 3000, count)
    channel = Channel.GAS if is_gas(book) else Channel.IMPORT
    rows = [Interval(1, channel, at(n + 1, minutes), minutes, int(wh[n])) for n in range(count)]
    third = count // 3
    pieces = [rows[:third], rows[2 * third :], rows[third : 2 * third]]
    periods, findings = run(tmp_path, name, pieces, rows[-1].end, minutes)
    assert [one for one in findings if one.code != "class_near"] == []  # a notice of the ladder, not a fault
    ends = np.array([np.datetime64(row.end, "ms") for row in rows])
    assert len(periods) >= 1
    for period in periods:
        inside = (ends > np.datetime64(period.start)) & (ends <= np.datetime64(period.end))
        before = carried(book, period.start, Usage(ends, wh, minutes), ATTRIBUTES)
        until = ends[inside][-1].item()
        want = accrued(
            book,
            period.start,
            until,
            period.end,
            ends[inside],
            wh[inside],
            minutes=minutes,
            attributes=ATTRIBUTES,
            carried=before,
        )
        assert (period.accrued_micro, period.accrued_to) == (want, until)
    assert period_of(book, rows[-1].end - timedelta(minutes=1))[0] == periods[-1].start


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(range(24)), st.lists(st.integers(0, 24), max_size=4), st.integers(0, 2**20))
def test_any_order_and_split_of_intervals_owes_the_same(tmp_path: Path, order, cuts: list[int], seed: int):
    wh = np.random.default_rng(seed).integers(0, 30_000, 24)
    rows = [Interval(1, 1, at(n + 1, 60), 60, int(wh[n])) for n in order]
    edges = sorted({0, 24, *cuts})
    pieces = [rows[a:b] for a, b in pairwise(edges)]
    home = tmp_path / str(len(list(tmp_path.iterdir())))
    periods, _ = run(home, "demo", pieces, at(24, 60), 60)
    start, end = period_of(BOOKS["demo"], FROM)
    ends = np.array([np.datetime64(at(n + 1, 60), "ms") for n in range(24)])
    want = accrued(BOOKS["demo"], start, at(24, 60), end, ends, wh, minutes=60)
    assert [period.accrued_micro for period in periods] == [want]
