"""A stopped home goes in; what must be equal however often its daemon was killed comes out."""

from datetime import datetime
from pathlib import Path
from typing import Any

from control.tables import TABLES
from sim.clock import TestClock
from storage.records import Account, AccountState, Payment, Posting
from storage.store import Store
from storage.unit import Reader
from storage.verify import verify

LONG_AGO, FAR_AHEAD = datetime(2020, 1, 1), datetime(2040, 1, 1)
COLUMNS = {
    "reads": ("meter_id", "channel", "end", "register_wh"),
    "intervals": ("meter_id", "channel", "end", "minutes", "energy_wh"),
    "charges": (
        "meter_id", "account", "end", "minutes", "energy_wh", "amount_micro", "period", "tier", "price", "price_scale",
        "book_hash",
    ),
}  # fmt: skip
"""What is compared of each dataset: no run ids, no attempts, no times of commit, no quality of how it was fetched."""

Facts = dict[str, list[Any]]


def gather(root: Path, clock: Path) -> Facts:
    """Every read, interval, charge, posting, payment and account's money, each as a sorted list of rows."""
    with Store.open(root, TABLES, clock=TestClock(clock), writer="none") as store:
        tables = {
            "reads": store.reads(LONG_AGO, FAR_AHEAD),
            "intervals": store.intervals(LONG_AGO, FAR_AHEAD, channel=None),
            "charges": store.charges(LONG_AGO, FAR_AHEAD),
        }
        facts: Facts = {
            name: sorted(tuple(row[c] for c in COLUMNS[name]) for row in table.to_pylist())
            for name, table in tables.items()
        }
        return facts | store.read(_rows)


def _rows(reader: Reader) -> Facts:
    return {
        "postings": sorted(
            (p.source, p.source_id, p.ledger_account, p.amount_micro, p.currency) for p in reader.find(Posting)
        ),
        "payments": sorted(
            (p.channel, p.external_id, p.account, p.amount_micro, p.status) for p in reader.find(Payment)
        ),
        "accounts": sorted(
            (a.account, a.accrued_micro, a.accrued_to, a.balance_after_payment_micro, a.epoch)
            for a in reader.find(AccountState)
        ),
        "balances": sorted((a.account, reader.balance(f"customer:{a.account}")) for a in reader.find(Account)),
    }


def paid(root: Path, clock: Path) -> set[str]:
    """The external ids of all payments that stand in the store, beside whoever writes it."""
    with Store.open(root, TABLES, clock=TestClock(clock), writer="none") as store:
        return {p.external_id for p in store.read(lambda reader: reader.find(Payment, status="posted"))}


def sound(root: Path, clock: Path) -> list[str]:
    """What is wrong with the store in itself: chain, ledger, lake; [] is good news."""
    with Store.open(root, TABLES, clock=TestClock(clock), writer="none") as store:
        found = verify(store)
        total = store.read(lambda reader: reader.ledger_sum())
    return [*found.state, *found.chain, *found.ledger, *found.lake, *([f"ledger sums to {total}"] if total else [])]
