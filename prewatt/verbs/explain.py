"""Why an account was, or was not, disconnected."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from prewatt.errors import Usage
from prewatt.options import FormOption, HomeOption
from prewatt.output import Result, emit

PANEL = "data"


def command(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT")],
    at: Annotated[
        str, typer.Option("--at", metavar="T", help="The decision in force then: 2026-03-02T08:00:00Z.")
    ] = "",
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Print the last decision on an account up to a time: its inputs, every guard and why, derived anew to compare."""
    from prewatt.reasons import explained

    try:
        when = datetime.fromisoformat(at.replace("Z", "+00:00")) if at else None
    except ValueError:
        raise Usage(f"--at {at!r} is no time", attempt="2026-03-02T08:00:00Z") from None
    if when is not None and when.tzinfo is not None:
        when = when.astimezone(UTC).replace(tzinfo=None)
    data = explained(home, account, when)
    emit(Result("explain", data, code=0))
    if not data["rederived"]:
        raise typer.Exit(1)
