"""Commands on their way: guards at the send, fences, lost answers, stuck and lying relays, crashes, races."""

import itertools
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from control import commands, decide, fences, journal, sending, settle
from control.records import (
    Action,
    Command,
    CommandEvent,
    CommandState,
    Evidence,
    Fence,
    Hold,
    Incident,
    SafetyLock,
    Service,
    Wanted,
    WorkOrder,
)
from control.signals import KILL_SWITCH, Signal, Visit
from ingest.records import Drive, RelayState
from storage.records import AccountState, Install
from storage.store import Priority
from tests.control.rig import DAY, NOW, Rig

S = CommandState


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def order(rig: Rig, action: Action = Action.DISCONNECT, number: int = 1, **changes: object) -> Command:
    """A queued command for account ``number``."""

    def work(unit):  # type: ignore[no-untyped-def]
        if action is Action.CONNECT:
            unit.put(Evidence(f"M{number}", RelayState.OPEN, rig.clock.now(), "read_back", 0))
            unit.put(Wanted(f"A{number}", Service.DISCONNECTED, NOW))
        made = commands.make(
            action, account=f"A{number}", meter=f"M{number}", fence=fences.following(unit, f"M{number}"),
            at=rig.clock.now(), decision="d-1", policy_version=rig.rules.id, reason="test",
            clock_started=rig.clock.now() if action is Action.CONNECT else None,
        )  # fmt: skip
        return journal.request(unit, replace(made, **changes), rig.clock.now())

    if action is Action.CONNECT:
        rig.link.meters[f"M{number}"].relay = RelayState.OPEN
    return rig.store.write(Priority.COMMAND, work)


def pay(rig: Rig, external_id: str = "P1") -> settle.PaymentResult:
    return rig.store.write(
        Priority.MONEY, lambda unit: settle.settle(unit, rig.payment(external_id=external_id), rig.world())
    )


def wanted(rig: Rig) -> Service:
    row = rig.get(Wanted, "A1")
    assert isinstance(row, Wanted)
    return row.service


def story(rig: Rig) -> list[str]:
    return [row.event for row in rig.find(CommandEvent, command=rig.command().command, order="seq")]


# ---- the plain way


def test_a_disconnection_is_sent_once_and_verified_by_its_read_back(rig: Rig) -> None:
    order(rig)
    rig.dispatch()
    done = rig.command()
    assert (done.state, done.outcome, done.drives) == (S.VERIFIED, "word", 1)
    assert rig.meter.changes == [(RelayState.OPEN, done.fence)]
    assert wanted(rig) is Service.DISCONNECTED
    assert story(rig) == ["request", "authorise", "queue", "send", "acknowledge", "verify"]
    assert rig.dispatch() == 0


def test_a_reconnection_needs_no_session_and_is_verified_by_load(rig: Rig) -> None:
    order(rig, Action.CONNECT)
    rig.dispatch()
    assert (rig.command().state, rig.command().outcome, rig.link.polls) == (S.VERIFIED, "load", 0)
    assert wanted(rig) is Service.CONNECTED and rig.meter.relay is RelayState.CLOSED


def test_a_reconnection_that_needs_a_hand_is_verified_ready(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    order(rig, Action.CONNECT)
    rig.link.after_drive = lambda drive: setattr(rig.meter, "relay", RelayState.READY)
    rig.dispatch()
    assert (rig.command().state, rig.command().outcome) == (S.VERIFIED, "ready")
    assert wanted(rig) is Service.ARMED_FOR_CONNECTION


# ---- the fence leaves a mark before the order does


def test_the_fence_and_the_sent_state_are_committed_before_anything_leaves(rig: Rig) -> None:
    seen: list[tuple[int, CommandState]] = []

    def look(drive: Drive) -> None:
        row = rig.get(Fence, "M1")
        assert isinstance(row, Fence)
        seen.append((row.fence, rig.command().state))

    rig.link.before_drive = look
    made = order(rig)
    rig.dispatch()
    assert seen == [(made.fence, S.SENT)]


def test_what_is_out_fenced_never_leaves(rig: Rig) -> None:
    order(rig)
    rig.put(Fence("M1", 99))
    rig.dispatch()
    assert rig.command().state is S.SUPERSEDED and rig.link.drives == []
    assert wanted(rig) is Service.CONNECTED


def test_an_out_fenced_reconnect_gets_the_next_fence_and_keeps_its_clock(rig: Rig) -> None:
    first = order(rig, Action.CONNECT)
    rig.put(Fence("M1", 99))
    rig.dispatch()
    assert (rig.command().fence, rig.command().state) == (100, S.VERIFIED)
    assert rig.command().clock_started == first.clock_started


def test_a_gateway_that_remembers_a_higher_fence_is_overtaken(rig: Rig) -> None:
    order(rig, Action.CONNECT)
    rig.meter.fence = 3
    rig.dispatch(turns=12, pause_s=60)
    assert rig.meter.relay is RelayState.CLOSED and rig.command().state is S.VERIFIED


def test_ablation_of_the_fence_commit_lets_two_orders_of_one_fence_leave(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the fence commit removed nothing durable stands before the order: this is what the test above catches."""
    monkeypatch.setattr(sending.fences, "lift", lambda unit, meter, fence: True)
    order(rig)
    rig.link.before_drive = lambda drive: None
    rig.dispatch()
    assert rig.get(Fence, "M1") is None


# ---- guards at the send


def test_a_payment_between_queue_and_send_is_seen_at_the_send(rig: Rig) -> None:
    order(rig)
    rig.put(replace(rig.get(AccountState, "A1"), accrued_micro=0))  # type: ignore[type-var]
    rig.dispatch()
    assert (rig.command().state, rig.link.drives) == (S.CANCELLED, [])
    assert rig.command().outcome.startswith("G1") and wanted(rig) is Service.CONNECTED


def test_ablation_of_the_guards_at_the_send_would_cut_whoever_has_paid(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    order(rig)
    rig.put(replace(rig.get(AccountState, "A1"), accrued_micro=0))  # type: ignore[type-var]
    monkeypatch.setattr(decide, "may_send", lambda case, policy: (True, ""))
    rig.dispatch()
    assert rig.meter.relay is RelayState.OPEN, "only the guards at the send stand between this customer and the dark"


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("G5", Hold("h1", "A1", "medical", "clinic", NOW - DAY)),
        ("G5", Hold("h2", "", "weather", "met office", NOW - DAY)),
        ("G9", Signal(KILL_SWITCH, "on", NOW, "op")),
    ],
)
def test_a_hold_or_the_kill_switch_stops_a_queued_disconnection(rig: Rig, name: str, record: object) -> None:
    order(rig)
    rig.put(record)
    rig.dispatch()
    assert rig.link.drives == [] and rig.command().outcome.startswith(name)


@pytest.mark.parametrize("fault", ["wrong_serial", "dead"])
def test_no_session_or_another_meter_sends_nothing(rig: Rig, fault: str) -> None:
    order(rig)
    rig.link.faults = {fault}
    rig.dispatch(turns=70, pause_s=60)
    assert rig.link.drives == [] and rig.command().state is S.EXPIRED
    assert wanted(rig) is Service.CONNECTED


def test_a_register_that_fell_holds(rig: Rig) -> None:
    order(rig)
    rig.meter.register_wh = 5
    rig.dispatch()
    assert rig.link.drives == [] and rig.command().outcome.startswith("G2")


def test_a_device_clock_more_than_two_minutes_off_refuses_the_cut_only(rig: Rig) -> None:
    rig.link.offset_s = 121
    order(rig)
    rig.dispatch()
    assert rig.link.drives == [] and rig.command().outcome.startswith("G2")
    rig.store.write(Priority.COMMAND, lambda unit: sending.cancel(unit, rig.command(), rig.world(), "test"))
    order(rig, Action.CONNECT)
    rig.dispatch()
    assert rig.command().state is S.VERIFIED


def test_the_session_is_read_anew_however_young_the_last_visit_was(rig: Rig) -> None:
    rig.put(Visit("M1", NOW, "S1", 1_000_000, 400, 0, True))
    order(rig)
    rig.dispatch()
    assert rig.link.polls == 1


def test_a_swapped_meter_ends_the_command(rig: Rig) -> None:
    order(rig)
    rig.put(replace(rig.get(Install, 1, NOW - 200 * DAY), end=NOW))  # type: ignore[type-var]
    rig.dispatch()
    assert rig.command().state is S.CANCELLED and rig.link.drives == []


def test_a_safety_lock_keeps_a_reconnection_waiting_not_ended(rig: Rig) -> None:
    order(rig, Action.CONNECT)
    rig.put(SafetyLock("l1", "A1", "crew", "line 3", NOW, NOW + timedelta(minutes=30)))
    rig.dispatch(turns=29, pause_s=60)
    assert rig.link.drives == [] and rig.command().state is S.QUEUED and rig.command().outcome.startswith("RG1")
    rig.dispatch(turns=3, pause_s=60)
    assert rig.command().state is S.VERIFIED


# ---- lost, late, expired


@pytest.mark.parametrize("action", list(Action))
def test_a_lost_acknowledgement_is_read_back_and_never_sent_again(rig: Rig, action: Action) -> None:
    order(rig, action)
    rig.link.faults = {"lost_answer"}
    rig.dispatch()
    assert rig.command().state is S.VERIFIED and len(rig.link.drives) == 1
    assert "time_out" in story(rig)


def test_a_lost_request_is_read_back_and_then_sent_again(rig: Rig) -> None:
    order(rig, Action.CONNECT)
    rig.link.faults = {"lost_request"}
    rig.dispatch()
    assert rig.command().state is S.QUEUED and rig.link.reads_back == 1
    rig.link.faults = set()
    rig.dispatch(turns=2, pause_s=60)
    assert rig.command().state is S.VERIFIED and len(rig.link.drives) == 2
    assert {drive.fence for drive in rig.link.drives} == {rig.command().fence}


def test_an_unknown_is_looked_at_until_it_is_known_and_is_never_an_end(rig: Rig) -> None:
    order(rig)
    rig.link.faults = {"lost_answer", "no_read_back"}
    rig.dispatch(turns=100, pause_s=60)
    assert rig.command().state is S.UNKNOWN and len(rig.link.drives) == 1
    assert rig.link.reads_back < 30, "it backs off"
    rig.link.faults = set()
    rig.dispatch(turns=20, pause_s=60)
    assert rig.command().state is S.VERIFIED


def test_an_unknown_for_a_day_sends_somebody(rig: Rig) -> None:
    order(rig)
    rig.link.faults = {"lost_answer", "no_read_back"}
    rig.dispatch(turns=110, pause_s=900)
    assert [row.kind for row in rig.find(WorkOrder)] == ["on_site_check"]


def test_a_disconnection_that_did_not_arrive_in_time_expires(rig: Rig) -> None:
    order(rig)
    rig.link.faults = {"lost_request", "no_read_back"}
    rig.dispatch(turns=60, pause_s=60)
    rig.link.faults = set()
    rig.dispatch(turns=20, pause_s=60)
    assert rig.command().state is S.EXPIRED and rig.meter.changes == []
    assert wanted(rig) is Service.CONNECTED


def test_a_disconnection_is_valid_for_45_minutes_and_no_longer(rig: Rig) -> None:
    made = order(rig)
    assert made.valid_until == NOW + timedelta(minutes=45)
    rig.clock.forward(45 * 60)
    rig.facts_now()
    rig.dispatch()
    assert rig.command().state is S.EXPIRED and rig.link.drives == []


def test_a_reconnection_behind_a_dead_gateway_retries_backing_off_to_15_minutes(rig: Rig) -> None:
    order(rig, Action.CONNECT)
    rig.link.faults = {"dead"}
    times = []
    for _ in range(24 * 60):
        if rig.dispatch(pause_s=60):
            times.append(rig.clock.now())
    gaps = [(b - a).total_seconds() for a, b in itertools.pairwise(times)]
    assert 870 <= max(gaps) <= 960 and rig.command().state is S.QUEUED
    rig.link.faults = set()
    rig.dispatch(turns=16, pause_s=60)
    assert rig.command().state is S.VERIFIED


# ---- relays that do not obey


@pytest.mark.parametrize("action", list(Action))
def test_a_stuck_relay_fails_after_three_drives_and_calls_somebody(rig: Rig, action: Action) -> None:
    order(rig, action)
    rig.link.faults = {"stuck"}
    rig.dispatch(turns=10, pause_s=60)
    done = rig.command()
    assert (done.state, done.outcome, done.drives, len(rig.link.drives)) == (S.FAILED, "relay_fault", 3, 3)
    assert [row.kind for row in rig.find(WorkOrder)] == ["relay_fault"]
    assert [row.kind for row in rig.find(Incident)] == (["stuck_open"] if action is Action.CONNECT else [])


def test_a_relay_that_says_open_while_load_flows_is_never_verified(rig: Rig) -> None:
    order(rig)
    rig.link.faults = {"lying"}
    rig.dispatch(turns=10, pause_s=60)
    assert (rig.command().state, rig.command().outcome) == (S.FAILED, "relay_fault")
    evidence = rig.get(Evidence, "M1")
    assert isinstance(evidence, Evidence) and (evidence.state, evidence.source) == (RelayState.UNKNOWN, "conflict")


@pytest.mark.parametrize("reason", ["keep_power", "bad_auth", "read_only"])
def test_a_refusal_ends_a_disconnection_with_its_own_code(rig: Rig, reason: str) -> None:
    order(rig)
    rig.link.faults = {f"refuse:{reason}"}
    rig.dispatch(turns=5, pause_s=60)
    assert (rig.command().state, rig.command().outcome) == (S.REFUSED, reason)
    assert len(rig.link.drives) == 0 or len(rig.link.drives) == 1
    assert wanted(rig) is Service.CONNECTED


@pytest.mark.parametrize("reason", ["bad_time", "over_current"])
def test_for_a_reconnection_bad_time_is_never_an_end(rig: Rig, reason: str) -> None:
    order(rig, Action.CONNECT)
    rig.link.faults = {f"refuse:{reason}"}
    rig.dispatch(turns=60, pause_s=60)
    assert rig.command().state is S.QUEUED
    rig.link.faults = set()
    rig.dispatch(turns=16, pause_s=60)
    assert rig.command().state is S.VERIFIED


def test_a_reconnection_refused_for_good_has_a_crew(rig: Rig) -> None:
    order(rig, Action.CONNECT)
    rig.link.faults = {"refuse:bad_auth"}
    rig.dispatch()
    assert rig.command().state is S.REFUSED and [row.kind for row in rig.find(WorkOrder)] == ["reconnect"]


def test_a_link_that_raises_stops_nobody_else(rig: Rig) -> None:
    def burst(drive: Drive) -> None:
        raise ValueError("a bug in a link")

    order(rig)
    rig.link.before_drive = burst
    rig.dispatch()
    assert rig.command().state is S.QUEUED and rig.link.drives == []
    assert "time_out" in story(rig)
