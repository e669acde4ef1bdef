"""Each safeguard is taken away in turn, and the test that is named for it must turn red."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from control import guards, reconnect, verdicts
from tests.ablations import Safeguard
from tests.ablations.registry import SAFEGUARDS, by_check

ROOT = Path(__file__).resolve().parents[2]
Runs = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Every check, as it is and without each of its safeguards, in one process of its own."""
    told = tmp_path_factory.mktemp("ablations") / "runs.ndjson"
    words = [sys.executable, "-m", "pytest", "-q", "-p", "tests.ablations.removing", "-p", "no:xdist", *by_check()]
    environment = {**os.environ, "ABLATIONS": str(told)}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert told.exists(), f"no check ran: {done.stdout[-3000:]} {done.stderr[-3000:]}"
    lines = [json.loads(line) for line in told.read_text(encoding="utf-8").splitlines()]
    return {(line["check"], line["safeguard"]): line for line in lines}


@pytest.mark.parametrize("one", SAFEGUARDS, ids=lambda one: one.name.replace(" ", "_"))
def test_without_it_its_check_turns_red(one: Safeguard, runs: Runs) -> None:
    assert (one.check, "") in runs, f"there is no test {one.check}"
    assert runs[one.check, ""]["outcome"] == "passed", runs[one.check, ""]
    without = runs[one.check, one.name]
    assert without["outcome"] == "failed", f"{one.name} was taken away, and its check stayed green: {without}"
    assert without["kind"] in one.red, f"{one.name}: not the check's own word: {without}"


def test_every_name_stands_once() -> None:
    assert [name for name, times in Counter(one.name for one in SAFEGUARDS).items() if times > 1] == []


def test_every_guard_and_every_rule_has_its_row() -> None:
    names = {one.name for one in SAFEGUARDS}
    assert {*guards.CHECKS, *reconnect.CHECKS, *verdicts.rules()} <= names
    assert {f"{name} at the send" for name in guards.CHECKS} <= names
