"""A relay's report goes in and what it proves comes out: its own word AND its load, and a conflict is unknown.

Load current proves closed, zero current proves nothing, voltage counts only where it is measured on the load side. Open
with load is a bypass or a weld, closed without voltage behind it is a broken relay: both are conflicts.
"""

from dataclasses import dataclass

from control.records import Action, Evidence
from ingest.records import Poll, RelayReport, RelayState

LOAD_PROVES_W = 10  # below this a meter's own noise may show
DEAD_V = 30  # volts on the load side that are no supply


@dataclass(frozen=True, slots=True)
class Seen:
    """What one report proves: the evidence to keep, and the name of the conflict, "" = none."""

    evidence: Evidence
    conflict: str = ""

    @property
    def state(self) -> RelayState:
        """What we know now."""
        return self.evidence.state


def seen(report: RelayReport) -> Seen:
    """Judge one report."""
    loaded = report.power_w is not None and abs(report.power_w) >= LOAD_PROVES_W
    dead = report.voltage_load_v is not None and report.voltage_load_v < DEAD_V
    state, source, conflict = report.state, report.source, ""
    if state in (RelayState.OPEN, RelayState.READY) and loaded:
        state, source, conflict = RelayState.UNKNOWN, "conflict", "open_with_load"
    elif state is RelayState.CLOSED and dead and not loaded:
        state, source, conflict = RelayState.UNKNOWN, "conflict", "closed_without_voltage"
    elif state is RelayState.UNKNOWN and loaded:
        state, source = RelayState.CLOSED, "load"
    kept = Evidence(report.meter, state, report.at, source, report.power_w, report.voltage_load_v)
    return Seen(kept, conflict)


def of_poll(poll: Poll) -> Seen | None:
    """What a visit proves of the relay; a meter without a relay's word still proves closed by its load."""
    if poll.relay is not None:
        report = poll.relay
        power = report.power_w if report.power_w is not None else poll.power_w
        return seen(RelayReport(report.meter, report.at, report.state, power, report.voltage_load_v, report.source))
    if poll.power_w is not None and abs(poll.power_w) >= LOAD_PROVES_W:
        return seen(RelayReport(poll.meter, poll.at, RelayState.UNKNOWN, poll.power_w, source="load"))
    return None


def fulfils(action: Action, state: RelayState) -> bool:
    """Whether the relay stands where ``action`` wants it; ready is all a reconnection can do where a hand is needed."""
    if action is Action.DISCONNECT:
        return state is RelayState.OPEN
    return state in (RelayState.CLOSED, RelayState.READY)
