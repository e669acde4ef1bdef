"""Interleavings that a hostile reviewer found: each could cut who paid, or leave who paid in the dark unseen."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from control import commands, journal, visits
from control.dispatch import NOTHING_LEFT
from control.errors import OutOfDate
from control.fences import Fences
from control.records import Action, Command, CommandState, Evidence, Incident, Service, Wanted, WorkOrder
from control.signals import KILL_SWITCH, Signal, Visit
from ingest.links.fenced import FencedDrives
from ingest.records import Drive, DriveOutcome, DriveResult, MeterPoint, Poll, RelayReport, RelayState
from storage.records import Account, Install
from storage.store import Priority
from tests.control.rig import DAY, HOUR, NOW, Rig, point
from tests.control.test_dispatch import order, pay, wanted

S = CommandState
MIN = timedelta(minutes=1)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


# ---- a payment, or the kill switch, between the send's commit and the bytes


class SlowSwitch:
    """A relay behind a real fenced drive; ``meanwhile`` happens while its identity is read."""

    def __init__(self, rig: Rig, meanwhile) -> None:  # type: ignore[no-untyped-def]
        self.rig, self.meanwhile, self.written = rig, meanwhile, 0
        self.state = RelayState.CLOSED

    async def prepare(self, order: Drive) -> str:
        self.meanwhile()
        return ""

    async def write(self, order: Drive) -> None:
        self.written += 1
        self.rig.meter.relay = RelayState.OPEN

    async def read_back(self) -> None:
        self.state = self.rig.meter.relay


def fenced(rig: Rig, switch: SlowSwitch):  # type: ignore[no-untyped-def]
    drives = FencedDrives(rig.clock, Fences(rig.store))

    async def drive(point: MeterPoint, order: Drive) -> DriveOutcome:
        return await drives.run(order, switch) if order.action == "disconnect" else await real(point, order)

    real = rig.link.drive
    rig.link.drive = drive  # type: ignore[method-assign]
    return switch


def test_a_payment_after_the_send_and_before_the_bytes_stops_the_order(rig: Rig) -> None:
    rig.link = Patched(rig.link)  # type: ignore[assignment]
    switch = fenced(rig, SlowSwitch(rig, lambda: pay(rig)))
    order(rig)
    rig.dispatch(turns=4, pause_s=30)
    assert switch.written == 0, "the order was void before a byte of it left"
    assert rig.meter.relay is RelayState.CLOSED and wanted(rig) is Service.CONNECTED
    assert rig.commands()[0].state is S.SUPERSEDED
    assert all(command.state in commands.ENDS for command in rig.commands())


def test_the_kill_switch_stops_what_is_in_its_session(rig: Rig) -> None:
    rig.link = Patched(rig.link)  # type: ignore[assignment]
    switch = fenced(rig, SlowSwitch(rig, lambda: rig.put(Signal(KILL_SWITCH, "on", NOW, "op"))))
    order(rig)
    rig.dispatch()
    assert switch.written == 0 and rig.meter.relay is RelayState.CLOSED
    assert rig.command().state is S.QUEUED
    assert rig.command().attempts == 1


class Patched:
    """A link of which single methods can be replaced."""

    def __init__(self, link: object) -> None:
        self.__dict__["link"] = link

    def __getattr__(self, name: str) -> object:
        return getattr(self.__dict__["link"], name)


def test_the_last_look_knows_live_from_ended(rig: Rig) -> None:
    order(rig)
    live = rig.command()
    keeper = Fences(rig.store)
    asyncio.run(keeper.raise_to("M1", live.fence))
    assert keeper.last("M1") == live.fence
    rig.put(replace(live, command="c-2", fence=live.fence + 1, state=S.SUPERSEDED))
    with pytest.raises(OutOfDate):
        asyncio.run(keeper.raise_to("M1", live.fence + 1))
    assert keeper.last("M1") == live.fence
    rig.put(Signal(KILL_SWITCH, "on", NOW, "op"), replace(live, command="c-3", fence=9, action=Action.CONNECT))
    asyncio.run(keeper.raise_to("M1", 9))
    assert keeper.last("M1") == 9, "the kill switch stops no reconnection"
    assert NOTHING_LEFT == "link_OutOfDate"


# ---- an order that times out and arrives late at a meter that knows no fence


def test_a_late_opening_after_a_verified_reconnection_is_found_told_and_undone(rig: Rig) -> None:
    rig.link.faults = {"lost_request"}
    order(rig)
    rig.dispatch()
    late = rig.link.drives[0]
    rig.link.faults = set()
    pay(rig)
    rig.dispatch(turns=3, pause_s=20)
    assert rig.command().state is S.VERIFIED and rig.command().action is Action.CONNECT
    rig.meter.relay = RelayState.OPEN  # the gateway's buffer: a plain meter asks for no fence
    rig.clock.forward(300)
    engine = rig.engine()

    async def sweep() -> None:
        await engine.reconcile()
        await engine.dispatch()

    asyncio.run(sweep())
    assert rig.meter.relay is RelayState.CLOSED, "one sweep, and not the next hourly poll, finds it"
    assert [row.kind for row in rig.find(Incident, kind="late_disconnect")] == ["late_disconnect"]
    assert rig.find(Incident, kind="late_disconnect")[0].command == late.command


def test_a_payment_fences_off_an_order_that_left_once_and_was_read_back_as_not_moved(rig: Rig) -> None:
    rig.link.faults = {"lost_request"}
    order(rig)
    rig.dispatch()
    assert (rig.command().state, rig.command().attempts) == (S.QUEUED, 1)
    late = rig.link.drives[0]
    rig.link.faults = set()
    pay(rig)
    rig.dispatch(turns=3, pause_s=20)
    assert rig.link.deliver("M1", late) is DriveResult.FENCED
    assert rig.meter.relay is RelayState.CLOSED


def test_meters_are_watched_no_longer_than_an_order_may_live(rig: Rig) -> None:
    rig.link.faults = {"lost_request"}
    order(rig)
    rig.dispatch()
    rig.link.faults = set()
    pay(rig)
    rig.dispatch(turns=3, pause_s=20)
    engine, before = rig.engine(), rig.link.reads_back
    asyncio.run(engine.reconcile())
    assert rig.link.reads_back == before + 1
    rig.clock.forward(76 * 60)
    asyncio.run(engine.reconcile())
    assert rig.link.reads_back == before + 1


# ---- answers that are not about this relay, or not about now


def test_an_old_answer_verifies_nothing(rig: Rig) -> None:
    rig.link = Patched(rig.link)  # type: ignore[assignment]
    rig.link.faults.add("stuck")

    async def stale(point: MeterPoint) -> RelayReport:
        return RelayReport(point.meter, rig.clock.now() - MIN, RelayState.OPEN, 0)

    rig.link.relay = stale  # type: ignore[method-assign]
    order(rig)
    rig.dispatch()
    assert rig.command().state is not S.VERIFIED
    assert wanted(rig) is Service.ARMED_FOR_DISCONNECT


def test_another_meters_answer_verifies_nothing(rig: Rig) -> None:
    """A paid customer's relay is stuck open; the neighbour's says closed."""
    rig.put(Evidence("M1", RelayState.OPEN, NOW - HOUR, "read_back"), Wanted("A1", Service.DISCONNECTED, NOW - DAY))
    rig.meter.relay = RelayState.OPEN
    rig.link = Patched(rig.link)  # type: ignore[assignment]
    rig.link.faults.add("stuck")

    async def neighbour(point: MeterPoint) -> RelayReport:
        return RelayReport("M2", rig.clock.now(), RelayState.CLOSED, 500)

    rig.link.relay = neighbour  # type: ignore[method-assign]
    order(rig, Action.CONNECT)
    rig.dispatch()
    assert rig.command().state is not S.VERIFIED
    assert rig.get(Evidence, "M1").state is not RelayState.CLOSED  # type: ignore[attr-defined]


def test_a_visit_answered_by_another_device_says_nothing_of_this_relay(rig: Rig) -> None:
    """Two unit ids swapped: the neighbour is on, our paid customer is dark, and stays known as dark."""
    rig.put(Evidence("M1", RelayState.OPEN, NOW - HOUR, "read_back"))
    report = RelayReport("M1", NOW, RelayState.CLOSED, 500)
    poll = Poll("M1", NOW, "S2", (), report, 500, 230, 0)
    rig.store.write(Priority.COMMAND, lambda unit: visits.keep(unit, poll, "A1", rig.settings))
    assert rig.get(Evidence, "M1").state is RelayState.OPEN  # type: ignore[attr-defined]
    assert rig.get(Visit, "M1").fault == "other_meter"  # type: ignore[attr-defined]
    right = replace(poll, serial="S1")
    rig.store.write(Priority.COMMAND, lambda unit: visits.keep(unit, right, "A1", rig.settings))
    assert rig.get(Evidence, "M1").state is RelayState.CLOSED  # type: ignore[attr-defined]


# ---- a host clock that is set back


def test_evidence_from_a_clock_that_ran_ahead_does_not_hide_the_dark(rig: Rig) -> None:
    rig.put(Evidence("M1", RelayState.CLOSED, NOW + 5 * DAY, "read_back", 400))
    seen = Evidence("M1", RelayState.OPEN, NOW, "read_back", 0)
    rig.store.write(Priority.COMMAND, lambda unit: visits.observe(unit, seen))
    assert rig.get(Evidence, "M1") == seen
    older = replace(seen, state=RelayState.CLOSED, at=NOW - MIN)
    rig.store.write(Priority.COMMAND, lambda unit: visits.observe(unit, older))
    assert rig.get(Evidence, "M1") == seen, "answers that overtake each other stay in order"


@pytest.mark.parametrize("state", [S.QUEUED, S.SENT, S.UNKNOWN])
def test_who_paid_does_not_wait_for_a_clock_that_was_set_back(rig: Rig, state: CommandState) -> None:
    rig.put(Evidence("M1", RelayState.OPEN, NOW - HOUR, "read_back"), Wanted("A1", Service.DISCONNECTED, NOW - DAY))
    rig.meter.relay = RelayState.OPEN
    order(rig, Action.CONNECT)
    ahead = NOW + 2 * HOUR
    found = rig.command()
    rig.put(replace(found, state=state, updated=ahead, sent_at=ahead, next_at=ahead + 10 * MIN, attempts=1))
    rig.dispatch(turns=4, pause_s=60)
    assert rig.meter.relay is RelayState.CLOSED
    assert rig.command().state is S.VERIFIED


# ---- two accounts, one meter


def test_an_order_against_who_moved_out_is_fenced_off_for_who_moved_in(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.link.faults = {"lost_request", "no_read_back"}
    order(rig)
    rig.dispatch()
    late = rig.link.drives[0]
    assert rig.command().state is S.UNKNOWN
    old = rig.find(Install, account="A1")[0]
    holder = rig.get(Account, "A1")
    rig.put(replace(old, end=NOW + MIN), replace(holder, account="A2"))  # type: ignore[type-var]
    rig.put(replace(old, account="A2", start=NOW + MIN))
    rig.link.faults = set()
    rig.dispatch(turns=8, pause_s=60)
    behind = [command for command in rig.commands() if command.action is Action.CONNECT]
    assert [command.account for command in behind] == ["A2"]
    assert behind[0].state is S.VERIFIED
    assert rig.link.deliver("M1", late) is DriveResult.FENCED


def test_who_moved_in_gets_a_reconnection_of_their_own(rig: Rig) -> None:
    order(rig, Action.CONNECT)
    mine = rig.command()

    def work(unit):  # type: ignore[no-untyped-def]
        return journal.reconnect(unit, "A2", "M1", NOW, reason="payment", policy_version="p", clock=NOW)

    made = rig.store.write(Priority.MONEY, work)
    assert (made.account, made.fence) == ("A2", mine.fence + 1)
    assert rig.get(Command, mine.command).state is S.SUPERSEDED  # type: ignore[attr-defined]


# ---- nobody is forgotten


def test_a_reconnection_has_a_place_though_every_gateway_is_busy_cutting(tmp_path: Path) -> None:
    rig = Rig(tmp_path, accounts=1, settings=replace(Rig.__dataclass_fields__["settings"].default, concurrency=2))
    for gateway in ("G2", "G3", "G4"):
        number = int(gateway[1])
        row = replace(point(number), gateway=gateway)
        rig.put(row)
        made = commands.make(
            Action.DISCONNECT, account=f"A{number}", meter=row.meter, fence=1, at=NOW, decision="d",
            policy_version="p", reason="exhausted",
        )  # fmt: skip
        rig.put(replace(made, state=S.QUEUED))
    dispatcher = rig.dispatcher()

    async def busy() -> int:
        dispatcher.launch()
        left = dispatcher.busy
        for task in list(dispatcher._tasks.values()):
            task.cancel()
        await asyncio.sleep(0)
        return left

    assert asyncio.run(busy()) == 1, "one of two places is kept for whoever comes back on"


def test_an_unknown_that_nobody_can_ask_waits_its_pause_and_calls_somebody(rig: Rig) -> None:
    order(rig)
    found = rig.command()
    rig.put(replace(found, state=S.UNKNOWN, sent_at=NOW - 2 * DAY, attempts=1, meter="M9", next_at=NOW))
    rig.dispatch()
    after = rig.command()
    assert after.state is S.UNKNOWN
    assert after.next_at is not None and after.next_at > NOW
    assert [row.kind for row in rig.find(WorkOrder)] == ["on_site_check"]


def test_who_is_dark_behind_another_meter_is_somebodys_task(rig: Rig) -> None:
    """Supply may not return remotely (RG3), no command lives: without an order nobody would ever look."""
    rig.put(Evidence("M1", RelayState.OPEN, NOW - HOUR, "read_back"))
    known = rig.get(Visit, "M1")
    rig.put(replace(known, serial="S2"))  # type: ignore[type-var]
    engine = rig.engine()
    for _ in range(2):
        asyncio.run(engine.decide())
    assert rig.commands() == []
    assert [(row.kind, row.detail) for row in rig.find(WorkOrder)] == [("on_site_check", "RG3")]
