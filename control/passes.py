"""Accounts go in, their decisions come out carried: a screen on a snapshot, the breaker, then one commit per slice.

The screen only finds those of whom something may be due; each is assembled and decided anew inside the transaction that
writes what follows, so that no decision ever rests on anything but what is committed with it.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from control import assemble, breaker, carry, incidents, quota, screen, signals
from control.assemble import World
from control.breaker import Admission, Request
from control.decide import judged
from control.loud import loud
from control.raised import Raised
from control.records import Action, Case, Command, CommandState
from control.signals import Signal
from control.standing import Standings, standings
from control.verdicts import NONE, Verdict
from storage.store import Store
from storage.unit import Reader, Unit
from storage.writer import Priority

CUTTING = ("disconnect", "request_approval")
RELEASED = quota.RELEASED
T = TypeVar("T")


@dataclass(slots=True)
class DecideReport:
    """What a pass did: accounts screened, verdicts, commands made, relays to read back, the breaker's word."""

    accounts: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    read_back: list[str] = field(default_factory=list)
    quarantined: int = 0
    waiting: int = 0


async def decide_all(
    store: Store,
    world: World,
    accounts: Sequence[str] | None = None,
    raised: Raised | None = None,
    *,
    requester: str = "engine",
) -> DecideReport:
    """Decide on ``accounts`` (None: everybody) and carry it out, in slices.

    With ``raised`` (what everybody was told, kept between passes) a pass over everybody puts a Case together only for
    those of whom something may be due by their standing.
    """
    report = DecideReport()
    whole = accounts is None
    seen, ahead = await asyncio.gather(
        _beside(world, partial(_seen, store, world, accounts, raised, requester=requester)),
        _beside(world, lambda: store.read(lambda reader: quota.foreseen_by(reader, world.now) if whole else [])),
    )
    report.accounts, cases, said = len(seen.accounts), seen.cases, seen.said
    foreseen = sum(1 for name in ahead if name in seen.accounts) if whole else None
    due: list[str] = []
    cutting: list[Case] = []
    for name, case in cases.items():
        found = said[name].verdict
        if found in CUTTING:
            cutting.append(case)
        if name in seen.still:
            report.verdicts[found] = report.verdicts.get(found, 0) + 1
        elif found != NONE or case.live_action == Action.DISCONNECT:
            due.append(name)
    admitted = await _admit(store, cutting, world, report, foreseen)
    size = world.settings.slice_size
    for start in range(0, len(due), size):
        part = due[start : start + size]
        work = partial(_slice, names=part, world=world, admitted=admitted, requester=requester)
        done = await store.commit(Priority.BATCH, work)
        for one in done:
            report.verdicts[one.decision.verdict] = report.verdicts.get(one.decision.verdict, 0) + 1
            if one.command:
                report.commands.append(one.command)
            if one.read_back:
                report.read_back.append(one.decision.account)
    return report


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one look found: all accounts that were looked at; of those that are not quiet, Case and verdict."""

    accounts: Mapping[str, object]
    cases: Mapping[str, Case]
    said: Mapping[str, Verdict]
    still: frozenset[str]


def _seen(
    store: Store, world: World, accounts: Sequence[str] | None, raised: Raised | None, *, requester: str
) -> _Seen:
    """Look at ``accounts``; beside the loop, so that a payment need not wait for it."""
    rows: Standings | None = None
    if accounts is None and raised is not None and screen.trusted():
        with raised.lock:
            rows = store.read(lambda reader: standings(reader, world, raised))
            accounts = loud(rows, raised, world.policies, world.now)
    cases = store.read(lambda reader: assemble.cases(reader, accounts, world))
    said = {name: judged(case, world.policies[case.klass]) for name, case in cases.items()}
    still = store.read(lambda reader: _still(reader, cases, said, world)) if requester == "engine" else frozenset()
    return _Seen(rows.at if rows is not None else cases, cases, said, still)


async def _beside(world: World, work: Callable[[], T]) -> T:
    """Run ``work`` beside the loop, at once where time is virtual."""
    return await asyncio.to_thread(work) if world.settings.offload else work()


def _slice(
    unit: Unit, names: Sequence[str], world: World, admitted: frozenset[str], requester: str
) -> list[carry.Carried]:
    """One transaction: each account's case as committed now, its decision, and all that follows."""
    cases = assemble.cases(unit, names, world)
    return [carry.carry(unit, case, world, admitted=admitted, requester=requester) for case in cases.values()]


def _still(reader: Reader, cases: Mapping[str, Case], said: Mapping[str, Verdict], world: World) -> frozenset[str]:
    """Accounts that are held for the reason on record: this hour writes nothing for them."""
    return frozenset(
        name for name, case in cases.items() if carry.stands(reader, case, said[name], world.policies[case.klass])
    )


async def _admit(
    store: Store, cutting: Sequence[Case], world: World, report: DecideReport, foreseen: int | None
) -> frozenset[str]:
    """Ask the breaker who may be cut in this pass; over the cap it trips before anything is written.

    Only a pass over the whole knows how many the forecast saw (``foreseen``); one over some (None) goes by today's last
    whole pass.
    """
    if foreseen is not None:
        await store.commit(Priority.COMMAND, lambda unit: quota.remember_foreseen(unit, foreseen, world.now))
    if not cutting:
        return frozenset()
    admission = store.read(lambda reader: _ask(reader, cutting, world))
    report.quarantined, report.waiting = len(admission.quarantined), len(admission.waiting)
    if admission.tripped:
        await store.commit(Priority.COMMAND, lambda unit: trip(unit, world, admission.reason))
    return frozenset(admission.admitted)


def _ask(reader: Reader, cutting: Sequence[Case], world: World) -> Admission:
    released = frozenset(case.account for case in cutting) if quota.released_today(reader, world.now) else frozenset()
    counts = quota.count(reader, world, quota.foreseen_today(reader, world.now), released)
    requests = [Request(case.account, case.account, quota.feeder_of(reader, case.account)) for case in cutting]
    return breaker.admit(requests, counts)


def trip(unit: Unit, world: World, reason: str) -> None:
    """Open the breaker: no disconnection leaves (G9) until two persons release it."""
    unit.put(Signal(signals.BREAKER, signals.OPEN, world.now))
    incidents.file(unit, "breaker_tripped", world.now, cause=f"{world.now:%Y-%m-%d}", detail=reason)


def release(unit: Unit, persons: Sequence[str], requester: str, world: World) -> bool:
    """Two persons, neither of whom asked, let today's disconnections go; False when they are not enough."""
    if not breaker.may_release(persons, requester):
        return False
    unit.put(Signal(signals.BREAKER, "closed", world.now, ",".join(sorted(persons))))
    unit.put(Signal(RELEASED, f"{world.now:%Y-%m-%d}", world.now, ",".join(sorted(persons))))
    unit.audit(persons[0], "breaker.release", "breaker", {"persons": list(persons)}, world.now)
    return True


def approve(unit: Unit, command_id: str, by: str, world: World) -> Command | None:
    """One person approves a requested disconnection; never its requester. None when there is nothing to approve."""
    command, by = unit.get(Command, command_id), by.strip()
    if command is None or command.state is not CommandState.REQUESTED or not by or _same(by, command.requester):
        return None
    if any(_same(by, person) for person in command.approvals):
        return command  # once more from the same person is no second person
    approved = replace(command, approvals=tuple(sorted({*command.approvals, by})), updated=world.now)
    unit.put(approved)
    unit.audit(by, "command.approve", command_id, {"account": command.account}, world.now)
    return approved


def _same(one: str, other: str) -> bool:
    """Whether two names are one person's, however they are written."""
    return plain_name(one) == plain_name(other)


def plain_name(name: str) -> str:
    """A person's name however it is written: ``ann`` at the console is ``cli:ann`` at the terminal."""
    return name.strip().casefold().removeprefix("cli:")
