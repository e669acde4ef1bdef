"""What reaches the engine from outside: storms, the kill switch, clock steps, stops, handhelds."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from control import assemble, signals
from control.hostclock import HostClock
from control.records import (
    Action,
    Command,
    CommandState,
    Decision,
    Hold,
    Incident,
    SealedForecast,
    WorkOrder,
)
from control.settings import Settings
from ingest.records import HandheldMessage, RelayState
from storage.records import Account, Install
from storage.store import Priority
from tests.control.rig import DAY, HOUR, NOW, SETTINGS, Rig
from tests.control.test_engine import dark, outbox, play

S = CommandState


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


# ---- breaker and kill switch


def test_a_storm_trips_the_breaker_before_anything_leaves_and_two_persons_release_it(tmp_path: Path) -> None:
    rig = Rig(tmp_path, accounts=8)
    engine = rig.engine()

    async def storm() -> None:
        report = await engine.decide()
        assert report.quarantined == 8 and report.commands == []
        await engine.dispatch()
        assert rig.link.drives == []
        assert not await engine.release(["ada"]) and not await engine.release(["ada", "engine"])
        assert await engine.release(["ada", "bob"])
        await engine.decide()

    play(rig, storm())
    assert len(rig.commands()) == 8
    assert [row.kind for row in rig.find(Incident)] == ["breaker_tripped"]


def test_the_kill_switch_stops_sends_within_the_turn_and_never_a_reconnect(tmp_path: Path) -> None:
    rig = Rig(tmp_path, accounts=2)
    dark(rig, 2)
    engine = rig.engine()

    async def story() -> None:
        await engine.decide(["A1"])
        assert rig.command().state is S.QUEUED
        await engine.signal(signals.KILL_SWITCH, "on", "ada")
        rig.clock.forward(1)
        await engine.pay(rig.payment(account="A2"))
        await engine.dispatch()

    play(rig, story())
    assert [drive.action for drive in rig.link.drives] == ["connect"]


# ---- the host clock


def test_a_host_clock_that_steps_holds_disconnections_for_a_while() -> None:
    clock = HostClock(Settings())
    assert clock.look(NOW, 0.0)
    assert clock.look(NOW + timedelta(seconds=60), 60.0)
    assert clock.look(NOW + timedelta(seconds=60 + 119), 60.0), "two minutes are allowed"
    assert not clock.look(NOW + timedelta(seconds=600), 120.0)
    assert not clock.look(NOW + timedelta(seconds=600 + 800), 920.0)
    assert clock.look(NOW + timedelta(seconds=600 + 1000), 1120.0)
    assert not clock.look(NOW, 1121.0), "back is a step too"
    assert HostClock(Settings(trust_clock=True)).look(NOW, 0.0)


def test_a_stepped_clock_holds_the_cut_and_not_the_reconnection(tmp_path: Path) -> None:
    rig = Rig(tmp_path, accounts=2)
    dark(rig, 2)
    engine = rig.engine()
    real = rig.world
    engine.world = lambda: replace(real(), clock_ok=False)  # type: ignore[method-assign]
    engine.dispatcher._world = engine.world

    async def story() -> None:
        await engine.decide(["A1"])
        await engine.pay(rig.payment(account="A2"))
        await engine.dispatch()

    play(rig, story())
    assert [drive.action for drive in rig.link.drives] == ["connect"]


# ---- the loop


def test_the_loop_wakes_up_on_a_payment_and_drains_on_a_stop(tmp_path: Path) -> None:
    rig = Rig(tmp_path, settings=replace(SETTINGS, idle_s=30.0, offload=False))
    dark(rig)
    engine = rig.engine(file=outbox(rig))

    async def live() -> float:
        stop = asyncio.Event()
        loop = asyncio.create_task(engine.run(stop))
        await asyncio.sleep(0.3)
        start = asyncio.get_running_loop().time()
        await engine.pay(rig.payment())
        while rig.meter.relay is not RelayState.CLOSED:
            assert not loop.done(), loop.exception()
            await asyncio.sleep(0.01)
        took = asyncio.get_running_loop().time() - start
        stop.set()
        await loop
        return took

    assert play(rig, live()) < 2.0


def test_a_whole_cycle_runs_on_an_empty_book_and_publishes(tmp_path: Path) -> None:
    rig = Rig(tmp_path, settings=replace(SETTINGS, offload=False))
    engine = rig.engine(file=outbox(rig))
    report = play(rig, engine.cycle())
    assert report.accounts == 1 and (rig.home / "catalog.duckdb").exists()
    assert rig.find(SealedForecast, sealed_at=NOW) != []


# ---- handhelds


def message(**changes: object) -> HandheldMessage:
    base = HandheldMessage("m-1", "hh-7", "confirm", 1, NOW, meter="M1", serial="S1", register_wh=1_000_500)
    return replace(base, **changes)  # type: ignore[arg-type]


def test_a_confirmed_read_is_stored_before_the_reply_and_the_reply_has_bill_and_balance(tmp_path: Path) -> None:
    rig = Rig(tmp_path, settings=replace(SETTINGS, offload=False))
    engine = rig.engine()
    reply = play(rig, engine.handheld(message()))
    assert (reply.status, reply.account, reply.balance, reply.currency) == ("accepted", "A1", "-10.00", "CNY")
    assert reply.bill == "110.00"
    rows = rig.store.reads(NOW - HOUR, NOW + HOUR).to_pylist()
    assert [row["register_wh"] for row in rows] == [1_000_500]
    assert rows[0]["flags"] == 4 | 8
    again = play(rig, engine.handheld(message()))
    assert again.status == "duplicate" and again.balance == reply.balance
    assert len(rig.store.reads(NOW - HOUR, NOW + HOUR)) == 1


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"meter": "M9", "serial": ""}, "refused", "unknown_meter"),
        ({"serial": "S9"}, "refused", "wrong_serial"),
        ({"register_wh": None}, "refused", "no_register"),
        ({"kind": "dance"}, "refused", "unknown_kind"),
        ({"register_wh": 5}, "held", "suspect, read again"),
    ],
)
def test_what_cannot_be_right_is_refused_or_held(
    tmp_path: Path, changes: dict[str, object], status: str, reason: str
) -> None:
    rig = Rig(tmp_path, settings=replace(SETTINGS, offload=False))
    reply = play(rig, rig.engine().handheld(message(**changes)))
    assert (reply.status, reply.reason) == (status, reason)


def test_no_access_leaves_one_order_however_often_it_comes(tmp_path: Path) -> None:
    rig = Rig(tmp_path, settings=replace(SETTINGS, offload=False))
    engine = rig.engine()

    async def thrice() -> list[str]:
        return [(await engine.handheld(message(kind="no_access", register_wh=None))).status for _ in range(3)]

    assert play(rig, thrice()) == ["accepted", "duplicate", "duplicate"]
    assert [row.kind for row in rig.find(WorkOrder)] == ["on_site_check"]


# ---- one run after another


def test_a_pass_run_twice_writes_nothing_new(rig: Rig) -> None:
    rig.put(Hold("h1", "A1", "dispute", "court", NOW - DAY))
    engine = rig.engine()

    async def twice() -> None:
        await engine.decide()
        count = len(rig.find(Decision))
        await engine.decide()
        assert len(rig.find(Decision)) == count

    play(rig, twice())


def test_the_batch_and_the_single_case_agree(tmp_path: Path) -> None:
    rig = Rig(tmp_path, accounts=30)
    rig.put(replace(rig.get(Account, "A7"), mode="postpaid"), Hold("h", "", "weather", "x", NOW - HOUR))  # type: ignore[type-var]
    world = rig.world()
    whole = rig.store.read(lambda reader: assemble.cases(reader, None, world))
    assert len(whole) == 30
    for name, found in whole.items():
        assert rig.store.read(lambda reader, name=name: assemble.case(reader, name, world)) == found  # type: ignore[misc]


def test_a_meter_that_ended_leaves_everything_unknown(rig: Rig) -> None:
    rig.put(replace(rig.get(Install, 1, NOW - 200 * DAY), end=NOW))  # type: ignore[type-var]
    found = rig.store.read(lambda reader: assemble.case(reader, "A1", rig.world()))
    assert found is not None and (found.meter, found.relay, found.load_w, found.serial_expected) == (
        "",
        RelayState.UNKNOWN,
        None,
        "",
    )


def test_a_reconnection_that_an_operator_cancels_is_made_anew_for_whoever_has_paid(rig: Rig) -> None:
    dark(rig)
    engine = rig.engine()

    async def story() -> None:
        result = await engine.pay(rig.payment())
        assert await engine.cancel(result.reconnect, "ada", "mistake")
        await engine.reconcile()
        await engine.dispatch()

    play(rig, story())
    assert rig.meter.relay is RelayState.CLOSED


def test_commands_of_the_engine_carry_their_policy_and_decision(rig: Rig) -> None:
    play(rig, rig.engine().decide())
    (command,) = rig.find(Command)
    assert command.policy_version == rig.rules.id and command.action is Action.DISCONNECT
    assert command.valid_until - command.requested == timedelta(minutes=45)
    assert isinstance(command.requested, datetime)


@pytest.mark.parametrize(("ages_h", "newest"), [([80, 71, 200], 80), ([500, 300], 300), ([71, 745], None)])
def test_the_newest_forecast_that_may_count_is_taken(tmp_path: Path, ages_h: list[int], newest: int | None) -> None:
    rig = Rig(tmp_path)
    rig.put(*(replace(rig.get(Account, "A1"), account=name) for name in ("B1", "B2")))  # type: ignore[type-var]
    seals = [SealedForecast("B1", NOW - age * HOUR, NOW - HOUR) for age in ages_h]
    seals += [SealedForecast("B2", NOW - 90 * HOUR, NOW - HOUR), SealedForecast("B2", NOW - 75 * HOUR, None)]
    rig.store.write(Priority.BATCH, lambda unit: [unit.add(seal) for seal in seals])
    found = rig.store.read(lambda reader: assemble.cases(reader, None, rig.world()))
    assert found["A1"].forecast_sealed_at == NOW - 4 * DAY
    assert found["B1"].forecast_sealed_at == (NOW - newest * HOUR if newest else None)
    assert found["B2"].forecast_sealed_at is None
