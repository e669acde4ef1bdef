"""Late intervals of a period that is billed already go in, the bill made again and the difference to book come out.

Booked rows are never edited: the difference between the new bill and the stored one is a posting of its own, as of the
end of its own period; the bill as it stood is kept beside the right one, and the period's charge rows are replaced. A
late interval moves every later bill whose ladder carries its energy: they come with it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import pyarrow as pa

from ingest.records import Finding
from storage.accruals import settle
from storage.around import gather
from storage.billing import Customer, attributes_of, bill_of, legs, stored_bill
from storage.charging import GroupCharges
from storage.codec import canonical
from storage.folds import Folds
from storage.keptbooks import KeptBooks
from storage.recharge import recharge
from storage.records import StoredBill, SupersededBill
from storage.store import Store
from storage.unit import Unit
from storage.usage import Energies
from tariff.errors import RatingError
from tariff.records import Bill
from tariff.statement import ladder_start


@dataclass(frozen=True, slots=True)
class Correction:
    """One billed period made again: the bill as it stood, as it is now, and its charge rows."""

    before: StoredBill
    bill: Bill
    charges: tuple[GroupCharges, ...]


def prepare(
    store: Store, folds: Folds, kept: KeptBooks, billed: Sequence[tuple[str, datetime]], fresh: pa.Table
) -> tuple[list[Correction], list[Finding]]:
    """Make the bills of these accounts' periods again, with intervals that are not stored yet.

    Each on the book that it was made on. What cannot be made again is a finding, and stays as it was.
    """
    found: list[Correction] = []
    wrong: list[Finding] = []
    for account, start in sorted(set(billed)):
        before = store.read(lambda reader, key=(account, start): reader.get(StoredBill, *key))  # type: ignore[misc]
        if before is None:
            continue
        book = kept.of(before.book_hash)
        if book is None:
            wrong.append(_uncorrected(before, f"the book {before.book}@{before.book_hash[:12]} is not at hand"))
            continue
        owner = folds.accounts[account]
        customer = Customer(account, book, owner.attributes, owner.closed)
        try:
            bill = bill_of(store, folds.master, customer, (start, before.end), fresh)
            if bill is None or canonical(asdict(bill)) == before.bill:
                continue
            found.append(Correction(before, bill, _charges(store, folds, customer, (start, before.end), fresh)))
        except RatingError as error:
            wrong.append(_uncorrected(before, str(error)))
    return found, wrong


def _uncorrected(bill: StoredBill, why: str) -> Finding:
    return Finding("uncorrected", bill.start, bill.account, "", f"late reads of a billed period: {why}")


def _charges(
    store: Store, folds: Folds, customer: Customer, span: tuple[datetime, datetime], fresh: pa.Table
) -> tuple[GroupCharges, ...]:
    """Charge rows of the whole period, from its stored and fresh intervals."""
    master, book, name = folds.master, customer.book, customer.account
    table = gather(store, master.meters(name), ladder_start(book, span[0]), span[1], fresh)
    own = master.of_account(Energies.of(table), name)
    return recharge(
        book, span, own, master=master, account=name, attributes=attributes_of(master, customer, span)
    ).charges


def book_in(unit: Unit, corrections: Sequence[Correction], now: datetime) -> None:
    """Post each difference, keep the bill as it stood, and put the right one in its place."""
    for one in corrections:
        before = one.before
        revision = unit.count(SupersededBill, account=before.account, start=before.start)
        unit.add(
            SupersededBill(
                before.account,
                before.start,
                revision,
                before.total_micro,
                before.book_hash,
                before.reads_hash,
                before.bill,
                before.posted,
                now,
            )
        )
        difference = one.bill.total_micro - before.total_micro
        if difference:
            number = f"{before.account}:{before.start.isoformat()}:{revision + 1}"
            unit.post(legs("correction", number, one.bill, difference, now))
        unit.put(stored_bill(one.bill, now))
        settle(unit, before.account, one.bill.estimated_micro - before.estimated_micro)
