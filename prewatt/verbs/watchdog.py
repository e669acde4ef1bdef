"""Watch the home from another process."""

from typing import Annotated

import typer

from prewatt.options import FormOption, HomeOption

PANEL = "operate"


def command(
    every: Annotated[float, typer.Option(min=1, help="Seconds between two looks.")] = 30.0,
    beat: Annotated[str, typer.Option(help="URL fetched after each look; its silence alarms elsewhere.")] = "",
    alarm: Annotated[str, typer.Option(help="URL that each alarm is posted to.")] = "",
    once: Annotated[bool, typer.Option("--once", help="Look once; exit 1 if somebody paid is dark.")] = False,
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Watch the home from another process: whoever paid and stays dark, and an engine that went silent, is told."""
    from control.watchdog import main
    from prewatt.lookup import config_of

    words = [str(config_of(home).home.root), "--every", str(every), "--beat", beat, "--alarm", alarm]
    raise typer.Exit(main([*words, "--once"] if once else words))
