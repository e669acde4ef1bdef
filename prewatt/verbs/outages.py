"""Outages, planned, by a fault or temporary: whom they touch, since when and until when."""

from typing import Annotated

import typer

from prewatt.options import FormOption, HomeOption
from prewatt.output import Result, emit

PANEL = "field"
group = typer.Typer(no_args_is_help=True, help=__doc__)

OutageArgument = Annotated[str, typer.Argument(metavar="OUTAGE")]
Work = Annotated[str, typer.Option(help="What is done there.")]
Start = Annotated[str, typer.Option(help="When supply went or goes off, local time of the site or with its offset.")]
End = Annotated[str, typer.Option(help="When it should be back.")]
Meter = Annotated[str, typer.Option(help="It touches this meter.")]
Transformer = Annotated[str, typer.Option(help="It touches this transformer's area.")]
Feeder = Annotated[str, typer.Option(help="It touches this feeder.")]
COLUMNS = ("outage", "cause", "state", "start", "expected_end", "ended", "transformer", "feeder", "meter", "work", "by")


@group.command("list")
def list_outages(
    account: Annotated[str, typer.Option(help="Only those that touch this account.")] = "",
    transformer: Transformer = "",
    feeder: Feeder = "",
    meter: Meter = "",
    everything: Annotated[bool, typer.Option("--all", help="Those that are over too.")] = False,
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """List outages now and ahead, of everybody, an account or a place, with the accounts that they touch."""
    from prewatt.fieldwork import outage_rows

    rows = outage_rows(
        home, account=account, everything=everything, transformer=transformer, feeder=feeder, meter=meter
    )
    emit(Result("outages list", {"outages": rows}, rows="outages", columns=COLUMNS))


@group.command()
def start(
    cause: Annotated[str, typer.Option(help="planned, fault or temporary.")] = "planned",
    start: Start = "",
    end: End = "",
    meter: Meter = "",
    transformer: Transformer = "",
    feeder: Feeder = "",
    work: Work = "",
    outage: Annotated[str, typer.Option(help="Its id; one that is known is corrected.")] = "",
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Announce an outage, or say that one has begun; everybody whom it touches is told."""
    from prewatt.doing import do

    where = {"meter": meter, "transformer": transformer, "feeder": feeder}
    given = {"cause": cause, "start": start, "end": end, "work": work, "outage": outage, **where}
    emit(Result("outages start", do(home, "outages.say", word="start", **given)))


@group.command()
def end(
    outage: OutageArgument,
    at: Annotated[str, typer.Option(help="When supply came back; default: now.")] = "",
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Say that supply is back."""
    from prewatt.doing import do

    emit(Result("outages end", do(home, "outages.say", word="end", outage=outage, at=at)))


@group.command()
def cancel(outage: OutageArgument, home: HomeOption = None, output: FormOption = None) -> None:
    """Say that planned works do not take place."""
    from prewatt.doing import do

    emit(Result("outages cancel", do(home, "outages.say", word="cancel", outage=outage)))
