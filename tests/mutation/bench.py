"""A mutant goes in, whether a test notices comes out: killed, survived, or late; each in a forked child of its own."""

import functools
import importlib
import importlib.util
import os
import resource
import signal
import sys
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from tests.mutation.breaking import Mutant

VERDICTS = ("killed", "survived", "late")
SECONDS = 120  # of CPU that a child may take
TARIFFS = 60
ROOT = Path(__file__).resolve().parents[2]
TESTS = ("holes", "components", "rules", "attribute_cuts", "reference", "banks", "calendar", "money")  # of every module
OF: dict[str, tuple[str, ...]] = {
    "tariff.book": ("book", "keys", "oddities"),
    "tariff.components.credit_bank": ("banks",),
    "tariff.components.net_metering": ("banks",),
    "tariff.components": ("rules", "book", "keys"),
    "tariff.banks": ("banks",),
    "tariff.charges": ("kernel",),
    "tariff.difference": ("difference",),
    "tariff.estimate": ("estimate",),
    "tariff.explain": ("vend", "statement"),
    "tariff.history": ("statement", "long_spans"),
    "tariff.jumps": ("accrual",),
    "tariff.kernel": ("kernel",),
    "tariff.late_fee": ("components",),
    "tariff.lines": ("long_spans",),
    "tariff.oddities": ("oddities",),
    "tariff.periods": ("statement",),
    "tariff.schema": ("schema",),
    "tariff.standing": ("statement",),
    "tariff.statement": ("statement",),
    "tariff.streams": ("long_spans",),
    "tariff.urdb": ("urdb",),
    "tariff.usage": ("statement",),
    "tariff.vend": ("vend",),
}


class Bench:
    """Random bills with the reference's answers, and the tests of tests/tariff, read once."""

    def __init__(self) -> None:
        """Rate the bills by the reference."""
        from tests.mutation.bills import Trial

        self.trials = [Trial(seed) for seed in range(TARIFFS)]

    def unbroken(self) -> str:
        """What is wrong without any mutant; "" if nothing is."""
        wrong = [trial.seed for trial in self.trials if not trial.holds()]
        if wrong:
            return f"bills of the random tariffs {wrong} are not the reference's"
        files = tests_of("")
        return "" if forked(lambda: _tested(files)) == "survived" else f"{files} fail"

    def verdict(self, mutant: Mutant) -> str:
        """Whether the bills or the tests notice."""
        return forked(lambda: self._tried(mutant))

    def _tried(self, mutant: Mutant) -> bool:
        """Exchange the code, then ask the bills, then the tests; true if all is as it was."""
        if mutant.inside:
            exchange(mutant)
        else:
            renew(mutant)
            from tests.mutation.bills import Trial

            self.trials = [Trial(seed, like=one) for seed, one in enumerate(self.trials)]
        return all(trial.holds() for trial in self.trials) and _tested(tests_of(mutant.module))


def tests_of(module: str) -> list[str]:
    """Files of tests/tariff for a module, its own first."""
    own = next((names for start, names in OF.items() if module.startswith(start)), ())
    files = (ROOT / "tests" / "tariff" / f"test_{name}.py" for name in dict.fromkeys((*own, *TESTS)))
    return [str(path) for path in files if path.exists()]


def _tested(files: list[str]) -> bool:
    return pytest.main(["-q", "-x", "--no-header", "-p", "no:cacheprovider", *files]) == 0


def forked(work: Any) -> str:
    """Run ``work`` in a child: survived where it says true, killed where not or where it raises, late if it hangs."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
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
    """Empty every cache of tariff/."""
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] == "tariff":
            for one in list(vars(module).values()):
                if isinstance(one, functools._lru_cache_wrapper):
                    one.cache_clear()


def renew(mutant: Mutant) -> None:
    """Import tariff/ and the tests again, the broken module from its mutant's code."""
    for name in list(sys.modules):
        if name.split(".")[0] == "tariff" or (name.startswith("tests.") and not name.startswith("tests.mutation.b")):
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
