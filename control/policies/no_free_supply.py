"""No communication is not free supply: with no actual read for days, and the estimate exhausted, somebody goes.

The estimate cuts nobody: it sends a person to read the meter and to see whether it was tampered with.
"""

from datetime import timedelta

from control import credit, guards
from control.verdicts import FIELD_ORDER, Rule, Verdict, View
from ingest.records import RelayState


def judge(seen: View) -> Verdict | None:
    """field_order to read on site."""
    case, policy = seen.case, seen.policy
    if case.relay in (RelayState.OPEN, RelayState.READY) or not seen.returns["RG2"].value or guards.active_holds(case):
        return None
    silent = case.read_end is None or case.now - case.read_end >= timedelta(days=policy.no_read_days)
    if case.read_end is None and case.installed is not None:
        silent = case.now - case.installed >= timedelta(days=policy.no_read_days)
    if silent and credit.expected(case) < policy.disconnection_balance_micro:
        return Verdict(FIELD_ORDER, "no_read_exhausted")
    return None


RULE = Rule("no_free_supply", judge)
