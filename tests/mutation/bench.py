"""A mutant goes in, whether a test notices comes out: killed, survived, or late; each in a forked child of its own.

The tests are collected once, and a child measures which lines of tariff/ each of them, and each random bill, goes
through. A mutant's child exchanges the broken function and asks only those that go through its line, the quickest
first.
"""

import functools
import importlib
import importlib.util
import os
import pickle
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from tests.mutation.breaking import Mutant

VERDICTS = ("killed", "survived", "late")
SECONDS = 120  # of CPU that a child may take
ENOUGH = 30  # of CPU, as measured with the watch over lines (two to three times the plain), that a mutant's tests take
TARIFFS = 60
ROOT = Path(__file__).resolve().parents[2]
SLOW = ("test_accrual.py", "test_cases.py")  # thousands of slots, or processes of their own: not for each mutant
FOLDERS = ("tests/tariff", "tests/golden", "tests/cases", "tests/prewatt/test_tariff_verbs.py")
OPTIONS = ("-q", "-x", "--no-header", "-p", "no:cacheprovider", "-p", "no:timeout", "-p", "no:xdist", "--capture=sys")
TARIFF = str(ROOT / "tariff") + os.sep
Place = tuple[str, int]  # file and line


@dataclass(frozen=True)
class Witness:
    """A test or a random bill: its place among them, the CPU seconds that it took, and the lines it went through."""

    place: int
    seconds: float
    lines: frozenset[Place]


class Bench:
    """Random bills with the reference's answers, and the tests, read once; a plug-in of pytest that runs ``work``."""

    def __init__(self, work: Callable[["Bench"], None]) -> None:
        """Rate the bills by the reference; ``work`` is called with the bench when all is measured."""
        from tests.mutation.bills import Trial

        self.work = work
        self.trials = [Trial(seed) for seed in range(TARIFFS)]
        self.items: list[pytest.Item] = []
        self.witnesses: list[Witness] = []
        self.problem = ""

    def run(self) -> str:
        """Collect, measure, and do the work; what is wrong without any mutant, "" if nothing is."""
        places = [str(ROOT / folder) for folder in FOLDERS]
        code = pytest.main([*OPTIONS, *places], plugins=[self])
        return self.problem or ("" if code == pytest.ExitCode.OK else f"pytest: {code!r}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Measure what was collected, and break the code, instead of running the tests."""
        self.items = [item for item in session.items if item.path.name not in SLOW]
        with tempfile.NamedTemporaryFile() as file:
            path = Path(file.name)
            verdict = forked(lambda: self._measure(path), seconds=20 * SECONDS)
            found = pickle.loads(path.read_bytes()) if verdict == "survived" else f"the tests are {verdict}"
        if isinstance(found, str):
            self.problem = found
        else:
            self.witnesses = sorted(found, key=lambda one: one.seconds)
            self.work(self)
        return True

    def _measure(self, path: Path) -> bool:
        """Leave a witness for each test and bill, or the first of them that fails."""
        found: list[Witness] = []
        problem = ""
        for place in range(len(self.trials) + len(self.items)):
            began = time.process_time()
            trace = Trace()
            if not trace.of(lambda place=place: self._passes([place])):  # type: ignore[misc]
                problem = f"{self._name(place)} fails as it is"
                break
            found.append(Witness(place, time.process_time() - began, frozenset(trace.lines)))
        path.write_bytes(pickle.dumps(problem or found))
        return True

    def _name(self, place: int) -> str:
        tests = place - len(self.trials)
        return self.items[tests].nodeid if tests >= 0 else f"the bill of the random tariff {place}"

    def _passes(self, places: Sequence[int]) -> bool:
        """Whether these bills and tests hold, in this order; the first that does not ends it."""
        count = len(self.trials)
        for number, place in enumerate(places):
            if place < count:
                if not self.trials[place].holds():
                    return False
                continue
            following = next((self.items[one - count] for one in places[number + 1 :] if one >= count), None)
            reports = runtestprotocol(self.items[place - count], nextitem=following, log=False)
            if any(report.failed for report in reports):
                return False
        return True

    def witnesses_of(self, mutant: Mutant) -> list[int]:
        """Who goes through the mutant's line, the quickest first, as many as there is time for."""
        line = (str(mutant.path), mutant.line)
        own = [one for one in self.witnesses if line in one.lines]
        spent = accumulate(one.seconds for one in own)
        return [one.place for one, seconds in zip(own, spent, strict=True) if seconds < ENOUGH]

    def verdict(self, mutant: Mutant) -> str:
        """Whether any witness of a function's mutant notices; one that nobody goes through survives."""
        places = self.witnesses_of(mutant)

        def tried() -> bool:
            exchange(mutant)
            return self._passes(places)

        return forked(tried) if places else "survived"

    def files_of(self, path: Path) -> list[str]:
        """Files of tests that go through a module, those that do so in the least time first."""
        spent: dict[str, float] = {}
        for one in self.witnesses:
            if one.place >= len(self.trials) and any(name == str(path) for name, _ in one.lines):
                name = str(self.items[one.place - len(self.trials)].path)
                spent[name] = spent.get(name, 0) + one.seconds
        return sorted(spent, key=lambda name: spent[name])

    def anew(self, mutant: Mutant, files: Sequence[str]) -> str:
        """Whether bills and the tests of ``files`` notice what is broken outside of functions; all is imported anew."""

        def tried() -> bool:
            renew(mutant)
            from tests.mutation.bills import Trial

            trials = (Trial(seed, like=one) for seed, one in enumerate(self.trials))
            return all(trial.holds() for trial in trials) and pytest.main([*OPTIONS, *files]) == 0

        return forked(tried)


class Trace:
    """The lines of tariff/ that some work goes through; a function is watched until all its lines were seen."""

    def __init__(self) -> None:
        self.lines: set[Place] = set()
        self.left: dict[CodeType, set[int]] = {}

    def of(self, work: Callable[[], bool]) -> bool:
        """Do the work, and watch."""
        sys.settrace(self._called)
        try:
            return work()
        finally:
            sys.settrace(None)

    def _called(self, frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        left = self.left.get(code)
        if left is None:
            mine = code.co_filename.startswith(TARIFF)
            left = self.left[code] = {line for _, _, line in code.co_lines() if line} if mine else set()
        if not left:
            return None
        self._seen(code, frame.f_lineno)
        return self._line

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        self._seen(frame.f_code, frame.f_lineno)
        return self._line if self.left[frame.f_code] else None

    def _seen(self, code: CodeType, line: int) -> None:
        self.left[code].discard(line)
        self.lines.add((code.co_filename, line))


def forked(work: Callable[[], bool], *, seconds: int = SECONDS) -> str:
    """Run ``work`` in a child: survived where it says true, killed where not or where it raises, late if it hangs."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            code = 0 if work() else 1
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL):
        return "late"
    return "survived" if status == 0 else "killed"


def exchange(mutant: Mutant) -> None:
    """Put the mutant's code into the function that runs, and forget what was kept."""
    found: Any = importlib.import_module(mutant.module)
    for name in mutant.inside.split("."):
        found = vars(found)[name]
    function(found).__code__ = mutant.code
    forget()


def function(found: Any) -> FunctionType:
    """The plain function under a property, a cache or a static method."""
    while not isinstance(found, FunctionType):
        inner = [getattr(found, name, None) for name in ("__wrapped__", "fget", "__func__", "func")]
        found = next(one for one in inner if one is not None)
    return found


def forget() -> None:
    """Empty every cache of tariff/ and of the tests."""
    for cache in caches():
        cache.cache_clear()


def caches() -> Iterator[Any]:
    """What keeps results of functions."""
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] in ("tariff", "tests"):
            yield from (one for one in list(vars(module).values()) if isinstance(one, functools._lru_cache_wrapper))


def renew(mutant: Mutant) -> None:
    """Import tariff/ and the tests again, the broken module from its mutant's code."""
    for name in list(sys.modules):
        if name.split(".")[0] in ("tariff", "prewatt", "storage", "control") or (
            name.startswith("tests.") and not name.startswith("tests.mutation.b")
        ):
            del sys.modules[name]
    sys.modules.pop("tests.mutation.bills", None)
    sys.meta_path.insert(0, _Finder(mutant))


class _Finder:
    """Gives the broken module."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """The mutant's spec, None for any other module."""
        if name != self.mutant.module:
            return None
        places = [str(self.mutant.path.parent)] if self.mutant.path.name == "__init__.py" else None
        loader: Any = self
        return importlib.util.spec_from_file_location(
            name, self.mutant.path, loader=loader, submodule_search_locations=places
        )

    def create_module(self, spec: Any) -> None:
        """As usual."""

    def exec_module(self, module: Any) -> None:
        """Run the mutant's code."""
        exec(self.mutant.code, module.__dict__)
