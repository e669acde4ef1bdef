"""A queued command goes in and, if it may leave now, the sent one comes out: guards, fence and state in one commit.

Nothing leaves this host before this transaction is on the disk. A disconnection is judged again by all thirteen guards
on what is committed at that moment; a reconnection by RG1 to RG4.
"""

from dataclasses import replace
from datetime import timedelta

from control import assemble, decide, fences, journal, pacing, quota
from control.assemble import World
from control.commands import Event
from control.records import Action, Case, Command, CommandState, Service
from ingest.records import RelayState
from storage.records import Install
from storage.unit import Unit

ENDING = frozenset({"G1", "G5", "G7", "G10", "G11", "G13", "shadow"})
"""Guards that do not come true again by waiting some minutes: the command ends and a new decision begins anew."""


def send(unit: Unit, command_id: str, world: World) -> Command | None:
    """Step a queued command to sent; None when it may not leave (now, or ever), which the row then says."""
    command = unit.get(Command, command_id)
    if command is None or command.state is not CommandState.QUEUED:
        return None
    if world.now >= command.valid_until:
        lapse(unit, command, world)
        return None
    case = assemble.case(unit, command.account, world)
    if case is None or case.meter != command.meter:
        _ended(unit, command, Event.CANCEL, world, "meter_changed")
        return None
    policy = world.policies[case.klass]
    if command.action is Action.DISCONNECT:
        allowed, why = decide.may_send(case, policy)
    else:
        allowed, why = decide.may_reconnect(case)
    if allowed:
        why = _turn(unit, command, world)
        allowed = not why
    if not allowed:
        _held(unit, command, case, world, why)
        return None
    if not fences.lift(unit, command.meter, command.fence) and fences.last(unit, command.meter) != command.fence:
        _outfenced(unit, command, world)
        return None
    judged = decide.decide(replace(case, at_send=True), policy)  # every guard as it stood when the order left
    unit.add(judged)
    return journal.advance(unit, command, Event.SEND, world.now, detail=judged.decision, outcome="")


def _turn(unit: Unit, command: Command, world: World) -> str:
    """Why a command that may leave must wait for others, "" = it need not: breaker or cold-load pickup."""
    if command.action is Action.CONNECT:
        return pacing.held_back(unit, command, world)
    kept = quota.held_back(unit, command.account, world, command)
    return f"G9: breaker: {kept}" if kept else ""


def lapse(unit: Unit, command: Command, world: World) -> None:
    """The validity of a command that has not left is over."""
    _ended(unit, command, Event.EXPIRE, world, "valid_until")


def cancel(unit: Unit, command: Command, world: World, why: str) -> None:
    """Stop a command that has not left."""
    _ended(unit, command, Event.CANCEL, world, why)


def _held(unit: Unit, command: Command, case: Case, world: World, why: str) -> None:
    """A guard is false: end the command where waiting cannot help, else ask again soon."""
    guard = why.partition(":")[0]
    if command.action is Action.DISCONNECT and (guard in ENDING or case.relay is RelayState.OPEN):
        if case.relay is RelayState.OPEN and command.attempts:
            journal.advance(unit, command, Event.VERIFY, world.now, detail="an earlier drive arrived", outcome="late")
            journal.want(unit, command.account, Service.DISCONNECTED, world.now, command.reason)
            return
        _ended(unit, command, Event.CANCEL, world, why)
        return
    if command.outcome != why:
        journal.note(unit, command, world.now, "held", why)
    again = world.now + timedelta(seconds=world.settings.guard_retry_s)
    unit.put(replace(command, next_at=again, updated=world.now, outcome=why))


def _ended(unit: Unit, command: Command, event: Event, world: World, why: str) -> None:
    """End what has not left. If an earlier drive of a disconnect had, a reconnect fences off its late copies."""
    journal.advance(unit, command, event, world.now, detail=why, outcome=why)
    if command.action is Action.CONNECT:
        return
    journal.want(unit, command.account, Service.CONNECTED, world.now, why)
    if command.attempts:
        protect(unit, command, world, "late_copies")


def protect(unit: Unit, command: Command, world: World, reason: str) -> Command:
    """A reconnect with the next fence behind a disconnect that left and is not wanted any more.

    It is for whoever hangs on that meter now: a late copy would cut who moved in, not who moved out.
    """
    here = unit.find(Install, meter=command.meter, start__le=world.now, order="start")
    here = [row for row in here if row.end is None or row.end > world.now]
    return journal.reconnect(
        unit, here[-1].account if here else command.account, command.meter, world.now,
        reason=reason, policy_version=command.policy_version, clock=command.clock_started or world.now,
    )  # fmt: skip


def _outfenced(unit: Unit, command: Command, world: World) -> None:
    """A higher fence has left already: this command is out of date; who must come back gets the next fence."""
    journal.advance(unit, command, Event.SUPERSEDE, world.now, detail="fence", outcome="out_fenced")
    if command.action is Action.CONNECT:
        protect(unit, command, world, command.reason)
    else:
        journal.want(unit, command.account, Service.CONNECTED, world.now, "out_fenced")
