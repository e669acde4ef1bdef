"""The options that every verb has, so that they are spelled and explained alike everywhere."""

from pathlib import Path
from typing import Annotated

import typer

from prewatt.output import CHOSEN, Form


def _choose(form: Form | None) -> Form | None:
    CHOSEN.set(form)
    return form


HomeOption = Annotated[
    Path | None,
    typer.Option("--home", metavar="DIR", help="Home folder; else PREWATT_HOME, else the current one if it is a home."),
]
FormOption = Annotated[
    Form | None,
    typer.Option(
        "-o",
        "--output",
        callback=_choose,
        is_eager=True,
        help="Default: table on a terminal, ndjson on a pipe.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen and change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Period = Annotated[str, typer.Argument(metavar="PERIOD", help="A month of the book's zone: 2026-01; or a year: 2026.")]
