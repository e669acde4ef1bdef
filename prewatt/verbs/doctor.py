"""Look at this machine and this home, and say what is wrong and what to do."""

from typing import Annotated

import typer

from prewatt.options import FormOption, HomeOption
from prewatt.output import Result, emit

PANEL = "start"


def command(
    offline: Annotated[bool, typer.Option("--offline", help="Do not try to reach gateways and broker.")] = False,
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Look at this machine and this home: versions, configuration, secrets, store, disk, gateways. Exit 1: a fault."""
    from prewatt.diagnosis import diagnose
    from prewatt.home import find

    found = diagnose(find(home), offline=offline)
    rows = [{"check": f.check, "status": f.status, "found": f.found, "try": f.attempt} for f in found]
    failed = sum(f.status == "fail" for f in found)
    emit(Result("doctor", {"checks": rows, "failed": failed, "ok": not failed}, rows="checks"))
    if failed:
        raise typer.Exit(1)
