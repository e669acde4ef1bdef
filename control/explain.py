"""A stored Decision goes in and the same Decision, derived anew from its stored case, comes out bit for bit."""

from control.canonical import loads
from control.decide import decide
from control.errors import CanonicalError
from control.policy import Policy
from control.records import Case, Decision


def rederive(decision: Decision, policy: Policy) -> Decision:
    """Decide again on the stored case; CanonicalError if it is unreadable or ``policy`` is not the one of then."""
    if policy.id != decision.policy_version:
        raise CanonicalError(f"decided under {decision.policy_version}, not under {policy.id}")
    return decide(loads(Case, decision.case), policy)


def holds_up(decision: Decision, policy: Policy) -> bool:
    """Whether the record alone re-derives itself, every guard included."""
    return rederive(decision, policy) == decision


def explained(decision: Decision, policy: Policy) -> dict[str, object]:
    """The decision, its inputs and guards as plain values, with whether it re-derives."""
    return {
        "decision": decision.decision,
        "account": decision.account,
        "at": decision.at.isoformat() + "Z",
        "verdict": decision.verdict,
        "reason": decision.reason,
        "credit": decision.credit.value,
        "policy": decision.policy_version,
        "inputs": decision.case,
        "guards": {guard.name: {"value": guard.value, "because": guard.because} for guard in decision.guards},
        "rederived": holds_up(decision, policy),
    }
