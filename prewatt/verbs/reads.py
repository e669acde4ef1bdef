"""Reads from files: half-hourly CSV, NEM12, Green Button."""

from pathlib import Path
from typing import Annotated, Any

import typer

from prewatt.options import FormOption, HomeOption
from prewatt.output import Result, emit

PANEL = "data"
group = typer.Typer(no_args_is_help=True, help=__doc__)


@group.command("import")
def import_reads(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...")],
    kind: Annotated[str, typer.Option("--format", help="csv, nem12 or greenbutton; default: as the file shows.")] = "",
    zone: Annotated[str, typer.Option(help="Zone of stamps without an offset.")] = "",
    stamp: Annotated[str, typer.Option(help="start or end: which end of its slot a stamp names.")] = "",
    minutes: Annotated[int, typer.Option(min=0, help="Length of a slot; 0 = as the file shows.")] = 0,
    meter: Annotated[str, typer.Option(help="Meter of a file that names none; default: the file's name.")] = "",
    meter_col: Annotated[str, typer.Option("--meter-col", help="Column with the meter.")] = "",
    stamp_col: Annotated[str, typer.Option("--stamp-col", help="Column with the time.")] = "",
    value_col: Annotated[str, typer.Option("--value-col", help="Column with the energy.")] = "",
    unit: Annotated[str, typer.Option(help="Unit of the values: Wh, kWh, ...")] = "",
    negative: Annotated[str, typer.Option(help="refuse negative energy, or take it as export.")] = "refuse",
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Import files of reads; refused lines are listed, the same values twice change nothing. Exit 1: none taken."""
    from prewatt.doing import do

    options: dict[str, Any] = {
        "zone": zone,
        "stamp": stamp,
        "minutes": minutes,
        "meter": meter,
        "meter_col": meter_col,
        "stamp_col": stamp_col,
        "value_col": value_col,
        "unit": unit,
        "negative": negative,
    }
    paths = [path.absolute() for path in files]
    answer = do(home, "reads.import", files=paths, format=kind, options=options)
    emit(Result("reads import", answer, rows="refused", columns=("file", "line", "reason", "detail")))
    if not answer["accepted"]:
        raise typer.Exit(1)
