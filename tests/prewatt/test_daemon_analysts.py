"""Two DuckDB processes query the catalog while the daemon writes: no error, never a half view."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from sim.town import build
from tests.simulation.day import Day, Moment

pytestmark = pytest.mark.sockets
HOURS, FIRST = 6, 1
GROWING = ("reads", "intervals", "charges", "postings")


def look(catalog: Path) -> "subprocess.Popen[str]":
    words = [sys.executable, "-m", "tests.simulation.analyst", str(catalog)]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_two_processes_query_while_the_daemon_writes(tmp_path: Path) -> None:
    analysts: list[subprocess.Popen[str]] = []

    def each(moment: Moment, day: Day) -> None:
        if moment.number == FIRST:
            analysts.extend(look(day.home / "catalog.duckdb") for _ in range(2))

    day = Day(tmp_path / "d", build(3, 10), HOURS)
    try:
        found = day.live(each)
        told = [analyst.communicate("stop", timeout=30)[0] for analyst in analysts]
    finally:
        for analyst in analysts:
            analyst.kill()
            analyst.wait()
    assert [analyst.returncode for analyst in analysts] == [0, 0]
    for text in told:
        looks = [json.loads(line) for line in text.splitlines()]
        assert len({one["reads"] for one in looks}) >= HOURS - 2, "looked while it grew"
        for one in looks:
            assert one["reads"] == one["slots"], "a slot twice"
            assert (one["intervals"], one["used_wh"]) == (one["charges"], one["charged_wh"]), "half a view"
            assert one["ledger_sum"] == 0
        for before, after in pairwise(looks):
            assert all(before[name] <= after[name] for name in GROWING), "something went away"
    assert looks[-1]["reads"] <= len(found["reads"])
