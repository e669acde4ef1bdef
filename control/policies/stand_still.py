"""A false guard holds: whoever is below the line and still not cut has the name of the first reason on record.

A missing approval alone is no hold (a person is asked), nor is a missing final notice alone (it is sent).
"""

from control import alerts
from control.records import Action
from control.verdicts import HOLD, Rule, Verdict, View
from ingest.records import RelayState


def judge(seen: View) -> Verdict | None:
    """hold, naming the first false guard; also for a live disconnection whose reason has gone."""
    case = seen.case
    live = case.live_action == Action.DISCONNECT
    if not live and (not seen.below or case.relay is not RelayState.CLOSED):
        return None
    false = seen.first_false("G10")
    if false == "G6" and seen.all_but("G6", "G10") and alerts.only_final_missing(case, seen.policy):
        return None
    return Verdict(HOLD, false) if false else None


RULE = Rule("stand_still", judge)
