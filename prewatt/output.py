"""Results go in, a table, one JSON object, CSV or NDJSON comes out on stdout; everything else goes to stderr.

Money and quantities are decimal strings and times ISO 8601 with Z, in every form. A verb hands over one ``Result``; the
form is the one asked for with ``-o``, else a table on a terminal and NDJSON on a pipe.
"""

import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any, TextIO

from prewatt.errors import ShellError

PIPE_WIDTH = 180  # of a table that goes to a file
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

    ``columns`` are the row keys that a table shows (default: all of the first row); ``code`` is the exit code.
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
        out.write(encode({"schema": result.schema, **result.data}) + "\n")
    elif form is Form.NDJSON:
        for line in _lines(result):
            out.write(encode(line) + "\n")
    elif form is Form.CSV:
        _write_csv(result, out)
    else:
        _write_table(result, out)
    out.flush()


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


def _rows(result: Result) -> list[Mapping[str, Any]]:
    return list(result.data[result.rows]) if result.rows else []


def _rest(result: Result) -> dict[str, Any]:
    return {key: value for key, value in result.data.items() if key != result.rows}


def _lines(result: Result) -> Iterable[Mapping[str, Any]]:
    """One object per row, then the rest as ``event: summary``; a result without rows is one object."""
    if not result.rows:
        yield {"schema": result.schema, **result.data}
        return
    for row in _rows(result):
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
    rows = _rows(result)
    if result.rows:
        columns = _columns(rows) or list(result.columns)
        writer.writerow(columns)
        writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
    else:
        writer.writerow(["key", "value"])
        writer.writerows([key, _cell(value)] for key, value in result.data.items())


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
