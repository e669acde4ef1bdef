"""Seeds go in, each a town under its own drawn faults, until so many account-days are lived; what broke comes out.

``python -m benchmarks.campaign --account-days 1000000 --keep FILE -o json`` lives seed after seed (1,000 accounts, 30
days after four without faults) in processes of their own, and adds each finished run to FILE as one line: a campaign
that is cut short goes on where it was, as long as the commit is the same. A run that breaks an invariant is told with
its seed; ``prewatt simulate --accounts 1000 --days 30 --districts 1 --seed SEED --faults swarm --shrink FOLDER`` makes
it small.
"""

import argparse
import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.harness import commit, machine
from benchmarks.reconnect import Job, Kept, row
from sim.campaign import District
from sim.swarm import swarm
from sim.world import Cast

DESIGN = "swarm"
ACCOUNTS, DAYS = 1000, 30
PER_S = 300.0
"""Account-days per second that two processes are to live."""


def lived(job: Job) -> dict[str, Any]:
    """One seed's town: figures, reconnection times, and what the run took; in a process of its own."""
    _, accounts, days, seed = job
    cpu, wall = time.process_time(), time.perf_counter()
    figures, waits = District(accounts, days, seed, swarm(seed), Cast(transport="direct")).live()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    took = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall, "peak_mib": peak}
    return {"figures": figures, "waits": waits, **took}


def broken(runs: Mapping[Job, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Every invariant that did not hold, with its seed; a fault that never struck one town is not one of them."""
    return [
        {"seed": job[3], **found}
        for job, run in runs.items()
        if run["figures"]["invariants"] != "ok"
        for found in run["figures"]["invariants"]
        if found["id"] != "fault"
    ]


def report(runs: Mapping[Job, Mapping[str, Any]], wanted: int) -> dict[str, Any]:
    """The campaign's row, the faults that struck, and the goals."""
    struck: Counter[str] = Counter()
    for run in runs.values():
        struck.update(run["figures"]["faults"])
    one, wrong = row(DESIGN, list(runs.values())), broken(runs)
    days = one["figures"]["account_days"]
    per_s = round(2 * days / one["cpu_s"], 1) if one["cpu_s"] else 0.0
    return {
        "schema": "prewatt.benchmark/1",
        "machine": machine(),
        "commit": commit(),
        "runs": len(runs),
        "seeds": sorted(job[3] for job in runs),
        "methods": [one],
        "faults": dict(sorted(struck.items())),
        "ratios": {},
        "bar": {
            "account_days": {"want": wanted, "got": days, "ok": days >= wanted},
            "invariants": {"want": "ok", "got": wrong or "ok", "ok": not wrong},
            "account_days_per_s_of_two": {"want": f">= {PER_S:g}", "got": per_s, "ok": per_s >= PER_S},
        },
    }


def campaign(jobs: Sequence[Job], kept: Kept, processes: int) -> dict[Job, dict[str, Any]]:
    """Every job's run: those that were kept, then the others, each kept as soon as it is over."""
    done = {job: run for job in jobs if (run := kept.get(job)) is not None}
    left = [job for job in jobs if job not in done]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        for job, found in zip(left, pool.map(lived, left), strict=True):
            kept.put(job, found)
            done[job] = found
            told = found["figures"]["invariants"]
            print(
                f"seed {job[3]}: {found['cpu_s']:.0f} s, {told if told != 'ok' else 'ok'}", file=sys.stderr, flush=True
            )
    return done


def main() -> None:
    """Parse the command line, run, print; exit 1 when an invariant did not hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.campaign")
    parser.add_argument("-o", "--output", choices=["json"], default="json")
    parser.add_argument("--account-days", type=int, default=1_000_000)
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="file of finished runs: read first, added to, so that a run goes on")
    asked = parser.parse_args()
    seeds = range(asked.first, asked.first - -asked.account_days // (asked.accounts * asked.days))
    jobs: list[Job] = [(DESIGN, asked.accounts, asked.days, seed) for seed in seeds]
    found = report(campaign(jobs, Kept(asked.keep), asked.processes), asked.account_days)
    print(json.dumps(found, indent=1))
    sys.exit(0 if found["bar"]["invariants"]["ok"] else 1)


if __name__ == "__main__":
    main()
