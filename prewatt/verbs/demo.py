"""Tell the whole story on simulated meters behind the real collectors, and print what was measured."""

import sys
from typing import Annotated

import typer

from prewatt.options import FormOption
from prewatt.output import Form, Result, emit

PANEL = "start"
TRY_NEXT = (
    "try next: prewatt simulate --accounts 120 --days 10 --seed 1",
    "          prewatt meters profiles",
    "          prewatt init my-home && prewatt doctor --home my-home",
)


def command(
    leave: Annotated[bool, typer.Option("--exit", help="End after the story; else it lives on until Ctrl-C.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The console's port; 0 = any free one.")] = 8480,
    kill: Annotated[str, typer.Option(metavar="GATEWAY", help="Kill this gateway's socket: the demo must fail.")] = "",
    output: FormOption = None,
) -> None:
    """Meters, money, a warning, a disconnection, a payment and the light back on: offline, through real sockets."""
    import asyncio

    from prewatt.demo.run import demo

    screen = sys.stderr.isatty() and output in (None, Form.TABLE)
    figures = asyncio.run(demo(stay=not leave, screen=screen, port=0 if leave else port, kill=kill))
    code = 0 if all(step["ok"] for step in figures["steps"]) else 1
    emit(Result("demo", figures, rows="steps", code=code, notes=TRY_NEXT))
    raise typer.Exit(code)
