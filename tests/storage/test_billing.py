"""Bills say what is missing and where an account ended; they can be made again from the lake to the micro-unit."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from ingest.records import Flag, Interval, MeterPoint
from storage import billing, schemas, wholes
from storage.rater import Rater
from storage.records import Account, Install, StoredBill
from storage.rerate import rerate
from storage.store import Store
from storage.writer import Priority
from tariff import book as books
from tests.storage.test_rater import FixedClock

H = timedelta(hours=1)
MARCH = (datetime(2026, 2, 28, 16), datetime(2026, 3, 31, 16))
HOURS = 31 * 24
LATER = datetime(2026, 5, 1)
BOOKS = {name: books.load(books.shipped_text(name), name) for name in ("demo", "guangzhou-residential")}


@pytest.fixture
def store(tmp_path: Path):
    with Store.open(tmp_path, clock=FixedClock(), writer="inline", durable=False) as opened:
        yield opened


def meter(store: Store, number: int, *, protocol: str = "modbus", account: bool = True, **install: datetime) -> None:
    def work(unit) -> None:
        unit.put(MeterPoint(number, f"M{number}", "", "x", protocol, "", "", 0, number))
        if account:
            unit.put(Account(f"A{number}", "", "residential", "demo", "Asia/Shanghai", "CNY"))
            span = {"start": datetime(2020, 1, 1)} | install
            unit.put(Install(number, f"M{number}", f"A{number}", "", **span))

    store.write(Priority.MONEY, work)


def fill(store: Store, number: int, hours: range, wh: int = 1000, flags: int = 0, tag: str = "") -> None:
    rows = [Interval(number, 1, MARCH[0] + (hour + 1) * H, 60, wh, flags) for hour in hours]
    table = schemas.intervals_table(rows)
    store.write(Priority.INBOX, lambda unit: unit.append_batch("intervals", "t", f"{number}{tag}{hours}", table, LATER))


def only(store: Store, **options):
    bills = billing.compute(store, "2026-03", BOOKS, **options)
    assert len(bills) == 1
    return bills[0]


def spans(bill) -> list[tuple[int, int]]:
    return [((span.start - MARCH[0]) // H, span.intervals) for span in bill.missing]


def test_a_full_month_is_complete_and_its_lines_add_up(store: Store):
    meter(store, 1)
    fill(store, 1, range(HOURS))
    bill = only(store)
    assert (bill.start, bill.end, bill.complete, bill.ended) == (*MARCH, True, None)
    assert bill.total_micro == sum(line.amount_micro for line in bill.lines)
    energy = [(line.period, line.tier, line.quantity) for line in bill.lines if line.id == "energy"]
    assert sum(float(quantity) for _, _, quantity in energy) == HOURS


def test_missing_and_suspect_slots_are_named_and_cost_nothing(store: Store):
    meter(store, 1)
    fill(store, 1, range(100))
    fill(store, 1, range(100, 103), 50_000, Flag.SUSPECT)
    fill(store, 1, range(110, HOURS))
    bill = only(store)
    assert spans(bill) == [(100, 10)]
    assert not bill.complete
    confirmed = Flag.SUSPECT | Flag.CONFIRMED
    fill(store, 1, range(100, 103), 50_000, confirmed, tag="again")
    assert spans(only(store)) == [(103, 7)]


def test_the_contract_bounds_what_is_expected(store: Store):
    meter(store, 1, start=MARCH[0] + 10 * H, end=MARCH[0] + 700 * H)
    fill(store, 1, range(HOURS))
    bill = only(store)
    assert (spans(bill), bill.ended) == ([], MARCH[0] + 700 * H)
    assert sum(float(line.quantity) for line in bill.lines if line.id == "energy") == 690


def test_a_silent_file_meter_has_ended_a_silent_live_one_is_missing(store: Store):
    for number, protocol in ((1, "file"), (2, "modbus")):
        meter(store, number, protocol=protocol)
        fill(store, number, range(200))
    ended, silent = billing.compute(store, "2026-03", BOOKS)
    assert (ended.ended, spans(ended)) == (MARCH[0] + 200 * H, [])
    assert (silent.ended, spans(silent)) == (None, [(200, HOURS - 200)])
    fill(store, 1, range(HOURS + 5, HOURS + 9))
    assert spans(only(store, account="A1")) == [(200, HOURS - 200)]


def test_with_a_book_meters_without_an_account_are_computed_too(store: Store):
    meter(store, 1, account=False, protocol="file")
    fill(store, 1, range(HOURS))
    assert billing.compute(store, "2026-03", BOOKS) == []
    bill = only(store, book="guangzhou-residential")
    assert (bill.account, bill.book) == ("M1", "guangzhou-residential")
    assert bill.total_micro == 117_800_000 + 127_800_000 + 305_820_000  # 344 x 0.889 = 305.816


@pytest.mark.parametrize("text", ["2026", "2026-13", "March", ""])
def test_a_period_that_is_none_is_refused(store: Store, text: str):
    meter(store, 1)
    with pytest.raises(ValueError):
        billing.compute(store, text, BOOKS)


def test_an_unknown_account_or_book_is_refused(store: Store):
    meter(store, 1)
    with pytest.raises(KeyError):
        billing.compute(store, "2026-03", BOOKS, account="nobody")
    with pytest.raises(KeyError):
        billing.compute(store, "2026-03", BOOKS, book="no-such-book")


def test_two_meters_of_one_account_are_one_bill(store: Store):
    meter(store, 1)
    meter(store, 2, account=False)
    both = Install(2, "M2", "A1", "", datetime(2020, 1, 1), None, 3)
    store.write(Priority.MONEY, lambda unit: unit.put(both))
    fill(store, 1, range(HOURS), 100)
    fill(store, 2, range(HOURS), 200)
    bill = only(store)
    quantity = sum(round(float(line.quantity) * 1000) for line in bill.lines if line.id == "energy")
    assert quantity == HOURS * (100 + 3 * 200)


def test_posted_bills_are_made_again_to_the_micro_unit_and_a_changed_read_shows(store: Store):
    for number in (1, 2, 3):
        meter(store, number)
        fill(store, number, range(HOURS), 400 * number)
    Rater(store, BOOKS).step(LATER)
    assert billing.post(store, billing.compute(store, "2026-03", BOOKS), LATER) == 3
    again = rerate(store, BOOKS)
    assert (again.checked, again.differences) == (3, ())
    fill(store, 2, range(5, 6), 9999, tag="changed")
    wrong = rerate(store, BOOKS).differences
    assert {one.account for one in wrong} == {"A2"}
    assert [one.reason for one in wrong][:2] == ["total", "reads"]
    assert {one.reason for one in wrong[2:]} == {"line"}
    assert [one.reason for one in rerate(store, {}).differences] == ["book"] * 3
    assert rerate(store, BOOKS, until=MARCH[0]).checked == 0
    Rater(store, BOOKS).step(LATER)
    assert rerate(store, BOOKS).differences == ()


def test_the_ledger_of_posted_bills_sums_to_zero_and_owes_the_totals(store: Store):
    rng = np.random.default_rng(2)
    for number in range(1, 6):
        meter(store, number)
        fill(store, number, range(HOURS), int(rng.integers(1, 2000)))
    bills = billing.compute(store, "2026-03", BOOKS)
    billing.post(store, bills, LATER)
    assert store.read(lambda r: r.ledger_sum()) == 0
    assert store.read(lambda r: r.balances()) == {f"customer:{bill.account}": -bill.total_micro for bill in bills}
    assert store.read(lambda r: r.balance(billing.REVENUE)) == sum(bill.total_micro for bill in bills)
    assert [one.total_micro for one in store.read(lambda r: r.find(StoredBill))] == [b.total_micro for b in bills]


def test_whole_accounts_are_priced_at_once_and_all_others_alone_with_the_same_bills(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    for number in range(1, 10):
        meter(store, number, **({"start": MARCH[0] + 50 * H} if number == 2 else {}))
        if number not in (3, 4, 5):
            fill(store, number, range(-24, HOURS), 200 * number)
    meter(store, 10, account=False)
    fill(store, 10, range(HOURS))
    fill(store, 3, range(HOURS - 1))  # one hour is missing
    for number, flag in ((4, Flag.ESTIMATED), (5, Flag.SUSPECT)):
        fill(store, number, range(60))
        fill(store, number, range(60, HOURS), 900, flag)

    def customers(unit) -> None:
        unit.put(Account("A6", "", "residential", "demo", "Asia/Shanghai", "CNY", closed=MARCH[0] + 300 * H))
        unit.put(Install(10, "M10", "A7", "", datetime(2020, 1, 1)))  # a second meter of account 7
        unit.put(Install(8, "M8", "A8", "", datetime(2020, 1, 1), multiplier=40))

    store.write(Priority.MONEY, customers)
    assert billing.compute(store, "2027-03", BOOKS) == []
    together: list[str] = []
    usual = wholes.billed

    def seen(*given):
        found = usual(*given)
        together.extend(found)
        return found

    monkeypatch.setattr(wholes, "billed", seen)
    fast = billing.compute(store, "2026-03", BOOKS)
    monkeypatch.setattr(wholes, "billed", lambda *given: {})
    assert fast == billing.compute(store, "2026-03", BOOKS)
    assert len(fast) == 9 and together == ["A1", "A8", "A9"]
