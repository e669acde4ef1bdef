"""A change of prices that waits for two persons goes in; what last month's energy costs its accounts now comes out.

Before: the bill that was posted for that month, else the same reads on the book of before. Now: the same reads on the
book, the attributes and the rating code of today. Nothing is posted.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from control import pricebasis
from control.pricebasis import Change
from prewatt.advising import monthly, rows
from prewatt.errors import Usage
from prewatt.listing import money
from prewatt.rules import read_kept
from prewatt.wiring import Shell
from storage import billing
from storage.around import gather
from storage.billing import Customer
from storage.records import Account, BookVersion, StoredBill
from storage.usage import Energies, Master
from tariff import money as exact
from tariff.errors import BookError, RatingError
from tariff.model import Book
from tariff.statement import ladder_start

Row = dict[str, Any]
SAMPLE, MOST = 200, 20


def changes(shell: Shell) -> list[Row]:
    """Every change that waits, with the books' names."""
    found = shell.store.read(pricebasis.open_changes)
    return [row(shell, one) for one in found]


def row(shell: Shell, change: Change) -> Row:
    """One change as it is printed; ``change`` is its name on the command line."""
    return {
        "change": name(change),
        "before": _named(shell, change.before),
        "after": _named(shell, change.after),
        "kind": "code or attributes" if change.before == change.after else "book",
        "accounts": change.accounts,
        "since": change.since,
        "until": change.until,
    }


def name(change: Change) -> str:
    """Short for the two hashes."""
    return f"{change.before[:8]}-{change.after[:8]}"


def find(shell: Shell, word: str) -> Change:
    """The change of that name; Usage for one that does not wait."""
    found = [one for one in shell.store.read(pricebasis.open_changes) if name(one) == word]
    if len(found) != 1:
        raise Usage(f"no change {word!r} waits", attempt="prewatt prices list")
    return found[0]


def simulated(shell: Shell, change: Change, sample: int = SAMPLE) -> Row:
    """Last month on the prices of before and of now, for at most ``sample`` accounts, evenly taken."""
    known = shell.store.read(lambda reader: pricebasis.changed_accounts(reader, change))
    chosen = known[:: max(1, -(-len(known) // max(1, sample)))]
    month = f"{change.since.replace(day=1) - timedelta(days=1):%Y-%m}"
    told = [_account(shell, one, change, month) for one in chosen]
    sure = [one for one in told if one["was_micro"] is not None and one["is_micro"] is not None]
    was, now = (sum(one[side] for one in sure) for side in ("was_micro", "is_micro"))
    dearest = sorted(sure, key=lambda one: (one["was_micro"] - one["is_micro"], one["account"]))[:MOST]
    return {
        **row(shell, change),
        "month": month,
        "sampled": len(told),
        "compared": len(sure),
        "was": money(was),
        "is": money(now),
        "percent": exact.text(int(exact.divide((now - was) * 1000, was)), 1, 1) if was > 0 else None,
        "dearer": sum(one["is_micro"] > one["was_micro"] for one in sure),
        "cheaper": sum(one["is_micro"] < one["was_micro"] for one in sure),
        "dearest": [
            {"account": one["account"], "was": money(one["was_micro"]), "is": money(one["is_micro"])} for one in dearest
        ],
    }


def _account(shell: Shell, account: str, change: Change, month: str) -> Row:
    """One account's month; None where a side cannot be told."""
    (owner,), master = shell.store.read(lambda reader: rows(reader, account))
    now = _cost(shell, master, owner, shell.books.get(owner.book), month)
    posted = shell.store.read(lambda reader: _posted(reader.find(StoredBill, account=account), month))
    was = posted if posted is not None else _cost(shell, master, owner, _kept(shell, change.before), month)
    return {"account": account, "was_micro": was, "is_micro": now}


def _posted(bills: list[StoredBill], month: str) -> int | None:
    """The bill that was posted for the period of ``month``."""
    middle = datetime.fromisoformat(f"{month}-15")
    return next((bill.total_micro for bill in bills if bill.start <= middle < bill.end), None)


def _cost(shell: Shell, master: Master, owner: Account, book: Book | None, month: str) -> int | None:
    if book is None or not master.meters(owner.account):
        return None
    span = billing.span_of(book, month)
    table = gather(shell.store, master.meters(owner.account), ladder_start(book, span[0]), span[1], None)
    energies = master.of_account(Energies.of(table), owner.account)
    customer = Customer(owner.account, book, owner.attributes, owner.closed)
    try:
        bill = monthly(master, customer, span, energies)
    except RatingError:
        return None
    return None if bill is None else bill.total_micro


def _kept(shell: Shell, book_hash: str) -> Book | None:
    """The book of that hash, in force or as it was kept."""
    present = {book.hash: book for book in shell.books.values()}
    if book_hash in present:
        return present[book_hash]
    kept = shell.store.read(lambda reader: reader.get(BookVersion, book_hash))
    try:
        return None if kept is None else read_kept(shell.config, kept)
    except (BookError, OSError):
        return None


def _named(shell: Shell, book_hash: str) -> str:
    """A book's name with the start of its hash."""
    present: Mapping[str, str] = {book.hash: name for name, book in shell.books.items()}
    kept = shell.store.read(lambda reader: reader.get(BookVersion, book_hash))
    return f"{present.get(book_hash) or (kept.book if kept else '?')} {book_hash[:8]}"
