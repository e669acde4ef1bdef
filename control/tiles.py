"""The three machines and the age of the read go in and one of eight board tiles comes out: the one published function.

What is being done comes before what is, and what is known before what is owed:

* reconnecting: a connect is live, or we want the customer's hand for one;
* pending: a disconnection is live: waiting for approval, queued, sent, or not yet known;
* disconnected: the relay is open, or ready and waiting for a hand, or we want it so;
* protected: never disconnected remotely, by class or by a dated hold of protection;
* stale: no actual read within three of the meter's cycles and an hour, so that nothing below can be trusted;
* grace: below the line, or on emergency credit, and still on;
* warning: a warning rung is reached;
* active: all is well.
"""

from datetime import datetime, timedelta

from control import credit, guards
from control.alerts import MAKES_FIELD_ORDER
from control.policy import Policy
from control.records import Action, Case, Credit, Service
from ingest.records import RelayState

TILES = ("active", "warning", "grace", "pending", "disconnected", "reconnecting", "protected", "stale")
STALE_CYCLES, STALE_SLACK = 3, timedelta(hours=1)
IN_GRACE = (Credit.EMERGENCY, Credit.EXHAUSTED, Credit.NEGATIVE)


def tile(case: Case, policy: Policy) -> str:
    """The tile of one account."""
    protected = not policy.remote or any(hold.kind in MAKES_FIELD_ORDER for hold in guards.active_holds(case))
    return tile_of(
        credit.status(case, policy),
        case.service,
        case.relay,
        live_action=case.live_action,
        protected=protected,
        stale=stale(case.read_end, case.now, case.cycle_s),
    )


def tile_of(
    status: Credit, service: Service, relay: RelayState, *, live_action: str, protected: bool, stale: bool
) -> str:
    """The tile as a function of the three machines (credit, service, relay), protection and the read's age alone."""
    if live_action == Action.CONNECT or service is Service.ARMED_FOR_CONNECTION:
        return "reconnecting"
    if live_action == Action.DISCONNECT or service is Service.ARMED_FOR_DISCONNECT:
        return "pending"
    if relay in (RelayState.OPEN, RelayState.READY) or service is Service.DISCONNECTED:
        return "disconnected"
    if protected:
        return "protected"
    if stale:
        return "stale"
    if status in IN_GRACE:
        return "grace"
    return "active" if status is Credit.OK else "warning"


def stale(read_end: datetime | None, now: datetime, cycle_s: int) -> bool:
    """Whether the last actual read is older than three cycles and an hour, or there is none."""
    return read_end is None or now - read_end > STALE_CYCLES * timedelta(seconds=cycle_s) + STALE_SLACK
