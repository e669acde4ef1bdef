"""Print and post the bills of a period."""

from typing import Annotated

import typer

from prewatt.options import DryRun, FormOption, HomeOption, Period
from prewatt.output import Result, emit

PANEL = "run"


def command(
    period: Period,
    book: Annotated[str, typer.Option("--book", help="Price with this book instead, and post nothing.")] = "",
    account: Annotated[str, typer.Option("--account", help="Only this account.")] = "",
    dry_run: DryRun = False,
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Print the bills of a month of the book's zone and post them; what is posted already stays as it is."""
    from prewatt.doing import do
    from prewatt.invoicing import computed

    only = bool(book) or dry_run
    answer = computed(home, period, book, account) if only else do(home, "bill", period=period, account=account)
    columns = ("account", "book", "from", "to", "total", "currency", "complete", "ended")
    emit(Result("bill", answer, rows="bills", columns=columns))
    if not answer["bills"]:
        raise typer.Exit(1)
