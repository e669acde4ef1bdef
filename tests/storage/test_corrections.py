"""Late, corrected and estimated reads: whatever comes when, what is booked in the end is the bill of the final reads.

The reference prices the final energies one slot after the other in exact decimals and shares no code with the engine.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.records import Flag, Interval, MeterPoint
from storage import billing, schemas
from storage.rater import Rater
from storage.records import Account, AccountState, BookVersion, Install, Posting, StoredBill, SupersededBill
from storage.store import Store
from storage.writer import Priority
from tariff import book as books
from tariff.model import Book
from tests.exact.reference import Bill as Exact
from tests.exact.reference import Row
from tests.storage.conftest import StillClock

H = timedelta(hours=1)
JANUARY, FEBRUARY = datetime(2025, 12, 31, 16), datetime(2026, 1, 31, 16)
MARCH, APRIL = datetime(2026, 2, 28, 16), datetime(2026, 3, 31, 16)
SPANS = {"2026-01": (JANUARY, FEBRUARY), "2026-02": (FEBRUARY, MARCH), "2026-03": (MARCH, APRIL)}
LATER = datetime(2026, 5, 1)
TEXT = books.shipped_text("zhejiang-residential")
BOOK = books.load(TEXT, "zhejiang-residential")
GUESSED, CONFIRMED, SUSPECT = int(Flag.ESTIMATED), int(Flag.CONFIRMED), int(Flag.SUSPECT)


def town(store: Store, book: Book = BOOK) -> None:
    def work(unit) -> None:
        unit.put(Account("A1", "", "residential", book.name, "Asia/Shanghai", "CNY"))
        unit.put(MeterPoint(1, "M1", "S1", "sdm630", "modbus", "g", "h", 502, 1))
        unit.put(Install(1, "M1", "A1", "S1", JANUARY - timedelta(days=400)))

    store.write(Priority.MONEY, work)


def rank(flags: int) -> int:
    """What wins in one slot: a person's word, then a measurement, then a guess."""
    return 2 if flags & CONFIRMED else 0 if flags & (GUESSED | SUSPECT) else 1


def final(rows: Sequence[tuple[int, int, int]], *, measured: bool = False) -> dict[int, int]:
    """Hour (from 1 January on) to the Wh that bills in the end: the best told, of equals the last."""
    found: dict[int, tuple[int, int]] = {}
    for hour, wh, flags in rows:
        if hour not in found or rank(flags) >= rank(found[hour][1]):
            found[hour] = (wh, flags)
    never = GUESSED | SUSPECT if measured else SUSPECT
    return {hour: wh for hour, (wh, flags) in found.items() if not flags & never or flags & CONFIRMED}


def exact_micro(energies: dict[int, int], span: tuple[datetime, datetime]) -> int:
    """The bill of ``span`` in micro-units, with the year's ladder gone by what was used before."""
    return _exact_micro(tuple(sorted(energies.items())), span)


@cache
def _exact_micro(energies: tuple[tuple[int, int], ...], span: tuple[datetime, datetime]) -> int:
    at = {JANUARY + (hour - 1) * H: wh for hour, wh in energies}
    rows = [Row(start, wh) for start, wh in at.items() if span[0] <= start < span[1]]
    gone = sum(wh for start, wh in at.items() if start < span[0])
    return int(Exact(TEXT, span, rows, carried=gone, minutes=60).run().total * 1_000_000) if rows else 0


def send(store: Store, rows: Sequence[tuple[int, int, int]], tag: str) -> None:
    table = schemas.intervals_table([Interval(1, 1, JANUARY + hour * H, 60, wh, flags) for hour, wh, flags in rows])
    store.write(Priority.INBOX, lambda unit: unit.append_batch("intervals", "t", tag, table, LATER))


def post(store: Store, period: str) -> None:
    billing.post(store, billing.compute(store, period, {BOOK.name: BOOK}), LATER)


def owed(store: Store) -> int:
    return -store.read(lambda r: r.balance("customer:A1"))


HOURS = st.integers(1, (APRIL - JANUARY) // H)
ROWS = st.tuples(
    HOURS, st.integers(0, 100_000_000), st.sampled_from([0, 0, 0, GUESSED, SUSPECT, CONFIRMED, SUSPECT | CONFIRMED])
)
STEPS = st.lists(
    st.one_of(
        st.lists(ROWS, min_size=1, max_size=4, unique_by=lambda row: row[0]),
        st.sampled_from(list(SPANS)),
        st.just("restart"),
    ),
    min_size=2,
    max_size=9,
)


@given(steps=STEPS)
@settings(max_examples=20, deadline=None)
def test_whatever_comes_when_the_final_reads_are_billed(steps: list) -> None:
    """Reads of three months in any order and quality, months billed at any time between, restarts: one sum."""
    with (
        TemporaryDirectory() as folder,
        Store.open(Path(folder), clock=StillClock(LATER), writer="inline", durable=False) as store,
    ):
        town(store)
        rater = Rater(store, {BOOK.name: BOOK})
        told: list[tuple[int, int, int]] = []
        for number, step in enumerate(steps):
            if step == "restart":
                rater = Rater(store, {BOOK.name: BOOK})
            elif isinstance(step, str):
                post(store, step)
            else:
                send(store, step, str(number))
                told += step
            rater.step(LATER)
        for period in SPANS:
            post(store, period)
        rater.step(LATER)
        reads = final(told)
        want = {start: exact_micro(reads, (start, end)) for start, end in SPANS.values()}
        got = {one.start: one.total_micro for one in store.read(lambda r: r.find(StoredBill))}
        assert got == {start: total for start, total in want.items() if start in got}
        assert all(want[start] == 0 for start in want if start not in got)
        assert owed(store) == sum(want.values())
        sure = final(told, measured=True)
        measured = sum(min(want[start], exact_micro(sure, (start, end))) for start, end in SPANS.values())
        state = store.read(lambda r: r.get(AccountState, "A1")) or AccountState("A1")
        assert owed(store) + state.accrued_micro == measured, "no estimate in what a disconnection rests on"
        assert owed(store) + state.accrued_micro + state.estimate_micro == sum(want.values())
        before = store.read(lambda r: (r.find(Posting), r.find(StoredBill), r.find(SupersededBill)))
        rater.step(LATER)
        Rater(store, {BOOK.name: BOOK}).step(LATER)
        assert store.read(lambda r: (r.find(Posting), r.find(StoredBill), r.find(SupersededBill))) == before


@pytest.fixture
def store(tmp_path: Path):
    with Store.open(tmp_path, clock=StillClock(LATER), writer="inline", durable=False) as opened:
        yield opened


def test_a_value_that_goes_back_and_forth_is_booked_each_time_on_its_own_period(store: Store) -> None:
    town(store)
    rater = Rater(store, {BOOK.name: BOOK})
    send(store, [(hour, 1000, 0) for hour in range(1, 31 * 24 + 1)], "all")
    rater.step(LATER)
    post(store, "2026-01")
    totals = [owed(store)]
    for number, wh in enumerate((9000, 1000, 9000)):
        send(store, [(100, wh, CONFIRMED)], f"c{number}")
        assert rater.step(LATER).corrections == 1
        totals.append(owed(store))
    assert totals[1] == totals[3] > totals[0] == totals[2]
    kept = store.read(lambda r: r.find(SupersededBill, order="revision"))
    assert [(one.revision, one.total_micro) for one in kept] == list(enumerate(totals[:3]))
    booked = store.read(lambda r: r.find(Posting, source="correction", ledger_account="customer:A1"))
    assert {(leg.at, abs(leg.amount_micro)) for leg in booked} == {(FEBRUARY, totals[1] - totals[0])}
    assert billing.kept_bill(kept[0].bill).total_micro == totals[0]


def test_a_late_read_moves_every_later_bill_on_the_years_ladder(store: Store) -> None:
    """2700 kWh in January leave 60 kWh of the first tier; 500 kWh that come late lift all of February's."""
    town(store)
    rater = Rater(store, {BOOK.name: BOOK})
    send(store, [(24, 2_700_000, 0), (31 * 24 + 5, 100_000, 0), (59 * 24 + 5, 100_000, 0)], "first")
    rater.step(LATER)
    post(store, "2026-01")
    post(store, "2026-02")
    ladder = [one.total_micro for one in store.read(lambda r: r.find(StoredBill, order="start"))]
    send(store, [(48, 500_000, 0)], "late")
    assert rater.step(LATER).corrections == 2
    after = [one.total_micro for one in store.read(lambda r: r.find(StoredBill, order="start"))]
    assert after[1] - ladder[1] == 60 * 50_000, "60 kWh went from the first tier to the second, 0.05 dearer"
    post(store, "2026-03")
    assert store.read(lambda r: r.find(StoredBill, order="-start", limit=1))[0].total_micro == 33_800_000


def test_a_bill_is_corrected_on_the_book_that_it_was_made_on(store: Store) -> None:
    town(store)
    kept = BookVersion(BOOK.hash, BOOK.name, "CNY", BOOK.zone, TEXT, LATER)
    store.write(Priority.BATCH, lambda unit: unit.add(kept))
    rater = Rater(store, {BOOK.name: BOOK})
    send(store, [(5, 100_000, 0)], "first")
    rater.step(LATER)
    post(store, "2026-01")
    dearer = books.load(TEXT.replace('"0.288"', '"9.288"'), BOOK.name)
    rater.set_books({BOOK.name: dearer})
    send(store, [(6, 100_000, 0)], "late")
    assert rater.step(LATER).corrections == 1
    (bill,) = store.read(lambda r: r.find(StoredBill))
    assert (bill.total_micro, bill.book_hash) == (57_600_000, BOOK.hash)


def test_a_bill_whose_book_was_never_kept_stands_and_says_so(store: Store) -> None:
    town(store)
    rater = Rater(store, {BOOK.name: BOOK})
    send(store, [(5, 100_000, 0)], "first")
    rater.step(LATER)
    post(store, "2026-01")
    rater.set_books({BOOK.name: books.load(TEXT.replace('"0.288"', '"9.288"'), BOOK.name)})
    send(store, [(6, 100_000, 0)], "late")
    report = rater.step(LATER)
    assert [finding.code for finding in report.findings] == ["uncorrected"]
    assert BOOK.hash[:12] in report.findings[0].detail
    assert owed(store) == 28_800_000


# ---- what control disconnects on


def certain(store: Store) -> tuple[int, int]:
    """What control subtracts for sure, ledger and accrued, and what it adds to that to warn."""
    state = store.read(lambda r: r.get(AccountState, "A1"))
    assert state is not None
    return owed(store) + state.accrued_micro, state.estimate_micro


def test_posting_a_bill_with_estimates_takes_nothing_from_what_a_disconnection_rests_on(store: Store) -> None:
    town(store)
    rater = Rater(store, {BOOK.name: BOOK})
    rows = [(hour, 1000, GUESSED if 200 <= hour < 400 else 0) for hour in range(1, 31 * 24 + 1)]
    send(store, rows, "1")
    rater.step(LATER)
    sure = exact_micro(final(rows, measured=True), SPANS["2026-01"])
    guessed = exact_micro(final(rows), SPANS["2026-01"]) - sure
    assert guessed > 0
    assert certain(store) == (sure, guessed)
    post(store, "2026-01")
    rater.step(LATER)
    assert owed(store) == sure + guessed, "the customer is billed on the estimate"
    assert certain(store) == (sure, guessed), "and warned, but never disconnected on it"
    (bill,) = store.read(lambda r: r.find(StoredBill))
    assert bill.estimated_micro == guessed
    told = billing.kept_bill(bill.bill)
    assert [(span.start, span.intervals) for span in told.estimated] == [(JANUARY + 199 * H, 200)]
    send(store, [(hour, 1000, 0) for hour in range(200, 400)], "2")
    rater.step(LATER)
    assert certain(store) == (sure + guessed, 0), "now it was measured"


def test_an_estimate_in_january_does_not_make_march_dearer_for_control(store: Store) -> None:
    """The year's ladder goes on from measured energy; on the billed one it stands in the second tier."""
    town(store)
    send(store, [(5, 3_000_000, GUESSED), (59 * 24 + 5, 100_000, 0)], "1")
    Rater(store, {BOOK.name: BOOK}).step(LATER)
    assert certain(store)[0] == 28_800_000, "100 kWh of the valley, first tier"
    assert billing.compute(store, "2026-03", {BOOK.name: BOOK})[0].total_micro == 33_800_000
