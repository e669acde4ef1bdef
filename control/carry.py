"""A Case goes in; its decision, and the command, notices or work order that it calls for, are written in one commit."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import timedelta

from control import alerts, commands, fences, guards, journal, notices, sending, workorders
from control.assemble import World
from control.commands import Event
from control.decide import decide
from control.policy import Policy
from control.records import Action, Case, Command, CommandState, Decision, Service
from control.verdicts import HOLD, Verdict
from ingest.records import RelayState
from storage.unit import Reader, Unit

ORDERS = {
    "protected": "disconnect_by_hand",
    "disconnect_by_hand": "disconnect_by_hand",
    "water_minimum_flow": "disconnect_by_hand",
    "no_read_exhausted": "tamper",
    "gas_reconnect": "reconnect",
    "reconnect_by_hand": "reconnect",
    "RG3": "on_site_check",  # dark, and another meter answers: master data or wiring is wrong
    "RG4": "on_site_check",
}
"""Reason of a field order -> kind of work order."""
QUIET = ("none", "alert")


@dataclass(frozen=True, slots=True)
class Carried:
    """What came of one case: its decision, and whether its relay should be read back now."""

    decision: Decision
    command: str = ""
    read_back: bool = False


def carry(
    unit: Unit, case: Case, world: World, *, admitted: Collection[str] | None = None, requester: str = "engine"
) -> Carried:
    """Decide on ``case`` (assembled in this transaction) and write all that follows.

    ``admitted`` are the accounts that the breaker lets be cut in this pass, and so the batch that persons approve
    (G10); who is not among them waits, also whoever came to be due since it was asked. None: nobody asked it.
    ``requester`` is the person who asked for it: then another one approves, whatever the class's mode.
    """
    if not case.live_command:
        case = replace(case, requester=requester)
    if admitted is not None and not case.live_command and case.account in admitted:
        case = replace(case, batch=len(admitted))
    policy = world.policies[case.klass]
    decision = decide(case, policy)
    notices.queue(unit, case, alerts.due(case, policy), world)
    command = ""
    if decision.verdict == "connect":
        command = _connect(unit, case, decision, world)
    elif decision.verdict in ("disconnect", "request_approval") and (admitted is None or case.account in admitted):
        command = _disconnect(unit, case, decision, policy, world)
    elif decision.verdict == "field_order" or (
        decision.verdict == "hold" and decision.reason in ("RG3", "RG4") and not case.shadow
    ):
        _order(unit, case, decision, world)
    elif case.live_action == Action.DISCONNECT:
        _live(unit, case, decision, policy, world)
    elif case.service is Service.DISCONNECTED and case.relay is RelayState.CLOSED and not case.live_command:
        _found_on(unit, case, world)
    if command or _news(unit, decision):
        unit.add(decision)
    return Carried(decision, command, decision.verdict == "read_back")


def _connect(unit: Unit, case: Case, decision: Decision, world: World) -> str:
    clock = journal.clock_of(unit, case.account, world.now)
    made = journal.reconnect(
        unit, case.account, case.meter, world.now,
        reason=decision.reason, policy_version=decision.policy_version, clock=clock, decision=decision.decision,
    )  # fmt: skip
    return made.command


def _disconnect(unit: Unit, case: Case, decision: Decision, policy: Policy, world: World) -> str:
    """One disconnection, queued at once or waiting for its approvals; its fence is the next one."""
    asked = decision.verdict == "request_approval"
    made = commands.make(
        Action.DISCONNECT,
        account=case.account,
        meter=case.meter,
        fence=fences.following(unit, case.meter),
        at=world.now,
        decision=decision.decision,
        policy_version=policy.id,
        reason="exhausted" if case.mode == "prepaid" else "overdue",
        valid_s=policy.disconnect_valid_min * 60,
        needs_approval=asked,
    )
    made = replace(made, requester=case.requester)
    if asked:
        made = replace(made, valid_until=world.now + timedelta(seconds=world.settings.approval_s))
    written = journal.request(unit, made, world.now)
    return written.command if written else ""


def _order(unit: Unit, case: Case, decision: Decision, world: World) -> None:
    """A task for a person instead of a command: one per epoch and reason."""
    cause = f"{decision.reason}-{case.epoch}"
    kind = ORDERS.get(decision.reason, decision.reason)
    workorders.order(unit, kind, case.account, case.meter, cause=cause, at=world.now, detail=decision.reason)


def _live(unit: Unit, case: Case, decision: Decision, policy: Policy, world: World) -> None:
    """A disconnection that waits for approvals: queue it when every guard holds, end it when its reason is gone."""
    command = unit.get(Command, case.live_command)
    if command is None or command.state is not CommandState.REQUESTED:
        return
    false = {guard.name for guard in decision.guards if not guard.value and guard.name.startswith("G")}
    if world.now >= command.valid_until:
        sending.lapse(unit, command, world)
    elif (false & sending.ENDING) - {"G10"}:
        sending.cancel(unit, command, world, ",".join(sorted(false)))
    elif not false and all(guard.value for guard in guards.evaluate(case, policy)):
        valid = world.now + timedelta(minutes=policy.disconnect_valid_min)
        ready = journal.advance(unit, command, Event.AUTHORISE, world.now, valid_until=valid)
        journal.advance(unit, ready, Event.QUEUE, world.now)


def _found_on(unit: Unit, case: Case, world: World) -> None:
    """Supply is on though we cut it: somebody closed it by hand. Look on site; the ladder begins anew."""
    workorders.order(
        unit, "tamper", case.account, case.meter, cause=f"found_on-{case.relay_at}", at=world.now,
        detail="relay closed though it was disconnected and nobody ordered it on",
    )  # fmt: skip
    journal.want(unit, case.account, Service.CONNECTED, world.now, "found_on")


def _news(unit: Unit, decision: Decision) -> bool:
    """Whether a decision without a command is worth a row: it says something else than the account's last one."""
    if decision.verdict in QUIET:
        return decision.verdict == "alert"
    return not on_record(unit, decision.account, decision.verdict, decision.reason)


def on_record(reader: Reader, account: str, verdict: str, reason: str) -> bool:
    """Whether the account's last decision on record says just that."""
    table = reader.tables.of(Decision).spec.name
    sql = f'SELECT verdict, reason FROM "{table}" WHERE account = ? ORDER BY "at" DESC, decision LIMIT 1'
    last: tuple[str, str] | None = reader.connection.execute(sql, (account,)).fetchone()
    return last == (verdict, reason)


def stands(reader: Reader, case: Case, said: Verdict, policy: Policy) -> bool:
    """Whether ``carry`` would write nothing: a hold that is on record already, with nothing to tell and to look at."""
    if said.verdict != HOLD or said.reason in ("RG3", "RG4") or case.live_action == Action.DISCONNECT:
        return False
    if case.service is Service.DISCONNECTED and case.relay is RelayState.CLOSED:
        return False
    return on_record(reader, case.account, said.verdict, said.reason) and not alerts.rungs_due(case, policy)


def cancel(unit: Unit, command_id: str, world: World, *, by: str, reason: str) -> bool:
    """A person stops a command that has not left; False when there is none, or it has left."""
    command = unit.get(Command, command_id)
    if command is None or command.state not in commands.LIVE - commands.LEFT:
        return False
    sending.cancel(unit, command, world, reason)
    unit.audit(by, "command.cancel", command_id, {"account": command.account, "reason": reason}, world.now)
    return True
