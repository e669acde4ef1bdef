"""Golden cases of the decision, and the properties that hold for every case."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control import alerts, decide, explain, guards, verdicts
from control.canonical import dumps, loads
from control.errors import CanonicalError
from control.records import Action, Case, Decision, Service
from control.verdicts import ORDER, Verdict, combine
from ingest.records import RelayState
from tests.control.scenes import (
    ALL_GUARDS,
    CNY,
    DAY,
    HOUR,
    MANUAL,
    NOW,
    POLICY,
    PROTECTED,
    hold,
    lock,
    paid_and_dark,
    ready_to_cut,
    well_off,
)

LIVE_CUT: dict[str, Any] = {"live_command": "c-1", "live_action": Action.DISCONNECT.value}
LIVE_ON: dict[str, Any] = {"live_command": "c-2", "live_action": Action.CONNECT.value}
UNKNOWN, OPEN, READY = RelayState.UNKNOWN, RelayState.OPEN, RelayState.READY
SILENT: dict[str, Any] = {"read_end": NOW - 3 * DAY, "accrued_to": NOW - 3 * DAY}

GOLDEN: list[tuple[Case, str, str]] = [
    (well_off(), "none", "nothing_to_do"),
    (ready_to_cut(), "disconnect", "exhausted"),
    (ready_to_cut(mode="postpaid", overdue_micro=CNY, overdue_since=NOW - 40 * DAY), "disconnect", "overdue"),
    (ready_to_cut(**LIVE_CUT), "none", "nothing_to_do"),
    (ready_to_cut(relay=OPEN, service=Service.DISCONNECTED), "none", "nothing_to_do"),
    (ready_to_cut(relay=OPEN, service=Service.CONNECTED), "connect", "not_ordered"),  # it passed no guard
    (ready_to_cut(relay=READY, service=Service.DISCONNECTED), "none", "nothing_to_do"),
    # unknown: not eligible -> read back, never a second disconnection; eligible -> reconnect now
    (ready_to_cut(relay=UNKNOWN), "read_back", "unknown_relay"),
    (ready_to_cut(relay=UNKNOWN, **LIVE_CUT), "read_back", "unknown_relay"),
    (paid_and_dark(relay=UNKNOWN), "connect", "unknown_relay"),
    (paid_and_dark(relay=UNKNOWN, **LIVE_CUT), "connect", "unknown_relay"),
    (well_off(relay=UNKNOWN), "connect", "unknown_relay"),
    (well_off(relay=UNKNOWN, relay_at=None), "read_back", "unknown_relay"),  # a new meter, never commanded
    (paid_and_dark(relay=UNKNOWN, relay_at=None), "connect", "unknown_relay"),
    # coming back on
    (paid_and_dark(), "connect", "paid"),
    (paid_and_dark(relay=RelayState.CLOSED, **LIVE_CUT), "connect", "paid"),  # it may still arrive
    (paid_and_dark(relay=RelayState.CLOSED), "none", "nothing_to_do"),
    (paid_and_dark(**LIVE_ON), "none", "reconnect_live"),
    (paid_and_dark(relay=READY), "none", "nothing_to_do"),
    (paid_and_dark(locks=(lock(),)), "hold", "RG1"),
    (paid_and_dark(locks=(lock(end=NOW),)), "connect", "paid"),
    (paid_and_dark(closed=NOW), "hold", "RG2"),
    (paid_and_dark(serial_seen="S2"), "hold", "RG3"),
    (paid_and_dark(serial_seen=""), "connect", "paid"),  # read in the session
    (paid_and_dark(voltage_load_v=31), "hold", "RG4"),
    (paid_and_dark(voltage_load_v=30), "connect", "paid"),
    (paid_and_dark(clock_ok=False, kill_switch=True, breaker_open=True), "connect", "paid"),  # never held by these
    (paid_and_dark(holds=(hold("dispute"), hold("weather", account=""))), "connect", "paid"),
    (paid_and_dark(commodity="gas"), "field_order", "gas_reconnect"),
    (paid_and_dark(remote_relay=False), "field_order", "reconnect_by_hand"),
    # between the two balances: neither cut nor brought back
    (ready_to_cut(posted_micro=103 * CNY), "none", "nothing_to_do"),
    (paid_and_dark(posted_micro=104 * CNY - 1), "none", "nothing_to_do"),
    (paid_and_dark(posted_micro=104 * CNY), "connect", "paid"),
    # holds and field orders
    (ready_to_cut(holds=(hold("dispute"),)), "hold", "G5"),
    (ready_to_cut(holds=(hold("remedy"),)), "hold", "G5"),
    (ready_to_cut(holds=(hold("protected"),)), "field_order", "protected"),
    (ready_to_cut(holds=(hold("medical"),)), "field_order", "protected"),
    (ready_to_cut(holds=(hold("keep_power"),)), "field_order", "protected"),
    (ready_to_cut(holds=(hold("protected"), hold("dispute"))), "hold", "G5"),  # hold beats field order
    (ready_to_cut(holds=(hold("protected"),), channels_reconciled=False), "hold", "G3"),  # money must be beyond doubt
    (ready_to_cut(remote_relay=False), "field_order", "disconnect_by_hand"),
    (ready_to_cut(remote_relay=False, load_w=None, override_feed_fresh=None), "hold", "G5"),
    (ready_to_cut(commodity="water"), "field_order", "water_minimum_flow"),
    (ready_to_cut(**SILENT), "field_order", "no_read_exhausted"),
    (ready_to_cut(**SILENT, accrued_micro=90 * CNY, estimate_micro=10 * CNY + 1), "field_order", "no_read_exhausted"),
    (ready_to_cut(**SILENT, accrued_micro=90 * CNY, estimate_micro=10 * CNY), "none", "nothing_to_do"),
    (ready_to_cut(read_end=NOW - 3 * DAY + HOUR), "hold", "G2"),
    # a live disconnection whose reason has gone is held before it leaves
    (ready_to_cut(kill_switch=True, **LIVE_CUT), "hold", "G9"),
    # warnings and the order of approval, final notice and cut
    (well_off(hours_left=160.0), "alert", "hours.168"),
    (ready_to_cut(delivered={}, alerts=("money.2", "share.0", "hours.6")), "hold", "G6"),
]


@pytest.mark.parametrize(("case", "verdict", "reason"), GOLDEN, ids=[str(n) for n in range(len(GOLDEN))])
def test_golden(case: Case, verdict: str, reason: str) -> None:
    decision = decide.decide(case, POLICY)
    assert (decision.verdict, decision.reason) == (verdict, reason)


def test_the_protected_class_gets_a_field_order() -> None:
    decision = decide.decide(ready_to_cut(klass="protected"), PROTECTED)
    assert (decision.verdict, decision.reason) == ("field_order", "protected")


def test_a_manual_class_is_asked_then_told_then_cut() -> None:
    told = {key: at for key, at in ready_to_cut().delivered.items() if key != "final.1"}
    raised = ("money.1", "share.0", "hours.6", "stop.1")
    case = ready_to_cut(delivered=told, alerts=raised)
    assert decide.decide(case, MANUAL).verdict == "request_approval"
    waiting = replace(case, **LIVE_CUT)
    assert decide.decide(waiting, MANUAL).verdict == "none"  # it waits for a person, and nothing holds it
    approved = replace(waiting, approvals=("ann",))
    decision = decide.decide(replace(approved, live_command="", live_action=""), MANUAL)
    assert (decision.verdict, decision.reason) == ("alert", "final.1")
    final = {**told, "final.1": (NOW - timedelta(minutes=30)).isoformat()}
    ready = replace(approved, delivered=final, alerts=(*raised, "final.1"))
    assert decide.may_send(ready, MANUAL) == (True, "")
    assert decide.may_send(replace(ready, approvals=()), MANUAL)[1].startswith("G10")


def test_the_decision_carries_everything() -> None:
    decision = decide.decide(ready_to_cut(), POLICY)
    assert [guard.name for guard in decision.guards] == [*ALL_GUARDS, "RG1", "RG2", "RG3", "RG4"]
    assert decision.policy_version == POLICY.id
    assert decision.available_micro == -3 * CNY
    assert loads(Case, decision.case) == ready_to_cut()
    assert decide.decide(ready_to_cut(account="A2"), POLICY).decision != decision.decision


def test_a_reconnection_leaves_only_with_the_right_serial() -> None:
    assert decide.may_reconnect(paid_and_dark()) == (True, "")
    assert decide.may_reconnect(paid_and_dark(serial_seen=""))[1].startswith("RG3")
    assert decide.may_reconnect(paid_and_dark(locks=(lock("fire", account=""),)))[1].startswith("RG1")


def test_hold_beats_disconnect_and_coming_back_beats_all() -> None:
    said = {verdict: Verdict(verdict, "why") for verdict in ORDER}
    for number, verdict in enumerate(ORDER):
        rest = {name: said[name] for name in ORDER[number:]}
        assert combine(rest).verdict == verdict
    assert ORDER.index("connect") < ORDER.index("hold") < ORDER.index("request_approval") < ORDER.index("disconnect")
    assert combine({}).verdict == "none"
    assert combine({"b": Verdict("hold", "b"), "a": Verdict("hold", "a")}).reason == "a"


moneys = st.integers(-200 * CNY, 400 * CNY)
maybe = st.sampled_from([True, False, None])
ages = st.sampled_from([None, *(NOW - hours * HOUR for hours in (-1, 0, 1, 2, 3, 24, 73, 100, 200, 900))])
kinds = st.sampled_from(["protected", "medical", "dispute", "weather", "remedy"])


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A case near the scene: mostly ready to be cut, with a few things changed."""
    fields: dict[str, st.SearchStrategy[Any]] = {
        "posted_micro": moneys,
        "accrued_micro": moneys,
        "accrued_to": ages,
        "estimate_micro": moneys,
        "last_payment_micro": moneys,
        "last_payment_at": ages,
        "pending_micro": moneys,
        "pending_since": ages,
        "read_end": ages,
        "read_flags": st.integers(0, 4095),
        "register_monotone": maybe,
        "load_w": st.sampled_from([None, 0, 500, 99_000]),
        "serial_seen": st.sampled_from(["", "S1", "S2"]),
        "proved": ages,
        "remote_relay": st.booleans(),
        "relay": st.sampled_from(list(RelayState)),
        "relay_at": ages,
        "service": st.sampled_from(list(Service)),
        "holds": st.lists(kinds.map(hold), max_size=2).map(tuple),
        "locks": st.sampled_from([(), (lock(),)]),
        "agreement_from": ages,
        "migrated": ages,
        "closed": ages,
        "contact_confirmed": ages,
        "forecast_sealed_at": ages,
        "forecast_exhausts_at": ages,
        "hours_left": st.sampled_from([None, 0.0, 5.0, 100.0, 700.0]),
        "price_change_in_flight": maybe,
        "channels_reconciled": maybe,
        "override_feed_fresh": maybe,
        "clock_ok": maybe,
        "breaker_open": maybe,
        "kill_switch": st.booleans(),
        "delivered": st.sampled_from([{}, ready_to_cut().delivered]),
    }
    names = draw(st.lists(st.sampled_from(sorted(fields)), unique=True, max_size=6))
    changes = {name: draw(fields[name]) for name in names}
    live = draw(st.sampled_from([{}, LIVE_CUT, LIVE_ON]))
    return ready_to_cut(**(changes | live))


@settings(max_examples=300, deadline=None)
@given(cases())
def test_the_screen_says_what_the_decision_says_and_drops_no_notice(case: Case) -> None:
    found = decide.verdict(case, POLICY)
    assert found == decide.decide(case, POLICY).verdict
    assert found != verdicts.NONE or alerts.due(case, POLICY) == ()


@settings(max_examples=300, deadline=None)
@given(cases())
def test_every_decision_is_deterministic_and_rederivable(case: Case) -> None:
    decision = decide.decide(case, POLICY)
    assert decide.decide(replace(case), POLICY) == decision
    stored = loads(Decision, dumps(decision))
    assert stored == decision
    assert explain.rederive(stored, POLICY) == stored
    assert explain.holds_up(stored, POLICY)


@settings(max_examples=300, deadline=None)
@given(cases())
def test_a_cut_needs_every_guard_and_a_known_relay(case: Case) -> None:
    decision = decide.decide(case, POLICY)
    if decision.verdict == "disconnect":
        assert all(guard.value for guard in decision.guards if guard.name in ALL_GUARDS)
        assert case.relay is RelayState.CLOSED
        assert not case.live_command
    if decision.verdict == "connect":
        assert all(guard.value for guard in decision.guards if guard.name.startswith("RG"))


@settings(max_examples=300, deadline=None)
@given(cases(), st.sampled_from(["dispute", "weather", "emergency", "remedy", "migration", "manual", "protected"]))
def test_one_more_hold_never_cuts_and_never_keeps_off(case: Case, kind: str) -> None:
    before = decide.decide(case, POLICY).verdict
    after = decide.decide(replace(case, holds=(*case.holds, hold(kind))), POLICY).verdict
    assert after not in ("disconnect", "request_approval")
    assert (before == "connect") == (after == "connect")


@settings(max_examples=300, deadline=None)
@given(cases(), st.integers(1, 300 * CNY))
def test_one_more_payment_never_makes_it_worse(case: Case, amount: int) -> None:
    """More money posted: never a cut that was none, never a connection that is none any more."""
    paid = replace(case, posted_micro=case.posted_micro + amount)
    before, after = decide.decide(case, POLICY), decide.decide(paid, POLICY)
    if after.verdict in ("disconnect", "request_approval"):
        assert before.verdict == after.verdict
    if before.verdict == "connect":
        assert after.verdict == "connect"
    assert not (verdicts.view(case, POLICY).entitled and not verdicts.view(paid, POLICY).entitled)


@settings(max_examples=200, deadline=None)
@given(cases(), st.integers(-3, 3))
def test_whole_weeks_change_nothing(case: Case, weeks: int) -> None:
    """Shifting all clocks by whole weeks (in a stretch without special days) changes no guard."""
    policy = replace(POLICY, special_days=())
    shift = timedelta(weeks=weeks)

    def moved(value: Any) -> Any:
        return value + shift if hasattr(value, "isoformat") else value

    later = replace(case, **{name: moved(getattr(case, name)) for name in Case.__dataclass_fields__})
    dated = {key: (datetime.fromisoformat(at) + shift).isoformat() for key, at in case.delivered.items()}
    held = tuple(replace(item, start=item.start + shift) for item in case.holds)
    locked = tuple(replace(item, start=item.start + shift) for item in case.locks)
    later = replace(later, delivered=dated, holds=held, locks=locked)
    before, after = guards.evaluate(case, policy), guards.evaluate(later, policy)
    assert [guard.value for guard in before] == [guard.value for guard in after]
    assert decide.decide(case, policy).verdict == decide.decide(later, policy).verdict


def test_another_policy_is_refused() -> None:
    decision = decide.decide(ready_to_cut(), POLICY)
    with pytest.raises(CanonicalError, match="decided under"):
        explain.rederive(decision, MANUAL)
    forged = replace(decision, guards=decision.guards[1:])
    assert not explain.holds_up(forged, POLICY)
    told = explain.explained(decision, POLICY)
    assert told["rederived"] is True
    assert set(told["guards"]) >= set(ALL_GUARDS)  # type: ignore[call-overload]
