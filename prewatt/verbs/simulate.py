"""Run a town on virtual time, with faults, and print what an outside observer saw."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prewatt.options import FormOption
from prewatt.output import Result, emit

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim.scenario import Scenario

PANEL = "run"


def command(
    accounts: Annotated[int, typer.Option(min=1, max=100_000, help="How many customers.")] = 120,
    days: Annotated[int, typer.Option(min=1, max=3660, help="Days with faults, after four without.")] = 10,
    seed: Annotated[int, typer.Option(help="Everything random comes from it.")] = 1,
    faults: Annotated[str, typer.Option(help="none, wire, links, relays, crashes, standard or swarm.")] = "standard",
    policy: Annotated[str, typer.Option(help="Template of the control policy.")] = "minigrid",
    transport: Annotated[str, typer.Option(help="wire (bytes), direct (records); default: wire for small towns.")] = "",
    processes: Annotated[int, typer.Option(min=1, max=64, help="How many districts run at a time.")] = 1,
    districts: Annotated[int, typer.Option(min=0, help="Parts with an engine each; 0: 400 accounts each.")] = 0,
    shrink: Annotated[Path | None, typer.Option(help="Folder for a smaller failing scenario, if one breaks.")] = None,
    scenario: Annotated[Path | None, typer.Option(help="Replay a kept scenario instead.")] = None,
    output: FormOption = None,
) -> None:
    """Run the real engine on a simulated town with faults; exit 1 when an invariant did not hold."""
    from control.policy import TEMPLATES
    from prewatt.errors import Usage
    from prewatt.progress import bar
    from prewatt.strict import suggest
    from sim import campaign, swarm
    from sim.faults import FAULTS
    from sim.scenario import Scenario, read
    from sim.shrink import shrink as smaller
    from sim.wiring import TRANSPORTS, transport_of
    from sim.world import Cast

    names = (*FAULTS, "swarm")
    for word, known in ((faults, names), (policy, TEMPLATES), (transport or TRANSPORTS[0], TRANSPORTS)):
        if word not in known:
            raise Usage(f"no {word!r}", attempt=suggest(word, known))
    plan = swarm.swarm(seed) if faults == "swarm" else FAULTS[faults]
    asked = Scenario(f"seed-{seed}", seed, accounts, days, plan, policy, transport_of(transport, accounts))
    if scenario is not None:
        asked, districts = read(scenario), 1
    cast = Cast(asked.policy, asked.transport, warm_up_days=asked.warm_up_days)
    parts = campaign.districts(asked.accounts, asked.days, asked.seed, asked.plan, cast, count=districts)
    began = time.monotonic()
    with bar() as progress:
        found = campaign.run(parts, processes=processes, progress=lambda at, of: progress("days", at, of))
    _rate(found["accounts"] * (found["days"] + cast.warm_up_days), time.monotonic() - began)
    code = 0 if found["invariants"] == "ok" else 1
    if code and shrink is not None:
        for part in parts:
            kept = Scenario(
                f"seed-{part.seed}",
                part.seed,
                part.accounts,
                part.days,
                part.plan,
                asked.policy,
                asked.transport,
                warm_up_days=asked.warm_up_days,
            )
            if (path := _kept(kept, shrink, smaller)) is not None:
                found["scenario"] = str(path)
                break
    emit(Result("simulate", found, rows="" if code == 0 else "invariants", code=code))
    raise typer.Exit(code)


def _rate(lived: int, took_s: float) -> None:
    """Say how fast it went, on standard error: the result is the same on every machine."""
    typer.echo(f"{lived:,} account-days lived in {took_s:,.1f} s: {lived / max(took_s, 0.001):,.1f} a second", err=True)


def _kept(one: "Scenario", folder: Path, smaller: "Callable[..., Scenario]") -> Path | None:
    """Make a failing scenario smaller and keep it; None when this district broke nothing."""
    try:
        least = smaller(one, tell=lambda text: typer.echo(text, err=True))
    except ValueError:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    return least.keep(folder)
