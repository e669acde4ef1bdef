"""The options that every verb has, so that they are spelled and explained alike everywhere."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from prewatt.errors import Usage
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


def moment(text: str, option: str) -> datetime:
    """A time as naive UTC; text without an offset is UTC, and Usage for what is none."""
    try:
        at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise Usage(f"{option} {text!r} is no time", attempt="2026-03-01, or 2026-03-01T08:00:00Z") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).replace(tzinfo=None)
