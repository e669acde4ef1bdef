"""Transformer areas: what each was given, what its customers took, what is lost, and who may be why."""

from typing import Annotated

import typer

from prewatt.options import FormOption, HomeOption
from prewatt.output import Result, emit

PANEL = "field"
group = typer.Typer(no_args_is_help=True, help=__doc__)


@group.callback()
def _group() -> None:
    """Verbs on areas."""


@group.command("balance")
def area_balance(
    since: Annotated[str, typer.Option("--from", help="First day; default: a month ago.")] = "",
    until: Annotated[str, typer.Option("--to", help="The day after the last; default: tomorrow.")] = "",
    transformer: Annotated[str, typer.Option(help="Only this area; then no other can be the right one.")] = "",
    technical: Annotated[float, typer.Option(min=0, max=0.5, help="Technical loss, a share of what is given.")] = 0.03,
    limit: Annotated[float, typer.Option(min=0, max=1, help="A residual above this share is suspicious.")] = 0.05,
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Balance each transformer's register with its customers; rank wrong transformers and bypasses to look at."""
    from prewatt.areas import balances

    found = balances(home, since, until, transformer=transformer, technical=technical, limit=limit)
    columns = ("transformer", "hours", "given_wh", "taken_wh", "technical_wh", "residual_wh", "suspicious")
    emit(Result("areas balance", found, rows="areas", columns=columns))
