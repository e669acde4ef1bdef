"""The kill switch (one pulls it, two reset it) and the breaker of mass disconnections (two release or drop)."""

from typing import Annotated, Any

import typer

from prewatt.options import FormOption, HomeOption
from prewatt.output import Result, emit

PANEL = "work"
group = typer.Typer(no_args_is_help=True, help=__doc__)

By = Annotated[str, typer.Option("--by", help="Who says so, as the audit names them; default: the person logged in.")]


@group.command()
def status(home: HomeOption = None, output: FormOption = None) -> None:
    """Show both, with whom the breaker keeps back and who has given their word so far."""
    from control import switches
    from prewatt.actions.switches import row
    from prewatt.lookup import config_of
    from prewatt.wiring import reading

    with reading(config_of(home)) as shell:
        now = shell.store.read(lambda reader: switches.standing(reader, shell.clock.now()))
    emit(Result("breaker status", row(now)))


@group.command()
def pull(
    reason: Annotated[str, typer.Option(help="Why; the audit chain keeps it.")],
    by: By = "",
    home: HomeOption = None,
    output: FormOption = None,
) -> None:
    """Pull the kill switch: no disconnection and no limit leaves from now on; reconnections go on."""
    _say(home, "pull", "kill.pull", reason=reason, by=by)


@group.command()
def reset(by: By = "", home: HomeOption = None, output: FormOption = None) -> None:
    """Agree to reset the kill switch; the second person who does resets it."""
    _say(home, "reset", "kill.reset", by=by)


@group.command()
def release(by: By = "", home: HomeOption = None, output: FormOption = None) -> None:
    """Agree to let go what the breaker keeps back; with the second person the next pass sends it, ring by ring."""
    _say(home, "release", "breaker.release", by=by)


@group.command()
def drop(by: By = "", home: HomeOption = None, output: FormOption = None) -> None:
    """Agree that none of it leaves today; with the second person what is queued ends, and tomorrow is planned anew."""
    _say(home, "drop", "breaker.drop", by=by)


def _say(home: HomeOption, verb: str, action: str, **given: Any) -> None:
    from prewatt.doing import do

    emit(Result(f"breaker {verb}", do(home, action, **given)))
