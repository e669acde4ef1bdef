"""Results go in, a table, one JSON object, CSV or NDJSON comes out on stdout; everything else goes to stderr.

Money and quantities are decimal strings and times ISO 8601 with Z, in every form. A verb hands over one ``Result``; the
form is the one asked for with ``-o``, else a table on a terminal and NDJSON on a pipe.
"""

import csv
import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum, StrEnum
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any, TextIO, cast

from prewatt.errors import ShellError

SPOOLED = 1 << 22  # characters of a result that wait in memory; more wait in a file
PIPE_WIDTH = 180  # of a table that goes to a file
AS_IS = frozenset({str, int, bool, float, type(None)})
MOST_SHOWN = 3
"""Objects of a list beside a table that are shown in full."""


class Form(StrEnum):
    """How a result is written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    NDJSON = "ndjson"


CHOSEN: ContextVar[Form | None] = ContextVar("prewatt_form", default=None)
"""The form asked for on the command line; errors are written in it too."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a verb found: ``data`` is the JSON object without its schema; ``rows`` names the key that holds its rows.

    ``columns`` are the row keys that a table shows (default: all of the first row); ``code`` is the exit code. Rows may
    be an iterator, which is written as it goes, so that no number of rows fills the memory; a value that is a function
    is called when they have gone by.
    """

    verb: str
    data: Mapping[str, Any]
    rows: str = ""
    columns: tuple[str, ...] = ()
    code: int = 0
    notes: tuple[str, ...] = field(default=())  # plain sentences under a table, for people only

    @property
    def schema(self) -> str:
        """``prewatt.<verb>/1``; a verb of two words is joined by a dot."""
        return f"prewatt.{self.verb.replace(' ', '.')}/1"


def plain(value: Any) -> Any:
    """A value as JSON carries it: times with Z, decimals, paths and enums as strings, records as objects.

    >>> plain(datetime(2026, 1, 2, 3, 4, 5)), plain(Decimal("1.50"))
    ('2026-01-02T03:04:05Z', '1.50')
    """
    kind = type(value)
    if kind in AS_IS:
        return value
    if kind is dict:  # nearly all there is, so it is asked first
        return {str(plain(key)): inner if type(inner) in AS_IS else plain(inner) for key, inner in value.items()}
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds" if value.microsecond else "seconds") + "Z"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal | Path):
        return str(value)
    if isinstance(value, Enum):
        return plain(value.value)
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, set | frozenset):
        return sorted(plain(inner) for inner in value)
    return value


def encode(value: Any) -> str:
    """One line of JSON, in the order given."""
    return json.dumps(plain(value), ensure_ascii=False, separators=(", ", ": "))


def chosen(stream: TextIO) -> Form:
    """The form asked for, or the one that fits where stdout goes."""
    asked = CHOSEN.get()
    if asked is not None:
        return asked
    return Form.TABLE if stream.isatty() else Form.NDJSON


def emit(result: Result, stream: TextIO | None = None) -> None:
    """Write one result in the chosen form; under JSON it is one object, and the last thing written."""
    out = stream or sys.stdout
    form = chosen(out)
    if form is Form.JSON:
        with _whole(result, out) as file:
            file.writelines(_object(result))
    elif form is Form.NDJSON:
        for line in _lines(result):
            out.write(encode(line) + "\n")
    elif form is Form.CSV:
        with _whole(result, out) as file:
            _write_csv(result, file)
    else:
        _write_table(result, out)
    out.flush()


@contextmanager
def _whole(result: Result, out: TextIO) -> Iterator[TextIO]:
    """Where to write what is one piece: with rows that come one by one nothing of it appears until all have come."""
    if not result.rows or not isinstance(result.data[result.rows], Iterator):
        yield out
        return
    with SpooledTemporaryFile(SPOOLED, "w+", encoding="utf-8", newline="") as file:
        yield cast(TextIO, file)
        file.seek(0)
        shutil.copyfileobj(file, out)


def emit_error(error: ShellError) -> None:
    """Say what went wrong on stderr; under JSON also as the object that stdout promises."""
    if CHOSEN.get() in (Form.JSON, Form.NDJSON):
        sys.stdout.write(encode(error.as_json()) + "\n")
        sys.stdout.flush()
    sys.stderr.write(error.as_text() + "\n")


def say(text: str) -> None:
    """One line for the person at the terminal, beside the result and never in it."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _object(result: Result) -> Iterator[str]:
    """The JSON object of a result, piece by piece."""
    yield f'{{"schema": {encode(result.schema)}'
    for key, value in result.data.items():
        yield f", {encode(key)}: "
        if key == result.rows:
            yield "["
            for number, row in enumerate(value):
                yield (", " if number else "") + encode(row)
            yield "]"
        else:
            yield encode(_now(value))
    yield "}\n"


def _now(value: Any) -> Any:
    return value() if callable(value) else value


def _rows(result: Result) -> list[Mapping[str, Any]]:
    """All rows; of rows that come one by one only the columns that a table shows are kept."""
    if not result.rows:
        return []
    rows = result.data[result.rows]
    if isinstance(rows, Iterator) and result.columns:
        return [{name: row.get(name) for name in result.columns} for row in rows]
    return list(rows)


def _rest(result: Result) -> dict[str, Any]:
    return {key: _now(value) for key, value in result.data.items() if key != result.rows}


def _lines(result: Result) -> Iterable[Mapping[str, Any]]:
    """One object per row, then the rest as ``event: summary``; a result without rows is one object."""
    if not result.rows:
        yield {"schema": result.schema, **result.data}
        return
    for row in result.data[result.rows]:
        yield {"schema": result.schema, **row}
    yield {"schema": result.schema, "event": "summary", **_rest(result)}


def _cell(value: Any) -> str:
    """A value in one cell: lists and objects as JSON, nothing as nothing."""
    flat = plain(value)
    if flat is None:
        return ""
    if isinstance(flat, dict | list):
        return json.dumps(flat, ensure_ascii=False) if flat else ""
    return str(flat)


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The union of the rows' keys in the order met."""
    return list(dict.fromkeys(key for row in rows for key in row))


def _write_csv(result: Result, out: TextIO) -> None:
    writer = csv.writer(out, lineterminator="\r\n")  # RFC 4180
    if result.rows and isinstance(result.data[result.rows], Iterator):
        _stream_csv(result, writer)
    elif result.rows:
        rows = _rows(result)
        columns = _columns(rows) or list(result.columns)
        writer.writerow(columns)
        writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
    else:
        writer.writerow(["key", "value"])
        writer.writerows([key, _cell(value)] for key, value in result.data.items())


def _stream_csv(result: Result, writer: Any) -> None:
    """Rows that come one by one have the keys of the first."""
    columns: list[str] = []
    for row in result.data[result.rows]:
        if not columns:
            columns = list(row)
            writer.writerow(columns)
        writer.writerow([_cell(row.get(column)) for column in columns])
    if not columns:
        writer.writerow(result.columns)


def _write_table(result: Result, out: TextIO) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=out, highlight=False, width=None if out.isatty() else PIPE_WIDTH)
    rows = _rows(result)
    if result.rows:
        columns = list(result.columns) or _columns(rows)
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in columns:
            right = bool(rows) and all(_is_number(row.get(column)) for row in rows)
            table.add_column(column.replace("_", " "), justify="right" if right else "left", overflow="fold")
        for row in rows:
            table.add_row(*(Text(_cell(row.get(column))) for column in columns))
        console.print(table if rows else Text(f"no {result.rows}"))
    rest = {key: value for key, value in _rest(result).items() if value not in (None, "", [], {})}
    if rest:
        grid = Table.grid(padding=(0, 2))
        for key, value in rest.items():
            grid.add_row(Text(key.replace("_", " "), style="dim"), Text(_brief(value)))
        console.print(grid)
    for note in result.notes:
        console.print(Text(note))


def _brief(value: Any) -> str:
    """A value beside a table: a long list of objects is counted, not shown."""
    if isinstance(value, list) and len(value) > MOST_SHOWN and isinstance(value[0], Mapping):
        return f"{len(value)} (all with -o json)"
    return _cell(value)


def _is_number(value: Any) -> bool:
    try:
        Decimal(_cell(value) or "0")
    except ArithmeticError:
        return False
    return True
