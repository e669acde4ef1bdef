"""``python -m tests.mutants``: each module of tariff/ is broken in one place at a time; tests that stay green are told.

HEAD is copied to a temporary folder; places are drawn with a stated seed, so that a run can be repeated. A mutant is
killed by the first test that fails, or by running out of time. JSON lines on stdout, one a mutant, the summary last.
"""

import argparse
import ast
import copy
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SWAPS: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv,
    ast.And: ast.Or, ast.Or: ast.And, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
STAGES = (
    ("tests/tariff/test_components.py", "tests/tariff/test_reference.py", "tests/tariff/test_calendar.py"),
    ("tests/properties",),
    ("tests/tariff",),
)
TIMEOUT_S = 400


def main() -> None:
    """Draw, break, test, tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sample", type=int, default=4, help="mutants of each module, 0: all of them")
    parser.add_argument("--only", default="", help="a pattern that the modules' paths match somewhere")
    parser.add_argument("--trust", action="store_true", help="do not run the tests on HEAD as it is first")
    chosen = parser.parse_args()
    counts = {"killed": 0, "survived": 0, "late": 0}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        head = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x", "-C", name], input=head, check=True)
        if not chosen.trust and (verdict := tested(folder)) != "survived":
            sys.exit(f"HEAD as it is counts as {verdict}: nothing to learn from mutants")
        for path in sorted((folder / "tariff").rglob("*.py")):
            short = path.relative_to(folder).as_posix()
            if not re.search(chosen.only, short):
                continue
            for line, what, text in drawn(path, chosen.seed, chosen.sample):
                kept = path.read_text(encoding="utf-8")
                path.write_text(text, encoding="utf-8")
                verdict = tested(folder)
                path.write_text(kept, encoding="utf-8")
                counts[verdict] += 1
                print(json.dumps({"module": short, "line": line, "mutant": what, "verdict": verdict}), flush=True)
    print(json.dumps({"schema": "prewatt.mutants/1", "seed": chosen.seed, "sample": chosen.sample, **counts}))


def drawn(path: Path, seed: int, sample: int) -> list[tuple[int, str, str]]:
    """(line, what, whole text) of some mutants of a module, in order of line."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    places = list(sites(tree))
    if sample and len(places) > sample:
        places = sorted(random.Random(f"{seed}/{path.name}").sample(places, sample))
    return [(tree_line(tree, place), *broken(tree, place)) for place in places]


def sites(tree: ast.Module) -> Iterator[int]:
    """Numbers of the nodes (in order of ast.walk) that can be broken."""
    skipped = {id(inner) for node in ast.walk(tree) if unbroken(node) for inner in ast.walk(node)}
    for number, node in enumerate(ast.walk(tree)):
        if id(node) not in skipped and breakable(node):
            yield number


def breakable(node: ast.AST) -> bool:
    """Comparisons, sums and products, and/or, numbers and flags, not and minus."""
    if isinstance(node, ast.Compare):
        return type(node.ops[0]) in SWAPS
    if isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign):
        return type(node.op) in SWAPS
    if isinstance(node, ast.Constant):
        return type(node.value) in (int, bool)
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub)


def unbroken(node: ast.AST) -> bool:
    """Annotations and messages of errors: a change there is none of behaviour."""
    return isinstance(node, ast.Raise | ast.Assert | ast.JoinedStr | ast.arg) or (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "fail"
    )


def tree_line(tree: ast.Module, place: int) -> int:
    """Line of a node by its number."""
    return int(getattr(list(ast.walk(tree))[place], "lineno", 0))


def broken(tree: ast.Module, place: int) -> tuple[str, str]:
    """What is done to the node, and the module's text with it."""
    mutant = copy.deepcopy(tree)
    node = list(ast.walk(mutant))[place]
    before = ast.unparse(node)
    if isinstance(node, ast.Compare):
        node.ops[0] = SWAPS[type(node.ops[0])]()
    elif isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign):
        node.op = SWAPS[type(node.op)]()
    elif isinstance(node, ast.Constant):
        node.value = not node.value if isinstance(node.value, bool) else int(str(node.value)) + 1
    elif isinstance(node, ast.UnaryOp):
        node.op = ast.UAdd() if isinstance(node.op, ast.USub) else ast.Not()
        if isinstance(node.op, ast.Not):
            node.operand = ast.UnaryOp(ast.Not(), node.operand)
    return f"{before} -> {ast.unparse(node)}"[:160], ast.unparse(ast.fix_missing_locations(mutant))


def tested(folder: Path) -> str:
    """killed, survived, or late: the tests took longer than they may."""
    environment = {**os.environ, "PREWATT_EXAMPLES": "0.08", "PYTHONDONTWRITEBYTECODE": "1"}
    environment.setdefault("PREWATT_SHARED", str(ROOT.parent / "shared"))
    for stage in STAGES:
        command = [sys.executable, "-m", "pytest", "-q", "-x", "--no-header", *stage]
        try:
            done = subprocess.run(
                command, cwd=folder, env=environment, capture_output=True, timeout=TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return "late"
        if done.returncode:
            return "killed"
    return "survived"


if __name__ == "__main__":
    main()
