"""Policies that were simulated, or that somebody answers for, go in; they may be published from then on."""

from collections.abc import Mapping
from typing import Any

from control.errors import PolicyError
from control.policy import CLASSES, classes
from prewatt import publishing
from prewatt.errors import Usage
from prewatt.strict import suggest
from prewatt.wiring import Shell
from storage.unit import Unit
from storage.writer import Priority


async def clear(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Clear the policies of ``text`` for ``classes``, by a simulation's ``totals`` or by owner and reason."""
    totals = {str(key): str(value) for key, value in dict(args.get("totals") or {}).items()}
    owner, reason = str(args.get("owner") or "").strip(), str(args.get("reason") or "").strip()
    if not totals and not (owner and reason):
        raise Usage("who answers for it, and why?", attempt="--owner NAME --reason TEXT")
    why = "simulated" if totals else f"{owner}: {reason}"
    for klass in args["classes"]:
        if klass not in CLASSES:
            raise Usage(f"no customer class {klass!r}", attempt=suggest(str(klass), CLASSES))
    try:
        found = classes(str(args["text"]), str(args["file"]))
    except PolicyError as error:
        raise Usage(str(error)) from None
    chosen = {klass: found[klass] for klass in args["classes"]}
    now = shell.clock.now()

    def work(unit: Unit) -> None:
        for policy in chosen.values():
            publishing.clear(unit, policy, now, by=shell.actor, why=why, simulated=totals)

    await shell.store.commit(Priority.COMMAND, work)
    return {"cleared": {klass: policy.id for klass, policy in chosen.items()}, "why": why}


ACTIONS = {"policy.clear": clear}
"""What lets a policy into force at the next reload."""
