"""Read the meters that are due, once."""

import typer

from prewatt.options import DryRun, FormOption, HomeOption
from prewatt.output import Result, emit

PANEL = "run"


def command(dry_run: DryRun = False, home: HomeOption = None, output: FormOption = None) -> None:
    """Read the meters that are due, once, and fill gaps from load profiles; --dry-run reads and stores nothing."""
    from prewatt.doing import do

    answer = do(home, "collect", dry_run=dry_run)
    emit(Result("collect", answer, rows="findings"))
    if answer["due"] and not answer["polled"]:
        raise typer.Exit(1)
