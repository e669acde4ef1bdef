"""List the meter models that prewatt can read, and which of them it may switch."""

import typer

from prewatt.options import FormOption, HomeOption
from prewatt.output import Result, emit

PANEL = "field"
group = typer.Typer(no_args_is_help=True, help=__doc__)


@group.command()
def profiles(home: HomeOption = None, output: FormOption = None) -> None:
    """List the drivers: model, protocol, what they read, and whether their relay is proven by read-back."""
    from ingest.drivers import drivers
    from prewatt.listing import driver_row

    rows = [driver_row(driver) for driver in drivers().values()]
    emit(Result("meters profiles", {"profiles": rows}, rows="profiles"))
