"""Safeguards in the life of an order, from the queue to the relay and back."""

from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from typing import Any

from control import commands, fences, journal, outcomes, verdicts
from control.commands import Event
from control.evidence import Seen
from control.records import Command, CommandState, Evidence, Guard
from tests.ablations import Safeguard, both, constant, entry, swap, wrap

DISPATCH = "tests/control/test_dispatch.py"
RACES = "tests/control/test_dispatch_races.py"
HOSTILE = "tests/control/test_hostile.py"
OUTAGES = "tests/control/test_outages.py"
SETTLE = "tests/control/test_engine_settle.py"
SHADOW = "tests/control/test_shadow.py"
ENGINE = "tests/control/test_engine.py"


def _whatever_the_relay_is(real: Any) -> Any:
    """``may_send`` that does not ask where the relay stands."""

    def may_send(case: Any, policy: Any) -> tuple[bool, str]:
        seen = verdicts.view(case, policy, at_send=True)
        false = seen.first_false()
        return not false, f"{false}: {seen.guards[false].because}" if false else ""

    return may_send


def _whatever_the_shadow_is(real: Any) -> Any:
    """``may_send`` that does not ask whether the class is only watched."""
    return lambda case, policy: real(replace(case, shadow=""), policy)


def _acknowledged_is_done(real: Any) -> Any:
    """``driven`` that believes the device's answer."""

    def driven(unit: Any, command_id: str, outcome: Any, world: Any) -> Any:
        told = real(unit, command_id, outcome, world)
        if told.command.state is not CommandState.ACKNOWLEDGED:
            return told
        done = journal.advance(unit, told.command, Event.VERIFY, world.now)
        return outcomes.Told(done)

    return driven


def _its_word_alone(report: Any) -> Seen:
    """``evidence.seen`` that does not look at the load."""
    return Seen(Evidence(report.meter, report.state, report.at, report.source, report.power_w, report.voltage_load_v))


async def _any_answer(self: Any, link: Any, point: Any) -> Any:
    """``Dispatcher.read_back`` that takes whatever comes."""
    return await link.relay(point)


def _sent_again(self: Any, unit: Any, command_id: str) -> None:
    """``Dispatcher._orphan`` that resends what a crash left behind instead of reading it back."""
    found = unit.get(Command, command_id)
    unit.put(replace(found, state=CommandState.QUEUED, next_at=None))


def _no_last_look(self: Any, unit: Any, meter: str, fence: int) -> str:
    """``Fences._raise`` that only raises."""
    fences.lift(unit, fences.GATEWAY + meter, fence)
    return ""


TABLE = "control.commands:TRANSITIONS"
S = CommandState

ROWS = (
    Safeguard(
        "guards at the send", "orders", "who paid between queue and send is cut",
        f"{DISPATCH}::test_a_payment_between_queue_and_send_is_seen_at_the_send",
        swap("control.decide:may_send", constant((True, ""))),
    ),
    Safeguard(
        "known to be on", "orders", "a relay that nobody knows is cut a second time",
        "tests/control/test_ablation.py::test_only_what_is_known_to_be_on_is_cut[unknown]",
        wrap("control.decide:may_send", _whatever_the_relay_is),
    ),
    Safeguard(
        "shadow when decided", "orders", "a class that is only watched is cut",
        f"{SHADOW}::test_a_class_in_shadow_sends_nothing_and_says_what_it_would_have_done",
        swap("control.decide:in_shadow", lambda case, chosen: chosen),
    ),
    Safeguard(
        "shadow at the send", "orders", "an order from before the shadow leaves in it",
        f"{SHADOW}::test_a_command_that_waits_when_the_shadow_falls_is_cancelled",
        wrap("control.decide:may_send", _whatever_the_shadow_is),
    ),
    Safeguard(
        "hold of an outage", "orders", "a home without supply is cut",
        f"{OUTAGES}::test_who_is_without_supply_is_not_cut_and_is_cut_when_it_is_over",
        swap("control.outages:holds", constant([])),
    ),
    Safeguard(
        "lock of an outage", "orders", "a relay is closed while a crew works on the line",
        f"{OUTAGES}::test_planned_works_hold_from_their_start_and_temporary_ones_lock_no_relay",
        swap("control.outages:locks", constant([])),
    ),
    Safeguard(
        "fence of the engine", "orders", "an order that is out of date leaves",
        f"{DISPATCH}::test_what_is_out_fenced_never_leaves",
        swap("control.fences:lift", constant(True)),
    ),
    Safeguard(
        "fence committed before the order leaves", "orders", "after a crash two orders of one fence are under way",
        f"{DISPATCH}::test_the_fence_and_the_sent_state_are_committed_before_anything_leaves",
        swap("control.fences:lift", constant(True)),
    ),
    Safeguard(
        "fence of the gateway", "orders", "a duplicate or late delivery turns the relay back",
        "tests/ingest/test_modbus_relay.py::test_an_out_fenced_an_expired_and_a_repeated_order_are_dropped",
        swap("ingest.links.fenced:FencedDrives._dropped", constant(None)),
    ),
    Safeguard(
        "fenced-off copies", "orders", "a late copy of a cancelled cut opens the relay of whoever paid",
        f"{RACES}::test_a_cancelled_order_that_had_left_once_is_fenced_off",
        swap("control.sending:protect", constant(None)),
    ),
    Safeguard(
        "last look before the bytes leave", "orders", "a payment in the last second is too late",
        f"{HOSTILE}::test_a_payment_after_the_send_and_before_the_bytes_stops_the_order",
        swap("control.fences:Fences._raise", _no_last_look),
    ),
    Safeguard(
        "kill switch in the session", "orders", "what was already in its session leaves after the switch was pulled",
        f"{HOSTILE}::test_the_kill_switch_stops_what_is_in_its_session",
        swap("control.fences:Fences._raise", _no_last_look),
    ),
    Safeguard(
        "expiry in the engine", "orders", "a cut of the morning leaves in the evening",
        f"{DISPATCH}::test_a_disconnection_is_valid_for_45_minutes_and_no_longer",
        swap("control.commands:VALID_S", dict.fromkeys(commands.VALID_S, 10**7)),
    ),
    Safeguard(
        "expiry in the gateway", "orders", "an order that expired on its way is carried out",
        "tests/ingest/test_modbus_relay.py::test_an_order_that_expires_while_its_fence_is_committed_is_not_sent",
        swap("ingest.links.fenced:FencedDrives._dropped", constant(None)),
    ),
    Safeguard(
        "read-back", "orders", "an acknowledgement is believed, and the relay never moved",
        f"{DISPATCH}::test_a_stuck_relay_fails_after_three_drives_and_calls_somebody[disconnect]",
        wrap("control.outcomes:driven", _acknowledged_is_done),
    ),
    Safeguard(
        "load beside the relay's word", "orders", "a relay that says open and is closed counts as cut",
        f"{DISPATCH}::test_a_relay_that_says_open_while_load_flows_is_never_verified",
        swap("control.evidence:seen", _its_word_alone),
    ),
    Safeguard(
        "age of an answer", "orders", "an answer of before the order verifies it",
        f"{HOSTILE}::test_an_old_answer_verifies_nothing",
        swap("control.dispatch:Dispatcher.read_back", _any_answer),
    ),
    Safeguard(
        "name in an answer", "orders", "another meter's answer verifies the order",
        f"{HOSTILE}::test_another_meters_answer_verifies_nothing",
        swap("control.dispatch:Dispatcher.read_back", _any_answer),
    ),
    Safeguard(
        "unknown after a crash", "orders", "what a crash left behind is sent a second time",
        "tests/proof/test_crashes.py::test_a_crash_while_the_answer_is_awaited_sends_nothing_twice[connect]",
        swap("control.dispatch:Dispatcher._orphan", _sent_again),
    ),
    Safeguard(
        "ends are final", "orders", "an order that was superseded comes alive again",
        "tests/control/test_commands.py::test_ends_are_final_and_unknown_is_none",
        entry(TABLE, S.EXPIRED, {Event.RETRY: S.QUEUED}),
    ),
    Safeguard(
        "unknown is no end", "orders", "what timed out is nobody's task any more",
        f"{DISPATCH}::test_an_unknown_is_looked_at_until_it_is_known_and_is_never_an_end",
        both(
            entry(TABLE, S.SENT, {**commands.TRANSITIONS[S.SENT], Event.TIME_OUT: S.EXPIRED}),
            entry(TABLE, S.ACKNOWLEDGED, {**commands.TRANSITIONS[S.ACKNOWLEDGED], Event.TIME_OUT: S.EXPIRED}),
        ),
    ),
    Safeguard(
        "three drives", "orders", "a stuck relay is driven for ever and nobody goes there",
        f"{DISPATCH}::test_a_stuck_relay_fails_after_three_drives_and_calls_somebody[disconnect]",
        swap("control.commands:MAX_DRIVES", 10**6),
    ),
    Safeguard(
        "supersession by a payment", "orders", "who paid is cut by the order that was under way",
        f"{SETTLE}::test_a_payment_supersedes_the_live_disconnect_in_every_state[sent]",
        swap("control.settle:lifted", constant(False)),
        red=("AssertionError", "Failed", "IndexError"),
    ),
    Safeguard(
        "reconnect in the payment's commit", "orders", "who paid waits for the next hour, or for ever after a crash",
        f"{SETTLE}::test_a_dark_account_that_pays_gets_a_reconnect_in_the_same_commit[open]",
        swap("control.settle:_off", constant(False)),
        red=("AssertionError", "Failed", "ValueError"),
    ),
    Safeguard(
        "identity in the session", "orders", "the order goes to another meter",
        f"{DISPATCH}::test_no_session_or_another_meter_sends_nothing[wrong_serial]",
        both(
            entry("control.guards:CHECKS", "G12", lambda *_: Guard("G12", True, "")),
            swap("control.visits:_serials", constant(defaultdict(frozenset))),
        ),
    ),
    Safeguard(
        "answers of other meters at a visit", "orders", "a neighbour's open relay reads as this customer's",
        f"{HOSTILE}::test_a_visit_answered_by_another_device_says_nothing_of_this_relay",
        swap("control.visits:_serials", constant(defaultdict(frozenset))),
    ),
    Safeguard(
        "reconnections first", "orders", "who paid waits behind a herd of cuts",
        f"{RACES}::test_reconnections_leave_before_disconnections",
        swap("control.commands:PRIORITY", {"connect": 2, "read": 1, "disconnect": 0}),
    ),
    Safeguard(
        "evidence from a clock that ran ahead", "orders", "old evidence hides the dark of whoever paid",
        f"{HOSTILE}::test_evidence_from_a_clock_that_ran_ahead_does_not_hide_the_dark",
        swap("control.visits:CLOCK_BACK", timedelta(days=3650)),
    ),
    Safeguard(
        "a clock that was set back", "orders", "who paid waits until the clock has caught up",
        f"{HOSTILE}::test_who_paid_does_not_wait_for_a_clock_that_was_set_back[queued]",
        swap("control.dispatch:CLOCK_BACK", timedelta(days=3650)),
    ),
    Safeguard(
        "bad time is no end", "orders", "a meter with a wrong clock stays dark",
        f"{DISPATCH}::test_for_a_reconnection_bad_time_is_never_an_end[bad_time]",
        swap("control.outcomes:LATER", frozenset()),
    ),
)  # fmt: skip
