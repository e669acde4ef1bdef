"""A Case and its Policy go in and the notices that are due now come out: once per rung, recipient and credit epoch.

The ladder has four axes (money, kWh, share, hours). Its n-th rung is raised by whichever axis reaches it first, and
once only; if several rungs are passed at one time, the last one speaks for all. Stop and final notices are no rungs but
conditions of a cut (guard G6): they have numbers, because one that has grown too old must be told again. Whoever cannot
be cut remotely is warned, and never told of a cut.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil

from control import credit, guards, windows
from control.ladder import FINAL, STOP, Rung, delivered_at, level_of, reached
from control.policy import Policy
from control.records import Action, Case, Credit, Service
from ingest.records import RelayState

MAKES_FIELD_ORDER = ("protected", "medical", "keep_power")
SOON = "over_tier_soon"
PRESSING = (Credit.EMERGENCY, Credit.EXHAUSTED, Credit.NEGATIVE)


@dataclass(frozen=True, slots=True)
class AlertDue:
    """One notice that is due. ``not_before`` is the end of quiet hours, None = at once; ``params`` fill ``text``."""

    rung: str
    recipient: str
    code: str  # warning | over_tier | over_tier_soon | stop | final
    params: Mapping[str, str]
    not_before: datetime | None = None


def due(case: Case, policy: Policy) -> tuple[AlertDue, ...]:
    """Every notice due now, one per recipient; the same moment for all people."""
    found = rungs_due(case, policy)
    says = {code: params(case, policy, code) for code in dict.fromkeys(code for _, code in found)}
    return tuple(
        AlertDue(key, recipient, code, says[code], _not_before(case, policy, code, recipient))
        for key, code in found
        for recipient in _recipients(policy, code)
    )


def rungs_due(case: Case, policy: Policy) -> tuple[tuple[str, str], ...]:
    """Rung and code of each notice due now: what ``due`` fills in."""
    if (case.closed is not None and case.closed <= case.now) or case.service is Service.DISCONNECTED:
        return ()
    raised = frozenset(key.partition(":")[0] for key in case.alerts)
    return (
        *((rung.key, "warning") for rung in _warning(case, policy, raised)),
        *((key, key.partition(".")[0]) for key in _over_tier(case, policy, raised)),
        *((key, STOP) for key in _stop(case, policy, raised)),
        *((key, FINAL) for key in _final(case, policy, raised)),
    )


def only_final_missing(case: Case, policy: Policy) -> bool:
    """Whether G6 is false, and would be true if a final notice had just been delivered."""
    told = case.now - timedelta(minutes=policy.final_min)
    with_final = replace(case, delivered={**case.delivered, f"{FINAL}.0": told.isoformat()})
    return not guards.g6(case, policy, False).value and guards.g6(with_final, policy, False).value


def params(case: Case, policy: Policy, code: str) -> dict[str, str]:
    """What every notice says: amount, hours left, earliest disconnection, how to pay, whom to call."""
    hours = case.hours_left
    earliest = earliest_cut(case, policy, code)
    return {
        "account": case.account,
        "amount": decimal(credit.expected(case)),
        "currency": case.currency,
        "hours": "" if hours is None else str(max(int(hours), 0)),
        "earliest": "" if earliest is None else f"{windows.local(earliest, case.zone):%m-%d %H:%M}",
        "needed": decimal(credit.needed(case, policy) + 9_999),
        "tier": "" if case.tier is None else str(case.tier + (2 if code == SOON else 1)),
        "tier_days": "" if case.next_tier_h is None else str(max(ceil(case.next_tier_h / 24), 1)),
        "pay": policy.pay,
        "call": policy.call,
    }


def earliest_cut(case: Case, policy: Policy, code: str = "") -> datetime | None:
    """The earliest instant (naive UTC) at which supply could be cut as things stand; None if it cannot be remotely."""
    if not _may_be_cut(case, policy):
        return None
    waits = [case.now + timedelta(minutes=policy.final_min)]
    if code != FINAL:
        if case.hours_left is not None:
            waits.append(case.now + timedelta(hours=max(case.hours_left, 0)))
        if policy.stop_notice_days:
            told = delivered_at(case, STOP)
            waits.append((told[-1] if told else case.now) + timedelta(days=policy.stop_notice_days))
    return windows.next_open(policy, max(waits), case.zone)


def decimal(amount_micro: int) -> str:
    """Two decimals, rounded down, so that no notice promises more than there is.

    >>> decimal(3_209_999), decimal(-1)
    ('3.20', '-0.01')
    """
    cents = amount_micro // 10_000
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def _warning(case: Case, policy: Policy, raised: frozenset[str]) -> Iterator[Rung]:
    """The highest rung reached, if it is above every rung raised in this epoch."""
    rungs = reached(case, policy)
    level = max((rung.level for rung in rungs), default=0)
    if level > max((level_of(key, policy) for key in raised), default=0):
        yield next(rung for rung in rungs if rung.level == level)


def _over_tier(case: Case, policy: Policy, raised: frozenset[str]) -> Iterator[str]:
    """Once per tier above the first and period of the ladder: when it is reached, and before, while there is time."""
    if not policy.over_tier or case.tier is None:
        return
    if case.tier >= 1:
        key = _tier_key("over_tier", case.tier, case)
        if key not in raised:
            yield key
    if case.next_tier_h is not None and case.next_tier_h <= 24 * policy.over_tier_days:
        key = _tier_key(SOON, case.tier + 1, case)
        if key not in raised and _tier_key("over_tier", case.tier + 1, case) not in raised:
            yield key


def _tier_key(code: str, tier: int, case: Case) -> str:
    return ".".join(part for part in (code, str(tier), case.tier_period) if part)


def _stop(case: Case, policy: Policy, raised: frozenset[str]) -> Iterator[str]:
    """The stop notice, so early that it is old enough when the balance runs out; again when it is too old."""
    if not policy.stop_notice_days or not _may_be_cut(case, policy) or not _pressing(case, policy):
        return
    yield from _numbered(case, raised, STOP, timedelta(days=policy.stop_notice_days_most))


def _pressing(case: Case, policy: Policy) -> bool:
    """Whether the balance runs out within the days of the stop notice and one more, or already has."""
    if credit.status(case, policy) in PRESSING:
        return True
    if case.mode == credit.POSTPAID or case.hours_left is None:
        return credit.status(case, policy) is Credit.LOW2
    return case.hours_left <= 24 * (policy.stop_notice_days + 1)


def _final(case: Case, policy: Policy, raised: frozenset[str]) -> Iterator[str]:
    """The last notice, when it is the only thing missing: all other guards hold (approval too) and supply is on."""
    if case.relay is not RelayState.CLOSED or case.live_action == Action.CONNECT or not _may_be_cut(case, policy):
        return
    others = (check(case, policy, False) for name, check in guards.CHECKS.items() if name != "G6")
    if all(guard.value for guard in others) and only_final_missing(case, policy):
        yield from _numbered(case, raised, FINAL, timedelta(hours=policy.final_valid_h))


def _numbered(case: Case, raised: frozenset[str], kind: str, most: timedelta) -> Iterator[str]:
    """The next number of ``kind`` if none was raised yet, or if the last one delivered is older than ``most``."""
    count = sum(key.partition(".")[0] == kind for key in raised)
    told = delivered_at(case, kind)
    if count == 0 or (len(told) >= count and case.now - told[-1] > most):
        yield f"{kind}.{count + 1}"


def _may_be_cut(case: Case, policy: Policy) -> bool:
    """Whether a remote disconnection of this account is conceivable: class, relay, holds that stand for protection."""
    protected = any(hold.kind in MAKES_FIELD_ORDER for hold in guards.active_holds(case))
    return policy.remote and case.remote_relay and not protected


def _recipients(policy: Policy, code: str) -> tuple[str, ...]:
    """Over-tier notices are for the customer alone; all others go to every recipient of the policy at once."""
    return ("customer",) if code in ("over_tier", SOON) else policy.recipients


def _not_before(case: Case, policy: Policy, code: str, recipient: str) -> datetime | None:
    """End of quiet hours for people; the meter's display disturbs nobody, and a final notice waits for nobody."""
    if code == FINAL or recipient == "meter":
        return None
    try:
        return windows.in_quiet(case.now, case.zone, policy.quiet_from_min, policy.quiet_to_min)
    except (KeyError, ValueError, OSError):
        return None
