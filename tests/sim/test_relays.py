"""The relay firmware of DLMS disconnect control, held against the Blue Book's table written out."""

import itertools

import pytest

from sim.relays import CONTROL_MODES, RELAY_OF, STATE_OF, TRANSITIONS, Cause, ControlState, follow

OFF, ON, READY = ControlState.DISCONNECTED, ControlState.CONNECTED, ControlState.READY_FOR_RECONNECTION

# Blue Book, class 70: per mode the causes that open and close, as its table says them in words.
OPENS = {
    1: {Cause.REMOTE_DISCONNECT, Cause.MANUAL_DISCONNECT, Cause.LOCAL_DISCONNECT},
    2: {Cause.REMOTE_DISCONNECT, Cause.MANUAL_DISCONNECT, Cause.LOCAL_DISCONNECT},
    3: {Cause.REMOTE_DISCONNECT, Cause.LOCAL_DISCONNECT},
    4: {Cause.REMOTE_DISCONNECT, Cause.LOCAL_DISCONNECT},
    5: {Cause.REMOTE_DISCONNECT, Cause.MANUAL_DISCONNECT, Cause.LOCAL_DISCONNECT},
    6: {Cause.REMOTE_DISCONNECT, Cause.LOCAL_DISCONNECT},
}
ARMS = {1, 3, 5, 6}
LOCAL_RECONNECTS = {5, 6}


@pytest.mark.parametrize("mode", sorted(OPENS))
def test_each_mode_is_the_table_in_words(mode: int) -> None:
    assert {cause for cause in Cause if follow(mode, ON, cause) is not None} == OPENS[mode]
    assert follow(mode, ON, Cause.REMOTE_DISCONNECT) is OFF
    assert follow(mode, READY, Cause.REMOTE_DISCONNECT) is OFF
    assert follow(mode, OFF, Cause.REMOTE_RECONNECT) is (READY if mode in ARMS else ON)
    assert follow(mode, READY, Cause.MANUAL_RECONNECT) is ON
    assert follow(mode, READY, Cause.LOCAL_RECONNECT) is (ON if mode in LOCAL_RECONNECTS else None)
    assert follow(mode, ON, Cause.LOCAL_DISCONNECT) is READY


def test_mode_0_never_moves() -> None:
    assert all(follow(0, state, cause) is None for state, cause in itertools.product(ControlState, Cause))


def test_nothing_but_a_remote_reconnect_leaves_disconnected() -> None:
    for mode, cause in itertools.product(CONTROL_MODES, Cause):
        if cause is not Cause.REMOTE_RECONNECT:
            assert follow(mode, OFF, cause) is None


def test_no_mode_has_two_arrows_for_one_cause() -> None:
    for letters in CONTROL_MODES.values():
        starts = [(TRANSITIONS[letter].cause, TRANSITIONS[letter].before) for letter in letters]
        assert len(set(starts)) == len(starts)


def test_states_and_relays_are_one_to_one() -> None:
    assert {RELAY_OF[state] for state in ControlState} == set(STATE_OF)
