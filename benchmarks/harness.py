"""Methods by name in, one JSON report out: each method in fresh processes, interleaved, the median of its runs.

A benchmark module gives ``METHODS`` (name -> function of Options that returns a Sample) and calls ``main``. The parent
starts ``python -m benchmarks.NAME --method M`` for every run, so that no method warms another's caches or memory.
"""

import argparse
import hashlib
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PREPARE = "prepare"
"""The method that lays out what the others read; run first, once, in a process of its own like them."""

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Options:
    """What every method is told: how many rows, where it may write, where the prepared material lies."""

    rows: int
    scratch: Path
    prepared: Path


@dataclass(slots=True)
class Sample:
    """One run: seconds of the measured part, what it computed (hashed, must not differ), further figures by name.

    ``cpu_s`` is the CPU time of the measured part, all threads; None: that of the whole method.
    """

    wall_s: float
    result: object
    figures: dict[str, float] = field(default_factory=dict)
    cpu_s: float | None = None


Method = Callable[[Options], Sample]
Bars = Callable[[Mapping[str, Mapping[str, Any]]], dict[str, dict[str, Any]]]


def timed(work: Callable[[], object]) -> tuple[float, Any]:
    """Wall seconds of ``work`` and its result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def clocked(work: Callable[[], object]) -> tuple[float, float, Any]:
    """Wall seconds, CPU seconds of all threads and result of ``work``."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = work()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def machine() -> dict[str, object]:
    """What the figures were taken on."""
    return {
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def commit() -> str:
    """The checkout's commit, with a plus when files differ from it."""
    asked = ["git", "describe", "--always", "--dirty=+", "--abbrev=12"]
    return subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def child(methods: Mapping[str, Method], name: str, options: Options) -> None:
    """Run one method here and print its sample."""
    before = time.process_time()
    sample = methods[name](options)
    digest = hashlib.sha256(json.dumps(sample.result, sort_keys=True, default=str).encode()).hexdigest()[:16]
    print(
        json.dumps(
            {
                "wall_s": sample.wall_s,
                "cpu_s": time.process_time() - before if sample.cpu_s is None else sample.cpu_s,
                "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "result_hash": digest,
                "figures": sample.figures,
            }
        )
    )


def _start(module: str, name: str, options: Options) -> dict[str, Any]:
    """One run in a process and a scratch folder of its own."""
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        command = [sys.executable, "-m", module, "--method", name, "--rows", str(options.rows)]
        command += ["--scratch", scratch, "--prepared", str(options.prepared)]
        run = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    sample: dict[str, Any] = json.loads(run.stdout.strip().splitlines()[-1])
    return sample


def summary(name: str, samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The medians of one method's runs; a result that differs between runs stops the benchmark."""
    hashes = {s["result_hash"] for s in samples}
    if len(hashes) != 1:
        raise SystemExit(f"{name}: its runs computed different results: {sorted(hashes)}")
    figures = {k: statistics.median(s["figures"][k] for s in samples) for k in samples[0]["figures"]}
    medians = {k: round(statistics.median(s[k] for s in samples), 6) for k in ("cpu_s", "wall_s", "peak_mib")}
    rounded = {k: round(v, 6) for k, v in figures.items()}
    return {"name": name, **medians, "result_hash": hashes.pop(), "x_floor": None, "figures": rounded}


def main(
    module: str,
    methods: Mapping[str, Method],
    *,
    floors: Mapping[str, str],
    bars: Bars,
    prepare: Callable[[Options], None],
    rows: int,
    compare: str = "wall_s",
    absent: Mapping[str, str] | None = None,
) -> None:
    """Parse the command line and run: one method (in a child) or all of them (the report).

    ``floors``: method -> the method that is its floor, by ``compare``. ``bars``: medians by method -> the goals, want
    beside got. ``absent``: methods that cannot run here -> why; the report names them.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}")
    parser.add_argument("-o", "--output", choices=["json"], default="json")
    parser.add_argument("--rows", type=int, default=rows, help="rows of the lake that is queried")
    parser.add_argument("--runs", type=int, default=5, help="runs of each method; the median counts")
    parser.add_argument("--only", nargs="*", default=None, help="only these methods")
    parser.add_argument("--scratch", type=Path, default=None, help="a folder on the disk to measure")
    parser.add_argument("--method", help=argparse.SUPPRESS)
    parser.add_argument("--prepared", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.method:
        methods = {**methods, PREPARE: lambda options: Sample(timed(lambda: prepare(options))[0], None)}
        child(methods, asked.method, Options(asked.rows, asked.scratch, asked.prepared))
        return
    with tempfile.TemporaryDirectory(dir=asked.scratch, prefix="prewatt-bench-") as scratch:
        options = Options(asked.rows, Path(scratch), Path(scratch) / "prepared")
        options.prepared.mkdir()
        _start(module, PREPARE, options)
        left_out = {name: why for name, why in (absent or {}).items() if not asked.only or name in asked.only}
        chosen = [m for m in methods if m not in left_out and (not asked.only or m in asked.only)]
        report = _report(module, chosen, asked.runs, options)
    report["left_out"] = left_out
    by_name = {m["name"]: m for m in report["methods"]}
    for name, floor in floors.items():
        if name in by_name and floor in by_name:
            by_name[name]["x_floor"] = round(by_name[name][compare] / by_name[floor][compare], 3)
            report["ratios"][f"{name}/{floor}"] = by_name[name]["x_floor"]
    report["bar"] = bars(by_name)
    print(json.dumps(report, indent=1))


def _report(module: str, names: Sequence[str], runs: int, options: Options) -> dict[str, Any]:
    samples: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for number in range(runs):
        for name in names:
            print(f"run {number + 1}/{runs} {name}", file=sys.stderr)
            samples[name].append(_start(module, name, options))
    return {
        "schema": "prewatt.benchmark/1",
        "machine": machine(),
        "commit": commit(),
        "runs": runs,
        "rows": options.rows,
        "methods": [summary(name, samples[name]) for name in names],
        "ratios": {},
    }
