"""Run the daemon."""

from typing import Annotated

import typer

from prewatt.options import FormOption, HomeOption

PANEL = "run"


def command(
    level: Annotated[str, typer.Option("--log-level", help="DEBUG, INFO, WARNING or ERROR.")] = "INFO",
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Run the daemon: collect, rate, decide and switch, take payments, serve the console, until it is told to stop."""
    from prewatt import logs
    from prewatt.daemon import serve
    from prewatt.lookup import config_of

    logs.setup(level.upper())
    raise typer.Exit(serve(config_of(home)))
