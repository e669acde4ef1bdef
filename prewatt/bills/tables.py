"""Bills with what explains them go in, flat rows come out: one for each line, as CSV, XLSX or Parquet carry them."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from prewatt.bills.view import BillView
from prewatt.errors import ShellError
from prewatt.output import plain
from tariff.explain import in_words
from tariff.reasons import Reason

Row = dict[str, Any]
BOM = "\ufeff"  # some spreadsheets take UTF-8 for something else without it
SHEET_ROWS = 1_000_000  # a sheet of XLSX has 1,048,576
FORMULA = ("=", "+", "@", "\t", "\r")
MONEY = ("amount", "total", "estimated_amount")


def rows(views: Iterable[BillView]) -> Iterator[Row]:
    """One row for each line of each bill; money and quantities as exact decimals, times naive UTC."""
    for view in views:
        bill = view.bill
        for number, (line, reason) in enumerate(view.lines, start=1):
            yield {
                "account": bill.account,
                "from": bill.start,
                "to": bill.end,
                "line": number,
                "id": line.id,
                "kind": reason.kind,
                "version": line.version,
                "period": line.period,
                "tier": None if line.tier is None else line.tier + 1,
                "quantity": Decimal(line.quantity) if line.quantity else None,
                "unit": line.unit,
                "price": line.price,
                "amount": _micro(line.amount_micro),
                "currency": bill.currency,
                "windows": windows(reason),
                "of": ", ".join(dict.fromkeys(base.id for base in reason.bases)),
                "source": reason.source.get("title", ""),
                "total": _micro(bill.total_micro),
                "complete": bill.complete,
                "missing": sum(span.intervals for span in bill.missing),
                "estimated": sum(span.intervals for span in bill.estimated),
                "estimated_amount": _micro(bill.estimated_micro),
                "ended": bill.ended,
                "posted": view.posted,
                "book": bill.book,
                "book_hash": bill.book_hash,
                "reads_hash": bill.reads_hash,
            }


def _micro(value: int) -> Decimal:
    return Decimal(value).scaleb(-6)


def windows(reason: Reason) -> str:
    """When a line's price holds, in words."""
    found = [in_words(window) for window in reason.windows]
    return "; ".join([*found, *(["all other hours"] if reason.default else [])])


def as_csv(table: Iterable[Row], *, bom: bool = False) -> str:
    """RFC 4180; a text that a spreadsheet would take for a formula is made text."""
    text = io.StringIO()
    writer: Any = None
    for row in table:
        if writer is None:
            writer = csv.DictWriter(text, list(row), lineterminator="\r\n")
            writer.writeheader()
        writer.writerow({key: _cell(value, key in MONEY) for key, value in row.items()})
    return (BOM if bom else "") + text.getvalue()


def _cell(value: Any, money: bool) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return _decimal(value) if money else f"{value:f}"
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA) else value
    return str(plain(value))


def _decimal(value: Decimal) -> str:
    """Without zeros behind the second place."""
    text = f"{value:f}"
    whole, dot, part = text.partition(".")
    part = part.rstrip("0")
    return f"{whole}.{part:0<2}" if dot else text


def write_parquet(table: Sequence[Row], path: Path) -> None:
    """One Parquet file, zstd; money as decimals of six places, times as UTC without a zone."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {name: pa.decimal128(19, 6) for name in MONEY} | {"quantity": pa.decimal128(28, 9)}
    kinds |= {name: pa.timestamp("ms") for name in ("from", "to", "ended", "posted")}
    kinds |= {name: pa.int64() for name in ("line", "tier", "missing", "estimated")} | {"complete": pa.bool_()}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS])
    pq.write_table(pa.Table.from_pylist(list(table), schema=schema), path, compression="zstd")


def write_xlsx(table: Sequence[Row], path: Path) -> None:
    """One workbook; money and quantities are numbers (which a spreadsheet keeps to 15 digits)."""
    book = workbook(path)
    with book as open_book:
        for start in range(0, max(len(table), 1), SHEET_ROWS):
            sheet = open_book.add_worksheet(f"lines {start // SHEET_ROWS + 1}" if start else "lines")
            sheet.freeze_panes(1, 0)
            fill(sheet, COLUMNS, [list(row.values()) for row in table[start : start + SHEET_ROWS]])


def workbook(path: Path) -> Any:
    """A new XLSX workbook; ShellError says how to get what writes it."""
    try:
        import xlsxwriter  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        raise ShellError("XLSX needs the package XlsxWriter", attempt="pip install 'prewatt[xlsx]'") from None
    return xlsxwriter.Workbook(str(path), {"constant_memory": True, "strings_to_formulas": False, "in_memory": False})


def fill(sheet: Any, columns: Sequence[str], table: Iterable[Sequence[Any]]) -> None:
    """Header and rows of one sheet."""
    sheet.write_row(0, 0, columns)
    for number, row in enumerate(table, start=1):
        put_row(sheet, number, row)


def put_row(sheet: Any, number: int, row: Sequence[Any]) -> None:
    """One row of a sheet: numbers as numbers, everything else as text, never a formula."""
    for place, value in enumerate(row):
        if isinstance(value, bool):
            sheet.write_boolean(number, place, value)
        elif isinstance(value, int | float | Decimal):
            sheet.write_number(number, place, float(value))
        elif value is not None:
            sheet.write_string(number, place, str(plain(value)))


COLUMNS = (
    "account", "from", "to", "line", "id", "kind", "version", "period", "tier", "quantity", "unit", "price", "amount",
    "currency", "windows", "of", "source", "total", "complete", "missing", "estimated", "estimated_amount", "ended",
    "posted", "book", "book_hash", "reads_hash",
)  # fmt: skip
"""The columns of ``rows``, in order."""
