"""What an account has, or had at any time."""

from typing import Annotated

import typer

from prewatt.options import FormOption, HomeOption, moment
from prewatt.output import Result, emit

PANEL = "work"


def command(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT")],
    at: Annotated[str, typer.Option("--at", metavar="T", help="As of then (UTC): 2026-03-02T08:00:00Z.")] = "",
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Show what one account has left, posted and accrued; with --at what it had then, by all that is known now.

    Late payments, late reads and corrections count from when they belong; ``told`` is what the ledger said then.
    """
    from prewatt.lookup import balance_of

    emit(Result("balance", balance_of(home, account, moment(at, "--at") if at else None)))
