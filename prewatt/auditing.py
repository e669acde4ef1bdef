"""A home goes in; whether its audit chain, ledger, lake, bills and charges still agree with themselves comes out."""

from datetime import datetime
from pathlib import Path
from typing import Any

from control.records import Command, CommandEvent, Decision
from prewatt.errors import Usage
from prewatt.listing import money
from prewatt.lookup import config_of, known
from prewatt.output import plain
from prewatt.reasons import contradicted
from prewatt.rules import series_of
from prewatt.wiring import Shell, reading
from storage.billing import span_of
from storage.codec import to_ms
from storage.keptbooks import KeptBooks
from storage.records import StoredBill
from storage.rerate import Difference, rerate
from storage.unit import Reader
from storage.verify import verify
from tariff import calendar as calendars

MOST = 100
"""Differences that are listed; all are counted."""
DECISION = "d-"
CHARGES = ("slot", "accrued")
"""Reasons that are of hourly money; all others are of bills."""


def verified(
    option: Path | None,
    *,
    bills: bool = True,
    charges: bool = True,
    decisions: bool = True,
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
        judged = shell.store.read(lambda reader: decided(reader, account, span)) if decisions and not bill else (0, [])
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
        "decisions": {"checked": judged[0], "differences": judged[1][:MOST], "different": len(judged[1])},
        "faults": [*found.state, *found.chain, *found.ledger, *found.lake][:MOST],
        "ok": found.ok and not of_bills and not of_charges and not judged[1],
    }


def decided(
    reader: Reader, account: str, span: tuple[datetime | None, datetime | None]
) -> tuple[int, list[dict[str, str]]]:
    """How many decisions on record were derived anew, and those that do not follow or that a command misses."""
    since, until = (to_ms(at) if at is not None else edge for at, edge in zip(span, (0, 1 << 62), strict=True))
    table = reader.tables.of(Decision).spec.name
    sql = f'SELECT decision FROM "{table}" WHERE "at" >= ? AND "at" < ? AND (? = \'\' OR account = ?) ORDER BY "at"'
    known = [name for (name,) in reader.connection.execute(sql, (since, until, account, account))]
    wrong = []
    for name in known:  # one at a time: a year of a city does not fit into memory
        row = reader.get(Decision, name)
        why = contradicted(reader, row) if row is not None else "it went away"
        if row is not None and why:
            wrong.append({"account": row.account, "at": plain(row.at), "decision": name, "reason": why})
    if any(span):
        return len(known), wrong
    here = set(known)
    only: dict[str, Any] = {"account": account} if account else {}
    for command in reader.find(Command, order="requested", **only):
        sent = [step.detail for step in reader.find(CommandEvent, command=command.command, event="send")]
        judged = {name for name in (command.decision, *sent) if name.startswith(DECISION)}
        for name in sorted(judged - here):
            why = f"command {command.command} rests on it, and it is not on record"
            wrong.append({"account": command.account, "at": plain(command.requested), "decision": name, "reason": why})
    return len(known), wrong


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
