"""A home and a number go in; one account's cut and return on real files come out, killed with -9 at the n-th commit.

What must survive a death lives outside the process: ``metal`` holds each order that reached the meter, and where its
relay stands. The clock goes on from one life to the next by the number of lives.
"""

import asyncio
import os
import signal
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from control import tables
from ingest.records import Drive, RelayState
from storage.store import Store
from storage.unit import Unit
from storage.writer import Priority
from tests.control.rig import NOW, FakeLink, FakeMeter, HandClock, Rig, seed

BETWEEN = timedelta(minutes=3)
TURNS = 5
NEVER = 10**9


def metal(home: Path) -> list[str]:
    """The orders that reached the meter, oldest first, as action:fence."""
    path = home / "metal"
    return path.read_text().split() if path.exists() else []


class Lasting(Rig):
    """The rig on a store that syncs; who opens it again finds what the last life left."""

    def __post_init__(self) -> None:
        """Fill the home once; the meter stands as its file says."""
        meter = FakeMeter("S1")
        for word in metal(self.home):
            action, _, fence = word.partition(":")
            meter.relay = RelayState.OPEN if action == "disconnect" else RelayState.CLOSED
            meter.fence = int(fence)
        self.link = FakeLink(self.clock, {"M1": meter})
        self.store = self.open()
        if not (self.home / "begun").exists():
            self.store.write(Priority.BATCH, self._fill)
            (self.home / "begun").touch()

    def _fill(self, unit: Unit) -> None:
        seed(unit, 1)
        self.facts(unit)

    def open(self) -> Store:
        """With every fsync of the real thing."""
        return Store.open(self.home / "h", tables.TABLES, clock=self.clock, writer="inline")


def life(home: Path, lives: int, kill_at: int, step: str) -> None:
    """Take up the story where it stands: cut, payment, return; die at the ``kill_at``-th ``step``."""
    clock = HandClock(NOW + lives * BETWEEN, lives * BETWEEN.total_seconds())
    rig = Lasting(home, clock=clock)
    out = os.open(home / "metal", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    passed = 0

    def die(name: str) -> None:
        nonlocal passed
        passed += name == step
        if passed == kill_at and name == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def arrived(drive: Drive) -> None:
        os.write(out, f"{drive.action}:{drive.fence}\n".encode())

    rig.store.crash_points = die
    rig.link.after_drive = arrived
    asyncio.run(story(rig))
    rig.store.close()


async def story(rig: Rig) -> None:
    """The hours of one life."""
    engine = rig.engine()
    for _ in range(TURNS):
        rig.facts_now()
        await engine.decide()
        await engine.dispatch()
        rig.clock.forward(20)
    await engine.pay(replace(rig.payment(), at=NOW))
    for _ in range(TURNS):
        await engine.dispatch()
        await engine.reconcile()
        rig.clock.forward(20)
