"""A person's word on a change of prices goes in; with the second one, its accounts' forecasts count again.

The change must have been simulated, and only accounts that had changed by then are confirmed.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from control import breaker, pricebasis
from control.passes import plain_name
from control.signals import Signal
from prewatt.errors import ShellError
from prewatt.repricing import find, name, row
from prewatt.wiring import Shell
from storage.unit import Unit
from storage.writer import Priority

SHOWN, AGREED = "prices.shown.", "prices.agreed."


async def shown(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Keep that a change was simulated, with what came out, and of which accounts; words given before are void."""
    change, now = find(shell, str(args["change"])), shell.clock.now()
    totals = {str(key): str(value) for key, value in dict(args["totals"]).items()}

    def work(unit: Unit) -> None:
        unit.put(Signal(SHOWN + name(change), "shown", change.until, shell.actor))
        unit.put(Signal(AGREED + name(change), "", now, shell.actor))
        unit.audit(shell.actor, "prices.simulate", name(change), totals, now)

    await shell.store.commit(Priority.COMMAND, work)
    return row(shell, change)


async def confirm(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """One of the two persons who vouch for it."""
    change, by, now = find(shell, str(args["change"])), str(args.get("by") or shell.actor), shell.clock.now()
    key = name(change)

    def work(unit: Unit) -> dict[str, Any] | None:
        seen = unit.get(Signal, SHOWN + key)
        if seen is None:
            return None
        before = unit.get(Signal, AGREED + key)
        persons = sorted({*(before.value.split(",") if before and before.value else ()), plain_name(by)})
        unit.put(Signal(AGREED + key, ",".join(persons), now, by))
        unit.audit(by, "prices.word", key, {"persons": persons}, now)
        if not breaker.may_release(persons, "engine"):
            return {"persons": persons, "confirmed": 0}
        done = pricebasis.confirm(unit, replace(change, until=seen.at), now, persons)
        unit.put(Signal(AGREED + key, "", now, by))
        return {"persons": persons, "confirmed": done}

    said = await shell.store.commit(Priority.COMMAND, work)
    if said is None:
        raise ShellError("nobody has seen what it does", which=key, attempt=f"prewatt prices simulate {key}")
    return {"change": key, **said}


ACTIONS = {"prices.shown": shown, "prices.confirm": confirm}
