"""Posted bills and the stored intervals go in; every bill that comes out differently when made again comes out.

The proof that a bill rests on nothing but stored reads and its book: it is made again from the lake by the same
functions and compared to the micro-unit. A book that is no longer at hand, or whose text has changed, is named.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from ingest.records import MeterPoint
from storage.billing import Customer, bills_of
from storage.records import Account, Install, StoredBill
from storage.store import Store
from storage.usage import Master
from tariff.model import Book


@dataclass(frozen=True, slots=True)
class Difference:
    """One posted bill that is not what it would be now: both totals, and the reason in a word."""

    account: str
    start: datetime
    stored_micro: int
    now_micro: int | None
    reason: str  # total | reads | book | gone


@dataclass(frozen=True, slots=True)
class Rerated:
    """How many posted bills were made again, and those that differ, by account and start."""

    checked: int
    differences: tuple[Difference, ...]


def rerate(
    store: Store, books: Mapping[str, Book], *, since: datetime | None = None, until: datetime | None = None
) -> Rerated:
    """Make every posted bill that starts in [``since``, ``until``) again and compare."""
    installs, points, accounts, stored = store.read(
        lambda r: (r.find(Install), r.find(MeterPoint), r.find(Account), r.find(StoredBill))
    )
    master = Master(installs, points)
    known = {account.account: account for account in accounts}
    chosen = [b for b in stored if (since is None or b.start >= since) and (until is None or b.start < until)]
    chosen.sort(key=lambda one: (one.book, one.start, one.end, one.account))
    differences: list[Difference] = []
    for (name, start, end), group in groupby(chosen, key=lambda one: (one.book, one.start, one.end)):
        differences += _unit(store, master, known, books.get(name), list(group), (start, end))
    return Rerated(len(chosen), tuple(sorted(differences, key=lambda one: (one.account, one.start))))


def _unit(
    store: Store,
    master: Master,
    known: Mapping[str, Account],
    book: Book | None,
    stored: list[StoredBill],
    span: tuple[datetime, datetime],
) -> Iterator[Difference]:
    """One book and period: the unit of work that an executor may take elsewhere."""
    if book is None:
        yield from (Difference(one.account, one.start, one.total_micro, None, "book") for one in stored)
        return
    customers = [
        Customer(one.account, book, known[one.account].attributes, known[one.account].closed)
        for one in stored
        if one.account in known
    ]
    bills = {bill.account: bill for bill in bills_of(store, master, customers, span)}
    for one in stored:
        bill = bills.get(one.account)
        if bill is None:
            yield Difference(one.account, one.start, one.total_micro, None, "gone")
        elif bill.book_hash != one.book_hash:
            yield Difference(one.account, one.start, one.total_micro, bill.total_micro, "book")
        elif bill.total_micro != one.total_micro:
            yield Difference(one.account, one.start, one.total_micro, bill.total_micro, "total")
        elif bill.reads_hash != one.reads_hash:
            yield Difference(one.account, one.start, one.total_micro, bill.total_micro, "reads")
