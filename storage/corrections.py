"""Late intervals of a period that is billed already go in, the bill made again and the difference to book come out.

Booked rows are never edited: the difference between the new bill and the stored one is a posting of its own, as of the
end of its own period; the stored bill and the period's charge rows are replaced by the right ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa

from storage.billing import Customer, bill_of, legs, stored_bill
from storage.charging import GroupCharges
from storage.folds import Folds, carried, gather
from storage.positions import Group
from storage.records import StoredBill
from storage.store import Store
from storage.unit import Unit
from storage.usage import Energies
from tariff import rating
from tariff.model import Book
from tariff.records import Bill
from tariff.statement import ladder_start


@dataclass(frozen=True, slots=True)
class Correction:
    """One billed period made again: the bill as it stood, as it is now, and its charge rows."""

    before: StoredBill
    bill: Bill
    charges: tuple[GroupCharges, ...]


def prepare(
    store: Store, folds: Folds, books: Mapping[str, Book], billed: Sequence[tuple[str, datetime]], fresh: pa.Table
) -> list[Correction]:
    """Make the bills of these accounts' periods again, with intervals that are not stored yet."""
    found = []
    for account, start in sorted(set(billed)):
        before = store.read(lambda reader, key=(account, start): reader.get(StoredBill, *key))  # type: ignore[misc]
        book = books.get(before.book) if before is not None else None
        if before is None or book is None:
            continue
        owner = folds.accounts[account]
        customer = Customer(account, book, owner.attributes, owner.closed)
        bill = bill_of(store, folds.master, customer, (start, before.end), fresh)
        if bill is None or bill.reads_hash == before.reads_hash:
            continue
        found.append(Correction(before, bill, _charges(store, folds, customer, (start, before.end), fresh)))
    return found


def _charges(
    store: Store, folds: Folds, customer: Customer, span: tuple[datetime, datetime], fresh: pa.Table
) -> tuple[GroupCharges, ...]:
    """Charge rows of the whole period, from its stored and fresh intervals."""
    start, end = span
    master, book = folds.master, customer.book
    minutes = master.minutes(customer.account, start)
    table = gather(store, master.meters(customer.account), ladder_start(book, start), end, fresh)
    energies = master.of_account(Energies.of(table), customer.account)
    group = Group.of(rating.compile(book, start, end, minutes, customer.attributes), start, minutes)
    group.add([customer.account], [carried(book, start, energies, minutes, customer.attributes)])
    group.put(0, energies)
    return tuple(GroupCharges(group, part) for part in group.move(np.array([0]), np.array([0])))


def book_in(unit: Unit, corrections: Sequence[Correction], now: datetime) -> None:
    """Post each difference and replace the stored bill; the same correction posts once."""
    for one in corrections:
        difference = one.bill.total_micro - one.before.total_micro
        if difference:
            number = f"{one.bill.account}:{one.bill.start.isoformat()}:{one.bill.reads_hash[:16]}"
            unit.post(legs("correction", number, one.bill, difference, now))
        unit.put(stored_bill(one.bill, now))
