"""Check what the home holds against itself."""

from typing import Annotated

import typer

from prewatt.options import FormOption, HomeOption
from prewatt.output import Result, emit

PANEL = "data"


def command(
    bills: Annotated[bool, typer.Option("--bills/--no-bills", help="Derive every posted bill anew.")] = True,
    charges: Annotated[
        bool, typer.Option("--charges/--no-charges", help="Rate every charged slot and open period anew.")
    ] = True,
    decisions: Annotated[
        bool, typer.Option("--decisions/--no-decisions", help="Derive every decision on record anew.")
    ] = True,
    account: Annotated[str, typer.Option("--account", help="Only what this account was billed and charged.")] = "",
    period: Annotated[str, typer.Option("--period", metavar="PERIOD", help="Only this month: 2026-01.")] = "",
    bill: Annotated[
        str, typer.Option("--bill", metavar="NUMBER", help="Only this bill: its number in the ledger.")
    ] = "",
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Verify audit chain, ledger and lake, and every bill, its lines, postings and slots, re-derived from stored reads.

    Decisions are derived anew from their own cases, and what a command rests on must be on record.
    What differs is listed by account with its line, posting or slot, as stored and as made anew. Exit 1: one is wrong.
    """
    from prewatt.auditing import verified
    from prewatt.errors import Usage

    if bill and (account or period):
        raise Usage("--bill names its account and period already", attempt="prewatt verify --bill NUMBER")
    data = verified(home, bills=bills, charges=charges, decisions=decisions, account=account, period=period, bill=bill)
    emit(Result("verify", data))
    if not data["ok"]:
        raise typer.Exit(1)
