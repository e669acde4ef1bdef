"""A large town goes in, split into districts over processes; one run's figures come out, as if it were one.

A district is a town of its own, with its own engine, store and seed, so what a run computes does not depend on how many
processes share it. Reconnection times are merged, not averaged; the hash is that of the districts' hashes in order.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from sim.customers import mix
from sim.faults import FaultPlan
from sim.observer import percentile
from sim.run import play, town
from sim.world import Cast, World

DISTRICT = 400
"""Accounts of one district, unless told otherwise."""
_SAME = ("seed", "accounts", "days", "reconnect_p50_s", "reconnect_p95_s", "invariants", "faults", "trace_hash")


@dataclass(frozen=True, slots=True)
class District:
    """One part of a run: everything that it depends on."""

    accounts: int
    days: int
    seed: int
    plan: FaultPlan
    cast: Cast

    def live(self, progress: Callable[[int, int], None] | None = None) -> tuple[dict[str, Any], list[float]]:
        """The figures, and every time from payment to power; ``progress`` hears of days lived."""
        world = World(town(self.seed, self.accounts), self.plan, self.cast)
        try:
            return play(world, self.days, progress), world.observer.reconnects_s()
        finally:
            world.close()


def districts(accounts: int, days: int, seed: int, plan: FaultPlan, cast: Cast, *, count: int = 0) -> list[District]:
    """The parts of a run, of nearly equal size; ``count`` 0: as many as keep each at ``DISTRICT`` accounts or fewer.

    >>> [one.accounts for one in districts(1000, 1, 7, FaultPlan(), Cast())]
    [334, 333, 333]
    """
    number = min(count or -(-accounts // DISTRICT), accounts)
    sizes = [accounts // number + (at < accounts % number) for at in range(number)]
    return [
        District(size, days, seed if at == 0 else mix(seed, at, 331) >> 33, plan, cast) for at, size in enumerate(sizes)
    ]


def run(
    parts: Sequence[District], *, processes: int = 1, progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Live all districts, ``processes`` at a time, and merge what they say."""
    lived: list[tuple[dict[str, Any], list[float]]] = []
    if len(parts) == 1:
        return merged(parts, [parts[0].live(progress)])
    if processes <= 1:
        for part in parts:
            lived.append(part.live())
            if progress is not None:
                progress(len(lived), len(parts))
        return merged(parts, lived)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for one in pool.map(District.live, parts):
            lived.append(one)
            if progress is not None:
                progress(len(lived), len(parts))
    return merged(parts, lived)


def merged(parts: Sequence[District], lived: Sequence[tuple[dict[str, Any], list[float]]]) -> dict[str, Any]:
    """One run's figures from those of its districts; a fault must have struck in one of them."""
    figures = [one for one, _ in lived]
    waits = sorted(wait for _, all_waits in lived for wait in all_waits)
    struck: Counter[str] = Counter()
    for one in figures:
        struck.update(one["faults"])
    faults = {name: struck[name] for name in figures[0]["faults"]}
    rows = [row for one in figures if one["invariants"] != "ok" for row in one["invariants"] if row["id"] != "fault"]
    for name in [name for name, times in faults.items() if not times]:
        rows.append({"id": "fault", "at": "", "account": "", "detail": f"{name} is enabled and never struck"})
    total = {name: round(sum(one[name] for one in figures), 3) for name in figures[0] if name not in _SAME}
    joined = "\n".join(one["trace_hash"] for one in figures)
    return {
        "seed": parts[0].seed,
        "accounts": sum(part.accounts for part in parts),
        "days": parts[0].days,
        **total,
        "reconnect_p50_s": percentile(waits, 50),
        "reconnect_p95_s": percentile(waits, 95),
        "invariants": rows or "ok",
        "faults": faults,
        "trace_hash": joined if len(figures) == 1 else hashlib.sha256(joined.encode()).hexdigest(),
        "districts": len(figures),
    }
