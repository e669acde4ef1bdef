"""An unknown relay of whoever is not due supply is read back, and never cut a second time until it is known.

So is a relay that was never seen and never commanded: the first thing to know of a new meter is where its relay stands.
"""

from control.records import Action
from control.verdicts import READ_BACK, Rule, Verdict, View
from ingest.records import RelayState


def judge(seen: View) -> Verdict | None:
    """read_back while the relay is unknown."""
    case = seen.case
    if case.relay is not RelayState.UNKNOWN or not case.remote_relay or case.live_action == Action.CONNECT:
        return None
    if seen.returns["RG2"].value:
        return Verdict(READ_BACK, "unknown_relay")
    return None


RULE = Rule("read_back", judge)
