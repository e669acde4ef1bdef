"""What must happen all the same, but never remotely, leaves prewatt as a field order: there is no exception inside.

Protected customers, the medically dependent and sites under a keep-power event get a visit instead of a cut, as soon as
money and read are beyond doubt; any other hold (a dispute, the weather, a remedy) stands and no one is sent. A meter
whose relay cannot be read back is cut by hand, and only when every other guard is true.
"""

from control import guards
from control.alerts import MAKES_FIELD_ORDER
from control.records import Service
from control.verdicts import FIELD_ORDER, Rule, Verdict, View
from ingest.records import RelayState

BEYOND_DOUBT = ("G1", "G2", "G3", "G7", "G11", "G13")


def judge(seen: View) -> Verdict | None:
    """field_order for the protected and for relays that cannot be turned remotely."""
    case = seen.case
    if not seen.below or case.relay in (RelayState.OPEN, RelayState.READY) or case.live_command:
        return None
    kinds = {hold.kind for hold in guards.active_holds(case)}
    if case.service is Service.HELD or kinds - set(MAKES_FIELD_ORDER):
        return None
    if kinds or not seen.policy.remote:
        sure = all(seen.guards[name].value for name in BEYOND_DOUBT)
        return Verdict(FIELD_ORDER, "protected") if sure else None
    if not case.remote_relay and seen.all_but("G8", "G12"):
        return Verdict(FIELD_ORDER, "disconnect_by_hand")
    return None


RULE = Rule("by_hand", judge)
