"""Write a view of the catalog, or what a statement finds, into a file."""

from pathlib import Path
from typing import Annotated

import typer

from prewatt.options import FormOption, HomeOption
from prewatt.output import Result, emit

PANEL = "data"


def command(
    query: Annotated[str, typer.Argument(metavar="VIEW|SQL", help="bills, charges, ledger, ... or one statement.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Its end says the form: .csv .json .parquet .xlsx")],
    bom: Annotated[bool, typer.Option("--bom", help="Begin CSV with a mark that spreadsheets want.")] = False,
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Export rows of catalog.duckdb, beside a running daemon; the file is whole or not there.

    Bills with the why of every line: prewatt bill PERIOD --out DIR --as xlsx.
    """
    from prewatt.exporting import export

    emit(Result("export", export(home, query, file, bom=bom)))
