"""What would have happened: stored reads once more, with a policy and somebody who pays, on a clock of their own."""

from pathlib import Path
from typing import Annotated, Any

import typer

from prewatt.errors import Usage
from prewatt.options import FormOption, HomeOption, moment
from prewatt.output import Form, Result, chosen, emit, encode

PANEL = "data"
TIMES = "2026-03-01, or 2026-03-01T08:00:00Z"


def command(
    since: Annotated[str, typer.Option("--from", metavar="T", help=f"Begin here (UTC): {TIMES}.")],
    until: Annotated[str, typer.Option("--to", metavar="T", help="End before this time.")],
    policy: Annotated[
        Path | None, typer.Option(help="Policy TOML for every class; else those of the home.", dir_okay=False)
    ] = None,
    payments: Annotated[
        Path | None,
        typer.Option(help="A bank's CSV, or a rule in TOML: opening, topup, hours_after, shares, shares_of."),
    ] = None,
    account: Annotated[list[str] | None, typer.Option("--account", help="Only this one; may be repeated.")] = None,
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Drive the whole engine over stored reads as if they arrived live, without devices; nothing in the home changes.

    One event a line (-o ndjson): read, alert, notice, disconnect, reconnect, payment, balance, held; then a summary.
    Channels count as reconciled, relays obey and notices arrive at once, nothing is used while supply is off.
    """
    import sys

    from prewatt import replaying

    start, end = moment(since, "--from"), moment(until, "--to")
    if end <= start:
        raise Usage("--to must be later than --from", attempt=f"--from 2026-03-01 --to 2026-04-01, or {TIMES}")
    form = chosen(sys.stdout)
    kept: list[dict[str, Any]] = []
    for row in replaying.rows(home, start, end, policy=policy, payments=payments, accounts=tuple(account or ())):
        if form is Form.NDJSON:
            sys.stdout.write(encode(row) + "\n")
        else:
            kept.append(dict(row))
    if form is not Form.NDJSON:
        emit(Result("replay", {"events": kept[:-1], **kept[-1]}, rows="events", columns=("at", "account", "event")))
