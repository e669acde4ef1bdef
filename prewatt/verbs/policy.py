"""Control policies: try one on the last month before it is published."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prewatt.errors import Usage
from prewatt.options import FormOption, HomeOption
from prewatt.output import Result, emit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from control.policy import Policy

PANEL = "work"
group = typer.Typer(no_args_is_help=True, help=__doc__)

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="Policy TOML.")]
Classes = Annotated[
    list[str] | None, typer.Option("--class", help="Customer class that is to follow it; may be repeated. Else all.")
]


@group.command()
def simulate(
    file: FileArgument,
    klass: Classes = None,
    since: Annotated[str, typer.Option("--from", metavar="T", help="Begin here (UTC); else 31 days ago.")] = "",
    until: Annotated[str, typer.Option("--to", metavar="T", help="End before this time; else now.")] = "",
    sample: Annotated[int, typer.Option(min=1, help="At most so many accounts, evenly taken.")] = 200,
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Replay the last month under this policy and under the one in force: what would have happened, to whom.

    Balances and payments are those of then. It clears exactly this text for publishing: the next reload takes it.
    """
    from prewatt import foretelling
    from prewatt.doing import do
    from prewatt.lookup import config_of
    from prewatt.wiring import reading

    text, found, chosen = _read(file, klass)
    with reading(config_of(home)) as shell:
        end = _time(until) or shell.clock.now()
        start = _time(since) or end - foretelling.MONTH
        if start >= end:
            raise Usage("--to must be later than --from", attempt="prewatt policy simulate --help")
        data = foretelling.foretold(shell, found, chosen, start, end, sample)
    totals = {f"{side}_{name}": value for side, row in data["totals"].items() for name, value in row.items()}
    totals |= {"accounts": data["accounts"], "from": data["from"].isoformat(), "to": data["to"].isoformat()}
    do(home, "policy.clear", text=text, file=file.name, classes=chosen, totals=totals)
    emit(Result("policy simulate", data, rows="changed"))


@group.command()
def clear(
    file: FileArgument,
    owner: Annotated[str, typer.Option(help="Who answers for publishing it without a simulation.")],
    reason: Annotated[str, typer.Option(help="Why it cannot wait for one.")],
    klass: Classes = None,
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Let a policy be published that was not simulated; owner and reason stand in the audit chain."""
    from prewatt.doing import do

    text, _, chosen = _read(file, klass)
    done = do(home, "policy.clear", text=text, file=file.name, classes=chosen, owner=owner, reason=reason)
    emit(Result("policy clear", done))


def _read(file: Path, klass: list[str] | None) -> "tuple[str, Mapping[str, Policy], list[str]]":
    """The file's text, its policies, and the classes that are meant."""
    from control.errors import PolicyError
    from control.policy import CLASSES, classes
    from prewatt.strict import suggest

    for name in klass or ():
        if name not in CLASSES:
            raise Usage(f"no customer class {name!r}", attempt=suggest(name, CLASSES))
    text = file.read_text(encoding="utf-8")
    try:
        return text, classes(text, file.name), list(klass or CLASSES)
    except PolicyError as error:
        raise Usage(str(error)) from None


def _time(text: str) -> datetime | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise Usage(f"{text!r} is no time", attempt="2026-03-01, or 2026-03-01T08:00:00Z") from None
    return at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at
