"""The demo as a newcomer runs it: the story comes true, a dead socket makes it fail, nothing is left running."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sim.concentrator import SECRET as SIMULATED
from tests.prewatt.test_secrets import leaks, spelled

ROOT = Path(__file__).resolve().parents[2]
STORY = [
    "meters_read",
    "warning",
    "protected_work_order",
    "handheld_bill",
    "grace",
    "approval",
    "disconnected",
    "payment",
    "duplicate_ignored",
    "reconnected",
    "books_right",
]


def demo(*more: str, folder: str = "") -> tuple[int, dict[str, Any], str]:
    done = subprocess.run(
        [sys.executable, "-m", "prewatt", "demo", "--exit", "-o", "json", *more],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, **({"TMPDIR": folder} if folder else {})},
    )
    return done.returncode, json.loads(done.stdout.splitlines()[-1]), done.stderr


def processes_of(folder: str) -> list[str]:
    """Command lines of running processes that name ``folder``: the simulated field and the broker do."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if folder in text:
            found.append(text)
    return found


def watched(folder: Path, running: Future[Any]) -> tuple[dict[str, bytes], set[str]]:
    """The secrets of the demo's home, and where one stood outside its folder of secrets while the demo ran."""
    secrets: dict[str, bytes] = {}
    leaked: set[str] = set()
    while not running.done():
        time.sleep(0.5)
        with contextlib.suppress(OSError):  # the home goes away when the demo ends
            for place in folder.rglob("secrets"):
                found = spelled(place.parent).items()  # the simulated meters' password is digits that serials hold too
                secrets |= {name: text for name, text in found if SIMULATED not in text}
            leaked |= set(leaks(folder, secrets))
    return secrets, leaked


@pytest.mark.sockets
def test_the_story_comes_true_and_leaves_nothing_behind() -> None:
    with tempfile.TemporaryDirectory(prefix="pw") as folder, ThreadPoolExecutor(1) as beside:
        running = beside.submit(demo, folder=folder)  # a short folder: a socket's path has a limit
        secrets, leaked = watched(Path(folder), running)
        code, figures, said = running.result()
        assert processes_of(folder) == []
        assert list(Path(folder).iterdir()) == []
    assert code == 0, said
    assert len(secrets) >= 4, "no secrets to look for"
    spoken = (said + json.dumps(figures)).encode()
    assert leaked | {name for name, text in secrets.items() if text in spoken} == set()
    assert figures["schema"] == "prewatt.demo/1"
    assert sorted(step["name"] for step in figures["steps"]) == sorted(STORY)
    assert all(step["ok"] for step in figures["steps"])
    assert [s["name"] for s in figures["steps"][-6:]] == STORY[-6:]
    assert figures["wrong_disconnections"] == 0
    assert figures["ledger_sum"] == "0"
    assert 0 < figures["paid_to_power_s"] < 60
    assert figures["reads"] > 1000


@pytest.mark.sockets
def test_a_meters_socket_that_dies_in_mid_demo_makes_it_fail() -> None:
    with ThreadPoolExecutor() as both:
        ends = list(both.map(lambda gateway: demo("--kill", gateway), ("modbus-01", "dlms-01")))
    for code, figures, said in ends:
        assert code == 1
        assert figures["steps"][-1]["name"] == "failed"
        assert "no read of" in said
