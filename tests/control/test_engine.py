"""The engine on a real store: warnings before the cut, protection, approval, sweeps, crews, remedies, drain."""

import asyncio
import json
from collections.abc import Coroutine
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from control import invariants, reconcile, signals
from control.channels.file import FileOutbox
from control.engine import Engine
from control.records import (
    CommandState,
    Decision,
    Evidence,
    Hold,
    Incident,
    Notice,
    Service,
    Wanted,
    WorkOrder,
)
from control.signals import Signal
from ingest.records import RelayState
from storage.records import AccountState
from storage.store import Priority
from tests.control.rig import CNY, DAY, HOUR, NOW, SETTINGS, Rig, residential

S = CommandState


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def outbox(rig: Rig) -> FileOutbox:
    return FileOutbox(rig.home / "outbox.ndjson", durable=False)


def play(rig: Rig, work: Coroutine[Any, Any, Any]) -> Any:
    found = asyncio.run(work)
    broken = rig.store.read(lambda reader: invariants.check(reader, rig.clock.now(), rig.settings))
    assert broken == [], broken
    return found


def hourly(rig: Rig, engine: Engine, hours: int, *, stop: Any = lambda: False) -> None:
    """The cycle without collecting: decide, notify, dispatch, with a fresh read and channels each hour."""

    async def go() -> None:
        for _ in range(hours * 2):
            if stop():
                return
            rig.facts_now()
            now = rig.clock.now()
            state = rig.get(AccountState, "A1")
            rig.put(replace(state, accrued_to=now.replace(minute=0, second=0)))  # type: ignore[type-var]
            rig.put(replace(rig.get(signals.Visit, "M1"), at=now))  # type: ignore[type-var]
            await engine.decide()
            await engine.notify()
            await engine.dispatch()
            await engine.reconcile()
            await engine.dispatch()
            rig.clock.forward(1800)

    play(rig, go())


def test_a_due_account_is_cut_and_told_and_comes_back_when_it_pays(rig: Rig) -> None:
    engine = rig.engine(file=outbox(rig))

    async def story() -> None:
        await engine.decide()
        await engine.dispatch()
        assert rig.meter.relay is RelayState.OPEN
        rig.clock.forward(60)
        result = await engine.pay(rig.payment())
        assert result.reconnect
        await engine.dispatch()
        assert rig.meter.relay is RelayState.CLOSED
        assert (await engine.pay(rig.payment())).status == "duplicate"
        await engine.notify()

    play(rig, story())
    told = [json.loads(line) for line in (rig.home / "outbox.ndjson").read_text().splitlines()]
    assert [row["code"] for row in told if row["code"] in ("disconnected", "reconnected")] == [
        "disconnected",
        "reconnected",
    ]
    assert len(rig.meter.changes) == 2


def test_the_decision_and_its_command_are_one_record_that_rederives(rig: Rig) -> None:
    from control import explain

    play(rig, rig.engine().decide())
    command = rig.command()
    decision = rig.get(Decision, command.decision)
    assert isinstance(decision, Decision) and decision.verdict == "disconnect"
    assert explain.holds_up(decision, rig.rules)


def test_every_notice_is_delivered_before_the_cut_from_the_first_warning_on(tmp_path: Path) -> None:
    """Nothing was told yet: the ladder runs its days, and the cut comes only after the last delivery."""
    rig = Rig(tmp_path)
    for notice in rig.find(Notice):
        rig.store.write(Priority.BATCH, lambda unit, key=notice.notice: unit.delete(Notice, key))  # type: ignore[misc]
    engine = rig.engine(file=outbox(rig))
    hourly(rig, engine, 24 * 9, stop=lambda: rig.meter.relay is RelayState.OPEN)
    assert rig.meter.relay is RelayState.OPEN
    delivered = {
        row.rung.partition(".")[0]: row.delivered_at
        for row in rig.find(Notice, recipient="customer", order="created")
        if row.delivered_at
    }
    cut = rig.command().sent_at
    assert cut is not None
    warned = min(at for axis, at in delivered.items() if axis in ("money", "share", "kwh", "hours"))
    assert cut - warned >= DAY
    assert cut - delivered["stop"] >= 3 * DAY
    assert timedelta(minutes=30) <= cut - delivered["final"] <= DAY


def test_a_channel_that_delivers_nothing_cuts_nobody(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    for notice in rig.find(Notice):
        rig.put(replace(notice, state="failed", delivered_at=None))
    hourly(rig, rig.engine(), 24)
    assert rig.meter.changes == []


def test_a_protected_customer_gets_a_field_order_instead_of_a_cut(rig: Rig) -> None:
    rig.put(Hold("h1", "A1", "protected", "ministry", NOW - DAY))
    engine = rig.engine()

    async def twice() -> None:
        await engine.decide()
        await engine.decide()
        await engine.dispatch()

    play(rig, twice())
    assert [row.kind for row in rig.find(WorkOrder)] == ["disconnect_by_hand"]
    assert rig.commands() == [] and rig.meter.changes == []


def test_a_manual_class_waits_for_another_person_and_a_final_notice(tmp_path: Path) -> None:
    rig = Rig(tmp_path, rules=residential(approval="manual"))
    engine = rig.engine(file=outbox(rig))

    async def ask() -> None:
        await engine.decide()
        await engine.dispatch()
        assert rig.command().state is S.REQUESTED and rig.link.drives == []
        assert not await engine.approve(rig.command().command, "engine"), "never its requester"
        assert await engine.approve(rig.command().command, "ada")
        assert rig.command().state is S.QUEUED
        await engine.dispatch()

    play(rig, ask())
    assert rig.meter.relay is RelayState.OPEN and rig.command().approvals == ("ada",)


def test_an_approved_request_ends_when_its_reason_is_gone(tmp_path: Path) -> None:
    rig = Rig(tmp_path, rules=residential(approval="manual"))
    engine = rig.engine()

    async def ask() -> None:
        await engine.decide()
        await engine.pay(rig.payment())
        assert not await engine.approve(rig.commands()[0].command, "ada")

    play(rig, ask())
    assert rig.command().state is S.SUPERSEDED


def test_an_opening_that_nobody_ordered_is_undone(rig: Rig) -> None:
    rig.put(replace(rig.get(AccountState, "A1"), accrued_micro=0))  # type: ignore[type-var]
    rig.meter.relay = RelayState.OPEN
    rig.put(Evidence("M1", RelayState.OPEN, NOW, "read_back", 0))
    engine = rig.engine()

    async def sweep() -> None:
        await engine.reconcile()
        await engine.dispatch()

    play(rig, sweep())
    assert rig.meter.relay is RelayState.CLOSED and rig.command().reason in ("not_ordered", "paid")


def test_supply_found_on_after_a_cut_is_looked_at_and_the_ladder_begins_anew(rig: Rig) -> None:
    rig.put(Wanted("A1", Service.DISCONNECTED, NOW - DAY), Signal(signals.KILL_SWITCH, "on", NOW - DAY, "op"))
    play(rig, rig.engine().reconcile())
    assert [row.kind for row in rig.find(WorkOrder)] == ["tamper"]
    assert rig.get(Wanted, "A1").service is Service.CONNECTED  # type: ignore[attr-defined]


def test_an_unknown_relay_is_read_back(rig: Rig) -> None:
    rig.put(Evidence("M1", RelayState.UNKNOWN, NOW - HOUR, "conflict"))
    play(rig, rig.engine().reconcile())
    assert rig.get(Evidence, "M1").state is RelayState.CLOSED  # type: ignore[attr-defined]


def test_silence_changes_nothing_that_is_known(rig: Rig) -> None:
    rig.link.faults = {"no_read_back"}
    known = Evidence("M1", RelayState.UNKNOWN, NOW - HOUR, "conflict")
    rig.put(known)
    play(rig, rig.engine().reconcile())
    assert rig.get(Evidence, "M1") == known


# ---- the reconnect clock


def dark(rig: Rig, number: int = 1) -> None:
    rig.link.meters[f"M{number}"].relay = RelayState.OPEN
    rig.put(Evidence(f"M{number}", RelayState.OPEN, NOW, "read_back", 0))
    rig.put(Wanted(f"A{number}", Service.DISCONNECTED, NOW))


def test_a_crew_is_called_at_15_minutes_and_a_breach_filed_at_60(rig: Rig) -> None:
    dark(rig)
    rig.link.faults = {"dead"}
    engine = rig.engine()

    async def wait() -> None:
        await engine.pay(rig.payment())
        for minute in range(75):
            await engine.dispatch()
            await engine.reconcile()
            orders, breaches = rig.find(WorkOrder), rig.find(Incident)
            assert bool(orders) == (minute >= 15), minute
            assert bool(breaches) == (minute >= 60), minute
            rig.clock.forward(60)

    play(rig, wait())
    assert [row.kind for row in rig.find(Incident)] == ["clock_breach"]
    rig.link.faults = set()
    rig.clock.forward(900)
    play(rig, engine.dispatch())
    assert [row.state for row in rig.find(WorkOrder)] == ["cancelled"]


def test_a_dead_gateway_calls_one_crew_for_all_behind_it(tmp_path: Path) -> None:
    rig = Rig(tmp_path, accounts=5)
    engine = rig.engine()
    rig.link.faults = {"dead"}

    async def wait() -> None:
        for number in range(1, 6):
            dark(rig, number)
            await engine.pay(rig.payment(external_id=f"P{number}", account=f"A{number}"))
        for _ in range(20):
            await engine.dispatch()
            rig.clock.forward(60)
        await engine.reconcile()

    play(rig, wait())
    assert [(row.meter, row.account) for row in rig.find(WorkOrder)] == [("G1", "")]


def test_a_failed_reconnect_is_tried_again_under_the_first_clock_with_a_live_crew(rig: Rig) -> None:
    dark(rig)
    rig.link.faults = {"stuck"}
    engine = rig.engine()

    async def wait() -> None:
        await engine.pay(rig.payment())
        for _ in range(60):
            await engine.dispatch()
            await engine.reconcile()
            rig.clock.forward(60)

    play(rig, wait())
    assert {command.clock_started for command in rig.commands()} == {NOW} and len(rig.commands()) > 1
    assert {row.kind for row in rig.find(WorkOrder, state="open")} >= {"relay_fault"}


def test_closed_by_its_own_word_without_load_is_looked_at_after_two_hours(rig: Rig) -> None:
    dark(rig)
    rig.meter.load_w = 0
    engine = rig.engine(file=outbox(rig))

    async def wait() -> None:
        await engine.pay(rig.payment())
        await engine.dispatch()
        assert rig.command().outcome == "word"
        await engine.notify()
        for _ in range(3):
            await engine.reconcile()
            rig.clock.forward(3600)
        await engine.reconcile()

    play(rig, wait())
    assert [row.kind for row in rig.find(WorkOrder)] == ["on_site_check"]


# ---- the remedy


def test_a_wrong_disconnection_is_undone_at_once_and_held_for_72_hours(tmp_path: Path) -> None:
    rig = Rig(tmp_path, settings=replace(SETTINGS, compensation_micro=20 * CNY))
    engine = rig.engine(file=outbox(rig))

    async def story() -> None:
        await engine.decide()
        await engine.dispatch()
        assert rig.meter.relay is RelayState.OPEN
        assert await engine.wrong_disconnection("A1", "ada", "wrong tariff")
        assert rig.command().priority == reconcile.EMERGENCY
        await engine.dispatch()
        await engine.decide()
        await engine.dispatch()

    play(rig, story())
    assert rig.meter.relay is RelayState.CLOSED and len(rig.meter.changes) == 2
    assert [row.kind for row in rig.find(Incident)] == ["wrong_disconnection"]
    (hold,) = rig.find(Hold)
    assert hold.end == NOW + timedelta(hours=72)
    assert rig.store.read(lambda reader: reader.balance("customer:A1")) == 120 * CNY
    assert [row.code for row in rig.find(Notice, code="apology")] == ["apology"]


def test_siblings_of_the_same_batch_come_back_too(tmp_path: Path) -> None:
    rig = Rig(tmp_path, accounts=3)
    rig.put(Signal("breaker.released", f"{NOW:%Y-%m-%d}", NOW))
    engine = rig.engine()

    async def story() -> None:
        await engine.decide()
        for _ in range(3):
            await engine.dispatch()
        assert {meter.relay for meter in rig.link.meters.values()} == {RelayState.OPEN}
        made = await engine.wrong_disconnection("A2", "ada", "wrong tariff", siblings=True)
        assert len(made) == 3
        await engine.dispatch()

    play(rig, story())
    assert {meter.relay for meter in rig.link.meters.values()} == {RelayState.CLOSED}
