"""kill -9 at the named steps of commit, seal, compaction and publish: nothing lost, nothing doubled."""

import multiprocessing
import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from storage.catalog import publish
from storage.store import CRASH_POINTS, Store
from storage.verify import verify
from tests.storage import crashing
from tests.storage.conftest import HOUR, T0, StillClock
from tests.storage.crashing import batch_rows

pytestmark = pytest.mark.kill
KILLS = int(os.environ.get("PREWATT_KILLS", "10"))
ROUNDS = 40


FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["tests.storage.crashing"]
)  # the imports once; each life is then a fork of a quiet process


def life(work: Callable[..., None], *arguments: object) -> int:
    """The exit code of one process that does ``work``, minus the signal that killed it."""
    process = FORKS.Process(target=work, args=arguments)
    process.start()
    process.join(120)
    assert process.exitcode is not None
    return process.exitcode


def run(home: Path, kill_at: int) -> int:
    """One life of the process that is killed at its n-th step."""
    return life(crashing.main, home, kill_at, ROUNDS)


def acknowledged(home: Path) -> set[str]:
    return set((home / "acknowledged").read_text().split())


def check(home: Path) -> None:
    """Everything acknowledged is there once, the ledger is sound, the catalog shows the same rows as the store."""
    heard = acknowledged(home)
    with Store.open(home / "h", clock=StillClock()) as store:
        assert verify(store).ok
        table = store.reads(T0 - 1000 * HOUR, T0 + 1000 * HOUR)
        rows = {(r["meter_id"], (r["end"] - T0) // HOUR, r["register_wh"]) for r in table.to_pylist()}
        assert table.num_rows == len(rows)
        batches = {int(word[1:]) for word in heard if word[0] == "b"}
        assert {row for n in batches for row in batch_rows(n)} <= rows
        top = max(batches, default=-1) + 1
        assert rows <= {row for n in range(top + 1) for row in batch_rows(n)}
        paid = sum(int(word[1:]) + 1 for word in heard if word[0] == "p")
        posted = sum(store.read(lambda r: r.balances()).values())
        assert paid <= posted <= sum(n + 1 for n in range(top + 1))
        assert store.read(lambda r: r.ledger_sum()) == 0
        store.lake.seal(T0)
        publish(store, T0)
    link = duckdb.connect(str(home / "h" / "catalog.duckdb"), read_only=True)
    shown = link.execute("SELECT count(*) FROM reads").fetchall()
    link.close()
    assert shown == [(len(rows),)]


def test_kills_drawn_over_the_steps(tmp_path: Path) -> None:
    """One home lives through every kill: each life takes up what the last one left."""
    (tmp_path / "h").mkdir()
    (tmp_path / "acknowledged").touch()
    draw = random.Random(20250110)
    kills = 0
    while kills < KILLS:
        code = run(tmp_path, draw.randrange(1, 30))
        if code == 0:  # came to the end before its kill: start a new history
            check(tmp_path)
            for file in sorted((tmp_path / "h").rglob("*"), reverse=True):
                file.unlink() if file.is_file() else file.rmdir()
            (tmp_path / "acknowledged").write_text("")
            continue
        assert code == -signal.SIGKILL
        kills += 1
        check(tmp_path)
    assert run(tmp_path, 10**9) == 0
    check(tmp_path)
    assert {f"b{n}" for n in range(ROUNDS)} <= acknowledged(tmp_path)
    coverage = Counter((tmp_path / "steps").read_text().split())
    print("kills by step:", dict(sorted(coverage.items())))
    assert coverage.total() == KILLS


STEPS = [name for name in CRASH_POINTS if name.split(".")[0] in ("seal", "file", "compact", "publish")]


@pytest.mark.parametrize("step", STEPS)
def test_a_stop_at_each_step_leaves_a_sound_home(tmp_path: Path, clock: StillClock, step: str) -> None:
    """The same steps by name: the process ends there without a word (os._exit), then another opens."""
    home = tmp_path / "h"
    home.mkdir()
    assert life(crashing.stop_at, home, step) == 9
    with Store.open(home, clock=clock) as store:
        assert store.lake.orphans() == []
        assert verify(store).ok
        assert store.reads(T0 - HOUR, T0 + 100 * HOUR).num_rows == 60
        store.lake.seal(T0)
        store.lake.compact(T0 + timedelta(days=90))
        publish(store, T0)
        assert store.reads(T0 - HOUR, T0 + 100 * HOUR).num_rows == 60
    link = duckdb.connect(str(home / "catalog.duckdb"), read_only=True)
    assert link.execute("SELECT count(*) FROM reads").fetchall() == [(60,)]
    link.close()
