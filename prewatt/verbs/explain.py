"""Why an account was, or was not, disconnected, and why a charge or a bill is what it is."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from prewatt.errors import Usage
from prewatt.options import FormOption, HomeOption
from prewatt.output import Result, emit

PANEL = "data"
STEPS = (
    "start",
    "component",
    "window",
    "period",
    "tier",
    "kwh",
    "price",
    "amount",
    "position_kwh",
    "version",
    "jump",
    "charged",
)
INPUTS = ("what", "start", "end", "quantity", "unit", "amount", "note", "version", "period", "tier")
LINES = ("id", "version", "period", "tier", "quantity", "unit", "price", "amount", "slots", "exact")


def command(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT")],
    at: Annotated[
        str, typer.Option("--at", metavar="T", help="The decision in force then: 2026-03-02T08:00:00Z.")
    ] = "",
    hour: Annotated[
        str, typer.Option("--hour", metavar="T", help="The charges of the hour that holds this time instead.")
    ] = "",
    bill: Annotated[
        str, typer.Option("--bill", metavar="PERIOD", help="The bill of this month instead, line by line.")
    ] = "",
    line: Annotated[
        str,
        typer.Option(
            "--line", metavar="ID", help="With --bill: what this line is made of: slots, days, lines, registers."
        ),
    ] = "",
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Print the last decision up to a time (inputs, every guard and why), or an hour's charges, or a bill's lines.

    Each is derived anew from what is stored, and compared: exit 1 if it does not agree. A charge names its window,
    tier, price, book version and where that was published.
    """
    if sum(map(bool, (at, hour, bill))) > 1 or (line and not bill):
        raise Usage("one of --at, --hour, --bill; --line goes with --bill", attempt="prewatt explain --help")
    if hour or bill:
        result = _charges(home, account, hour) if hour else _bill(home, account, bill, line)
    else:
        from prewatt.reasons import explained

        result = Result("explain", explained(home, account, _time(at, "--at") if at else None))
    emit(result)
    if not result.data["rederived"]:
        raise typer.Exit(1)


def _charges(home: HomeOption, account: str, hour: str) -> Result:
    from prewatt import itemised

    data = itemised.hour(home, account, _time(hour, "--hour"))
    return Result("explain charge", data, rows="steps", columns=STEPS)


def _bill(home: HomeOption, account: str, period: str, line: str) -> Result:
    from prewatt import itemised

    data = itemised.bill(home, account, period, line)
    if not line:
        return Result("explain bill", data, rows="lines", columns=LINES)
    rows, columns = ("steps", STEPS) if data["steps"] else ("inputs", INPUTS)
    return Result("explain bill", data, rows=rows, columns=columns)


def _time(text: str, option: str) -> datetime:
    """A time as UTC without a zone; text without an offset is UTC."""
    try:
        when = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise Usage(f"{option} {text!r} is no time", attempt="2026-03-02T08:00:00Z") from None
    return when.astimezone(UTC).replace(tzinfo=None) if when.tzinfo is not None else when
