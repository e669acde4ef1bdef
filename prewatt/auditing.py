"""A home goes in; whether its audit chain, ledger, lake and posted bills still agree with themselves comes out."""

from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from prewatt.listing import money
from prewatt.lookup import config_of
from prewatt.output import plain
from prewatt.wiring import Shell, reading
from storage.billing import compute, stored_bill
from storage.records import BookVersion, StoredBill
from storage.verify import verify
from tariff.book import load
from tariff.model import Book
from tariff.records import Bill

MOST = 100
"""Differences that are listed; all are counted."""


def verified(option: Path | None, *, bills: bool = True) -> dict[str, Any]:
    """Check everything; ``ok`` is false when one thing is wrong."""
    with reading(config_of(option)) as shell:
        found = verify(shell.store)
        checked, differences = _bills(shell) if bills else (0, [])
    return {
        "chain": not found.chain,
        "ledger": not found.ledger,
        "lake": not found.lake,
        "state": not found.state,
        "bills": {"checked": checked, "differences": differences[:MOST]},
        "faults": [*found.state, *found.chain, *found.ledger, *found.lake][:MOST],
        "ok": found.ok and not differences,
    }


def _bills(shell: Shell) -> tuple[int, list[dict[str, str]]]:
    """Every posted bill beside the same bill derived anew from stored reads and the book of its hash."""
    stored, kept = shell.store.read(lambda r: (r.find(StoredBill, order=("start", "account")), r.find(BookVersion)))
    books = {book.hash: book for book in shell.books.values()}
    books |= {row.book_hash: load(row.text, row.book) for row in kept if row.book_hash not in books}
    differences: list[dict[str, str]] = []
    for (start, book_hash), group in groupby(sorted(stored, key=_group), key=_group):
        rows = list(group)
        if book_hash not in books:
            differences += [_difference(row, f"book {row.book} {book_hash[:12]} is not kept here") for row in rows]
            continue
        anew = {bill.account: bill for bill in _anew(shell, books[book_hash], start, {row.account for row in rows})}
        for row in rows:
            bill = anew.get(row.account)
            if bill is None or stored_bill(bill, row.posted) != row:
                told = "nothing" if bill is None else f"{money(bill.total_micro)}, reads {bill.reads_hash[:12]}"
                differences.append(_difference(row, f"derived anew: {told}"))
    return len(stored), differences


def _group(row: StoredBill) -> tuple[datetime, str]:
    return row.start, row.book_hash


def _anew(shell: Shell, book: Book, start: datetime, accounts: set[str]) -> list[Bill]:
    """The bills of these accounts for the period of ``book`` that starts then."""
    month = start.replace(tzinfo=UTC).astimezone(ZoneInfo(book.zone)).strftime("%Y-%m")
    one = next(iter(accounts)) if len(accounts) == 1 else None
    return compute(shell.store, month, {book.name: book}, book=book.name, account=one)


def _difference(row: StoredBill, found: str) -> dict[str, str]:
    return {"account": row.account, "from": plain(row.start), "posted": money(row.total_micro), "found": found}
