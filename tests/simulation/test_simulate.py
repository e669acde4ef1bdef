"""The whole engine on virtual time: no invariant breaks under faults, equal seeds give equal hashes everywhere."""

import cProfile
import json
import os
import pstats
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sim.run import simulate
from sim.world import THROUGH, Cast

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[2]
ACCOUNTS, DAYS, SEED = 30, 3, 5


def test_no_invariant_breaks_under_the_standard_faults() -> None:
    found = simulate(ACCOUNTS, DAYS, SEED)
    print(f"seed {SEED}: {json.dumps(found)}")
    assert found["invariants"] == "ok"
    assert found["disconnects"] >= 3
    assert found["reconnects"] == found["disconnects"]
    assert found["paid_but_dark_end"] == 0
    assert found["hours_wrongly_off"] == 0
    assert found["silent_breaches"] == 0
    assert all(times > 0 for times in found["faults"].values()), found["faults"]


def test_the_run_goes_through_the_product_and_decides_nothing_itself() -> None:
    profile = cProfile.Profile()
    found = profile.runcall(simulate, 5, 2, 4, faults="none", cast=Cast(transport="direct"))
    assert found["disconnects"], "somebody must be cut for it to go through all"
    stats: dict[tuple[str, int, str], Any] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    seen = {(Path(file).stem, name) for file, _, name in stats}
    missed = [name for name in THROUGH if tuple(name.split(".")[-2:]) not in seen]
    assert not missed


def test_equal_seeds_give_equal_hashes_whatever_the_process_and_the_hash_seed_and_others_do_not() -> None:
    code = (
        "import json; from sim.run import simulate; from sim.world import Cast;"
        "print(json.dumps(simulate(8, 1, 3, faults='wire', cast=Cast(warm_up_days=1))))"
    )
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for hash_seed in ("1", "4711")
    ]
    other = simulate(8, 1, 4, faults="wire", cast=Cast(warm_up_days=1))  # while they run
    first, second = (json.loads(run.communicate(timeout=280)[0]) for run in runs)
    assert first == second
    assert len(first["trace_hash"]) == 64
    assert other["trace_hash"] != first["trace_hash"]
