"""Supply is cut when it is known to be on, nothing is on its way, and every one of the thirteen guards is true.

A medium that is not electricity is not cut by relay: water falls back to a minimum flow, set on site.
"""

from control.verdicts import DISCONNECT, FIELD_ORDER, Rule, Verdict, View
from ingest.records import RelayState


def judge(seen: View) -> Verdict | None:
    """disconnect, if all guards hold."""
    case = seen.case
    if case.relay is not RelayState.CLOSED or case.live_command or not seen.all_but():
        return None
    if case.commodity == "water":
        return Verdict(FIELD_ORDER, "water_minimum_flow")
    return Verdict(DISCONNECT, "exhausted" if case.mode == "prepaid" else "overdue")


RULE = Rule("cut", judge)
