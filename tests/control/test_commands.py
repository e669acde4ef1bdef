"""The table of a command's life: every entry, every refusal, and what a step stamps."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control import commands
from control.commands import Event
from control.errors import IllegalStep
from control.records import Action, Command, CommandState

AT = datetime(2026, 3, 10, 2, 0)
S, E = CommandState, Event
HAPPY = (E.AUTHORISE, E.QUEUE, E.SEND, E.ACKNOWLEDGE, E.VERIFY)


def disconnect(**changes: object) -> Command:
    made = commands.make(
        Action.DISCONNECT,
        account="A1",
        meter="M1",
        fence=7,
        at=AT,
        decision="d-1",
        policy_version="p#1",
        reason="exhausted",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def connect(**changes: object) -> Command:
    made = commands.make(
        Action.CONNECT, account="A1", meter="M1", fence=8, at=AT, decision="", policy_version="p#1", reason="payment"
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def walk(command: Command, *events: Event) -> Command:
    for event in events:
        command = commands.step(command, event, command.updated + timedelta(seconds=1))
    return command


def test_the_happy_path_is_stamped() -> None:
    done = walk(disconnect(), *HAPPY)
    assert done.state is S.VERIFIED
    assert (done.attempts, done.drives) == (1, 1)
    assert (done.sent_at, done.acknowledged_at, done.verified_at) == tuple(AT + timedelta(seconds=n) for n in (3, 4, 5))
    assert done.updated == AT + timedelta(seconds=5)


def test_ends_are_final_and_unknown_is_none() -> None:
    names = {"verified", "failed", "expired", "cancelled", "superseded", "refused"}
    assert {state.value for state in commands.ENDS} == names
    assert S.UNKNOWN in commands.LIVE
    assert frozenset(S) == commands.ENDS | commands.LIVE
    for end in sorted(commands.ENDS):
        for event in E:
            with pytest.raises(IllegalStep, match=rf"{event.value} is not a step from {end.value}"):
                commands.step(disconnect(state=end), event, AT)


@pytest.mark.parametrize("state", list(S))
@pytest.mark.parametrize("event", list(E))
def test_the_table_is_all_there_is(state: CommandState, event: Event) -> None:
    command = disconnect(state=state)
    if commands.allowed(state, event):
        assert commands.step(command, event, AT).state is commands.TRANSITIONS[state][event]
    else:
        with pytest.raises(IllegalStep):
            commands.step(command, event, AT)


@pytest.mark.parametrize("state", sorted(commands.LEFT))
def test_what_has_left_neither_expires_nor_is_cancelled_without_evidence(state: CommandState) -> None:
    assert not commands.allowed(state, E.CANCEL)
    assert commands.TRANSITIONS[state][E.EXPIRE] is S.UNKNOWN
    assert commands.TRANSITIONS[state][E.TIME_OUT] is S.UNKNOWN
    assert commands.TRANSITIONS[state][E.SUPERSEDE] is S.SUPERSEDED


def test_only_a_read_back_verifies() -> None:
    into = {(state, event) for state, row in commands.TRANSITIONS.items() for event in row if row[event] is S.VERIFIED}
    assert {event for _, event in into} == {E.VERIFY}
    assert {state for state, _ in into} == {S.QUEUED, S.SENT, S.ACKNOWLEDGED, S.UNKNOWN}


def test_every_live_state_has_a_way_to_an_end_and_only_a_send_sends() -> None:
    for start in commands.LIVE:
        seen, frontier = {start}, [start]
        while frontier:
            for after in commands.TRANSITIONS[frontier.pop()].values():
                if after not in seen:
                    seen.add(after)
                    frontier.append(after)
        assert seen & commands.ENDS
    senders = {event for row in commands.TRANSITIONS.values() for event, after in row.items() if after is S.SENT}
    assert senders == {E.SEND}
    assert [state for state, row in commands.TRANSITIONS.items() if E.SEND in row] == [S.QUEUED]


def test_a_stuck_relay_is_driven_three_times_and_then_fails() -> None:
    command = walk(connect(), E.AUTHORISE, E.QUEUE, E.SEND, E.ACKNOWLEDGE)
    for _ in range(2):
        assert commands.contradicted(command) is E.CONTRADICT
        command = walk(command, E.CONTRADICT, E.SEND, E.ACKNOWLEDGE)
    assert command.drives == 3
    assert commands.contradicted(command) is E.FAIL
    assert walk(command, E.FAIL).state is S.FAILED


def test_a_repeated_acknowledgement_changes_nothing() -> None:
    once = walk(connect(), E.AUTHORISE, E.QUEUE, E.SEND, E.ACKNOWLEDGE)
    twice = commands.step(once, E.ACKNOWLEDGE, once.updated)
    assert twice == once


def test_what_did_not_move_is_retried_while_valid_and_lapses_after() -> None:
    command = walk(disconnect(), E.AUTHORISE, E.QUEUE, E.SEND, E.TIME_OUT)
    assert commands.unmoved(command, command.valid_until - timedelta(seconds=1)) is E.RETRY
    assert commands.unmoved(command, command.valid_until) is E.LAPSE
    assert walk(command, E.RETRY).next_at is not None
    assert walk(command, E.LAPSE).state is S.EXPIRED


def test_validity_of_45_minutes_and_7_days() -> None:
    assert disconnect().valid_until == AT + timedelta(minutes=45)
    assert connect().valid_until == AT + timedelta(days=7)

    def made(action: Action, valid_s: int) -> Command:
        return commands.make(
            action, account="A", meter="M", fence=1, at=AT, decision="", policy_version="", reason="", valid_s=valid_s
        )

    assert made(Action.DISCONNECT, 60).valid_until == AT + timedelta(seconds=60)
    assert made(Action.DISCONNECT, 10**6).valid_until == AT + timedelta(minutes=45)


def test_an_approved_disconnection_is_valid_from_its_approval() -> None:
    asked = commands.make(
        Action.DISCONNECT,
        account="A1",
        meter="M1",
        fence=7,
        at=AT,
        decision="d-1",
        policy_version="p#1",
        reason="exhausted",
        needs_approval=True,
    )
    assert asked.valid_until == AT + timedelta(days=1)
    later = AT + timedelta(hours=5)
    assert commands.step(asked, E.AUTHORISE, later).valid_until == later + timedelta(minutes=45)


def test_ids_derive_from_content() -> None:
    assert disconnect().command == disconnect().command
    assert disconnect().command != connect().command
    assert commands.PRIORITY["connect"] < commands.PRIORITY["read"] < commands.PRIORITY["disconnect"]
    assert (connect().priority, disconnect().priority) == (0, 2)


def test_backoff_doubles_up_to_a_quarter_of_an_hour() -> None:
    waits = [commands.backoff_s(attempt) for attempt in range(1, 40)]
    assert waits[:4] == [15, 30, 60, 120]
    assert all(b >= a for a, b in pairwise(waits))
    assert max(waits) == 900


def test_the_diagram_shows_every_edge() -> None:
    for form in ("mermaid", "dot"):
        drawn = commands.diagram(form)
        for state, row in commands.TRANSITIONS.items():
            for event, after in row.items():
                arrow = f"{state.value} --> {after.value}" if form == "mermaid" else f"{state.value} -> {after.value} "
                line = next(line for line in drawn.splitlines() if arrow in line)
                assert event.value in line


@given(st.lists(st.sampled_from(list(E)), max_size=30))
def test_no_path_sends_twice_without_evidence(events: list[Event]) -> None:
    """Between two sends stands a read-back (retry, contradict), the device's word (defer), or that nothing left."""
    command, since = connect(), E.UNREACHABLE
    for event in events:
        if not commands.allowed(command.state, event):
            continue
        if event is E.SEND:
            assert command.attempts == 0 or since in (E.RETRY, E.CONTRADICT, E.DEFER, E.UNREACHABLE)
        since = event
        command = commands.step(command, event, AT)
