"""A person's word on the kill switch or the tripped breaker goes in; both, as they stand afterwards, come out."""

from collections.abc import Mapping
from typing import Any

from control import switches
from control.switches import DROP, RELEASE, Standing
from prewatt.errors import ShellError, Usage
from prewatt.wiring import Shell
from storage.unit import Unit
from storage.writer import Priority

KILL, TRIP = "the kill switch is not pulled", "the breaker has not tripped: there is nothing to {what}"
LOOK = "prewatt breaker status"


def row(now: Standing) -> dict[str, Any]:
    """Both switches as the command line and the console's actions tell them."""
    return {
        "kill_switch": "pulled" if now.kill.pulled else "reset",
        "pulled_by": now.kill.pulled_by,
        "pulled_at": now.pulled_at,
        "resets": list(now.kill.resets),
        "breaker": "tripped" if now.tripped else "dropped" if now.dropped else "closed",
        "tripped_at": now.tripped_at,
        "reason": now.reason,
        "releasing": list(now.releasing),
        "dropping": list(now.dropping),
        "kept": list(now.kept),
    }


async def pull(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Stop disconnections and limits at once, with a reason; reconnections go on."""
    reason = str(args.get("reason") or "").strip()
    if not reason:
        raise Usage("why?", attempt="--reason TEXT, which the audit chain keeps")
    return await _said(shell, args, lambda unit, by: switches.pull(unit, by, reason, shell.engine.world()))


async def reset(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """One of the two persons who let disconnections go again."""
    if not _now(shell).kill.pulled:
        raise ShellError(KILL, attempt=LOOK)
    return await _said(shell, args, lambda unit, by: switches.reset(unit, by, shell.engine.world()))


async def release(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """One of the two persons who let today's disconnections go; the next hour's pass sends them, ring by ring."""
    return await _word(shell, args, RELEASE)


async def drop(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """One of the two persons who stop today's disconnections; tomorrow is planned anew."""
    return await _word(shell, args, DROP)


async def _word(shell: Shell, args: Mapping[str, Any], what: str) -> Mapping[str, Any]:
    if not _now(shell).tripped:
        raise ShellError(TRIP.format(what=what), attempt=LOOK)
    return await _said(shell, args, lambda unit, by: switches.say(unit, what, by, shell.engine.world()))


async def _said(shell: Shell, args: Mapping[str, Any], work: Any) -> Mapping[str, Any]:
    by = str(args.get("by") or shell.actor)

    def write(unit: Unit) -> None:
        work(unit, by)

    await shell.store.commit(Priority.COMMAND, write)
    shell.engine.wake()
    return row(_now(shell))


def _now(shell: Shell) -> Standing:
    return shell.store.read(lambda reader: switches.standing(reader, shell.engine.now()))


ACTIONS = {"kill.pull": pull, "kill.reset": reset, "breaker.release": release, "breaker.drop": drop}
