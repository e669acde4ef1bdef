"""What came over the wire: look at it, and decode it again after a meter's profile was corrected."""

from typing import Annotated

import typer

from prewatt.options import FormOption, HomeOption
from prewatt.output import Result, emit

PANEL = "field"
group = typer.Typer(no_args_is_help=True, help=__doc__)

From = Annotated[str, typer.Option("--from", help="First day, such as 2026-07-01; default: a month before --to.")]
To = Annotated[str, typer.Option("--to", help="The day after the last; default: tomorrow.")]
Meter = Annotated[str, typer.Option(help="Only this meter.")]


@group.command("list")
def list_raw(
    since: From = "",
    until: To = "",
    meter: Meter = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 100,
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """List what is kept: visits with the registers that the drivers of today read in them, and refused bytes."""
    from prewatt.fieldwork import raw_rows

    rows, total = raw_rows(home, since, until, meter=meter, limit=limit)
    columns = ("at", "source", "reason", "meter", "slot_end", "registers", "bytes")
    emit(Result("raw list", {"total": total, "frames": rows}, rows="frames", columns=columns))


@group.command()
def redecode(
    since: From = "",
    until: To = "",
    meter: Meter = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be corrected, store nothing.")] = False,
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Decode kept visits with the drivers of today; what differs corrects the stored reads, and the bills follow."""
    from prewatt.doing import do
    from prewatt.fieldwork import raw_span

    low, high = raw_span(home, since, until)
    given = {"since": low.isoformat(), "until": high.isoformat(), "meter": meter, "dry_run": dry_run}
    emit(Result("raw redecode", do(home, "raw.redecode", **given), rows="corrections"))
