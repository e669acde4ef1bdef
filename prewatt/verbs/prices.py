"""Changes of prices (a book, a move to another, a release): what they do to bills; two persons confirm them."""

from typing import Annotated

import typer

from prewatt.options import FormOption, HomeOption
from prewatt.output import Result, emit

PANEL = "work"
group = typer.Typer(no_args_is_help=True, help=__doc__)

ChangeArgument = Annotated[str, typer.Argument(metavar="CHANGE", help="Its name in `prewatt prices list`.")]


@group.command("list")
def list_changes(home: HomeOption = None, output: FormOption = None) -> None:
    """List the changes that wait: until they are confirmed, forecasts on the new prices cut nobody."""
    from prewatt.lookup import config_of
    from prewatt.repricing import changes
    from prewatt.wiring import reading

    with reading(config_of(home)) as shell:
        rows = changes(shell)
    emit(Result("prices list", {"changes": rows}, rows="changes"))


@group.command()
def simulate(
    change: ChangeArgument,
    sample: Annotated[int, typer.Option(min=1, help="At most so many accounts, evenly taken.")] = 200,
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Price last month's energy on the prices of before and of now: who pays more, and how much. Posts nothing."""
    from prewatt.doing import do
    from prewatt.lookup import config_of
    from prewatt.repricing import find, simulated
    from prewatt.wiring import reading

    with reading(config_of(home)) as shell:
        data = simulated(shell, find(shell, change), sample)
    totals = {key: data[key] for key in ("month", "sampled", "compared", "was", "is", "percent", "dearer", "cheaper")}
    do(home, "prices.shown", change=change, totals=totals)
    emit(Result("prices simulate", data, rows="dearest"))


@group.command()
def confirm(
    change: ChangeArgument,
    by: Annotated[str, typer.Option("--by", help="Who vouches for it; default: the person logged in.")] = "",
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Vouch for a change that was simulated; with the second person its accounts' forecasts count again."""
    from prewatt.doing import do

    emit(Result("prices confirm", do(home, "prices.confirm", change=change, by=by)))
