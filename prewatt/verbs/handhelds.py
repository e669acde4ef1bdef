"""Handhelds of readers and crews: what each sent and what was refused, and the schema of their messages."""

from typing import Annotated

import typer

from prewatt.options import FormOption, HomeOption
from prewatt.output import CHOSEN, Form, Result, emit

PANEL = "field"
group = typer.Typer(no_args_is_help=True, help=__doc__)

From = Annotated[str, typer.Option("--from", help="First day, such as 2026-07-01; default: a month before --to.")]
To = Annotated[str, typer.Option("--to", help="The day after the last; default: tomorrow.")]


@group.command("list")
def list_devices(since: From = "", until: To = "", home: HomeOption = None, output: FormOption = None) -> None:
    """List devices: whether they must sign, their last message, and how their messages of a span were taken."""
    from prewatt.fieldwork import device_rows

    emit(Result("handhelds list", device_rows(home, since, until), rows="devices"))


@group.command()
def schema(output: FormOption = None) -> None:
    """Print the AsyncAPI document of the messages, with their JSON schemas."""
    import json

    from ingest.wire.handhelddoc import document

    if CHOSEN.get() in (Form.JSON, Form.NDJSON):
        emit(Result("handhelds schema", {"document": document()}))
    else:
        typer.echo(json.dumps(document(), ensure_ascii=False, indent=2))
