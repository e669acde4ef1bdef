"""``python -m benchmarks.rating -o json``: a month of hourly intervals to bills and running charges, beside other ways.

Load: ``--rows`` / 720 meters x 720 hours in the lake's own Parquet, three tiers x three periods. Each way gives every
meter's nine rounded lines and folds the exact running charge of every hour into a checksum; all must agree, by hash.
``cpu_s`` is the CPU time of the work, all threads, without imports; the floor is a scan of the same three columns.
"""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import rating_peers as peers
from benchmarks.harness import Method, Options, Sample, clocked, main
from benchmarks.rating_load import (
    GRID,
    HOURS,
    PERIODS,
    START,
    TIMES,
    Ints,
    Rated,
    book,
    file,
    measured,
    plan,
    prepare,
)
from storage import blocks, charging, parquet
from storage.positions import Charged, Group
from storage.records import Install
from storage.schemas import CHARGES
from storage.usage import Master
from tariff import rating
from tariff.evaluation import evaluate
from tariff.rating import Plan, State

GROUPS, GROUP = 200, 5000  # one hour of a million meters
TOGETHER = 1 << 20  # rows of charges in one file
STRETCH = 48  # hours of one step: the running charge of a block is still in the cache when it is summed up
SAME = ("prewatt", "numpy_whole", "duckdb_windows", "duckdb_in_order", "polars", "polars_in_order")


def prewatt(options: Options, times: int = 1) -> Sample:
    """The product: what ``rate`` and ``bill`` call, block by block; ``times`` the load's meters."""
    loaded = book()  # imports the kinds of component, which the clock does not count

    def work() -> Rated:
        month = rating.compile(loaded, START, START + timedelta(hours=HOURS))
        states: list[State] = []
        total, xor, room = 0, 0, rating.Room()
        for number in range(times):
            for block in blocks.stream(file(options, number), GRID):
                if block.odd:
                    raise SystemExit("the load is not a whole month of every meter")
                state = month.zero(len(block.wh))
                for low in range(0, HOURS, STRETCH):
                    wh = block.wh[:, low : low + STRETCH]
                    state, running = rating.advance(month, state, low, wh, spent=True, room=room)
                    total += int(running.sum())
                    xor ^= int(np.bitwise_xor.reduce(running, axis=None))
                states.append(state)
        return bills(month, rating.join(states)), total, xor

    return measured(work)


def bills(month: Plan, state: State) -> Ints:
    """[n, 9] rounded lines in cents, by period and tier."""
    by_key = {(line.period, line.tier): line.amount_micro for line in evaluate(month, state)}
    return np.stack([by_key[period, tier] // 10_000 for period in PERIODS for tier in range(3)], axis=1)


def charges(options: Options) -> Sample:
    """The second line: the same month as charge rows, rounded hour by hour, written as Parquet."""
    loaded, count = book(), max(1, options.rows // HOURS)
    master = Master([Install(n, f"M{n}", f"A{n:07d}", "", START) for n in range(1, count + 1)], [])

    def work() -> tuple[int, int]:
        month = rating.compile(loaded, START, START + timedelta(hours=HOURS))
        money = rows = number = 0
        parts: list[charging.GroupCharges] = []
        for block in blocks.stream(file(options), GRID):
            parts.append(_charged(month, block))
            money += int(parts[-1].charged.rated.amount_micro.sum())
            rows += block.wh.size
            if sum(part.charged.wh.size for part in parts) >= TOGETHER or block.meters[-1] == count:
                number += 1
                _write(options.scratch, f"{number}.parquet", parts, master)
                parts = []
        return rows, money

    wall, cpu, found = clocked(work)
    size = sum(path.stat().st_size for path in options.scratch.glob("*.parquet"))
    return Sample(wall, found, {"rows_per_s": found[0] / wall, "bytes_per_row": size / found[0]}, cpu)


def _charged(month: Plan, block: blocks.Block) -> charging.GroupCharges:
    wh = block.wh.copy()  # the block holds until the next one
    rated = rating.rate(month, wh)
    group = Group(month, GRID, accounts=[f"A{meter:07d}" for meter in block.meters.tolist()])
    return charging.GroupCharges(group, Charged(np.arange(len(wh)), 0, wh, np.ones(wh.shape, np.bool_), rated))


def _write(root: Path, name: str, parts: list[charging.GroupCharges], master: Master) -> None:
    parquet.write(root, name, CHARGES, charging.table(parts, master), durable=False, crash=lambda _: None)


def hour(_options: Options, times: int = 1) -> Sample:
    """One hour of ``times`` a million meters in 200 tariffs: the daemon's step and every meter's exact charge.

    It is the second hour: the states lie in memory, as the daemon's do, and each meter has a charge to go on from.
    """
    plans, room = [plan(number) for number in range(GROUPS)], rating.Room()
    wh = np.random.default_rng(3).integers(0, 3000, (GROUPS, GROUP * times, 1))
    states = [
        rating.settle(one, one.zero(GROUP * times), 0, energy, spent=True)
        for one, energy in zip(plans, wh, strict=True)
    ]

    def work() -> int:
        total = 0
        for one, state, energy in zip(plans, states, wh, strict=True):
            _, running = rating.advance(one, state, 1, energy, spent=True, room=room)
            total += int(running.sum())
        return total

    wall, cpu, total = clocked(work)
    return Sample(wall, total, cpu_s=cpu)


def hour_charged(_options: Options) -> Sample:
    """The same hour as the daemon books it: state, rounded charge, tier and price of every meter."""
    plans = [plan(number) for number in range(GROUPS)]
    states = [one.zero(GROUP) for one in plans]
    wh = np.random.default_rng(3).integers(0, 3000, (GROUPS, GROUP, 1))

    def work() -> int:
        found = (rating.rate(*both, state=state) for *both, state in zip(plans, wh, states, strict=True))
        return sum(int(rated.amount_micro.sum()) for rated in found)

    wall, cpu, total = clocked(work)
    return Sample(wall, total, cpu_s=cpu)


def grown(name: str, times: int) -> str:
    """The name of a method at ``times`` its meters."""
    return name if times == 1 else f"{name}_{times}x"


def _growing(name: str, method: Any) -> dict[str, Method]:
    return {grown(name, times): lambda options, times=times: method(options, times) for times in TIMES}


METHODS: dict[str, Method] = {
    "floor": peers.floor,
    **_growing("prewatt", prewatt),
    "numpy_whole": peers.numpy_whole,
    "duckdb_windows": peers.duckdb_windows,
    "duckdb_in_order": peers.duckdb_in_order,
    "polars": peers.polars,
    "polars_in_order": peers.polars_in_order,
    "pysam": peers.pysam,
    "charges": charges,
    **_growing("hour_1m_200", hour),
    "hour_1m_200_charged": hour_charged,
}
PEERS = {
    "sql": ("duckdb_windows", "duckdb_in_order"),
    "polars": ("polars", "polars_in_order"),
    "pysam": ("pysam",),
}
FLOORS = {
    **dict.fromkeys((*SAME, "pysam", "charges"), "floor"),
    **{grown(name, times): name for name in ("prewatt", "hour_1m_200") for times in TIMES[1:]},
}


def bars(found: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The goals, each with what was reached; a goal whose methods did not run is left out."""
    bar: dict[str, dict[str, Any]] = {}
    if {"floor", "prewatt"} <= set(found):
        _goal(bar, "x_floor", 3, found["prewatt"]["cpu_s"] / found["floor"]["cpu_s"], at_most=True)
        _goal(bar, "peak_mib", 300, found["prewatt"]["peak_mib"], at_most=True)
    for name, forms in PEERS.items():  # each by its best form
        cpu = min((found[form]["cpu_s"] for form in forms if form in found), default=None)
        if cpu is not None and "prewatt" in found:
            _goal(bar, f"x_faster_than_{name}", 10, cpu / found["prewatt"]["cpu_s"], at_most=False)
    same = len({found[name]["result_hash"] for name in SAME if name in found}) <= 1
    bar["same_bills"] = {"want": True, "got": same, "ok": same}
    if "hour_1m_200" in found:
        _goal(bar, "hour_1m_200_cpu_s", 0.1, found["hour_1m_200"]["cpu_s"], at_most=True)
    last = TIMES[-1]
    for name in ("prewatt", "hour_1m_200"):
        if {name, grown(name, last)} <= set(found):
            ratio = found[grown(name, last)]["cpu_s"] / found[name]["cpu_s"]
            _goal(bar, f"{name}_growth_at_{last}x", 1.25 * last, ratio, at_most=True)
    return bar


def _goal(bar: dict[str, dict[str, Any]], name: str, want: float, got: float, *, at_most: bool) -> None:
    bar[name] = {"want": want, "got": round(got, 4), "ok": got <= want if at_most else got >= want}


if __name__ == "__main__":
    main(
        "benchmarks.rating",
        METHODS,
        floors=FLOORS,
        bars=bars,
        prepare=prepare,
        rows=7_200_000,
        compare="cpu_s",
        absent=peers.absent(),
    )
