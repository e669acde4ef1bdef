"""What a drive or a read-back said goes in; the next state of its command, with all that follows, comes out.

Only evidence verifies. An answer that never came is unknown, and unknown is read back before anything is sent again.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from control import commands, evidence, incidents, journal, sending, visits, workorders
from control.assemble import World
from control.commands import Event
from control.evidence import Seen
from control.records import Action, Command, CommandState, Service
from control.settings import Settings
from ingest.records import DriveOutcome, DriveResult, RelayState
from storage.unit import Unit

LATER = frozenset({"bad_time", "over_current"})
"""Refusals that pass: the link sets the clock, the hold ends; for a reconnection never an end."""
_STEPS = {
    DriveResult.ACKNOWLEDGED: Event.ACKNOWLEDGE,
    DriveResult.UNKNOWN: Event.TIME_OUT,
    DriveResult.FENCED: Event.TIME_OUT,
    DriveResult.EXPIRED: Event.EXPIRE,
    DriveResult.UNREACHABLE: Event.UNREACHABLE,
}


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a command: its row now, and the code of a notice to tell, "" = none."""

    command: Command
    notice: str = ""


def driven(unit: Unit, command_id: str, outcome: DriveOutcome, world: World) -> Told:
    """Take the answer to a drive. A command that was superseded meanwhile stays so: ends are final."""
    command = unit.get(Command, command_id)
    assert command is not None
    detail = f"{outcome.result.value} {outcome.reason}".strip()
    if command.state not in (CommandState.SENT, CommandState.UNKNOWN, CommandState.ACKNOWLEDGED):
        journal.note(unit, command, world.now, "late_answer", detail)
        return Told(command)
    if outcome.result is DriveResult.REFUSED:
        return _refused(unit, command, outcome.reason, world)
    if outcome.result is DriveResult.UNREACHABLE and command.state is not CommandState.SENT:
        return Told(command)
    event = _STEPS[outcome.result]
    again = {"next_at": world.now} if event in (Event.TIME_OUT, Event.EXPIRE) else {}
    return Told(journal.advance(unit, command, event, world.now, detail=detail, outcome=outcome.result.value, **again))


def _refused(unit: Unit, command: Command, reason: str, world: World) -> Told:
    """The device said no. A reconnection waits for what passes; any other refusal calls a crew."""
    if command.action is Action.CONNECT and reason in LATER:
        return Told(journal.advance(unit, command, Event.DEFER, world.now, detail=reason, outcome=reason))
    ended = journal.advance(unit, command, Event.REFUSE, world.now, detail=reason, outcome=reason)
    if command.action is Action.CONNECT:
        workorders.order(
            unit, "reconnect", command.account, command.meter, cause=command.command, at=world.now, detail=reason
        )
    else:
        journal.want(unit, command.account, Service.CONNECTED, world.now, reason)
    return Told(ended)


def timed_out(unit: Unit, command: Command, world: World) -> Command:
    """A sent or acknowledged command that nobody works on any more: this host crashed, or the answer was lost."""
    return journal.advance(unit, command, Event.TIME_OUT, world.now, detail="time-out", next_at=world.now)


def looked(unit: Unit, command_id: str, seen: Seen, world: World) -> Told:
    """Take a read-back: verify, drive again, fail, lapse, or stay unknown."""
    command = unit.get(Command, command_id)
    assert command is not None
    visits.observe(unit, seen.evidence)
    if command.state not in commands.LEFT:
        return Told(command)
    if evidence.fulfils(command.action, seen.state):
        return _verified(unit, command, seen, world)
    if seen.state is RelayState.UNKNOWN and not seen.conflict:
        return Told(_still_unknown(unit, command, world))
    if command.state is CommandState.ACKNOWLEDGED and seen.conflict and command.action is Action.DISCONNECT:
        event = Event.FAIL  # load behind an open relay: a bypass or a weld, which driving again does not mend
    elif command.state is CommandState.ACKNOWLEDGED:
        event = commands.contradicted(command)
    else:
        event = commands.unmoved(command, world.now)
    if event is Event.RETRY and command.outcome == DriveResult.FENCED.value:
        return Told(_beyond_fence(unit, command, world))
    stepped = journal.advance(
        unit, command, event, world.now, detail=seen.conflict or f"relay {seen.state.value}",
        **({"outcome": "relay_fault"} if event is Event.FAIL else {}),
    )  # fmt: skip
    if event is Event.FAIL:
        _fault(unit, stepped, seen, world)
    if event in (Event.FAIL, Event.LAPSE) and command.action is Action.DISCONNECT:
        journal.want(unit, command.account, Service.CONNECTED, world.now, stepped.state.value)
    return Told(stepped)


def _verified(unit: Unit, command: Command, seen: Seen, world: World) -> Told:
    loaded = seen.evidence.power_w is not None and abs(seen.evidence.power_w) >= evidence.LOAD_PROVES_W
    outcome = "ready" if seen.state is RelayState.READY else ("load" if loaded else "word")
    done = journal.advance(
        unit, command, Event.VERIFY, world.now, detail=seen.state.value, outcome=outcome, next_at=None
    )
    if command.action is Action.DISCONNECT:
        journal.want(unit, command.account, Service.DISCONNECTED, world.now, command.reason)
        return Told(done, "disconnected")
    if outcome == "ready":
        journal.want(unit, command.account, Service.ARMED_FOR_CONNECTION, world.now, command.reason)
        return Told(done, "press")
    journal.want(unit, command.account, Service.CONNECTED, world.now, command.reason)
    workorders.settle_reconnect(unit, command.account, world.now)
    return Told(done, "reconnected")


def _still_unknown(unit: Unit, command: Command, world: World) -> Command:
    """Nothing was learned: look again, ever more slowly, and after a day let somebody go there."""
    again = world.now + timedelta(seconds=_pause_s(command, world.now, world.settings))
    event = Event.TIME_OUT if world.now < command.valid_until else Event.EXPIRE
    stepped = journal.advance(unit, command, event, world.now, detail="no evidence", next_at=again)
    sent = command.sent_at or command.updated
    if world.now - sent >= timedelta(seconds=world.settings.unknown_order_s):
        workorders.order(
            unit, "on_site_check", command.account, command.meter, cause=command.command, at=world.now,
            detail="relay unknown: read it on site",
        )  # fmt: skip
    return stepped


def _pause_s(command: Command, now: datetime, limits: Settings) -> int:
    """Half of the time that it has been unknown, within the pause of a read-back and 15 minutes."""
    age_s = int((now - (command.sent_at or command.updated)).total_seconds())
    return max(limits.read_back_again_s, min(age_s // 2, commands.BACKOFF_LIMIT_S))


def _beyond_fence(unit: Unit, command: Command, world: World) -> Command:
    """The gateway remembers a higher fence than ours: only a new command with the next one can pass."""
    ended = journal.advance(unit, command, Event.SUPERSEDE, world.now, detail="fence", outcome="out_fenced")
    if command.action is Action.CONNECT:
        return sending.protect(unit, command, world, command.reason)
    journal.want(unit, command.account, Service.CONNECTED, world.now, "out_fenced")
    return ended


def _fault(unit: Unit, command: Command, seen: Seen, world: World) -> None:
    """A stuck or welded relay: somebody goes there; stuck open with a customer who paid is an emergency."""
    detail = seen.conflict or f"relay {seen.state.value} after {command.drives} acknowledged drives"
    workorders.order(
        unit, "relay_fault", command.account, command.meter, cause=command.command, at=world.now, detail=detail
    )
    if command.action is Action.CONNECT:
        incidents.file(unit, "stuck_open", world.now, account=command.account, command=command.command, detail=detail)
