"""A person's wish about one account's supply or meter goes in; what the engine made of it comes out.

Nobody switches past the guards: a wish makes the engine decide now; its word, with the guards that hold, is the answer.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from control import assemble, guards, reconnect, visits
from control.records import Guard
from ingest.plan import slot_floor
from ingest.poller import CycleReport, Poller
from ingest.records import Flag, MeterPoint
from prewatt.errors import ShellError
from prewatt.forgetful import Forgetful
from prewatt.lookup import known
from prewatt.output import plain
from prewatt.reasons import explained_in
from prewatt.wiring import Shell
from storage.gaps import Gaps
from storage.writer import Priority


async def collect(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Read who is due; with ``dry_run`` nothing is stored."""
    if not args.get("dry_run"):
        return _cycle(await shell.engine.collect(whole=True))
    points = shell.store.read(lambda reader: reader.find(MeterPoint, order="meter_id"))
    poller = Poller(shell.clock, shell.engine.links, points, Forgetful(), Gaps(shell.store))
    return {**_cycle(await poller.cycle(shell.engine.now())), "dry_run": True}


def _cycle(report: CycleReport) -> dict[str, Any]:
    return {
        "at": report.at,
        "due": report.due,
        "polled": report.polled,
        "failed": report.failed,
        "held": report.held,
        "reads": report.reads,
        "new": report.new,
        "duplicate": report.duplicate,
        "conflict": report.conflict,
        "backfilled": report.backfilled,
        "findings": [{"code": code, "count": count} for code, count in sorted(report.findings.items())],
    }


async def read_now(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Visit one account's meter now and keep what it says.

    Between slots the register belongs to no slot: it is shown and counts as a visit, and is not stored as a read.
    """
    name = str(args["account"])
    engine = shell.engine
    install = shell.store.read(lambda reader: known(reader, name) and assemble.meter_of(reader, name, engine.now()))
    points = shell.store.read(lambda reader: reader.find(MeterPoint, meter=install.meter if install else ""))
    link = engine.links.get(points[0].gateway) if points else None
    if link is None:
        raise ShellError("its meter hangs on no gateway", which=name, attempt="prewatt accounts show ACCOUNT")
    point = points[0]
    poll = await link.poll(point, slot_floor(engine.now(), point.slot_min))
    punctual = [read for read in poll.reads if not read.flags & Flag.UNCERTAIN]
    if punctual:
        await engine.inbox.accept(f"on-demand/{point.meter}", plain(poll.at), punctual, poll.at)
    await shell.store.commit(Priority.COMMAND, lambda unit: visits.keep(unit, poll, name, engine.settings))
    return {
        "account": name,
        "meter": point.meter,
        "serial": poll.serial,
        "register_wh": poll.register_wh,
        "reads": [{"channel": read.channel, "end": read.end, "register_wh": read.register_wh} for read in punctual],
        "power_w": poll.power_w,
        "relay": poll.relay.state if poll.relay else None,
        "findings": [{"code": f.code, "detail": f.detail} for f in poll.findings],
    }


async def disconnect(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Ask for a disconnection, with a logged reason; every guard counts as ever."""
    return await _wish(shell, args, "disconnect")


async def connect(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Ask for a reconnection; ``wrong`` declares the disconnection wrong, which goes before everything else."""
    if args.get("wrong"):
        name, reason = str(args["account"]), str(args.get("reason") or "declared wrong")
        made = await shell.engine.wrong_disconnection(name, shell.actor, reason)
        return {"account": name, "commands": list(made)}
    return await _wish(shell, args, "reconnect")


async def _wish(shell: Shell, args: Mapping[str, Any], what: str) -> Mapping[str, Any]:
    name, now, engine = str(args["account"]), shell.clock.now(), shell.engine
    shell.store.read(lambda reader: known(reader, name))
    body = {"reason": str(args.get("reason") or "")}
    await shell.store.commit(Priority.COMMAND, lambda unit: unit.audit(shell.actor, f"{what}.asked", name, body, now))
    report = await engine.decide([name], requester=shell.actor if what == "disconnect" else "engine")
    engine.wake()
    if not report.commands:
        case = shell.store.read(lambda reader: assemble.case(reader, name, engine.world()))
        if case is None:
            raise ShellError("its class has no policy", which=name, attempt="prewatt config check")
        held = reconnect.evaluate(case) if what == "reconnect" else guards.evaluate(case, shell.policies[case.klass])
        raise ShellError(f"{what} is not due: {_false(held)}", which=name, attempt=f"prewatt explain {name}")
    return {"account": name, "commands": report.commands, "verdicts": report.verdicts}


def _false(held: tuple[Guard, ...]) -> str:
    return (
        "; ".join(f"{guard.name} {guard.because}" for guard in held if not guard.value) or "nothing stands against it"
    )


async def explain(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """The last decision on an account, of all or up to ``at`` (UTC), with its guards, derived anew."""
    at = datetime.fromisoformat(str(args["at"])) if args.get("at") else None
    return shell.store.read(lambda reader: explained_in(reader, str(args["account"]), at))


ACTIONS = {
    "collect": collect,
    "accounts.read": read_now,
    "accounts.disconnect": disconnect,
    "accounts.reconnect": connect,
    "explain": explain,
}
