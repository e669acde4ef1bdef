"""Posted bills and what was paid go in; what their lateness costs by a day is posted, each rise on its own.

The rule is the book's in force at the bill's end. Payments settle the oldest bill first. A fee that grew since the last
look, or fell because a payment came to be known later, is posted as the difference: fees are never edited, and what
stands for a bill is always what its dates and the payments give.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from storage.keptbooks import KeptBooks
from storage.records import Posting, StoredBill
from storage.store import Store
from storage.unit import Unit
from storage.writer import Priority
from tariff import calendar as calendars
from tariff.late_fee import Due, LateFeeRule, Paid, Part, fee_of, fees, parts
from tariff.model import Book

SOURCE = "late_fee"
REVENUE = "revenue:late_fee"
OWN = ("bill", "correction", SOURCE)  # what the bills themselves posted


def rule_of(book: Book, end: datetime) -> LateFeeRule | None:
    """The rule of the version in force at the end of a bill (UTC), rounding as the book's lines do."""
    local = calendars.to_local(end, book.zone)
    begun = [version for version in book.versions if version.start < local]
    rule = begun[-1].late_fee if begun else None
    return replace(rule, decimals=book.decimals, rounding=book.rounding) if rule is not None else None


def post(store: Store, kept: KeptBooks, now: datetime, account: str = "") -> int:
    """Post what late fees have changed by up to ``now`` (UTC), of one account or of all; returns how many bills."""
    mine: dict[str, list[StoredBill]] = {}
    for bill in store.read(lambda reader: reader.find(StoredBill, order=("account", "start"))):
        if account in ("", bill.account):
            mine.setdefault(bill.account, []).append(bill)
    changed = 0
    for name, own in mine.items():
        books = {bill.book_hash: kept.of(bill.book_hash) for bill in own}
        if any(book is not None and any(version.late_fee for version in book.versions) for book in books.values()):
            changed += store.write(Priority.BATCH, lambda unit, n=name, o=own, b=books: _post(unit, n, o, b, now))  # type: ignore[misc]
    return changed


def _post(unit: Unit, account: str, bills: list[StoredBill], books: Mapping[str, Book | None], now: datetime) -> int:
    legs = unit.find(Posting, ledger_account=f"customer:{account}")
    dues, paid, today = _owed(bills, books, legs, now)
    changed = 0
    for bill, fee in zip(bills, fees(dues, paid, today), strict=True):
        head = _head(bill)
        before = [leg for leg in legs if leg.source == SOURCE and leg.source_id.startswith(head)]
        rise = fee + sum(leg.amount_micro for leg in before)  # a fee stands as what the customer owes, below zero
        if rise:
            changed += 1
            number = f"{head}{len(before) + 1}"
            unit.post(
                [
                    Posting(SOURCE, number, f"customer:{account}", -rise, bill.currency, now, now),
                    Posting(SOURCE, number, REVENUE, rise, bill.currency, now, now),
                ]
            )
    return changed


@dataclass(frozen=True, slots=True)
class Told:
    """What one bill's late fee was made of, as it stands since its last posting on the day ``at``."""

    due: Due
    at: date
    parts: tuple[Part, ...]
    fee_micro: int
    posted_micro: int


def told(store: Store, kept: KeptBooks, account: str, start: datetime) -> Told | None:
    """The late fee of the account's bill that begins at ``start``, derived again; None where none was ever posted."""
    bills = store.read(lambda reader: reader.find(StoredBill, account=account, order=("account", "start")))
    legs = store.read(lambda reader: reader.find(Posting, ledger_account=f"customer:{account}"))
    place = next((place for place, bill in enumerate(bills) if bill.start == start), -1)
    own = [leg for leg in legs if place >= 0 and leg.source == SOURCE and leg.source_id.startswith(_head(bills[place]))]
    if not own:
        return None
    last = max(leg.at for leg in own)
    books = {bill.book_hash: kept.of(bill.book_hash) for bill in bills}
    dues, paid, today = _owed(bills, books, legs, last)
    found = parts(dues, paid, today)[place]
    due = dues[place]
    return Told(due, today, tuple(found), fee_of(due, found), -sum(leg.amount_micro for leg in own))


def _head(bill: StoredBill) -> str:
    return f"{bill.account}:{bill.start.isoformat()}:"


def _owed(
    bills: Sequence[StoredBill], books: Mapping[str, Book | None], legs: Sequence[Posting], now: datetime
) -> tuple[list[Due], list[Paid], date]:
    """When bills are due, what was paid when, and the local day of ``now``."""
    zone = next((book.zone for book in books.values() if book is not None), "UTC")
    paid = [
        Paid(_day(leg.at, zone), leg.amount_micro) for leg in legs if leg.source not in OWN and leg.amount_micro > 0
    ]
    return [_due(bill, books[bill.book_hash]) for bill in bills], paid, _day(now, zone)


def _due(bill: StoredBill, book: Book | None) -> Due:
    """When a bill is due; one of a book without a rule takes its payments and bears nothing."""
    rule = rule_of(book, bill.end) if book is not None else None
    rule = rule or LateFeeRule("0")
    zone = book.zone if book is not None else "UTC"
    ended = _day(bill.end, zone)
    return Due(date.fromordinal(ended.toordinal() + rule.due_days), bill.total_micro, rule)


def _day(at: datetime, zone: str) -> date:
    return calendars.to_local(at, zone).date()
