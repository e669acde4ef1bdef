"""Run a town on virtual time, with faults, and print what an outside observer saw."""

from typing import Annotated

import typer

from prewatt.options import FormOption
from prewatt.output import Result, emit

PANEL = "run"


def command(
    accounts: Annotated[int, typer.Option(min=1, max=100_000, help="How many customers.")] = 120,
    days: Annotated[int, typer.Option(min=1, max=3660, help="Days with faults, after four without.")] = 10,
    seed: Annotated[int, typer.Option(help="Everything random comes from it.")] = 1,
    faults: Annotated[str, typer.Option(help="none, wire, links, relays, crashes or standard.")] = "standard",
    policy: Annotated[str, typer.Option(help="Template of the control policy.")] = "minigrid",
    transport: Annotated[str, typer.Option(help="wire (bytes), direct (records); default: wire for small towns.")] = "",
    output: FormOption = None,
) -> None:
    """Run the real engine on a simulated town with faults; exit 1 when an invariant did not hold."""
    from control.policy import TEMPLATES
    from prewatt.errors import Usage
    from prewatt.progress import bar
    from prewatt.strict import suggest
    from sim.faults import FAULTS
    from sim.run import simulate
    from sim.wiring import TRANSPORTS, transport_of
    from sim.world import Cast

    for word, known in ((faults, FAULTS), (policy, TEMPLATES), (transport or TRANSPORTS[0], TRANSPORTS)):
        if word not in known:
            raise Usage(f"no {word!r}", attempt=suggest(word, known))
    with bar() as progress:
        cast = Cast(policy, transport_of(transport, accounts))
        found = simulate(
            accounts, days, seed, faults=faults, cast=cast, progress=lambda at, of: progress("days", at, of)
        )
    code = 0 if found["invariants"] == "ok" else 1
    emit(Result("simulate", found, rows="" if code == 0 else "invariants", code=code))
    raise typer.Exit(code)
