"""kill -9 at every commit of a cut, a payment and a return, on real files: nothing lost, doubled or sent twice."""

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from control import tables
from control.records import Command, CommandState
from storage.records import Payment, Posting
from storage.store import Store
from storage.verify import verify
from tests.control.rig import HandClock
from tests.proof import killing

pytestmark = pytest.mark.kill
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.proof.killing"])
LIVES = 2
EVERY = int(os.environ.get("PREWATT_KILL_EVERY", "6"))  # 1: at every commit, which takes a minute


def live(home: Path, lives: int, kill_at: int, step: str) -> int:
    """The exit code of one life."""
    process = FORKS.Process(target=killing.life, args=(home, lives, kill_at, step))
    process.start()
    process.join(120)
    assert process.exitcode is not None
    return process.exitcode


def sound(home: Path) -> None:
    """One cut at most, a return behind each, the payment posted once, everything at its end, chain and ledger right."""
    orders = killing.metal(home)
    assert orders in ([], ["disconnect:1"], ["disconnect:1", "connect:2"], ["connect:2"]), orders
    with Store.open(home / "h", tables.TABLES, clock=HandClock()) as store:
        assert verify(store).ok
        commands = store.read(lambda reader: reader.find(Command))
        states = {row.state for row in commands}
        assert states <= {CommandState.VERIFIED, CommandState.SUPERSEDED}, states
        assert len(store.read(lambda reader: reader.find(Payment))) == 1
        legs = store.read(lambda reader: reader.find(Posting, source="payment:webhook"))
        assert len(legs) == 2
        assert store.read(lambda reader: reader.ledger_sum()) == 0
    if "disconnect:1" in orders:
        assert orders[-1] == "connect:2", "paid, and left in the dark"


@pytest.mark.parametrize("step", ["commit.before", "commit.after"])
def test_killed_at_every_commit_nothing_is_lost_doubled_or_sent_twice(tmp_path: Path, step: str) -> None:
    peace = tmp_path / "peace"
    peace.mkdir()
    assert live(peace, 0, killing.NEVER, step) == 0
    sound(peace)
    assert killing.metal(peace) == ["disconnect:1", "connect:2"], "the story is not told at all"
    kill_at, killed = 1, 0
    while True:
        home = tmp_path / f"{kill_at}"
        home.mkdir()
        first = live(home, 0, kill_at, step)
        if first == 0:
            break  # the story is over before its ``kill_at``-th commit
        assert first == -signal.SIGKILL
        killed += 1
        for again in range(1, LIVES):
            assert live(home, again, killing.NEVER, step) == 0
        sound(home)
        kill_at += EVERY
    print(f"{step}: {killed} kills, each followed by {LIVES - 1} lives")
    assert killed * EVERY >= 20, "the story has become short"
