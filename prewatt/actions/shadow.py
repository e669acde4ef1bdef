"""A class and a date go in; its shadow is set or ended, audited."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from control import shadow
from control.policy import CLASSES
from prewatt.errors import Usage
from prewatt.strict import suggest
from prewatt.wiring import Shell
from storage.writer import Priority


async def put(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Watch a class for ``days`` more days, or let it go live (``days`` 0); a reason is asked for."""
    klass, days, reason = str(args["klass"]), int(args.get("days") or 0), str(args.get("reason") or "").strip()
    if klass not in CLASSES:
        raise Usage(f"no customer class {klass!r}", attempt=suggest(klass, CLASSES))
    if not 0 <= days <= shadow.LONGEST_DAYS:
        raise Usage(f"{days} days of shadow", attempt=f"0 to {shadow.LONGEST_DAYS}; 0 ends it")
    if not reason:
        raise Usage("why?", attempt="--reason TEXT, which the audit chain keeps")
    now = shell.clock.now()
    end = now + timedelta(days=days) if days else None
    await shell.store.commit(
        Priority.COMMAND, lambda unit: shadow.put(unit, klass, end, now, by=shell.actor, reason=reason)
    )
    return {"class": klass, "until": end, "live": end is None}


ACTIONS = {"shadow.set": put}
