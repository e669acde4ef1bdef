"""``python -m tests.mutants``: each module of tariff/ is broken in one place at a time; tests that stay green are told.

HEAD is copied to a temporary folder. One process reads it all once and forks a child for each mutant, in which only the
broken function is exchanged: random bills whose reference is known come first, and the tests of the module next. What
is broken outside functions is imported anew. JSON lines on stdout, one a mutant, the summary last.
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
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KNOWN = Path(__file__).with_name("mutants.toml")


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
    from tests.mutation import bench, breaking

    began = time.monotonic()
    counts = dict.fromkeys((*bench.VERDICTS, "known", "left"), 0)
    explained = known()
    table = bench.Bench()
    if problem := table.unbroken():
        print(f"HEAD as it is: {problem}: nothing to learn from mutants", file=sys.stderr)
        return 1
    for path in sorted((ROOT / "tariff").rglob("*.py")):
        short = path.relative_to(ROOT).as_posix()
        if not re.search(chosen.only, short):
            continue
        places = breaking.sites(path)
        if chosen.sample and len(places) > chosen.sample:
            places = sorted(random.Random(f"{chosen.seed}/{path.name}").sample(places, chosen.sample))
        for place in places:
            if chosen.minutes and time.monotonic() - began > chosen.minutes * 60:
                counts["left"] += 1
                continue
            mutant = breaking.mutant(path, short, place)
            verdict = table.verdict(mutant)
            if verdict == "survived" and (short, mutant.inside, mutant.what, source(path, mutant.line)) in explained:
                verdict = "known"
            counts[verdict] += 1
            told = {"module": short, "line": mutant.line, "inside": mutant.inside, "mutant": mutant.what}
            print(json.dumps({**told, "verdict": verdict}), flush=True)
    print(json.dumps({"schema": "prewatt.mutants/2", "seed": chosen.seed, "sample": chosen.sample, **counts}))
    return int(counts["survived"] > 0)


def source(path: Path, line: int) -> str:
    """The text of a line."""
    return path.read_text(encoding="utf-8").splitlines()[line - 1].strip()


def known() -> set[tuple[str, str, str, str]]:
    """(module, function, mutant, source line) of the survivors that the committed list explains."""
    listed = tomllib.loads(KNOWN.read_text(encoding="utf-8"))["mutant"]
    return {(one["module"], one["inside"], one["mutant"], one["code"]) for one in listed}


if __name__ == "__main__":
    main()
