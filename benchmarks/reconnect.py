"""Five designs of switching go through the same towns, faults and seeds; CONTROL's first table comes out as JSON.

``python -m benchmarks.reconnect -o json`` runs 40 seeds of 120 accounts over ten days with the standard faults (link
down 3.6 %, requests and answers lost 3 % each, duplicates 3 %, stuck relays 0.3 %, a crash every two days). The three
simple designs are ``benchmarks.baselines``: same meters, links, books, notices, guards and breaker; only the way an
order is carried out differs. ``ours`` is the engine itself, once without and once with crews who go where they are
called.
"""

import argparse
import hashlib
import json
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.baselines import BASELINES, SPEC
from benchmarks.harness import commit, machine
from sim.campaign import District
from sim.faults import FAULTS
from sim.observer import percentile
from sim.world import Cast

OURS, CREWS = "ours", "ours_with_crews"
DESIGNS = (*BASELINES, OURS, CREWS)
SUMS = (
    "account_days", "payments", "disconnects", "reconnects", "paid_but_dark_end", "hours_wrongly_off",
    "silent_breaches", "unpaid_on_hours", "raced_payments",
)  # fmt: skip
P95_S, UNPAID_SHARE = 120.0, 1.05


Job = tuple[str, int, int, int]  # design, accounts, days, seed


def cast_of(design: str, transport: str = "direct") -> Cast:
    """Who plays in a design; KeyError for a name that is none."""
    if design in (OURS, CREWS):
        return Cast(transport=transport, crews=design == CREWS)
    return Cast(transport=transport, engine=BASELINES[design], crews=False, tables=(SPEC,))


def lived(job: Job) -> dict[str, Any]:
    """One design in one town: figures, reconnection times, and what the run took; in a process of its own."""
    design, accounts, days, seed = job
    cpu, wall = time.process_time(), time.perf_counter()
    figures, waits = District(accounts, days, seed, FAULTS["standard"], cast_of(design)).live()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    took = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall, "peak_mib": peak}
    return {"figures": figures, "waits": waits, **took}


def row(design: str, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One line of the table from all runs of a design."""
    waits = sorted(wait for run in runs for wait in run["waits"])
    found: dict[str, Any] = {name: round(sum(run["figures"][name] for run in runs), 3) for name in SUMS}
    broken = {r["id"] for run in runs if run["figures"]["invariants"] != "ok" for r in run["figures"]["invariants"]}
    found |= {"reconnect_p50_s": percentile(waits, 50), "reconnect_p95_s": percentile(waits, 95)}
    digest = hashlib.sha256("".join(run["figures"]["trace_hash"] for run in runs).encode()).hexdigest()[:16]
    return {
        "name": design,
        "cpu_s": round(sum(run["cpu_s"] for run in runs), 3),
        "wall_s": round(sum(run["wall_s"] for run in runs), 3),
        "peak_mib": round(max(run["peak_mib"] for run in runs), 1),
        "result_hash": digest,
        "x_floor": None,
        "figures": found,
        "broken": sorted(broken - {"fault"}) if design == CREWS else [],  # without crews a stuck relay stays dark
    }


def bars(methods: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The goals, want beside got."""
    by_name = {one["name"]: one["figures"] for one in methods}
    ours, plain = by_name[CREWS], by_name[OURS]
    simple = [by_name[name]["unpaid_on_hours"] for name in BASELINES]
    most = round(UNPAID_SHARE * sum(simple) / len(simple), 1)
    p95, unpaid = ours["reconnect_p95_s"], ours["unpaid_on_hours"]
    broken = sorted({word for one in methods for word in one["broken"]})
    return {
        "reconnect_p95_s": {"want": f"< {P95_S:g}", "got": p95, "ok": p95 is not None and p95 < P95_S},
        "paid_but_dark_with_crews": _zero(ours["paid_but_dark_end"]),
        "hours_wrongly_off": _zero(round(ours["hours_wrongly_off"], 1)),
        "silent_breaches": _zero(ours["silent_breaches"] + plain["silent_breaches"]),
        "unpaid_on_hours": {"want": f"<= {most}", "got": unpaid, "ok": unpaid <= most},
        "invariants": {"want": "ok", "got": broken or "ok", "ok": not broken},
    }


def _zero(got: float) -> dict[str, Any]:
    return {"want": 0, "got": got, "ok": got == 0}


class Kept:
    """Runs that are over, one JSON line each in a file: a table that was cut short goes on where it was."""

    def __init__(self, path: Path | None) -> None:
        """Read what ``path`` has; None keeps nothing."""
        self._path = path
        self._runs: dict[tuple[Any, ...], dict[str, Any]] = {}
        if path is not None and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                one = json.loads(line)
                self._runs[tuple(one["job"])] = one["run"]

    def get(self, job: Job) -> dict[str, Any] | None:
        """The run of ``job`` on this commit, if it was kept."""
        return self._runs.get((*job, commit()))

    def put(self, job: Job, run: Mapping[str, Any]) -> None:
        """Keep one more."""
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"job": [*job, commit()], "run": run}) + "\n")


def report(
    seeds: Sequence[int], accounts: int, days: int, *, processes: int = 1, keep: Path | None = None
) -> dict[str, Any]:
    """Run every design on every seed, interleaved, and print the table's rows and goals."""
    kept, jobs = Kept(keep), [(design, accounts, days, seed) for seed in seeds for design in DESIGNS]
    done = {job: run for job in jobs if (run := kept.get(job)) is not None}
    left = [job for job in jobs if job not in done]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        for job, found in zip(left, pool.map(lived, left), strict=True):
            print(f"seed {job[3]} {job[0]}: {found['wall_s']:.1f} s", file=sys.stderr)
            kept.put(job, found)
            done[job] = found
    runs = {design: [done[job] for job in jobs if job[0] == design] for design in DESIGNS}
    methods = [row(design, runs[design]) for design in DESIGNS]
    return {
        "schema": "prewatt.benchmark/1",
        "machine": machine(),
        "commit": commit(),
        "runs": len(seeds),
        "accounts": accounts,
        "days": days,
        "methods": methods,
        "ratios": {},
        "bar": bars(methods),
    }


def main() -> None:
    """Parse the command line, run, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reconnect")
    parser.add_argument("-o", "--output", choices=["json"], default="json")
    parser.add_argument("--seeds", type=int, default=40, help="how many seeds")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--accounts", type=int, default=120)
    parser.add_argument("--days", type=int, default=10)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="file of finished runs: read first, added to, so that a run goes on")
    asked = parser.parse_args()
    seeds = range(asked.first, asked.first + asked.seeds)
    print(json.dumps(report(seeds, asked.accounts, asked.days, processes=asked.processes, keep=asked.keep), indent=1))


if __name__ == "__main__":
    main()
