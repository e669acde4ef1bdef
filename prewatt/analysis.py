"""One SQL statement goes in, its names and rows from the catalog come out; the catalog is opened read-only, and closed.

DuckDB reads any file and address that SQL names: external access stays on for the lake's own Parquet files only.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from prewatt.errors import ShellError, Usage
from prewatt.home import Home, find

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Row = tuple[Any, ...]


def connect(home: Home) -> "DuckDBPyConnection":
    """The catalog, read-only; nobody else is kept from it."""
    import duckdb

    if not home.catalog.is_file():
        raise ShellError("no catalog yet", which=str(home.catalog), attempt="prewatt rate, or prewatt run")
    connection = duckdb.connect(str(home.catalog), read_only=True)
    connection.execute("SET enable_progress_bar = false")
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def ask(option: Path | None, text: str, limit: int) -> tuple[tuple[str, ...], list[Row], bool]:
    """Names and at most ``limit`` rows of one statement, and whether there are more."""
    import duckdb

    if not text.strip():
        raise Usage("no statement", attempt='prewatt sql "SELECT * FROM accounts"')
    connection = connect(find(option).must_exist())
    try:
        result = connection.execute(text)
        names = tuple(str(column[0]) for column in result.description or ())
        rows: list[Row] = result.fetchmany(limit + 1)
    except duckdb.Error as error:
        raise ShellError(str(error).splitlines()[0], attempt="prewatt sql --tables") from None
    finally:
        connection.close()
    return names, rows[:limit], len(rows) > limit


def columns(option: Path | None) -> list[dict[str, str]]:
    """Every column of every view, with its comment."""
    connection = connect(find(option).must_exist())
    try:
        rows = connection.execute(
            "SELECT table_name, column_name, data_type, coalesce(comment, '') FROM duckdb_columns()"
            " WHERE NOT internal ORDER BY table_name, column_index"
        ).fetchall()
    finally:
        connection.close()
    return [dict(zip(("view", "column", "type", "comment"), map(str, row), strict=True)) for row in rows]
