"""Reading routes: where meters hang, who is due on site, where readers went, and how punctually."""

from pathlib import Path
from typing import Annotated

import typer

from prewatt.options import FormOption, HomeOption
from prewatt.output import Result, emit

PANEL = "field"
group = typer.Typer(no_args_is_help=True, help=__doc__)

From = Annotated[str, typer.Option("--from", help="First day, such as 2026-07-01; default: a month before --to.")]
To = Annotated[str, typer.Option("--to", help="The day after the last; default: tomorrow.")]
RouteOption = Annotated[str, typer.Option("--route", help="Only this route.")]
ReaderOption = Annotated[str, typer.Option("--reader", help="Only this reader.")]


@group.command("import")
def import_sites(
    file: Annotated[Path, typer.Argument(metavar="FILE")], home: HomeOption = None, output: FormOption = None
) -> None:
    """Take where meters hang from a CSV.

    Columns: meter, latitude, longitude, datum, transformer, feeder, route, stop, role, verified_until.
    """
    from prewatt.doing import do

    found = do(home, "sites.import", file=str(file.absolute()))
    emit(Result("routes import", found, rows="refused"))
    if found["rows"] and not found["accepted"]:
        raise typer.Exit(1)


@group.command("set")
def set_route(
    route: Annotated[str, typer.Argument(metavar="ROUTE")],
    reader: Annotated[str, typer.Option(help="Who walks it: the person in the handheld's messages.")],
    day: Annotated[int, typer.Option(help="Day of the month on which it is read.")],
    months: Annotated[int, typer.Option(help="Every how many months.")] = 1,
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Say who reads a route, and when."""
    from prewatt.doing import do

    emit(Result("routes set", do(home, "routes.set", route=route, reader=reader, day=day, months=months)))


@group.command("list")
def list_routes(home: HomeOption = None, output: FormOption = None) -> None:
    """List the routes."""
    from prewatt.fieldwork import routes

    emit(Result("routes list", {"routes": routes(home)}, rows="routes"))


@group.command()
def rotation(
    months: Annotated[int, typer.Option(min=0, max=120, help="So far ahead; what is overdue is always listed.")] = 6,
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Meters whose verification ends, with the planned outage in which to change them; sensitive sites out of hours."""
    from prewatt import fieldwork

    rows = fieldwork.rotation(home, months)
    columns = ("meter", "account", "transformer", "verified_until", "overdue", "out_of_hours", "outage", "at")
    emit(Result("routes rotation", {"changes": rows}, rows="changes", columns=columns))


@group.command()
def due(route: RouteOption = "", reader: ReaderOption = "", home: HomeOption = None, output: FormOption = None) -> None:
    """Who is due on site: readings two days around their day, new meters, remote meters every three cycles."""
    from prewatt import fieldwork

    emit(Result("routes due", {"calls": fieldwork.due(home, route=route, person=reader)}, rows="calls"))


@group.command()
def record(
    since: From = "",
    until: To = "",
    device: Annotated[str, typer.Option(help="Only this handheld.")] = "",
    reader: ReaderOption = "",
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Where handhelds went, message by message: too far from the meter, too fast, final without a position."""
    from prewatt import fieldwork

    rows = fieldwork.record(home, since, until, device=device, person=reader)
    columns = ("at", "device", "reader", "kind", "meter", "status", "from_meter_m", "findings")
    emit(Result("routes record", {"record": rows}, rows="record", columns=columns))


@group.command()
def punctuality(
    since: From = "", until: To = "", route: RouteOption = "", home: HomeOption = None, output: FormOption = None
) -> None:
    """Planned days against what was read: on time is at most two days before or after."""
    from prewatt import fieldwork

    emit(Result("routes punctuality", fieldwork.punctuality(home, since, until, route=route), rows="routes"))


@group.command()
def accuracy(since: From = "", until: To = "", home: HomeOption = None, output: FormOption = None) -> None:
    """How well meters were read: mended records by reader, on-site checks that differ, slots by quality."""
    from prewatt import fieldwork

    emit(Result("routes accuracy", fieldwork.accuracy_of(home, since, until), rows="readers"))
