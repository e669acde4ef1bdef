"""A command and an event go in, the stepped command with its journal row comes out, inside one transaction.

Every change of a command passes here, so that the row, its ``CommandEvent`` and what we want of the supply never part.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

from control import commands, fences
from control.commands import Event
from control.records import Action, Command, CommandEvent, CommandState, Service, Wanted
from storage.unit import Reader, Unit

LIVE_STATES = sorted(state.value for state in commands.LIVE)
CLOCK_COMMANDS = 50  # reconnects of one account looked through for the start of its clock
LEFT_STATES = sorted(state.value for state in commands.LEFT)


def live(reader: Reader, **conditions: Any) -> list[Command]:
    """All live commands that meet ``conditions`` (account=, meter=), reconnects first, oldest first."""
    return reader.find(Command, state__in=LIVE_STATES, order=("priority", "requested", "command"), **conditions)


def advance(unit: Unit, command: Command, event: Event, at: datetime, *, detail: str = "", **changes: Any) -> Command:
    """Step ``command`` by ``event`` and write row and journal; IllegalStep as in ``control/commands.py``."""
    stepped = commands.step(command, event, at, **changes)
    unit.put(stepped)
    unit.add(CommandEvent(command.command, 0, at, event.value, command.state.value, stepped.state.value, detail))
    if stepped.state is not command.state and (stepped.state in commands.ENDS or event is Event.SEND):
        unit.event(
            f"command_{stepped.state.value}",
            at,
            command.account,
            command=command.command,
            action=command.action.value,
            detail=detail,
        )
    return stepped


def note(unit: Unit, command: Command, at: datetime, what: str, detail: str = "") -> None:
    """A journal row that changes no state: a read-back that found nothing, a guard that held."""
    unit.add(CommandEvent(command.command, 0, at, what, command.state.value, command.state.value, detail))


def request(unit: Unit, made: Command, at: datetime) -> Command | None:
    """Write a new command unless its meter has a live one (one live command per meter); queue it if it needs nobody.

    What we want of the supply changes in the same transaction. None: a live command stands in the way.
    """
    if live(unit, meter=made.meter) or made.fence <= fences.last(unit, made.meter):
        return None
    unit.put(made)
    unit.add(CommandEvent(made.command, 1, at, "request", "", made.state.value, made.reason))
    unit.event("command_requested", at, made.account, command=made.command, action=made.action.value)
    if made.action is Action.CONNECT:
        want(unit, made.account, Service.CONNECTED, at, made.reason)
    else:
        want(unit, made.account, Service.ARMED_FOR_DISCONNECT, at, made.reason)
    if made.needs_approval:
        return made
    return queue(unit, made, at)


def queue(unit: Unit, command: Command, at: datetime) -> Command:
    """Authorise and queue what has all its approvals."""
    return advance(unit, advance(unit, command, Event.AUTHORISE, at), Event.QUEUE, at)


def reconnect(
    unit: Unit,
    account: str,
    meter: str,
    at: datetime,
    *,
    reason: str,
    policy_version: str,
    clock: datetime,
    decision: str = "",
    requester: str = "engine",
) -> Command:
    """The live reconnect of ``meter``, made now with the next fence if there is none; an old one is woken up.

    A live disconnect is superseded first, whatever its state. The reconnect clock keeps its earliest start.
    """
    for command in live(unit, meter=meter):
        if command.action is Action.DISCONNECT or command.account != account:  # or of who moved out: it goes nowhere
            advance(unit, command, Event.SUPERSEDE, at, detail=reason, outcome=reason)
        else:
            started = min(clock, command.clock_started) if command.clock_started else clock
            woken = replace(command, next_at=None, clock_started=started, updated=at)
            unit.put(woken)
            want(unit, account, Service.CONNECTED, at, reason)
            return woken
    made = commands.make(
        Action.CONNECT,
        account=account,
        meter=meter,
        fence=fences.following(unit, meter),
        at=at,
        decision=decision,
        policy_version=policy_version,
        reason=reason,
        requester=requester,
        clock_started=clock,
    )
    return request(unit, made, at) or made


def clock_of(reader: Reader, account: str, now: datetime) -> datetime:
    """When the reconnect clock of ``account`` started: with its oldest reconnect since the last one that succeeded."""
    started = now
    for command in reader.find(Command, account=account, order=("-requested", "-fence"), limit=CLOCK_COMMANDS):
        if command.action is not Action.CONNECT or command.state is CommandState.VERIFIED:
            break
        if command.clock_started is not None and command.reason != "not_ordered":
            started = min(started, command.clock_started)
    return started


def want(unit: Unit, account: str, service: Service, at: datetime, reason: str) -> None:
    """Set what we want of one account's supply; ``since`` stays when nothing changes."""
    known = unit.get(Wanted, account)
    if known is None or known.service is not service:
        unit.put(Wanted(account, service, at, reason))
