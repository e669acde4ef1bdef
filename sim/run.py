"""Accounts, days, a seed and a named set of faults go in; one deterministic run's figures and trace hash come out.

A run is: found the town, let it live its warm-up days without faults (forecasts need a past), then ``days`` with
faults, then an hour without, in which everything must come right. The hash covers every event of the engine's timeline
and every relay change, in order; equal seeds give equal hashes in every process.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from control import invariants
from control.engine import Engine
from control.records import Incident, WorkOrder
from sim.faults import FAULTS, FaultPlan
from sim.loop import run_virtual
from sim.observer import percentile
from sim.town import Town, TownPlan, build
from sim.world import CAST, Cast, World
from storage.records import Event
from storage.unit import Reader

SETTLE = timedelta(minutes=60)
START = datetime(2026, 3, 4, 16)  # a Thursday in the town's zone: the faults begin on a Monday
PLAN = TownPlan(hung_days=0)
CHECK_H = 6
SINCE = timedelta(hours=12)  # of the journals, at each look; all of them at the end


@dataclass(slots=True)
class Broken:
    """Invariants that did not hold, each with its first time and subject."""

    rows: list[dict[str, str]] = field(default_factory=list)
    seen: set[tuple[str, str]] = field(default_factory=set)

    def note(self, ident: str, at: datetime, account: str, detail: str = "") -> None:
        """Keep the first of each."""
        if (ident, account) not in self.seen:
            self.seen.add((ident, account))
            self.rows.append({"id": ident, "at": f"{at.isoformat()}Z", "account": account, "detail": detail})


def town(seed: int, accounts: int) -> Town:
    """The town of a run: every meter is read from its first hour on."""
    return build(seed, accounts, plan=PLAN, start=START)


def simulate(
    accounts: int,
    days: int,
    seed: int,
    *,
    faults: str | FaultPlan = "standard",
    cast: Cast = CAST,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Run one town and return the figures of ``prewatt simulate``; KeyError for a set of faults that has no name."""
    plan = FAULTS[faults] if isinstance(faults, str) else faults
    world = World(town(seed, accounts), plan, cast)
    try:
        return play(world, days, progress)
    finally:
        world.close()


def play(world: World, days: int, progress: Callable[[int, int], None] | None = None) -> dict[str, Any]:
    """Let a world live its days and return the figures; its meters and its store can be looked at afterwards."""
    return run_virtual(world.loop, _live(world, days, progress or _quiet))


def _quiet(done: int, of: int) -> None:
    """Say nothing of how far a run has come."""
    del done, of


async def _live(world: World, days: int, progress: Callable[[int, int], None]) -> dict[str, Any]:
    broken = Broken()
    world.boot()
    await world.found()
    world.start()
    early = world.cast.warm_up_days
    for day in range(early):
        await world.clock.sleep(86_400)
        _alive(world)
        progress(day + 1, early + days)
    world.set_faults(True)
    for day in range(days):
        for _ in range(24 // CHECK_H):
            await world.clock.sleep(CHECK_H * 3600)
            _check(world, broken, world.clock.now() - SINCE)
        progress(early + day + 1, early + days)
    dark_with_faults = world.observer.dark(world.clock.true_now())
    world.set_faults(False)
    await world.clock.sleep(SETTLE.total_seconds())
    _check(world, broken)
    world.observer.look(world.is_below)
    await world.shut()
    return _figures(world, days, dark_with_faults, broken)


def _alive(world: World) -> None:
    """Raise what broke the engine."""
    failure = world.failure()
    if failure is not None:
        raise failure


def _check(world: World, broken: Broken, since: datetime | None = None) -> None:
    """Everything that can be told from committed rows (journals from ``since`` on), and whether the engine runs."""
    _alive(world)
    if world.store is None or world.engine is None:
        return
    now = world.clock.now()
    limits, policies = world.engine.settings, tuple(world.engine.policies.values())
    found = world.store.read(lambda reader: invariants.check(reader, now, limits, since=since, policies=policies))
    found += world.never_cut
    if since is None and world.cast.engine is Engine:  # the simple designs have no orders on record
        found += world.auditor.look(world.store, now)
    for breach in found:
        broken.note(breach.id, now, breach.account, breach.detail)


def _figures(world: World, days: int, dark_with_faults: int, broken: Broken) -> dict[str, Any]:
    end, seen, plan = world.clock.true_now(), world.observer, world.plan
    counts = {**world.network.faults.counts, **{k: v for k, v in world.counts.items() if not k.startswith("payment_")}}
    found = {name: int(counts.get(name, 0)) for name in plan.enabled()}
    store = world.store
    if store is None:
        raise RuntimeError("the engine is not there at the end of the run")
    told, digest = store.read(lambda reader: (_told(reader), _trace(reader, world)))
    dark = seen.dark(end)
    if dark:
        broken.note("L1", end, ",".join(s.account for s in seen.spans if s.dark(end)), "paid and dark at the end")
    silent = seen.silent(end, told)
    if silent:
        broken.note("L1", end, "", "a reconnect clock ran out and nobody was told")
    wrong = round(seen.wrongly_off_h(end), 3)
    if wrong:
        broken.note("W", end, "", f"{wrong} hours wrongly off")
    for name, times in found.items():
        if not times:
            broken.note("fault", end, "", f"{name} is enabled and never struck; try: more days or accounts")
    waits = seen.reconnects_s()
    payments = {k.removeprefix("payment_"): v for k, v in world.counts.items() if k.startswith("payment_")}
    return {
        "seed": world.town.seed,
        "accounts": len(world.town.sites),
        "days": days,
        "account_days": len(world.town.sites) * days,
        "payments": payments.get("posted", 0),
        "payments_repeated": payments.get("duplicate", 0),
        "disconnects": seen.opens,
        "reconnects": seen.closes,
        "reconnect_p50_s": percentile(waits, 50),
        "reconnect_p95_s": percentile(waits, 95),
        "paid_but_dark_end": dark,
        "paid_but_dark_with_faults": dark_with_faults,
        "hours_wrongly_off": wrong,
        "raced_payments": seen.raced(),
        "silent_breaches": silent,
        "unpaid_on_hours": seen.unpaid_on_h,
        "invariants": broken.rows or "ok",
        "faults": found,
        "trace_hash": digest,
    }


def _told(reader: Reader) -> Mapping[str, list[datetime]]:
    """When somebody was told of each account's trouble: incidents and work orders."""
    found: dict[str, list[datetime]] = {}
    for incident in reader.find(Incident):
        found.setdefault(incident.account, []).append(incident.at)
    for order in reader.find(WorkOrder):
        found.setdefault(order.account, []).append(order.created)
    return found


def _trace(reader: Reader, world: World) -> str:
    """sha256 of all events in order, then of every relay change in order of meter and time."""
    digest = hashlib.sha256()
    for event in reader.find(Event, order="seq"):
        row = [event.seq, event.at.isoformat(), event.code, event.account, dict(sorted(event.params.items()))]
        digest.update(json.dumps(row, ensure_ascii=False).encode() + b"\n")
    for meter in sorted(world.meters):
        for at, state, cause in world.meters[meter].relay_changes:
            digest.update(f"{meter} {at.isoformat()} {state} {cause}\n".encode())
        digest.update(f"{meter} {world.meters[meter].register_wh}\n".encode())
    return digest.hexdigest()
