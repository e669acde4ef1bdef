"""A person's word on one command goes in; the approved, held or cancelled command comes out."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from control.canonical import content_id
from control.commands import LIVE
from control.records import Command, CommandState, Hold
from prewatt.errors import ShellError, Usage
from prewatt.listing import command_row
from prewatt.wiring import Shell
from storage.unit import Unit
from storage.writer import Priority


def _by(shell: Shell, args: Mapping[str, Any]) -> str:
    return str(args.get("by") or shell.actor)


def _find(shell: Shell, command: str) -> Command:
    found = shell.store.read(lambda reader: reader.get(Command, command))
    if found is None:
        raise Usage(f"no command {command!r}", attempt="prewatt commands list")
    return found


async def approve(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Approve a requested disconnection; never one's own request."""
    name, by = str(args["command"]), _by(shell, args)
    if not await shell.engine.approve(name, by):
        found = _find(shell, name)
        if found.state is not CommandState.REQUESTED:
            raise ShellError(f"it is {found.state.value}: there is nothing to approve", which=name)
        raise ShellError("who asked for it cannot approve it", which=name, attempt="--by another person")
    return command_row(_find(shell, name))


async def cancel(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Stop a command that has not left."""
    name = str(args["command"])
    if not await shell.engine.cancel(name, _by(shell, args), str(args.get("reason") or "by hand")):
        found = _find(shell, name)
        raise ShellError(f"it is {found.state.value}: what has left cannot be cancelled", which=name)
    return command_row(_find(shell, name))


async def hold(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Hold the command's account back from disconnection for some hours, and cancel it if it has not left."""
    found, by, now = _find(shell, str(args["command"])), _by(shell, args), shell.clock.now()
    if found.state not in LIVE:
        raise ShellError(f"it is {found.state.value} already", which=found.command)
    kept = Hold(
        content_id("h", found.account, "manual", found.command),
        found.account,
        "manual",
        by,
        now,
        end=now + timedelta(hours=int(args.get("hours") or 24)),
        reason=str(args.get("reason") or found.command),
    )

    def work(unit: Unit) -> None:
        unit.put(kept)
        unit.audit(by, "hold", found.account, {"kind": "manual", "hold": kept.hold}, now)
        unit.event("hold", now, found.account, kind="manual", hold=kept.hold)

    await shell.store.commit(Priority.COMMAND, work)
    await shell.engine.cancel(found.command, by, "held")
    return {**command_row(_find(shell, found.command)), "hold": kept.hold, "until": kept.end}


ACTIONS = {"commands.approve": approve, "commands.cancel": cancel, "commands.hold": hold}
