"""Classes that are only watched: what prewatt would have done, beside what people did."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from prewatt.options import FormOption, HomeOption
from prewatt.output import Result, emit

PANEL = "work"
group = typer.Typer(no_args_is_help=True, help=__doc__)
KlassArgument = Annotated[str, typer.Argument(metavar="CLASS")]
COLUMNS = ("account", "action", "ours", "theirs", "lead_h", "why")


@group.command("list")
def list_classes(home: HomeOption = None, output: FormOption = None) -> None:
    """List the classes, and until when each is only watched: decided on, nothing sent."""
    from prewatt.shadowing import classes

    emit(Result("shadow list", {"classes": classes(home)}, rows="classes"))


@group.command()
def report(
    klass: KlassArgument,
    since: Annotated[str, typer.Option("--from", metavar="T", help="Begin here (UTC); else 31 days ago.")] = "",
    until: Annotated[str, typer.Option("--to", metavar="T", help="End before this time; else now.")] = "",
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Compare what prewatt would have done with what people did: both, only prewatt, only people, and why."""
    from prewatt.shadowing import compared

    emit(Result("shadow report", compared(home, klass, _time(since), _time(until)), rows="pairs", columns=COLUMNS))


@group.command("set")
def put(
    klass: KlassArgument,
    reason: Annotated[str, typer.Option(help="Why; the audit chain keeps it.")],
    days: Annotated[int, typer.Option(help="So many more days; 0 = live from now on.")] = 30,
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Watch a class for some days more, or let it go live. Whom prewatt cut before, it still brings back."""
    from prewatt.doing import do

    emit(Result("shadow set", do(home, "shadow.set", klass=klass, days=days, reason=reason)))


def _time(text: str) -> datetime | None:
    from prewatt.errors import Usage

    if not text:
        return None
    try:
        at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise Usage(f"{text!r} is no time", attempt="2026-03-01, or 2026-03-01T08:00:00Z") from None
    return at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at
