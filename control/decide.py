"""A Case and its Policy go in and one Decision comes out: with every guard, and re-derivable from its own row."""

from control import reconnect, verdicts
from control.canonical import content_id, dumps
from control.policy import Policy
from control.records import SHADOW_ALL, Case, Decision
from control.verdicts import View
from ingest.records import RelayState


def decide(case: Case, policy: Policy) -> Decision:
    """What to do about one account now; its id is derived from case, policy and verdict.

    A case ``at_send`` is judged as strictly as the send was, so that its record alone re-derives every guard of it.
    """
    seen = verdicts.view(case, policy, at_send=case.at_send)
    chosen = judge(seen)
    body = dumps(case)
    return Decision(
        decision=content_id("d", policy.id, chosen.verdict, chosen.reason, body),
        account=case.account,
        at=case.now,
        verdict=chosen.verdict,
        reason=chosen.reason,
        credit=seen.credit,
        available_micro=seen.available_micro,
        guards=(*seen.guards.values(), *seen.returns.values()),
        policy_version=policy.id,
        case=body,
    )


def verdict(case: Case, policy: Policy) -> str:
    """What ``decide`` would say, without the record of it: for a screen over many cases."""
    return judged(case, policy).verdict


def judged(case: Case, policy: Policy) -> verdicts.Verdict:
    """The same with its reason."""
    return judge(verdicts.view(case, policy))


def judge(seen: View) -> verdicts.Verdict:
    """Ask every rule and combine what they say."""
    said = {name: verdict for name, rule in verdicts.rules().items() if (verdict := rule.judge(seen)) is not None}
    return in_shadow(seen.case, verdicts.combine(said))


def in_shadow(case: Case, chosen: verdicts.Verdict) -> verdicts.Verdict:
    """A class in shadow is decided on and nothing is sent; whom we drove ourselves we bring back all the same."""
    acting = (verdicts.REQUEST_APPROVAL, verdicts.DISCONNECT, verdicts.FIELD_ORDER, verdicts.CONNECT)
    if not case.shadow or chosen.verdict not in (acting if case.shadow == SHADOW_ALL else acting[:2]):
        return chosen
    return verdicts.Verdict(verdicts.SHADOW, f"{chosen.verdict}.{chosen.reason}")


def may_send(case: Case, policy: Policy) -> tuple[bool, str]:
    """Whether a disconnection may leave now: all guards again, and a relay known to be closed; else also why not."""
    if case.shadow:
        return False, "shadow: the class is only watched, nothing is sent"
    if case.relay is not RelayState.CLOSED:
        return False, f"relay: it is {case.relay.value}, and only what is known to be on is cut"
    seen = verdicts.view(case, policy, at_send=True)
    false = seen.first_false()
    return not false, f"{false}: {seen.guards[false].because}" if false else ""


def may_reconnect(case: Case) -> tuple[bool, str]:
    """Whether a reconnection may leave now: RG1 to RG4 at the send; else also why not."""
    for guard in reconnect.evaluate(case, at_send=True):
        if not guard.value:
            return False, f"{guard.name}: {guard.because}"
    return True, ""
