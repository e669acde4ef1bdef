"""The house: what the wheel holds, whose licences it stands on, and that the contracts cover every pure module."""

import ast
import configparser
import importlib.metadata
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
NESTED = ("ingest", "tariff", "storage", "control", "sim")
PACKAGED = (".py", ".toml", ".html", ".css", ".js", ".svg", ".json", ".typed", ".txt")


# ---------------------------------------------------------------- the wheel
@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as pip would build it, without the network."""
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder such as ``pip install --target`` leaves."""
    target = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def run_in(target: Path, code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Python that sees ``target`` and the installed dependencies, and not the checkout."""
    hide = f"import sys; sys.path[:] = [p for p in sys.path if p not in ({str(ROOT)!r}, '')]; "
    env = {**os.environ, "PYTHONPATH": str(target), "PYTHONSAFEPATH": "1"}
    return subprocess.run([sys.executable, "-c", hide + code], cwd=cwd, env=env, capture_output=True, text=True)


def test_prewatt_is_the_wheels_only_top_level(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {n.split("/")[0] for n in archive.namelist()}
    assert {t for t in tops if not t.endswith(".dist-info")} == {"prewatt"}


def test_every_module_and_data_file_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    tracked = subprocess.run(["git", "ls-files", "-z", *NESTED, "prewatt"], cwd=ROOT, capture_output=True, check=True)
    want = {
        n if n.startswith("prewatt/") else f"prewatt/_lib/{n}"
        for n in tracked.stdout.decode().split("\0")
        if n.endswith(PACKAGED) and (ROOT / n).is_file()
    }
    assert want
    assert want - inside == set()


def test_the_wheel_imports_away_from_the_checkout(unpacked: Path, tmp_path: Path) -> None:
    done = run_in(unpacked, "import prewatt, ingest, control.records; print(ingest.__file__)", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(unpacked / "prewatt" / "_lib" / "ingest" / "__init__.py")


def test_a_foreign_control_package_is_refused_by_name(unpacked: Path, tmp_path: Path) -> None:
    (tmp_path / "control").mkdir()
    (tmp_path / "control" / "__init__.py").write_text("", encoding="utf-8")
    done = run_in(unpacked, f"sys.path.insert(0, {str(tmp_path)!r}); import control; import prewatt", tmp_path)
    assert done.returncode != 0
    assert "another package named 'control' was imported before prewatt" in done.stderr
    assert "try: import prewatt first" in done.stderr


# ---------------------------------------------------------------- licences
TITLES = re.compile(
    r"GNU (AFFERO |LESSER |LIBRARY )?GENERAL PUBLIC LICENSE|MOZILLA PUBLIC LICENSE|ECLIPSE PUBLIC LICENSE"
    r"|EUROPEAN UNION PUBLIC LICEN[CS]E|COMMON DEVELOPMENT AND DISTRIBUTION",
    re.I,
)
ANYWHERE = re.compile(
    r"GNU (AFFERO |LESSER |LIBRARY )?GENERAL PUBLIC LICENSE\s+Version \d"
    r"|BUSINESS SOURCE LICENSE|SERVER SIDE PUBLIC LICENSE|ELASTIC LICENSE|COMMONS CLAUSE|FUNCTIONAL SOURCE LICENSE"
    r"|POLYFORM",
    re.I,
)
HEAD = 600
# Read by a person; each says why the words found are no obligation on us.
READ = {
    "paho-mqtt": "dual licence: taken under EDL 1.0 (BSD-3-Clause), whose text it ships beside the EPL",
    "numpy": "BSD-3-Clause; the GPL text is libgfortran's, under the GCC runtime library exception",
}
# Tools of the gate: never imported by the product, never shipped; file-level copyleft is no matter there.
TOOLS = {
    "hypothesis": "MPL-2.0, test tool",
    "pathspec": "MPL-2.0, build and type-check tool",
    "certifi": "MPL-2.0, comes with the test client",
}


def licence_fault(texts: list[str]) -> str:
    """Why a distribution with these licence files is refused; "" when it is not."""
    if not texts:
        return "no licence file"
    for text in texts:
        found = TITLES.search(text[:HEAD]) or ANYWHERE.search(text)
        if found:
            return " ".join(found.group(0).split())
    return ""


def canonical(name: str) -> str:
    """A distribution's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(extra: str) -> dict[str, importlib.metadata.Distribution]:
    """Every installed distribution that prewatt (with an extra) needs here, itself left out."""
    found: dict[str, importlib.metadata.Distribution] = {}

    def walk(name: str) -> None:
        if name in found:
            return
        found[name] = importlib.metadata.distribution(name)
        for line in found[name].requires or []:
            need = Requirement(line)
            if need.marker is None or need.marker.evaluate({"extra": extra if name == "prewatt" else ""}):
                walk(canonical(need.name))

    walk("prewatt")
    del found["prewatt"]
    return found


def licence_texts(distribution: importlib.metadata.Distribution) -> Iterator[str]:
    """The licence files that a distribution's wheel really carries (metadata lies in one case)."""
    for file in distribution.files or []:
        if ".dist-info" in str(file) and re.match(r"(licen[cs]e|copying|edl|epl)", file.name, re.I):
            yield Path(str(file.locate())).read_text(encoding="utf-8", errors="replace")


def faults(extra: str) -> dict[str, str]:
    """Refusals by distribution."""
    seen = {n: licence_fault(list(licence_texts(d))) for n, d in closure(extra).items()}
    return {n: fault for n, fault in seen.items() if fault}


def test_no_dependency_is_copyleft_or_source_available() -> None:
    assert set(faults("")) <= set(READ)


def test_no_tool_of_the_gate_is_strong_copyleft_or_source_available() -> None:
    assert set(faults("dev")) <= set(READ) | set(TOOLS)


@pytest.mark.parametrize(
    "text",
    [
        "                    GNU GENERAL PUBLIC LICENSE\n                       Version 2, June 1991",
        "MIT License\n" + "x" * 2000 + "\nGNU AFFERO GENERAL PUBLIC LICENSE\n Version 3, 19 November 2007",
        "Business Source License 1.1\n\nParameters",
        "Mozilla Public License Version 2.0",
        '"Commons Clause" License Condition v1.0',
    ],
)
def test_the_licence_reader_refuses(text: str) -> None:
    assert licence_fault(["Permission is hereby granted, free of charge", text])


def test_the_licence_reader_accepts_permissive_and_refuses_silence() -> None:
    assert licence_fault(["MIT License\n\nPermission is hereby granted"]) == ""
    assert licence_fault([]) == "no licence file"


# ---------------------------------------------------------------- import contracts
# What may do I/O or look at a clock, folder by folder (docs/ARCHITECTURE.md); all else there is pure.
MAY_DO_IO = (
    "ingest",
    "ingest.links",
    "ingest.links.*",
    "ingest.poller",
    "ingest.outages",
    "ingest.network",
    "control",
    "control.accuracy",
    "control.anomalies",
    "control.assemble",
    "control.areas",
    "control.calls",
    "control.rotation",
    "control.entries",
    "control.onsite",
    "control.outagedesk",
    "control.outages",
    "control.carry",
    "control.channels",
    "control.channels.*",
    "control.debts",
    "control.dispatch",
    "control.engine",
    "control.foresight",
    "control.histories",
    "control.screen",
    "control.standing",
    "control.fences",
    "control.handheld",
    "control.incidents",
    "control.jobs",
    "control.keeppower",
    "control.invariants",
    "control.journal",
    "control.lookback",
    "control.loud",
    "control.outlookbook",
    "control.raised",
    "control.lookups",
    "control.notices",
    "control.outcomes",
    "control.outlooks",
    "control.pacing",
    "control.passes",
    "control.pricebasis",
    "control.quota",
    "control.sealing",
    "control.shifts",
    "control.switches",
    "control.reconcile",
    "control.replay",
    "control.replay.history",
    "control.replay.line",
    "control.replay.report",
    "control.replay.run",
    "control.replay",
    "control.sending",
    "control.settle",
    "control.shadow",
    "control.sidebyside",
    "control.tallies",
    "control.visits",
    "control.watchdog",
    "control.watchfile",
    "control.cuts",
    "control.violations",
    "control.workorders",
)


def contract(which: str) -> configparser.SectionProxy:
    """One section of .importlinter."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter", encoding="utf-8")
    return parser[f"importlinter:contract:{which}"]


def test_the_purity_contract_covers_every_pure_module() -> None:
    listed = contract("pure")["source_modules"].split()
    missing = []
    for folder in ("ingest", "tariff", "control"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            module = path.relative_to(ROOT).with_suffix("").as_posix().removesuffix("/__init__").replace("/", ".")
            io = any(fnmatchcase(module, pattern) for pattern in MAY_DO_IO)
            if not io and not any(module == m or module.startswith(f"{m}.") for m in listed):
                missing.append(module)
    assert missing == []


def pure_files() -> list[Path]:
    """Every file that the purity contract names, packages with all that is in them."""
    found: set[Path] = set()
    for module in contract("pure")["source_modules"].split():
        place = ROOT / module.replace(".", "/")
        found |= set(place.rglob("*.py")) if place.is_dir() else {place.with_suffix(".py")}
    return sorted(found)


def test_pure_modules_never_ask_what_time_it_is() -> None:
    """``datetime`` may be imported for its arithmetic; its clock may not be read, nor the process's hash or ids."""
    asked = []
    for path in pure_files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            clock = isinstance(node, ast.Attribute) and node.attr in ("now", "utcnow", "today", "fromtimestamp")
            if clock and isinstance(node.value, ast.Name) and node.value.id in ("datetime", "date"):  # type: ignore[attr-defined]
                asked.append(f"{path.relative_to(ROOT)}:{node.lineno}")  # type: ignore[attr-defined]
    assert asked == []


def test_the_purity_contract_forbids_clocks_and_sockets() -> None:
    assert {"asyncio", "os", "pathlib", "random", "socket", "sqlite3", "time"} <= set(
        contract("pure")["forbidden_modules"].split()
    )
