"""What we want and what we know go in; what must be looked at, who must go there, and what was wrong come out.

Every unknown is read back until it resolves, every reconnection that takes too long calls a crew, and a wrong
disconnection is undone at once: reconnect, 72 hours without a cut, incident, apology, compensation.
"""

from dataclasses import replace
from datetime import timedelta

from control import assemble, commands, incidents, journal, notices, workorders
from control.assemble import World
from control.canonical import content_id
from control.commands import Event
from control.records import Action, Command, CommandState, Evidence, Hold, Service, Wanted, WorkOrder
from control.settings import CONNECT_REASON_WRONG
from control.signals import HEARTBEAT, Signal
from control.workorders import OPEN_STATES
from ingest.records import MeterPoint, RelayState
from storage.records import Account, Install, Posting
from storage.unit import Reader, Unit

EMERGENCY = -1  # before every other command
UNREACHED = frozenset({"unreachable", "no_link", "no_route"})
DARK_LOOKBACK = timedelta(days=2)
SILENT = timedelta(minutes=15)  # between two heartbeats of the sweep; the watchdog alarms at the same age


def suspects(reader: Reader) -> list[str]:
    """Accounts whose supply is not simply on: relay not closed, wish not connected, or a command that waits."""
    meters = [row.meter for row in reader.find(Evidence, state__ne=RelayState.CLOSED)]
    found = {row.account for row in reader.find(Wanted, service__ne=Service.CONNECTED)}
    found |= {row.account for row in journal.live(reader, state=CommandState.REQUESTED)}
    for start in range(0, len(meters), assemble.CHUNK):
        part = meters[start : start + assemble.CHUNK]
        found |= {row.account for row in reader.find(Install, meter__in=part, end__null=True)}
    return sorted(found)


def overdue(unit: Unit, world: World) -> int:
    """Call crews for reconnections past their clock, one per dead gateway; file the breach of the hard limit."""
    late: dict[str, list[Command]] = {}
    crew, hard = (timedelta(seconds=s) for s in (world.settings.crew_after_s, world.settings.hard_limit_s))
    for command in journal.live(unit, action=Action.CONNECT):
        if command.clock_started is None or world.now - command.clock_started < crew:
            continue
        points = unit.find(MeterPoint, meter=command.meter)
        late.setdefault(points[0].gateway if points else "", []).append(command)
        if world.now - command.clock_started >= hard:
            detail = f"paid {command.clock_started.isoformat()}Z, not on yet: {command.outcome or command.state.value}"
            incidents.file(
                unit, "clock_breach", world.now, account=command.account, command=command.command, detail=detail
            )
    for gateway, group in sorted(late.items()):
        dead = len(group) > 1 and all(command.outcome in UNREACHED for command in group)
        if dead and gateway:
            _gateway_order(unit, gateway, group, world)
            continue
        for command in group:
            workorders.order(
                unit, "reconnect", command.account, command.meter, cause=command.command, at=world.now,
                detail=command.outcome or command.state.value,
            )  # fmt: skip
    return sum(len(group) for group in late.values())


def _gateway_order(unit: Unit, gateway: str, group: list[Command], world: World) -> None:
    """One crew for a dead gateway, however many wait behind it."""
    if unit.find(WorkOrder, account="", meter=gateway, kind="reconnect", state__in=list(OPEN_STATES)):
        return
    cause = f"gateway-{gateway}-{group[0].command}"
    key = workorders.identity("reconnect", "", cause)
    due = world.now + workorders.DUE["reconnect"]
    detail = f"{len(group)} paid accounts wait behind it: {', '.join(command.account for command in group[:20])}"
    unit.put(WorkOrder(key, "", gateway, "reconnect", "open", world.now, due=due, cause=cause, detail=detail))
    unit.event("work_order", world.now, order=key, kind="reconnect", cause=cause, gateway=gateway)


def silence(unit: Unit, world: World) -> None:
    """A pause that nobody planned (host down, disk full, disk read-only) is told in words once it is over."""
    beat = unit.get(Signal, HEARTBEAT)
    if beat is None or world.now - beat.at <= SILENT:
        return
    detail = (
        f"nothing ran from {beat.at.isoformat()}Z to {world.now.isoformat()}Z: what had left is read back, "
        "what was acknowledged stands; look at disk and log of that time"
    )
    incidents.file(unit, "engine_was_silent", world.now, cause=beat.at.isoformat(), detail=detail)


def unseen(unit: Unit, world: World) -> int:
    """Verified by its own word alone, or waiting for the customer's hand: after two hours somebody looks or calls."""
    count = 0
    since = world.now - DARK_LOOKBACK
    for command in unit.find(Command, state=CommandState.VERIFIED, action=Action.CONNECT, verified_at__ge=since):
        known = unit.get(Evidence, command.meter)
        age_s = (world.now - (command.verified_at or command.updated)).total_seconds()
        if known is None or known.state is RelayState.OPEN:
            continue
        kind = detail = ""
        if command.outcome == "ready" and known.state is RelayState.READY and age_s >= world.settings.ready_call_s:
            kind, detail = "reconnect", "relay is ready, nobody pressed: call the customer"
        elif command.outcome == "word" and not known.power_w and age_s >= world.settings.dark_check_s:
            kind, detail = "on_site_check", "closed by its own word, no load since: is it really on?"
        if kind:
            cause = f"unseen-{command.command}"
            workorders.order(unit, kind, command.account, command.meter, cause=cause, at=world.now, detail=detail)
            count += 1
    return count


def wrong(unit: Unit, account: str, world: World, *, by: str, reason: str, siblings: bool = False) -> list[str]:
    """Anyone declares a disconnection wrong: undo it now; with ``siblings`` everybody cut by the same batch too.

    Returns the reconnect commands. The account keeps its supply for 72 hours whatever it owes.
    """
    cuts = unit.find(Command, account=account, action=Action.DISCONNECT, order=("-requested", "-fence"), limit=1)
    made = _undo(unit, account, cuts[0] if cuts else None, world, by=by, reason=reason)
    if siblings and cuts:
        batch = unit.find(Command, requested=cuts[0].requested, action=Action.DISCONNECT, reason=cuts[0].reason)
        for cut in sorted(batch, key=lambda row: row.command):
            if cut.account != account:
                made += _undo(unit, cut.account, cut, world, by=by, reason=reason)
    return made


def _undo(unit: Unit, account: str, cut: Command | None, world: World, *, by: str, reason: str) -> list[str]:
    hold = Hold(
        content_id("h", "remedy", account, cut.command if cut else reason), account, "remedy", by, world.now,
        end=world.now + timedelta(seconds=world.settings.remedy_s), reason=reason,
    )  # fmt: skip
    unit.put(hold)
    key = cut.command if cut else reason
    incidents.file(unit, "wrong_disconnection", world.now, account=account, command=key, detail=f"{by}: {reason}")
    _compensate(unit, account, key, world)
    case = assemble.case(unit, account, world)
    if case is None or not case.meter:
        return []
    notices.tell(unit, case, "apology", key, world)
    if cut is not None and cut.state in commands.LIVE and cut.state not in commands.LEFT:
        journal.advance(unit, cut, Event.SUPERSEDE, world.now, detail=reason, outcome=CONNECT_REASON_WRONG)
        journal.want(unit, account, Service.CONNECTED, world.now, CONNECT_REASON_WRONG)
        if not cut.attempts:
            return []
    made = journal.reconnect(
        unit, account, case.meter, world.now,
        reason=CONNECT_REASON_WRONG, policy_version=case.policy_version, clock=world.now, requester=by,
    )  # fmt: skip
    unit.put(replace(made, priority=EMERGENCY, reason=CONNECT_REASON_WRONG))
    return [made.command]


def _compensate(unit: Unit, account: str, key: str, world: World) -> None:
    """The house pays what its rules say, once per wrong disconnection."""
    amount = world.settings.compensation_micro
    holder = unit.get(Account, account)
    if amount <= 0 or holder is None:
        return
    legs = [
        Posting("compensation", key, f"customer:{account}", amount, holder.currency, world.now, world.now),
        Posting("compensation", key, "expense:compensation", -amount, holder.currency, world.now, world.now),
    ]
    unit.post(legs)
