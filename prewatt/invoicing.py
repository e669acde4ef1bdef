"""A period goes in, its bills come out as scripts read them; posting is the daemon's or the lock holder's."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prewatt.errors import ShellError, Usage
from prewatt.listing import bill_row, money
from prewatt.lookup import config_of
from prewatt.rules import read_book
from prewatt.wiring import Shell, reading
from storage import billing
from tariff.model import Book
from tariff.records import Bill


def computed(option: Path | None, period: str, book: str, account: str) -> dict[str, Any]:
    """The bills of a period, posted nowhere; with ``book`` (a name or a file) all on that book."""
    with reading(config_of(option)) as shell:
        books = dict(shell.books)
        if book:
            found = read_book(shell.config, book)
            books, book = {**books, found.name: found}, found.name
        return answer(period, bills_of(shell, books, period, book=book, account=account))


def bills_of(shell: Shell, books: Mapping[str, Book], period: str, *, book: str = "", account: str = "") -> list[Bill]:
    """Compute; Usage for a period, book or account that is none."""
    try:
        return billing.compute(shell.store, period, books, book=book or None, account=account or None)
    except ValueError:
        raise Usage(f"{period!r} is no period", attempt="a month of the book's zone: 2026-01") from None
    except KeyError as missing:
        raise Usage(f"no account or book {missing.args[0]!r}", attempt="prewatt accounts list") from None


def posted(shell: Shell, period: str, account: str) -> dict[str, Any]:
    """The bills of a period, computed and posted; ShellError while it is not over."""
    bills = bills_of(shell, shell.books, period, account=account)
    try:
        new = billing.post(shell.store, bills, shell.clock.now())
    except ValueError as early:
        raise ShellError(str(early), attempt=f"prewatt bill {period} --dry-run") from None
    return answer(period, bills) | {"posted": new}


def answer(period: str, bills: Sequence[Bill]) -> dict[str, Any]:
    """The object that ``bill`` prints; ``total`` stands where there is one currency, ``totals`` always."""
    totals: dict[str, int] = {}
    for bill in bills:
        totals[bill.currency] = totals.get(bill.currency, 0) + bill.total_micro
    return {
        "period": period,
        "bills": [bill_row(bill) for bill in bills],
        "totals": {currency: money(total) for currency, total in sorted(totals.items())},
        "total": money(sum(totals.values())) if len(totals) < 2 else None,
    }
