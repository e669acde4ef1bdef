"""Balances as of any time: each equals what stood there as it happened, whatever was billed or came late since."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ingest.records import Channel, Flag, Interval
from storage import asof, billing, schemas
from storage.asof import Balance
from storage.errors import StorageError
from storage.keptbooks import KeptBooks
from storage.rater import Rater
from storage.records import AccountState, Posting
from storage.store import Store
from storage.writer import Priority
from tests.storage.conftest import StillClock
from tests.storage.test_rules_stored import LATER, town
from tests.tariff.making import made

START = datetime(2025, 1, 1)
HOUR = timedelta(hours=1)
HOURS = 24 * 34
LADDER = {
    "id": "energy",
    "kind": "energy",
    "prices": ["0.10", "0.25"],
    "ladder": {"reset": "year", "limits": ["300"]},
}
BOOK = made(LADDER, {"id": "fee", "kind": "fixed", "amount": "12"}, {"id": "vat", "kind": "percent", "percent": "13"})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path, clock=StillClock(LATER), writer="inline", durable=False) as opened:
        town(opened)
        yield opened


def pay(store: Store, amount_micro: int, at: datetime, number: str) -> None:
    legs = [
        Posting("payment", number, "customer:A1", amount_micro, "XXX", at, at),
        Posting("payment", number, "cash:desk", -amount_micro, "XXX", at, at),
    ]
    store.write(Priority.MONEY, lambda unit: unit.post(legs))


def read(store: Store, rater: Rater, ends: list[datetime], wh: list[int], flags: int = 0) -> None:
    rows = [Interval(1, int(Channel.IMPORT), end, 60, n, flags) for end, n in zip(ends, wh, strict=True)]
    table = schemas.intervals_table(rows)
    store.write(Priority.INBOX, lambda unit: unit.append_batch("intervals", "t", f"{ends[0]}-{flags}", table, LATER))
    rater.step(LATER)


def stands(store: Store) -> int:
    """What is available now, by the rater's own state."""
    state, posted = store.read(lambda r: (r.get(AccountState, "A1"), r.balance("customer:A1")))
    return posted - (state.accrued_micro if state is not None else 0)


def balance(store: Store, at: datetime) -> Balance:
    found = asof.balance(store, KeptBooks(store, {"made": BOOK}), "A1", at)
    assert found is not None
    return found


def available(store: Store, at: datetime) -> int:
    return balance(store, at).available_micro


def said(store: Store, at: datetime) -> int:
    return balance(store, at).told_micro


def lived(store: Store, seed: int) -> tuple[Rater, dict[datetime, int]]:
    """Six weeks of reads in uneven steps, payments between them; what was available after each."""
    chance, rater, then = random.Random(seed), Rater(store, {"made": BOOK}), dict[datetime, int]()
    hour = 0
    while hour < HOURS:
        step = min(chance.randint(1, 150), HOURS - hour)
        ends = [START + (hour + n + 1) * HOUR for n in range(step)]
        read(store, rater, ends, [chance.randrange(3000) for _ in ends])
        hour += step
        if chance.random() < 0.4:
            pay(store, chance.randrange(1, 90_000_000), ends[-1], f"{hour}")
        then[ends[-1]] = stands(store)
    return rater, then


@pytest.mark.parametrize("seed", range(2))
def test_every_balance_of_the_past_is_what_stood_there(store: Store, seed: int) -> None:
    rater, then = lived(store, seed)
    assert {at: available(store, at) for at in then} == then
    assert billing.post(store, billing.compute(store, "2025-01", {"made": BOOK}), LATER) == 1
    assert {at: available(store, at) for at in then} == then, "a posted bill moves nothing"
    assert available(store, LATER) == stands(store) == then[max(then)]
    rater.step(LATER)


def test_a_late_read_corrects_what_came_after_it_and_nothing_before(store: Store) -> None:
    rater, late = Rater(store, {"made": BOOK}), START + 100 * HOUR
    ends = [START + (n + 1) * HOUR for n in range(HOURS)]
    read(store, rater, [end for end in ends if end != late], [1000] * (HOURS - 1))
    pay(store, 500_000_000, START, "1")
    billing.post(store, billing.compute(store, "2025-01", {"made": BOOK}), LATER)
    looks = [late - HOUR, late + HOUR, START + 800 * HOUR]
    before = [available(store, at) for at in looks]
    told = [said(store, at) for at in looks]
    read(store, rater, [late], [40_000])
    after = [available(store, at) for at in looks]
    assert after[0] == before[0]
    assert after[1] - before[1] == -40 * 113_000  # 0.10 a kWh and 13 %
    assert after[2] - before[2] < after[1] - before[1], "of the second tier, by the end of the year's ladder"
    assert [said(store, at) for at in looks] == told, "the ledger of then said what it said"
    assert available(store, LATER) == stands(store)


def test_an_estimate_warns_and_is_in_no_balance(store: Store) -> None:
    rater = Rater(store, {"made": BOOK})
    ends = [START + (n + 1) * HOUR for n in range(HOURS)]
    read(store, rater, ends[:700], [500] * 700)
    read(store, rater, ends[700:760], [9000] * 60, int(Flag.ESTIMATED))
    read(store, rater, ends[760:], [500] * (HOURS - 760))
    looks = ends[600:744:50]
    before = [available(store, at) for at in looks]
    assert available(store, ends[740]) == available(store, ends[699]) and available(store, LATER) == stands(store)
    billing.post(store, billing.compute(store, "2025-01", {"made": BOOK}), LATER)
    assert [available(store, at) for at in looks] == before
    assert available(store, LATER) == stands(store)


def test_nobody_has_no_balance_and_a_lost_book_is_said(store: Store) -> None:
    kept = KeptBooks(store, {})
    assert asof.balance(store, kept, "NOBODY", LATER) is None
    found = asof.balance(store, kept, "A1", START)
    assert found is not None and (found.posted_micro, found.accrued_micro, found.accrued_to) == (0, 0, None)
    read(store, Rater(store, {"made": BOOK}), [START + HOUR], [1000])
    with pytest.raises(StorageError, match=r"A1: the tariff book .* is not at hand"):
        asof.balance(store, kept, "A1", LATER)
