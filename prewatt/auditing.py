"""A home goes in; whether its audit chain, ledger, lake, bills and charges still agree with themselves comes out."""

from datetime import datetime
from pathlib import Path
from typing import Any

from prewatt.errors import Usage
from prewatt.listing import money
from prewatt.lookup import config_of, known
from prewatt.output import plain
from prewatt.rules import series_of
from prewatt.wiring import Shell, reading
from storage.billing import span_of
from storage.keptbooks import KeptBooks
from storage.records import StoredBill
from storage.rerate import Difference, rerate
from storage.verify import verify
from tariff import calendar as calendars

MOST = 100
"""Differences that are listed; all are counted."""
CHARGES = ("slot", "accrued")
"""Reasons that are of hourly money; all others are of bills."""


def verified(
    option: Path | None,
    *,
    bills: bool = True,
    charges: bool = True,
    account: str = "",
    period: str = "",
    bill: str = "",
) -> dict[str, Any]:
    """Check everything; ``ok`` is false when one thing is wrong.

    ``bill`` (its number in the ledger), ``account`` or ``period`` (YYYY-MM) limit what is made again; then the lake's
    files are looked at by size only.
    """
    with reading(config_of(option)) as shell:
        account, span = _chosen(shell, account, period, bill)
        found = verify(shell.store, deep=not (account or span[0]))
        books = KeptBooks(shell.store, shell.books, series_of(shell.config))
        since, until = span
        if bills or charges:
            made = rerate(shell.store, books, since=since, until=until, account=account, slots=charges)
    wrong = made.differences if bills or charges else ()
    of_bills = [_told(one) for one in wrong if one.reason not in CHARGES and bills]
    of_charges = [_told(one) for one in wrong if one.reason in CHARGES and charges]
    return {
        "chain": not found.chain,
        "ledger": not found.ledger,
        "lake": not found.lake,
        "state": not found.state,
        "bills": {
            "checked": made.checked if bills else 0,
            "differences": of_bills[:MOST],
            "different": len(of_bills),
        },
        "charges": {
            "checked": made.slots if charges else 0,
            "open_periods": made.periods if charges else 0,
            "differences": of_charges[:MOST],
            "different": len(of_charges),
        },
        "faults": [*found.state, *found.chain, *found.ledger, *found.lake][:MOST],
        "ok": found.ok and not of_bills and not of_charges,
    }


def _chosen(shell: Shell, account: str, period: str, bill: str) -> tuple[str, tuple[datetime | None, datetime | None]]:
    """The account and the span of period starts that the options name; Usage for a bill, account or period of none."""
    if bill:
        name, _, start = bill.partition(":")
        at = _instant(start)
        if at is None or shell.store.read(lambda reader: reader.get(StoredBill, name, at)) is None:
            raise Usage(f"no bill {bill!r}", attempt='prewatt sql "SELECT account, start FROM bills"')
        return name, (at, at.replace(microsecond=at.microsecond + 1))
    owner = shell.store.read(lambda reader: known(reader, account)) if account else None
    if not period:
        return account, (None, None)
    try:
        month = datetime.fromisoformat(f"{period}-01")
    except ValueError:
        raise Usage(f"{period!r} is no period", attempt="a month of the book's zone: 2026-01") from None
    book = shell.books.get(owner.book) if owner is not None else None
    if book is not None:
        return account, span_of(book, period)
    zones = [calendars.to_utc(month, one.zone) for one in shell.books.values()]  # a month begins somewhere in these
    later = month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)
    return account, (min(zones), max(calendars.to_utc(later, one.zone) for one in shell.books.values()))


def _instant(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        return None


def _told(one: Difference) -> dict[str, str]:
    return {
        "account": one.account,
        "from": plain(one.start),
        "posted": "" if one.stored_micro is None else money(one.stored_micro),
        "now": "" if one.now_micro is None else money(one.now_micro),
        "reason": one.reason,
        "place": one.place,
    }
