"""A view or a statement of the catalog and a file's name go in; the rows stand in that file, whole or not at all.

The suffix says the form: csv, json (one object a line), parquet or xlsx.
"""

import csv
import re
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from prewatt.analysis import connect
from prewatt.bills import files, tables
from prewatt.errors import ShellError, Usage
from prewatt.home import find
from prewatt.output import encode, plain
from prewatt.strict import suggest

FORMS = (".csv", ".json", ".parquet", ".xlsx")
NAME = re.compile(r"[A-Za-z_]\w*")
BLOCK = 50_000
"""Rows that are held at a time."""


def export(option: Path | None, text: str, file: Path, *, bom: bool = False) -> dict[str, Any]:
    """Write what ``text`` (a view's name, or one statement) finds into ``file``."""
    import duckdb

    if file.suffix.lower() not in FORMS:
        raise Usage(f"no form {file.suffix!r}", which=str(file), attempt=f"a name that ends in {', '.join(FORMS)}")
    if not file.parent.is_dir():
        raise ShellError("there is no such folder", which=str(file.parent), attempt=f"mkdir -p {file.parent}")
    connection = connect(find(option).must_exist())
    try:
        statement = _statement(connection, text)
        columnar = file.suffix.lower() == ".parquet"  # a relation gives its columns without a copy of the rows
        result = connection.sql(statement) if columnar else connection.execute(statement)
        if result is None:
            raise Usage("the statement finds no rows to write", attempt='prewatt export "SELECT ..." FILE')
        rows = _Rows(result)
        files.put(file, lambda place: rows.write(file.suffix.lower(), place, bom=bom))
    except duckdb.Error as error:
        raise ShellError(str(error).splitlines()[0], attempt="prewatt sql --tables") from None
    finally:
        connection.close()
    return {"file": str(file), "rows": rows.count, "bytes": file.stat().st_size, "columns": list(rows.names)}


def _statement(connection: Any, text: str) -> str:
    """A statement as it is; a single word is a view of the catalog."""
    if not NAME.fullmatch(text.strip()):
        return text
    views = [
        str(row[0]) for row in connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
    ]
    if text.strip() not in views:
        raise Usage(f"no view {text.strip()!r}", attempt=suggest(text.strip(), views))
    return f'SELECT * FROM "{text.strip()}"'


class _Rows:
    """A result that is written once, block by block."""

    def __init__(self, result: Any) -> None:
        self.result = result
        self.names = tuple(str(column[0]) for column in result.description or ())
        self.count = 0

    def blocks(self) -> Any:
        """Lists of rows until there are no more."""
        while found := self.result.fetchmany(BLOCK):
            self.count += len(found)
            yield found

    def write(self, form: str, place: Path, *, bom: bool) -> None:
        """All rows in one form."""
        if form == ".parquet":
            self._parquet(place)
        elif form == ".xlsx":
            self._xlsx(place)
        else:
            with place.open("w", encoding="utf-8-sig" if bom and form == ".csv" else "utf-8", newline="") as file:
                self._csv(file) if form == ".csv" else self._json(file)

    def _csv(self, file: IO[str]) -> None:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(self.names)
        for block in self.blocks():
            writer.writerows([_cell(value) for value in row] for row in block)

    def _json(self, file: IO[str]) -> None:
        for block in self.blocks():
            file.writelines(encode(dict(zip(self.names, row, strict=True))) + "\n" for row in block)

    def _parquet(self, place: Path) -> None:
        import pyarrow.parquet as pq

        read = getattr(self.result, "to_arrow_reader", None) or self.result.fetch_record_batch  # DuckDB 2, and 1
        reader = read(BLOCK)
        with pq.ParquetWriter(place, reader.schema, compression="zstd") as writer:
            for batch in reader:
                self.count += batch.num_rows
                writer.write_batch(batch)

    def _xlsx(self, place: Path) -> None:
        with tables.workbook(place) as book:
            sheet, at, number = None, tables.SHEET_ROWS, 0
            for row in self._each():
                if at == tables.SHEET_ROWS:
                    number, at = number + 1, 0
                    sheet = book.add_worksheet(f"rows {number}" if number > 1 else "rows")
                    sheet.freeze_panes(1, 0)
                    sheet.write_row(0, 0, self.names)
                at += 1
                tables.put_row(sheet, at, row)
            if sheet is None:
                book.add_worksheet("rows").write_row(0, 0, self.names)

    def _each(self) -> Any:
        for block in self.blocks():
            yield from block


def _cell(value: Any) -> str:
    """A value as CSV carries it; a text that a spreadsheet would take for a formula is made text."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    text = plain(value)
    if isinstance(text, str):
        return f"'{text}" if text.startswith(tables.FORMULA) else text
    return encode(text) if isinstance(text, list | dict) else str(text)
