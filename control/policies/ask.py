"""A person is asked before a cut where the class is manual, or the batch is large, once all else is in order.

The final notice comes after the approval and not before it: nobody is told of a cut that may still be refused.
"""

from control import alerts
from control.verdicts import REQUEST_APPROVAL, Rule, Verdict, View
from ingest.records import RelayState


def judge(seen: View) -> Verdict | None:
    """request_approval, if approval (and perhaps the final notice) is all that is missing."""
    case = seen.case
    if case.relay is not RelayState.CLOSED or case.live_command or seen.guards["G10"].value:
        return None
    if not seen.all_but("G6", "G10"):
        return None
    if seen.guards["G6"].value or alerts.only_final_missing(case, seen.policy):
        return Verdict(REQUEST_APPROVAL, "approval")
    return None


RULE = Rule("ask", judge)
