"""The style as a test: sizes, cycles, dead files, names, one h1 per document, everything documented, no large blobs."""

import ast
import re
import statistics
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests import reference

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("ingest", "tariff", "storage", "control", "sim", "prewatt")
# Folders whose files a loader finds by name: nothing imports them, so they are not dead.
PLUGINS = (
    "ingest/drivers",
    "ingest/files",
    "ingest/pushes",
    "tariff/components",
    "control/policies",
    "control/channels",
    "control/payments",
    "prewatt/actions",
    "prewatt/verbs",
)
ENTRY_POINTS = {"prewatt/cli.py", "prewatt/__main__.py"}
FORBIDDEN_NAMES = {"utils", "util", "common", "helper", "helpers", "manager", "managers", "base", "misc", "shared"}
MODULE_WALL, MODULE_MEDIAN = 400, 150
FUNCTION_WALL, FUNCTION_P95, FUNCTION_MEDIAN = 60, 40, 8
ARGUMENTS = 6
BLOB_BYTES = 300_000

Function = ast.FunctionDef | ast.AsyncFunctionDef


def tracked(suffix: str = "") -> list[Path]:
    """What git tracks and the disk has, by suffix."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return sorted(ROOT / n for n in names.split("\0") if n.endswith(suffix) and n and (ROOT / n).is_file())


def product() -> list[Path]:
    """Every module of the six packages."""
    return [p for folder in FOLDERS for p in sorted((ROOT / folder).rglob("*.py"))]


def checks() -> list[Path]:
    """Every module beside the packages: tests and benchmarks."""
    return [p for folder in ("tests", "benchmarks") for p in sorted((ROOT / folder).rglob("*.py"))]


def name(path: Path) -> str:
    """The path from the root, as a reader would write it."""
    return path.relative_to(ROOT).as_posix()


@cache
def functions(path: Path) -> tuple[Function, ...]:
    """Every function and method of a module, nested ones too."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return tuple(node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def length(function: Function) -> int:
    """Lines from ``def`` to the end, less the docstring (which has no measure of its own)."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def bound_twice(function: Function) -> set[str]:
    """Names that a walrus inside a comprehension binds, and so the function, which binds them elsewhere too."""
    inside, outside = set[str](), {one.arg for one in ast.walk(function.args) if isinstance(one, ast.arg)}
    left: list[tuple[ast.AST, bool]] = [(node, False) for node in function.body]
    while left:
        node, deep = left.pop()
        deep = deep or isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp)
        if isinstance(node, ast.NamedExpr):
            (inside if deep else outside).add(node.target.id)
            left.append((node.value, deep))
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and not deep:
            outside.add(node.id)
        left += [(child, deep) for child in ast.iter_child_nodes(node)]
    return inside & outside


def test_modules_are_small() -> None:
    sizes = {name(p): len(p.read_text(encoding="utf-8").splitlines()) for p in product() + checks()}
    assert {n: s for n, s in sizes.items() if s > MODULE_WALL} == {}
    ours = [s for n, s in sizes.items() if n.split("/")[0] in FOLDERS and not n.endswith("__init__.py")]
    assert statistics.median(ours) <= MODULE_MEDIAN


def test_functions_are_small() -> None:
    sizes = [(length(f), f"{name(p)}:{f.lineno} {f.name}") for p in product() + checks() for f in functions(p)]
    assert [where for size, where in sizes if size > FUNCTION_WALL] == []
    ours = sorted(size for size, where in sizes if where.split("/")[0] in FOLDERS)
    assert ours[int(0.95 * (len(ours) - 1))] <= FUNCTION_P95
    assert statistics.median(ours) <= FUNCTION_MEDIAN


def test_functions_take_few_arguments() -> None:
    """Six at most; options by keyword only do not count, and a verb's are its command line."""
    over = []
    for path in product():
        if name(path).startswith("prewatt/verbs/"):
            continue
        for f in functions(path):
            names = [a.arg for a in (*f.args.posonlyargs, *f.args.args) if a.arg not in ("self", "cls")]
            if len(names) > ARGUMENTS:
                over.append(f"{name(path)}:{f.lineno} {f.name} takes {len(names)}")
    assert over == []


def for_types_only(tree: ast.Module) -> set[ast.AST]:
    """What stands under ``if TYPE_CHECKING``: never imported when the program runs."""
    return {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }


def imports(path: Path) -> set[str]:
    """The dotted names of our own modules that a module imports, lazily or not."""
    found: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = for_types_only(tree)
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def dotted(path: Path) -> str:
    """``a/b/c.py`` -> ``a.b.c``; a package by its own name."""
    return name(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def test_no_comprehension_binds_a_name_of_the_function_around_it() -> None:
    """Once it did: every set of 500 accounts forgot what was found of the sets before it."""
    found = {
        f"{name(p)}:{f.name}": twice for p in product() + checks() for f in functions(p) if (twice := bound_twice(f))
    }
    assert found == {}
    (leaking,) = ast.parse("def f(x):\n    a = 1\n    return [a for b in x if (a := b)]").body
    assert isinstance(leaking, ast.FunctionDef)
    assert bound_twice(leaking) == {"a"}


def test_no_import_cycles() -> None:
    """Lazy imports count too: a cycle that is put off is still a cycle."""
    graph = {dotted(p): imports(p) for p in product()}
    graph = {module: {i for i in seen if i in graph and i != module} for module, seen in graph.items()}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail[trail.index(module) :], module))
        if module in done:
            return
        for other in sorted(graph[module]):
            visit(other, (*trail, module))
        done.add(module)

    for module in sorted(graph):
        visit(module, ())


def test_no_dead_files() -> None:
    """Each module is imported by the product or by ``python -m tests.cases``, found by a loader, or an entry point."""
    users = [*product(), *sorted((ROOT / "tests").glob("cases*/**/*.py")), *sorted((ROOT / "tests").glob("cases.py"))]
    used = {i for p in users for i in imports(p) if i != dotted(p)}
    named = "\n".join(p.read_text(encoding="utf-8") for p in product())
    dead = [
        name(p)
        for p in product()
        if p.name != "__init__.py"
        and name(p) not in ENTRY_POINTS
        and not name(p).startswith(tuple(f"{folder}/" for folder in PLUGINS))
        and dotted(p) not in used
        and f'"{dotted(p)}"' not in named
    ]
    assert dead == []


def test_names_say_something() -> None:
    bad = [name(p) for p in product() + checks() if p.stem in FORBIDDEN_NAMES or p.parent.name in FORBIDDEN_NAMES]
    assert bad == []


def test_modules_say_what_they_do() -> None:
    silent = [name(p) for p in product() if not ast.get_docstring(ast.parse(p.read_text(encoding="utf-8")))]
    assert silent == []


def test_nothing_is_left_for_later() -> None:
    """No stubs and no notes to self in the product."""
    later = re.compile(r"\bNotImplementedError|\b(TODO|FIXME|XXX|HACK)\b|\bfor now\b(?! in)")
    found = [
        f"{name(p)}:{n}"
        for p in product()
        for n, line in enumerate(p.read_text(encoding="utf-8").splitlines(), 1)
        if later.search(line)
    ]
    assert found == []


def test_one_h1_per_document() -> None:
    wrong = {}
    for path in tracked(".md"):
        text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.S | re.M)
        count = len(re.findall(r"^# ", text, re.M))
        if count != 1:
            wrong[name(path)] = count
    assert wrong == {}


def test_links_between_documents_hold() -> None:
    broken = []
    for path in tracked(".md"):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
            if not (path.parent / target).exists():
                broken.append(f"{name(path)} -> {target}")
    assert broken == []


def test_no_large_blobs() -> None:
    large = {name(p): p.stat().st_size for p in tracked() if p.stat().st_size > BLOB_BYTES}
    assert large == {}


@pytest.mark.parametrize("page", sorted(reference.PAGES))
def test_reference_is_what_the_code_says(page: str) -> None:
    """Drivers, components, policies, channels, commands and settings, each documented from its own words."""
    path = ROOT / "docs" / "reference" / page
    assert path.is_file(), f"try: {reference.HOW}"
    assert path.read_text(encoding="utf-8") == reference.PAGES[page](), f"try: {reference.HOW}"
