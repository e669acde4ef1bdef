"""Full disk, read-only disk, a file that may not grow: nothing is acknowledged, nothing leaves, all goes on after."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.kill
ROOT = Path(__file__).resolve().parents[2]
SMALL = "mount -t tmpfs -o size=6m tmpfs {folder} && exec {python} -m tests.proof.disks {folder} {kind}"


def run(folder: Path, kind: str) -> dict[str, Any]:
    """The story on a disk of its own, in a namespace where mounting is allowed."""
    words = [sys.executable, "-m", "tests.proof.disks", str(folder), kind]
    if kind != "limit":
        probe = subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False)
        if probe.returncode:
            pytest.skip("no mounts of our own here")
        shell = SMALL.format(folder=folder, python=sys.executable, kind=kind)
        words = ["unshare", "-rm", "sh", "-c", shell]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("kind", ["full", "readonly", "limit"])
def test_a_disk_that_fails_loses_doubles_and_sends_nothing(tmp_path: Path, kind: str) -> None:
    found = run(tmp_path, kind)
    assert all(found["said"]), "a payment or an order was taken by a store that cannot write"
    assert found["during"]["drives"] == 0 and found["during"]["payments"] == 0
    assert "nothing of this was acknowledged" in found["during"]["failure"], "the state must say what to do"
    assert found["after"] == ["posted", "duplicate"] and found["payments"] == 1
    assert found["drives"] == [] and found["relay"] == "closed", "who has paid is never cut"
    assert found["cuts"] in (["superseded"], ["expired"], ["cancelled"])
    assert [(kind, "look at disk" in words) for kind, words in found["incidents"]] == [("engine_was_silent", True)]
    assert found["ledger_sum"] == 0 and found["sound"]
