"""Reads to money: exactly once, in any slices, late or corrected, across restarts; never above or below the bill."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from ingest.records import Flag, Interval, MeterPoint, MeterRead
from storage import billing
from storage.inbox import ReadInbox
from storage.rater import Rater, unrated
from storage.records import Account, AccountState, Install, OpenPeriod, StoredBill
from storage.store import Store
from storage.writer import Priority
from tariff import book as books
from tariff.statement import accrued, carried, period_of
from tariff.usage import Usage

H = timedelta(hours=1)
START = datetime(2026, 2, 28, 16)  # 1 March in Shanghai
BOOKS = {name: books.load(books.shipped_text(name), name) for name in ("demo", "zhejiang-residential")}


class FixedClock:
    def now(self) -> datetime:
        return START

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        del seconds


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[str], Store]]:
    stores: list[Store] = []

    def open_(name: str = "home") -> Store:
        stores.append(Store.open(tmp_path / name, clock=FixedClock(), writer="inline", durable=False))
        return stores[-1]

    yield open_
    for store in stores:
        store.close()


def town(store: Store, count: int = 3, book: str = "demo", opened: datetime = START - timedelta(days=400)) -> None:
    def work(unit) -> None:
        for n in range(1, count + 1):
            unit.put(Account(f"A{n}", "", "residential", book, "Asia/Shanghai", "CNY"))
            unit.put(MeterPoint(n, f"M{n}", f"S{n}", "sdm630", "modbus", "g", "h", 502, n))
            unit.put(Install(n, f"M{n}", f"A{n}", f"S{n}", opened))

    store.write(Priority.MONEY, work)


def hourly(count: int, hours: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 3000, (count, hours))


def send(store: Store, reads: list[MeterRead], number: str) -> None:
    asyncio.run(ReadInbox(store).accept("test", number, reads, START))


def registers(wh: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros((wh.shape[0], 1), np.int64), np.cumsum(wh, axis=1)], axis=1) + 5000


def reads_at(registers_: np.ndarray, hour: int, meters: list[int] | None = None) -> list[MeterRead]:
    chosen = meters or list(range(1, registers_.shape[0] + 1))
    return [MeterRead(m, 1, START + hour * H, int(registers_[m - 1, hour])) for m in chosen]


def state(store: Store, account: str) -> AccountState:
    return store.read(lambda r: r.get(AccountState, account)) or AccountState(account)


def expected(wh: np.ndarray, hours: int, book: str = "demo") -> int:
    start, end = period_of(BOOKS[book], START)
    ends = np.array([np.datetime64(START + (h + 1) * H, "ms") for h in range(hours)])
    return accrued(BOOKS[book], start, START + hours * H, end, ends, wh[:hours], minutes=60)


def contents(store: Store) -> tuple[list[dict], list[dict], list, list]:
    low, high = START - timedelta(days=60), START + timedelta(days=60)
    drop = lambda t, *names: t.drop_columns(list(names)).to_pylist()  # noqa: E731
    states = store.read(lambda r: r.find(AccountState, order="account"))
    return (
        store.intervals(low, high).to_pylist(),
        drop(store.charges(low, high), "run_id"),
        states,
        store.read(lambda r: r.find(OpenPeriod)),
    )


def test_every_hour_accrues_the_bill_so_far_and_charges_add_up(opened):
    store = opened()
    town(store)
    wh = hourly(3, 100)
    register = registers(wh)
    rater = Rater(store, BOOKS)
    for hour in range(101):
        send(store, reads_at(register, hour), str(hour))
        assert unrated(store)
        rater.step(START + hour * H)
        assert not unrated(store)
        if hour in (1, 2, 50, 100):
            for n in (1, 2, 3):
                found = state(store, f"A{n}")
                assert found.accrued_micro == expected(wh[n - 1], hour)
                assert found.accrued_to == START + hour * H
                assert found.estimate_micro == 0
    charges = store.charges(START, START + 100 * H)
    assert charges.num_rows == 300
    bill = billing.compute(store, "2026-03", BOOKS, account="A1")[0]
    energy = sum(line.amount_micro for line in bill.lines if line.id == "energy")
    mine = charges.filter(pc.equal(charges.column("account"), "A1"))
    assert sum(mine.column("amount_micro").to_pylist()) == energy
    assert rater.step(START + 100 * H).reads == 0


def test_any_slicing_restart_and_order_of_batches_give_the_same_money(opened):
    wh = hourly(3, 60, seed=3)
    register = registers(wh)
    order = [*range(20), 25, 22, 24, 20, 21, 23, *range(26, 61)]
    results = []
    for name, every in (("all", 100), ("each", 1), ("some", 7)):
        store = opened(name)
        town(store)
        rater = Rater(store, BOOKS)
        for count, hour in enumerate(order):
            send(store, reads_at(register, hour), str(hour))
            if count % every == every - 1:
                rater.step(START + 60 * H)
                if every == 7:
                    rater = Rater(store, BOOKS)
        rater.step(START + 60 * H)
        results.append(contents(store))
        assert sum(row["energy_wh"] for row in results[-1][0]) == wh.sum()
    assert results[0][2] == results[1][2] == results[2][2]
    assert results[0][1] == results[1][1] == results[2][1]
    assert state(store, "A2").accrued_micro == expected(wh[1], 60)


def test_a_block_is_owed_at_once_and_its_hours_are_put_right_by_the_late_reads(opened):
    store = opened()
    town(store, 1)
    wh = hourly(1, 12, seed=5)
    register = registers(wh)
    rater = Rater(store, BOOKS)
    for hour in (0, 1, 2, 10, 11, 12):
        send(store, reads_at(register, hour), str(hour))
        rater.step(START + hour * H)
    rows = store.intervals(START, START + 12 * H).to_pylist()
    assert len(rows) == 12
    assert [bool(row["flags"] & Flag.UNCERTAIN) for row in rows] == [False] * 2 + [True] * 8 + [False] * 2
    for hour in (5, 4, 3, 6, 9, 8, 7):
        send(store, reads_at(register, hour), f"late{hour}")
        assert rater.step(START + 12 * H).corrections == 1
    rows = store.intervals(START, START + 12 * H).to_pylist()
    assert [row["energy_wh"] for row in rows] == wh[0].tolist()
    assert {row["flags"] for row in rows} == {0}
    assert state(store, "A1").accrued_micro == expected(wh[0], 12)
    charges = store.charges(START, START + 12 * H).to_pylist()
    assert [row["energy_wh"] for row in charges] == wh[0].tolist()


def test_a_spike_is_kept_and_never_owed(opened):
    store = opened()
    town(store, 1)
    rater = Rater(store, BOOKS)
    for hour, value in enumerate((0, 500, 900_000_000, 1500)):
        send(store, [MeterRead(1, 1, START + hour * H, value)], str(hour))
        rater.step(START + hour * H)
        assert state(store, "A1").accrued_micro < 2_000_000
    wh = np.array([500, 500, 500])
    assert state(store, "A1").accrued_micro == expected(wh, 3)
    rows = store.intervals(START, START + 3 * H).to_pylist()
    assert [row["energy_wh"] for row in rows] == [500, 500, 500]


def test_what_is_unread_is_estimated_apart_and_vanishes_when_it_is_read(opened):
    store = opened()
    town(store, 1)
    wh = np.full((1, 30), 1000)
    register = registers(wh)
    rater = Rater(store, BOOKS)
    for hour in range(21):
        send(store, reads_at(register, hour), str(hour))
    rater.step(START + 20 * H)
    rater.step(START + 30 * H)
    waiting = state(store, "A1")
    assert waiting.accrued_micro == expected(wh[0], 20)
    assert waiting.accrued_micro + waiting.estimate_micro == expected(wh[0], 30)
    send(store, reads_at(register, 30), "30")
    rater.step(START + 30 * H)
    assert (state(store, "A1").accrued_micro, state(store, "A1").estimate_micro) == (expected(wh[0], 30), 0)


def test_an_estimated_interval_never_enters_what_is_owed(opened):
    store = opened()
    town(store, 1)
    rows = [Interval(1, 1, START + h * H, 60, 1000, Flag.ESTIMATED if h == 3 else 0) for h in range(1, 5)]
    asyncio.run(ReadInbox(store).accept_intervals("p", "1", rows, START))
    Rater(store, BOOKS).step(START + 4 * H)
    found = state(store, "A1")
    assert found.accrued_micro == expected(np.array([1000, 1000, 0, 1000]), 4)
    assert found.estimate_micro > 0
    bill = billing.compute(store, "2026-03", BOOKS)[0]
    assert sum(float(line.quantity) for line in bill.lines if line.id == "energy") == 4


def test_posting_a_bill_clears_what_accrued_and_nothing_falls_on_the_customer(opened):
    store = opened()
    town(store, 2)
    hours = 31 * 24 + 5
    wh = hourly(2, hours, seed=8)
    register = registers(wh)
    rater = Rater(store, BOOKS)
    for hour in range(hours + 1):
        send(store, reads_at(register, hour), str(hour))
    rater.step(START + hours * H)
    now = START + hours * H
    before = {
        a: store.read(lambda r, a=a: r.balance(f"customer:{a}")) - state(store, a).accrued_micro for a in ("A1", "A2")
    }
    bills = billing.compute(store, "2026-03", BOOKS)
    assert [bill.complete for bill in bills] == [True, True]
    assert billing.post(store, bills, now) == 2
    after = {
        a: store.read(lambda r, a=a: r.balance(f"customer:{a}")) - state(store, a).accrued_micro for a in ("A1", "A2")
    }
    assert before == after
    assert store.read(lambda r: r.ledger_sum()) == 0
    assert billing.post(store, billing.compute(store, "2026-03", BOOKS), now) == 0
    assert store.read(lambda r: r.count(StoredBill)) == 2
    assert 0 < state(store, "A1").accrued_micro < 20_000_000
    with pytest.raises(ValueError, match="post bills after it"):
        billing.post(store, billing.compute(store, "2026-04", BOOKS), now)


def test_a_late_read_of_a_billed_period_is_a_correction_on_its_own_period(opened):
    store = opened()
    town(store, 1)
    hours = 31 * 24
    wh = hourly(1, hours, seed=9)
    rater = Rater(store, BOOKS)
    rows = [Interval(1, 1, START + (h + 1) * H, 60, int(wh[0, h])) for h in range(hours) if h not in (100, 101)]
    asyncio.run(ReadInbox(store).accept_intervals("p", "1", rows, START))
    now = START + (hours + 3) * H
    rater.step(now)
    bills = billing.compute(store, "2026-03", BOOKS)
    assert [(span.intervals, span.start) for span in bills[0].missing] == [(2, START + 100 * H)]
    billing.post(store, bills, now)
    late = [Interval(1, 1, START + (h + 1) * H, 60, int(wh[0, h])) for h in (100, 101)]
    asyncio.run(ReadInbox(store).accept_intervals("p", "2", late, now))
    assert rater.step(now).corrections == 1
    full = billing.compute(store, "2026-03", BOOKS)[0]
    assert full.complete
    assert store.read(lambda r: r.balance("customer:A1")) == -full.total_micro
    assert store.read(lambda r: r.get(StoredBill, "A1", START)).total_micro == full.total_micro
    assert rater.step(now).corrections == 0
    assert store.read(lambda r: r.ledger_sum()) == 0
    assert full.total_micro == expected(wh[0], hours)


def test_an_annual_ladder_carries_over_months_and_late_reads_of_an_earlier_one_move_it(opened):
    store = opened()
    town(store, 1, "zhejiang-residential")
    book = BOOKS["zhejiang-residential"]
    first = datetime(2026, 1, 31, 16)
    hours = (datetime(2026, 3, 10) - first) // H
    wh = hourly(1, hours, seed=4)[0] * 4
    rows = [Interval(1, 1, first + (h + 1) * H, 60, int(wh[h])) for h in range(hours)]
    rater = Rater(store, BOOKS)
    asyncio.run(ReadInbox(store).accept_intervals("p", "1", rows[:300] + rows[310:], first))
    rater.step(first + hours * H)
    asyncio.run(ReadInbox(store).accept_intervals("p", "2", rows[300:310], first))
    rater.step(first + hours * H)
    ends = np.array([np.datetime64(row.end, "ms") for row in rows])
    start, end = period_of(book, START)
    before = carried(book, start, Usage(ends, wh, 60))
    assert next(iter(before.values())) > 2000_000
    march = accrued(
        book,
        start,
        rows[-1].end,
        end,
        ends[ends > np.datetime64(start)],
        wh[ends > np.datetime64(start)],
        minutes=60,
        carried=before,
    )
    periods = store.read(lambda r: r.find(OpenPeriod, order="start"))
    assert [period.start for period in periods] == [first, start]
    assert periods[1].accrued_micro == march
    assert state(store, "A1").accrued_micro == sum(period.accrued_micro for period in periods)
    assert Rater(store, BOOKS).step(first + hours * H).charges == 0


def test_a_meter_change_in_mid_period_bills_the_old_part_and_the_new_one(opened):
    store = opened()
    town(store, 1)
    swap = START + 10 * H

    def change(unit) -> None:
        unit.put(Install(1, "M1", "A1", "S1", START - timedelta(days=400), swap))
        unit.put(MeterPoint(7, "M7", "S7", "sdm630", "modbus", "g", "h", 502, 7))
        unit.put(Install(7, "M7", "A1", "S7", swap))

    rater = Rater(store, BOOKS)
    for hour in range(11):
        send(store, [MeterRead(1, 1, START + hour * H, 90_000 + 400 * hour)], f"old{hour}")
    rater.step(swap)
    store.write(Priority.MONEY, change)
    for hour in range(10, 21):
        send(store, [MeterRead(7, 1, START + hour * H, 600 * (hour - 10))], f"new{hour}")
    rater.step(START + 20 * H)
    wh = np.array([400] * 10 + [600] * 10)
    assert state(store, "A1").accrued_micro == expected(wh, 20)
    charges = store.charges(START, START + 20 * H).to_pylist()
    assert sorted((row["end"], row["meter_id"]) for row in charges)[9:11] == [(swap, 1), (swap + H, 7)]


def test_the_rater_leaves_the_payments_part_of_the_state_alone(opened):
    store = opened()
    town(store, 1)
    paid = AccountState("A1", balance_after_payment_micro=7, last_payment_micro=5, last_payment_at=START, epoch=3)
    store.write(Priority.MONEY, lambda unit: unit.put(paid))
    for hour in range(3):
        send(store, [MeterRead(1, 1, START + hour * H, 1000 * hour)], str(hour))
    Rater(store, BOOKS).step(START + 2 * H)
    found = state(store, "A1")
    assert (found.epoch, found.last_payment_micro, found.balance_after_payment_micro) == (3, 5, 7)
    assert found.accrued_micro == expected(np.array([1000, 1000]), 2)


def test_a_crash_at_any_commit_point_changes_nothing_in_the_end(opened):
    wh = hourly(2, 24, seed=11)
    register = registers(wh)
    calm = opened("calm")
    town(calm, 2)
    for hour in range(25):
        send(calm, reads_at(register, hour), str(hour))
    Rater(calm, BOOKS).step(START + 24 * H)
    for point in ("commit.before", "commit.after"):
        store = opened(point)
        town(store, 2)

        def crash(name: str, point: str = point) -> None:
            if name == point:
                raise RuntimeError("killed")

        for hour in range(25):
            send(store, reads_at(register, hour), str(hour))
            rater = Rater(store, BOOKS)
            store.crash_points = crash
            with suppress(RuntimeError):
                rater.step(START + hour * H)
            store.crash_points = lambda name: None
            if hour % 2:
                rater.step(START + hour * H)
        Rater(store, BOOKS).step(START + 24 * H)
        assert contents(store)[:3] == contents(calm)[:3]


def test_other_books_price_open_periods_again(opened):
    store = opened()
    town(store, 2)
    wh = hourly(2, 40, seed=12)
    register = registers(wh)
    rater = Rater(store, BOOKS)
    for hour in range(41):
        send(store, reads_at(register, hour), str(hour))
    rater.step(START + 40 * H)
    dearer = books.load(books.shipped_text("demo").replace('"0.40"', '"0.80"'), "demo")
    rater.set_books({"demo": dearer})
    rater.step(START + 40 * H)
    start, end = period_of(dearer, START)
    ends = np.array([np.datetime64(START + (h + 1) * H, "ms") for h in range(40)])
    want = accrued(dearer, start, START + 40 * H, end, ends, wh[0], minutes=60)
    assert want > expected(wh[0], 40)
    assert state(store, "A1").accrued_micro == want
    assert set(store.charges(START, START + 40 * H).column("book_hash").to_pylist()) == {dearer.hash}
    before = contents(store)
    Rater(store, {"demo": dearer}).step(START + 40 * H)
    assert contents(store) == before
