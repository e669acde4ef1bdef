"""Check what the home holds against itself."""

from typing import Annotated

import typer

from prewatt.options import FormOption, HomeOption
from prewatt.output import Result, emit

PANEL = "data"


def command(
    bills: Annotated[bool, typer.Option("--bills/--no-bills", help="Derive every posted bill anew.")] = True,
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Verify the audit chain, the ledger and every posted bill, re-derived from stored reads. Exit 1: one is wrong."""
    from prewatt.auditing import verified

    data = verified(home, bills=bills)
    emit(Result("verify", data))
    if not data["ok"]:
        raise typer.Exit(1)
