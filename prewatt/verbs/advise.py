"""What another tariff would have cost, and how energy was used."""

from typing import Annotated

import typer

from prewatt.options import FormOption, HomeOption
from prewatt.output import Result, emit

PANEL = "work"
COLUMNS = ("account", "book", "kwh", "peak_kw", "load_factor", "shares", "power_factor", "total", "cheapest")


def command(
    account: Annotated[str, typer.Argument(metavar="[ACCOUNT]")] = "",
    everybody: Annotated[bool, typer.Option("--all", help="Every account instead of one.")] = False,
    first: Annotated[str, typer.Option("--from", metavar="MONTH", help="Default: eleven before the last.")] = "",
    last: Annotated[str, typer.Option("--to", metavar="MONTH", help="Default: the month before this one.")] = "",
    books: Annotated[
        str, typer.Option("--books", metavar="A,B", help="Names or files; default: all books of the currency.")
    ] = "",
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Rate stored reads on other books and post nothing: cost month by month, load factor, shares, power factor.

    Whether a customer may have a tariff is not judged, only what it would have cost.
    """
    from prewatt.advising import advice
    from prewatt.errors import Usage

    if bool(account) == everybody:
        raise Usage("one account, or --all", attempt="prewatt advise A-1, or prewatt advise --all")
    names = [name.strip() for name in books.split(",") if name.strip()]
    data = advice(home, account, first=first, last=last, names=names)
    emit(Result("advise", data, rows="accounts", columns=COLUMNS))
