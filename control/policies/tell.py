"""A notice that is due is sent: the mildest of verdicts, for whoever needs nothing else done."""

from control import alerts
from control.verdicts import ALERT, Rule, Verdict, View


def judge(seen: View) -> Verdict | None:
    """alert, naming the first rung that is due."""
    found = alerts.rungs_due(seen.case, seen.policy)
    return Verdict(ALERT, found[0][0]) if found else None


RULE = Rule("tell", judge)
