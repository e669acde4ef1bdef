"""Whoever has paid comes back on: the first rule, and the only one that nothing else outranks.

An unknown relay counts as off for whoever has paid: sending one connect too many costs a message, one too few leaves a
paid customer in the dark. A live disconnection is answered with a reconnection whatever the relay was last known to be,
because it may still arrive. An opening that nobody ordered is undone, paid or not: it passed no guard. Gas is never
opened remotely, and a relay that cannot be read back is turned by hand.
"""

from control.records import Action, Service
from control.verdicts import CONNECT, FIELD_ORDER, HOLD, NONE, Rule, Verdict, View
from ingest.records import RelayState

WANTED_ON = (Service.CONNECTED, Service.HELD, Service.LIMITED)


def judge(seen: View) -> Verdict | None:
    """connect, or what stands in its way."""
    case = seen.case
    unordered = case.relay is RelayState.OPEN and case.service in WANTED_ON and not case.live_command
    if not unordered and not (seen.entitled and _off(seen)):
        return None
    if case.live_action == Action.CONNECT:
        return Verdict(NONE, "reconnect_live")
    for name, guard in seen.returns.items():
        if not guard.value:
            return Verdict(HOLD, name)
    if case.commodity == "gas":
        return Verdict(FIELD_ORDER, "gas_reconnect")
    if not case.remote_relay:
        return Verdict(FIELD_ORDER, "reconnect_by_hand")
    if not seen.entitled:
        return Verdict(CONNECT, "not_ordered")
    return Verdict(CONNECT, "unknown_relay" if case.relay is RelayState.UNKNOWN else "paid")


def _off(seen: View) -> bool:
    """Whether supply is off, or may be, as far as is known."""
    case = seen.case
    if case.live_action == Action.DISCONNECT or case.relay is RelayState.OPEN:
        return True
    if case.relay is not RelayState.UNKNOWN:
        return False
    if not case.remote_relay:
        return case.service is Service.DISCONNECTED
    return case.relay_at is not None or case.service is not Service.CONNECTED or case.live_command != ""


RULE = Rule("come_back", judge)
