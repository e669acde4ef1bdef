"""A period goes in, its bills come out as scripts read them, or as pages and files with the why of every line.

Posting is the daemon's or the lock holder's.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import Any

from prewatt.bills import files, tables
from prewatt.bills.dossier import Shown, views
from prewatt.bills.view import BillView
from prewatt.console.billpage import page
from prewatt.errors import ShellError, Usage
from prewatt.listing import bill_row, money
from prewatt.lookup import config_of
from prewatt.output import encode
from prewatt.rules import read_book, series_of
from prewatt.wiring import Shell, reading
from storage import billing
from storage.keptbooks import KeptBooks
from storage.records import StoredBill
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


class Sheet(StrEnum):
    """What ``--as`` writes: files for each account (html, csv, json), or one for all of them (xlsx, parquet)."""

    HTML = "html"
    CSV = "csv"
    JSON = "json"
    XLSX = "xlsx"
    PARQUET = "parquet"


def shown(option: Path | None, period: str, book: str, account: str, *, draft: bool) -> list[BillView]:
    """The bills of a period with what explains them: the posted ones, or as ``draft`` what would be posted now."""
    with reading(config_of(option)) as shell:
        books = dict(shell.books)
        if book:
            found = read_book(shell.config, book)
            books, book = {**books, found.name: found}, found.name
        made = [Shown(bill, None) for bill in bills_of(shell, books, period, book=book, account=account)]
        kept = KeptBooks(shell.store, books, series_of(shell.config))
        if not draft:
            made = [posted_form(shell, one) for one in made]
        return list(views(shell.store, kept, made, site=shell.config.site.name))


def posted_form(shell: Shell, one: Shown) -> Shown:
    """The bill as it stands posted, where it is."""
    key = one.bill.account, one.bill.start
    row = shell.store.read(lambda reader: reader.get(StoredBill, *key))
    return one if row is None else Shown(billing.kept_bill(row.bill), row.posted)


def document(found: Sequence[BillView], lang: str) -> str:
    """One page of all bills, in ``lang`` or the first customer's language."""
    return page(found, lang or (found[0].lang if found else "en"))


def written(
    found: Sequence[BillView], folder: Path, period: str, sheets: Sequence[Sheet], *, lang: str = "", bom: bool = False
) -> list[str]:
    """Write the bills into ``folder``, each file whole or not at all; returns the names of the files."""
    folder.mkdir(parents=True, exist_ok=True)
    ordered = sorted(found, key=lambda view: view.bill.account)
    names: list[Path] = []
    for sheet in dict.fromkeys(sheets):
        if sheet in (Sheet.XLSX, Sheet.PARQUET):
            write = tables.write_xlsx if sheet is Sheet.XLSX else tables.write_parquet
            rows = list(tables.rows(ordered))
            names.append(files.put(folder / f"bills_{period}.{sheet.value}", lambda place: write(rows, place)))  # noqa: B023
            continue
        for account, own in groupby(ordered, key=lambda view: view.bill.account):
            text = _text(sheet, list(own), lang, bom=bom)
            names.append(files.put_text(folder / files.name_of(account, period, sheet.value), text))
    return [place.name for place in names]


def _text(sheet: Sheet, own: list[BillView], lang: str, *, bom: bool) -> str:
    if sheet is Sheet.HTML:
        return document(own, lang)
    if sheet is Sheet.CSV:
        return tables.as_csv(tables.rows(own), bom=bom)
    return "".join(encode({"schema": "prewatt.bill.one/1", **bill_row(view.bill)}) + "\n" for view in own)


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
