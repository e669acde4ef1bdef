"""A person's order to a meter or terminal that moves no relay goes in; whether it is in force comes out.

Keep power, arrears alarm, purchase control: only gateways whose devices know them take them. Who asked and what came
of it is in the audit chain, before and after. An order that lets the device cut by itself needs a person's word for it.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from control import assemble
from ingest.records import MeterPoint
from prewatt.errors import ShellError
from prewatt.lookup import known
from prewatt.wiring import Shell
from storage.writer import Priority


async def tell(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Tell one account's meter ``order``; it is void ``minutes`` after now."""
    name, word, engine = str(args["account"]), str(args["order"]), shell.engine
    install = shell.store.read(lambda reader: known(reader, name) and assemble.meter_of(reader, name, engine.now()))
    points = shell.store.read(lambda reader: reader.find(MeterPoint, meter=install.meter if install else ""))
    link: Any = engine.links.get(points[0].gateway) if points else None
    orders = getattr(link, "orders", {})
    if word not in orders:
        takes = ", ".join(orders) or "none"
        raise ShellError(f"its gateway takes no order {word!r}: {takes}", which=name, attempt="docs/howto/dial-in.md")
    until = engine.now() + timedelta(minutes=int(args.get("minutes") or 10))
    body = {"order": word, "meter": points[0].meter, "until": f"{until.isoformat()}Z"}
    await _audit(shell, "meter.tell.asked", name, body)
    word_for_it = {"cuts_by_itself": True} if word == "purchase" and args.get("cuts_by_itself") else {}
    reason = await link.tell(points[0], orders[word], until, **word_for_it)
    await _audit(shell, "meter.told", name, {**body, "reason": reason})
    if reason == "cuts_by_itself":
        raise ShellError(
            f"after {word!r} the device cuts by a credit of its own, past every guard, and is not tripped from here",
            which=name,
            attempt="--cuts-by-itself, when its credit was set and the customer was told",
        )
    if reason:
        raise ShellError(f"{word} is not in force: {reason}", which=name, attempt=f"prewatt accounts read {name}")
    return {"account": name, "meter": points[0].meter, "order": word, "in_force": True}


async def _audit(shell: Shell, what: str, name: str, body: Mapping[str, Any]) -> None:
    now = shell.clock.now()
    await shell.store.commit(Priority.COMMAND, lambda unit: unit.audit(shell.actor, what, name, dict(body), now))


ACTIONS = {"meters.tell": tell}
