"""Ask the catalog in SQL, beside a running daemon."""

import sys
from typing import Annotated, Any

import typer

from prewatt.options import FormOption, HomeOption
from prewatt.output import Result, emit

PANEL = "data"


def command(
    query: Annotated[
        str, typer.Argument(metavar="[SQL]", help="One statement; '-' or none reads it from stdin.")
    ] = "-",
    tables: Annotated[bool, typer.Option("--tables", help="List the views and their columns instead.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Most rows that are printed.")] = 10_000,
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Ask catalog.duckdb in SQL: reads, intervals, charges, bills, ledger, decisions, ... It only reads."""
    from prewatt.analysis import ask, columns

    if tables:
        emit(Result("sql", {"columns": columns(home)}, rows="columns"))
        return
    text = sys.stdin.read() if query == "-" else query
    names, rows, more = ask(home, text, limit)
    found: list[dict[str, Any]] = [dict(zip(names, row, strict=True)) for row in rows]
    notes = (f"first {limit} rows; there are more: --limit N",) if more else ()
    emit(Result("sql", {"rows": found, "truncated": more}, rows="rows", columns=names, notes=notes))
