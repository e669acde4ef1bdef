"""``python -m tests.mutants``: each module of tariff/ is broken in one place at a time; tests that stay green are told.

HEAD is copied to a temporary folder. One process reads it all once, and forks a child for each mutant, in which only
the broken function is exchanged, and only those tests and random bills (whose reference is known) are asked that go
through the broken line, the quickest first. What is broken outside functions is imported anew. JSON lines on stdout,
one a mutant, then the counts of each module, then all of them.
"""

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.mutation.bench import Bench
    from tests.mutation.breaking import Mutant

ROOT = Path(__file__).resolve().parents[1]
KNOWN = Path(__file__).with_name("mutants.toml")
VERDICTS = ("killed", "survived", "late", "known", "left")


def main() -> None:
    """Copy HEAD, and break it there."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sample", type=int, default=4, help="mutants of each module, 0: all of them")
    parser.add_argument("--only", default="", help="a pattern that the modules' paths match somewhere")
    parser.add_argument("--minutes", type=float, default=0, help="begin no mutant after so long; 0: no end")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.here:
        sys.exit(run(chosen))
    with tempfile.TemporaryDirectory() as name:
        head = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x", "-C", name], input=head, check=True)
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PREWATT_EXAMPLES": "0.02"}
        environment.setdefault("PREWATT_SHARED", str(ROOT.parent / "shared"))
        command = [sys.executable, "-m", "tests.mutants", "--here", *sys.argv[1:]]
        sys.exit(subprocess.run(command, cwd=name, env=environment, check=False).returncode)


def run(chosen: argparse.Namespace) -> int:
    """Break the modules of this folder; 1 if HEAD as it is fails, or an unexplained mutant survives."""
    from tests.mutation.bench import Bench

    task = Task(chosen)
    bench = Bench(task.inside)
    if problem := bench.run():
        print(f"HEAD as it is: {problem}: nothing to learn from mutants", file=sys.stderr)
        return 1
    task.outside(bench)
    print(json.dumps({"modules": task.modules()}))
    print(json.dumps({"schema": "prewatt.mutants/3", "seed": chosen.seed, "sample": chosen.sample, **task.counts()}))
    return int(task.counts()["survived"] > 0)


class Task:
    """What is to be broken, and what came of it."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        """Draw the places."""
        self.began = time.monotonic()
        self.minutes: float = chosen.minutes
        self.explained = known()
        self.found: Counter[tuple[str, str]] = Counter()
        self.mutants = drawn(chosen)

    def inside(self, bench: "Bench") -> None:
        """Break functions."""
        for mutant in self.mutants:
            if mutant.inside:
                self._tell(mutant, lambda mutant=mutant: bench.verdict(mutant))  # type: ignore[misc]

    def outside(self, bench: "Bench") -> None:
        """Break what stands outside of functions."""
        for mutant in self.mutants:
            if not mutant.inside:
                files = bench.files_of(mutant.path)
                self._tell(mutant, lambda mutant=mutant, files=files: bench.anew(mutant, files))  # type: ignore[misc]

    def _tell(self, mutant: "Mutant", verdict_of: Callable[[], str]) -> None:
        short = mutant.path.relative_to(ROOT).as_posix()
        if self.minutes and time.monotonic() - self.began > self.minutes * 60:
            self.found[short, "left"] += 1
            return
        verdict = verdict_of()
        if verdict == "survived" and (short, mutant.inside, mutant.what, source(mutant)) in self.explained:
            verdict = "known"
        self.found[short, verdict] += 1
        told = {"module": short, "line": mutant.line, "inside": mutant.inside, "mutant": mutant.what}
        print(json.dumps({**told, "code": source(mutant), "verdict": verdict}), flush=True)

    def counts(self) -> dict[str, int]:
        """How many mutants of each verdict."""
        return {verdict: sum(self.found[key] for key in self.found if key[1] == verdict) for verdict in VERDICTS}

    def modules(self) -> dict[str, dict[str, int]]:
        """The verdicts of each module."""
        shorts = dict.fromkeys(short for short, _ in self.found)
        return {short: {one: self.found[short, one] for one in VERDICTS if self.found[short, one]} for short in shorts}


def drawn(chosen: argparse.Namespace) -> list["Mutant"]:
    """Mutants of the modules that were asked for, shuffled: what ``--minutes`` cuts off is of every module alike."""
    from tests.mutation import breaking

    found: list[Mutant] = []
    for path in sorted((ROOT / "tariff").rglob("*.py")):
        short = path.relative_to(ROOT).as_posix()
        if not re.search(chosen.only, short):
            continue
        places = breaking.sites(path)
        if chosen.sample and len(places) > chosen.sample:
            places = sorted(random.Random(f"{chosen.seed}/{path.name}").sample(places, chosen.sample))
        found += [breaking.mutant(path, short, place) for place in places]
    random.Random(chosen.seed).shuffle(found)
    return found


def source(mutant: "Mutant") -> str:
    """The text of the line that is broken."""
    return mutant.path.read_text(encoding="utf-8").splitlines()[mutant.line - 1].strip()


def known() -> set[tuple[str, str, str, str]]:
    """(module, function, mutant, source line) of the survivors that the committed list explains."""
    listed = tomllib.loads(KNOWN.read_text(encoding="utf-8"))["mutant"]
    return {(one["module"], one["inside"], one["mutant"], one["code"]) for one in listed}


if __name__ == "__main__":
    main()
