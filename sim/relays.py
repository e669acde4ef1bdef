"""A control mode, a state and a cause go in, the next state comes out: the firmware of DLMS disconnect control as data.

Class 70 of the Blue Book (clause 4.5.8): three states, the transitions a to h, and for each control mode those that it
allows. Modes 1, 3, 5 and 6 know no transition a: there a remote reconnect only arms, and a person closes the relay.
"""

from enum import IntEnum, StrEnum
from typing import Final, NamedTuple

from ingest.records import RelayState


class ControlState(IntEnum):
    """``control_state`` as it is on the wire."""

    DISCONNECTED = 0
    CONNECTED = 1
    READY_FOR_RECONNECTION = 2


class Cause(StrEnum):
    """Who moves the relay: the remote methods, a person at the meter, or the meter itself (limiter, supervision)."""

    REMOTE_DISCONNECT = "remote_disconnect"
    REMOTE_RECONNECT = "remote_reconnect"
    MANUAL_DISCONNECT = "manual_disconnect"
    MANUAL_RECONNECT = "manual_reconnect"
    LOCAL_DISCONNECT = "local_disconnect"
    LOCAL_RECONNECT = "local_reconnect"


class Transition(NamedTuple):
    """One arrow of the state diagram."""

    cause: Cause
    before: ControlState
    after: ControlState


_OFF, _ON, _READY = ControlState.DISCONNECTED, ControlState.CONNECTED, ControlState.READY_FOR_RECONNECTION

TRANSITIONS: Final[dict[str, Transition]] = {
    "a": Transition(Cause.REMOTE_RECONNECT, _OFF, _ON),
    "b": Transition(Cause.REMOTE_DISCONNECT, _ON, _OFF),
    "c": Transition(Cause.REMOTE_DISCONNECT, _READY, _OFF),
    "d": Transition(Cause.REMOTE_RECONNECT, _OFF, _READY),
    "e": Transition(Cause.MANUAL_RECONNECT, _READY, _ON),
    "f": Transition(Cause.MANUAL_DISCONNECT, _ON, _READY),
    "g": Transition(Cause.LOCAL_DISCONNECT, _ON, _READY),
    "h": Transition(Cause.LOCAL_RECONNECT, _READY, _ON),
}

CONTROL_MODES: Final[dict[int, str]] = {
    0: "",  # always connected
    1: "bcdefg",
    2: "abcefg",
    3: "bcdeg",
    4: "abceg",
    5: "bcdefgh",
    6: "bcdegh",
}

STATE_OF: Final[dict[RelayState, ControlState]] = {
    RelayState.OPEN: _OFF,
    RelayState.CLOSED: _ON,
    RelayState.READY: _READY,
}
RELAY_OF: Final[dict[ControlState, RelayState]] = {state: relay for relay, state in STATE_OF.items()}


def follow(mode: int, state: ControlState, cause: Cause) -> ControlState | None:
    """The state that ``cause`` leads to, or None when the mode has no such arrow from ``state``.

    >>> follow(3, ControlState.DISCONNECTED, Cause.REMOTE_RECONNECT).name
    'READY_FOR_RECONNECTION'
    >>> follow(4, ControlState.DISCONNECTED, Cause.REMOTE_RECONNECT).name
    'CONNECTED'
    """
    for letter in CONTROL_MODES[mode]:
        arrow = TRANSITIONS[letter]
        if arrow.cause is cause and arrow.before is state:
            return arrow.after
    return None
