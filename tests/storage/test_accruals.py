"""Accounts' states from their open periods: one statement for all against the arithmetic of one account."""

import random
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from storage.accruals import _after, put_states, rows_of, settle
from storage.records import AccountState, OpenPeriod
from storage.store import Store
from storage.unit import Unit
from storage.writer import Priority
from tests.storage.conftest import StillClock

T0 = datetime(2026, 3, 1)
MONTH = timedelta(days=31)


def period(rng: random.Random, account: str, number: int) -> OpenPeriod:
    start = T0 + number * MONTH
    reached = rng.choice([None, start + timedelta(hours=rng.randrange(1, 700))])
    micro, tier = rng.randrange(-(10**9), 10**12), rng.choice([None, 0, 7000])
    return OpenPeriod(account, start, start + MONTH, f"h{number}", micro, reached, rng.choice([0, 10**7]), tier)


def test_many_at_once_are_what_each_is_alone_and_what_others_keep_in_the_row_stays(tmp_path: Path) -> None:
    rng = random.Random(3)
    open_of: dict[str, dict[datetime, OpenPeriod]] = {}
    before: dict[str, AccountState] = {}
    for number in range(300):
        account = f"A{number:03d}"
        periods = [period(rng, account, n) for n in rng.sample(range(4), rng.randrange(1, 4))]
        open_of[account] = {one.start: one for one in periods}
        if rng.random() < 0.8:
            put_aside = rng.choice([0, 0, rng.randrange(10**9)])
            before[account] = AccountState(
                account, rng.randrange(10**9), rng.choice([None, T0]), rng.choice([None, T0]), 5, 6, T0, 3, "old", 9,
                rng.choice([None, 1]), put_aside,
            )  # fmt: skip
    changed = [one for account in rng.sample(sorted(open_of), 250) for one in open_of[account].values()]
    with Store.open(tmp_path, clock=StillClock(), writer="inline", durable=False) as store:
        store.write(Priority.BATCH, lambda unit: unit.put_all(list(before.values())))
        store.write(Priority.BATCH, lambda unit: put_states(unit, rows_of(changed, open_of)))
        after = {row.account: row for row in store.read(lambda reader: reader.find(AccountState))}
        touched = {one.account for one in changed}
        for account, mine in open_of.items():
            old = before.get(account)
            if account in touched:
                assert after[account] == _after(old or AccountState(account), mine)
            else:
                assert after.get(account) == old
        assert sorted(store.read(lambda r: r.find(OpenPeriod)), key=str) == sorted(changed, key=str)

        def again(unit: Unit) -> int:
            count = unit.connection.total_changes
            for account in touched:
                settle(unit, account)
            return unit.connection.total_changes - count

        assert store.write(Priority.BATCH, again) == 0
        assert any(after[name] != replace(after[name], billed_estimate_micro=0) for name in touched)
