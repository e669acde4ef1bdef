"""A command line in this process, and a home to run it on."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from prewatt import cli
from prewatt import people as keeping
from prewatt.output import CHOSEN


@dataclass(frozen=True, slots=True)
class Ran:
    """What one command line did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The last line of stdout, which under ``-o json`` is one object."""
        found: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return found


Run = Callable[..., Ran]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """``run("accounts", "list", "-o", "json")``."""

    def command(*words: str | Path) -> Ran:
        capsys.readouterr()
        CHOSEN.set(None)
        monkeypatch.setattr(sys, "argv", ["prewatt", *map(str, words)])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        told = capsys.readouterr()
        return Ran(code, told.out, told.err)

    return command


@pytest.fixture(scope="module")
def cheap() -> Iterator[None]:
    """scrypt with a small cost: what is tested is who gets in, not how long it takes."""
    before, keeping.COST = keeping.COST, 1 << 4
    yield
    keeping.COST = before


@pytest.fixture
def home(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh home, named by PREWATT_HOME."""
    monkeypatch.delenv("PREWATT_TEST_CLOCK", raising=False)
    place = tmp_path / "home"
    made = run("init", place, "--zone", "Asia/Shanghai", "--book", "demo", "-o", "json")
    assert made.code == 0, made.err
    monkeypatch.setenv("PREWATT_HOME", str(place))
    return place


@pytest.fixture
def accounts(home: Path, run: Run, tmp_path: Path) -> Path:
    """Three accounts in the home; returns their file."""
    file = tmp_path / "accounts.csv"
    file.write_text(
        "account,meter,book,class,zone,phone,lang,from\n"
        "A1,M1,demo,residential,Asia/Shanghai,+8613800000001,zh,2026-01-01\n"
        "A2,M2,demo,residential,Asia/Shanghai,+8613800000002,en,2026-01-01\n"
        "A3,M3,demo,large,Asia/Shanghai,,en,\n",
        encoding="utf-8",
    )
    done = run("accounts", "import", file, "-o", "json")
    assert (done.code, done.json["new"]) == (0, 3), done.out
    return file
