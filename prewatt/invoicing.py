"""A period goes in, its bills come out as pages and files with the why of every line."""

from collections.abc import Sequence
from enum import StrEnum
from itertools import groupby
from pathlib import Path

from prewatt.billrun import periods, planned
from prewatt.bills import files, tables
from prewatt.bills.dossier import Shown, views
from prewatt.bills.statement import statement
from prewatt.bills.view import BillView
from prewatt.console.billpage import page
from prewatt.lookup import config_of
from prewatt.output import encode
from prewatt.rules import read_book, series_of
from prewatt.wiring import Shell, reading
from storage import billing
from storage.keptbooks import KeptBooks
from storage.records import StoredBill


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
        runs = [planned(shell, books, month, book=book, account=account) for month in periods(period)]
        bills = (bill for run in runs for look in billing.looks(shell.store, run) for bill in look.bills)
        made = [Shown(bill, None) for bill in bills]
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
    return "".join(encode({"schema": "prewatt.bill.one/1", **statement(view)}) + "\n" for view in own)
