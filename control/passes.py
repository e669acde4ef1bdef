"""Accounts go in, their decisions come out carried: a screen on a snapshot, the breaker, then one commit per slice.

The screen only finds those of whom something may be due; each is assembled and decided anew inside the transaction that
writes what follows, so that no decision ever rests on anything but what is committed with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from control import assemble, breaker, carry, incidents, signals
from control.assemble import World
from control.breaker import Counts, Request
from control.decide import verdict
from control.records import Action, Case, Command, CommandState
from control.signals import Signal
from control.verdicts import NONE
from storage.records import Account
from storage.store import Store
from storage.unit import Reader, Unit
from storage.writer import Priority

CUTTING = ("disconnect", "request_approval")
RELEASED = "breaker.released"
MEDIAN_WEEKS = 4


@dataclass(slots=True)
class DecideReport:
    """What a pass did: accounts screened, verdicts, commands made, relays to read back, the breaker's word."""

    accounts: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    read_back: list[str] = field(default_factory=list)
    quarantined: int = 0
    waiting: int = 0


async def decide_all(store: Store, world: World, accounts: Sequence[str] | None = None) -> DecideReport:
    """Decide on ``accounts`` (None: everybody) and carry it out, in slices."""
    report = DecideReport()
    cases = store.read(lambda reader: assemble.cases(reader, accounts, world))
    report.accounts = len(cases)
    due: list[str] = []
    cutting: list[Case] = []
    for name, case in cases.items():
        found = verdict(case, world.policies[case.klass])
        if found in CUTTING:
            cutting.append(case)
        if found != NONE or case.live_action == Action.DISCONNECT:
            due.append(name)
    waiting = await _admit(store, cutting, cases, world, report)
    size = world.settings.slice_size
    for start in range(0, len(due), size):
        part = due[start : start + size]
        done = await store.commit(Priority.BATCH, lambda unit, part=part: _slice(unit, part, world, waiting))  # type: ignore[misc]
        for one in done:
            report.verdicts[one.decision.verdict] = report.verdicts.get(one.decision.verdict, 0) + 1
            if one.command:
                report.commands.append(one.command)
            if one.read_back:
                report.read_back.append(one.decision.account)
    return report


def _slice(unit: Unit, names: Sequence[str], world: World, waiting: frozenset[str]) -> list[carry.Carried]:
    """One transaction: each account's case as committed now, its decision, and all that follows."""
    cases = assemble.cases(unit, names, world)
    return [carry.carry(unit, case, world, waiting=waiting) for case in cases.values()]


async def _admit(
    store: Store, cutting: Sequence[Case], cases: dict[str, Case], world: World, report: DecideReport
) -> frozenset[str]:
    """Ask the breaker; who must wait is named, and over the cap it trips before anything is written."""
    if not cutting:
        return frozenset()
    counts = store.read(lambda reader: count(reader, cutting, cases, world))
    feeders = store.read(lambda reader: {c.account: _feeder(reader, c.account) for c in cutting})
    requests = [Request(case.account, case.account, feeders[case.account]) for case in cutting]
    admission = breaker.admit(requests, counts)
    report.quarantined, report.waiting = len(admission.quarantined), len(admission.waiting)
    if admission.tripped:
        await store.commit(Priority.COMMAND, lambda unit: trip(unit, world, admission.reason))
    return frozenset(admission.waiting) | frozenset(admission.quarantined)


def trip(unit: Unit, world: World, reason: str) -> None:
    """Open the breaker: no disconnection leaves (G9) until two persons release it."""
    unit.put(Signal(signals.BREAKER, "open", world.now))
    incidents.file(unit, "breaker_tripped", world.now, cause=f"{world.now:%Y-%m-%d}", detail=reason)


def release(unit: Unit, persons: Sequence[str], requester: str, world: World) -> bool:
    """Two persons, neither of whom asked, let today's disconnections go; False when they are not enough."""
    if not breaker.may_release(persons, requester):
        return False
    unit.put(Signal(signals.BREAKER, "closed", world.now, ",".join(sorted(persons))))
    unit.put(Signal(RELEASED, f"{world.now:%Y-%m-%d}", world.now, ",".join(sorted(persons))))
    unit.audit(persons[0], "breaker.release", "breaker", {"persons": list(persons)}, world.now)
    return True


def count(reader: Reader, cutting: Sequence[Case], cases: dict[str, Case], world: World) -> Counts:
    """What the breaker compares with; the window is the day."""
    day = world.now.replace(hour=0, minute=0, second=0, microsecond=0)
    left = reader.find(Command, action=Action.DISCONNECT, sent_at__ge=day)
    settled = [row for row in left if row.state in (CommandState.VERIFIED, CommandState.SUPERSEDED)]
    until = world.now + timedelta(days=1)
    foreseen = sum(1 for c in cases.values() if c.forecast_exhausts_at is not None and c.forecast_exhausts_at <= until)
    released = reader.get(Signal, RELEASED)
    go = released is not None and released.value == f"{world.now:%Y-%m-%d}"
    feeders = [row.feeder for row in reader.find(Account) if row.feeder]
    return Counts(
        accounts=reader.count(Account),
        foreseen=foreseen,
        median_28d=_median(reader, world),
        left_window=len(left),
        left_day=len(left),
        settled_window=len(settled),
        feeder_accounts={name: feeders.count(name) for name in sorted(set(feeders))},
        feeder_left_hour=_left_by_feeder(reader, left, world),
        released=frozenset(case.account for case in cutting) if go else frozenset(),
    )


def _median(reader: Reader, world: World) -> int | None:
    """Disconnections on this weekday over the last four weeks; None without any history."""
    day = world.now.replace(hour=0, minute=0, second=0, microsecond=0)
    counts = []
    for week in range(1, MEDIAN_WEEKS + 1):
        start = day - timedelta(days=7 * week)
        counts.append(
            reader.count(Command, action=Action.DISCONNECT, sent_at__ge=start, sent_at__lt=start + timedelta(days=1))
        )
    if not any(counts):
        return None
    ordered = sorted(counts)
    return (ordered[1] + ordered[2]) // 2


def _left_by_feeder(reader: Reader, left: Sequence[Command], world: World) -> dict[str, int]:
    hour = world.now - timedelta(hours=1)
    found: dict[str, int] = {}
    for row in left:
        if row.sent_at is not None and row.sent_at >= hour:
            name = _feeder(reader, row.account)
            found[name] = found.get(name, 0) + 1
    return dict(sorted(found.items()))


def _feeder(reader: Reader, account: str) -> str:
    row = reader.get(Account, account)
    return row.feeder if row else ""


def approve(unit: Unit, command_id: str, by: str, world: World) -> Command | None:
    """One person approves a requested disconnection; never its requester. None when there is nothing to approve."""
    command = unit.get(Command, command_id)
    if command is None or command.state is not CommandState.REQUESTED or not by or by == command.requester:
        return None
    approved = replace(command, approvals=tuple(sorted({*command.approvals, by})), updated=world.now)
    unit.put(approved)
    unit.audit(by, "command.approve", command_id, {"account": command.account}, world.now)
    return approved
