"""The host clock jumps in the middle of an order: nothing is doubled, lost, or sent in a window that is shut."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from control import commands
from control.engine import Engine
from control.hostclock import HostClock
from control.records import Action, CommandState
from ingest.records import Drive, RelayState
from storage.records import Payment
from tests.control.rig import DAY, HOUR, Rig
from tests.control.test_dispatch import order

JUMPS = {"back a day": -DAY, "back an hour": -HOUR, "on an hour": HOUR, "on a day": DAY}
MOMENTS = ("queued", "on the wire", "acknowledged")


def ticking(rig: Rig) -> Engine:
    """An engine that watches its host's clock itself."""
    engine, host = rig.engine(), HostClock(rig.settings)
    real = rig.world
    engine.world = lambda: replace(  # type: ignore[method-assign]
        real(), clock_ok=host.look(rig.clock.now(), rig.clock.monotonic())
    )
    engine.dispatcher._world = engine.world
    engine.world()
    return engine


async def turns(engine: Engine, rig: Rig, count: int) -> None:
    for _ in range(count):
        await engine.dispatch()
        await engine.reconcile()
        rig.clock.forward(60)


@pytest.mark.parametrize("jump", JUMPS)
@pytest.mark.parametrize("moment", MOMENTS)
def test_who_paid_is_on_whatever_the_clock_does(tmp_path: Path, moment: str, jump: str) -> None:
    rig = Rig(tmp_path)
    order(rig)
    engine = ticking(rig)

    def leap(drive: Drive | None = None) -> None:
        if drive is None or drive.action == "disconnect":
            rig.clock.at += JUMPS[jump]

    rig.link.before_drive = leap if moment == "on the wire" else None
    rig.link.after_drive = leap if moment == "acknowledged" else None

    async def story() -> None:
        if moment == "queued":
            leap()
        await turns(engine, rig, 3)
        rig.link.before_drive = rig.link.after_drive = None
        await engine.pay(rig.payment())
        await engine.pay(rig.payment())
        await turns(engine, rig, 20)

    asyncio.run(story())
    assert rig.meter.relay is RelayState.CLOSED
    assert all(row.state in commands.ENDS for row in rig.commands())
    assert len(rig.find(Payment)) == 1 and rig.store.read(lambda reader: reader.ledger_sum()) == 0
    actions = [drive.action for drive in rig.link.drives]
    assert actions.count("disconnect") <= 1 and actions.count("connect") <= 1, actions
    if moment == "queued":
        assert actions == [], "an order left on a clock that had just jumped"


@pytest.mark.parametrize("jump", JUMPS)
def test_a_cut_waits_for_the_clock_and_a_return_does_not(tmp_path: Path, jump: str) -> None:
    rig = Rig(tmp_path, accounts=2)
    order(rig)
    order(rig, Action.CONNECT, 2)
    engine = ticking(rig)
    rig.clock.at += JUMPS[jump]
    asyncio.run(turns(engine, rig, 3))
    assert [drive.action for drive in rig.link.drives] == ["connect"]
    assert {row.action: row.state for row in rig.commands()}[Action.CONNECT] is CommandState.VERIFIED


def test_without_the_watch_on_the_clock_the_cut_leaves(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    order(rig)
    engine = rig.engine()
    rig.clock.at += timedelta(minutes=10)
    asyncio.run(turns(engine, rig, 1))
    assert [drive.action for drive in rig.link.drives] == ["disconnect"]
