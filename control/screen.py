"""An account's standing and its policy go in; whether anything can be due comes out, before a Case is put together.

It may be wrong in one direction only: who is called quiet needs nothing (a property test drops none), who is not is
looked at in full. It knows the product's own rules; where a third party adds one, everybody is looked at.

``quiet`` is the scalar reference for one account; ``control/loud.py`` finds in arrays those of a town who are not.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from control import credit, verdicts
from control.ladder import level_of
from control.policy import Policy
from control.records import Service
from control.standing import PREPAID, Standing
from ingest.records import RelayState

KNOWN = frozenset(
    {"ask", "by_hand", "come_back", "cut", "no_free_supply", "read_back", "stand_still", "tell"}
)  # fmt: skip
"""The rules that ``quiet`` was written for, by name."""


def trusted() -> bool:
    """Whether the rules in force are those that this screen knows."""
    return verdicts.rules().keys() == KNOWN


def quiet(row: Standing, policy: Policy, now: datetime) -> bool:
    """Whether no rule can want anything of this account: on, paid for, read, and told all that it was to be told."""
    if row.mode != PREPAID or row.closed is not None or row.live:
        return False
    if row.relay is not RelayState.CLOSED or row.service is not Service.CONNECTED:
        return False
    left = row.posted_micro - row.accrued_micro
    if left <= policy.disconnection_balance_micro + policy.emergency_credit_micro:
        return False
    if row.accrued_to is None or now - row.accrued_to >= timedelta(days=policy.no_read_days):
        return False
    if _stop_notice(row, policy, now) or _tier(row, policy):
        return False
    expected = left - max(row.estimate_micro, 0)  # warns, and sends a visit only where nothing was read for days
    return level(row, policy, expected) <= max((level_of(key, policy) for key in row.raised), default=0)


def level(row: Standing, policy: Policy, expected_micro: int) -> int:
    """The highest rung of the ladder reached on any axis, 0 = none; as ``control/ladder.py`` counts them."""
    base = credit.share_base(policy, row.balance_after_payment_micro, row.last_payment_micro)
    highest = _top(policy.money_micro, expected_micro)
    if row.kwh_left is not None:
        highest = max(highest, _top(policy.kwh_wh, row.kwh_left))
    if base > 0:
        highest = max(highest, _top([percent * base for percent in policy.share_percent], expected_micro * 100))
    if row.hours_left is not None:
        highest = max(highest, _top(policy.hours, row.hours_left))
    return highest


def _top(rungs: Sequence[int], value: float) -> int:
    return max((number for number, rung in enumerate(rungs, 1) if value <= rung), default=0)


def _stop_notice(row: Standing, policy: Policy, now: datetime) -> bool:
    """Whether a stop notice may be due: the money ends within its days and one more, or nobody knows when.

    One that was told in this epoch is told again only once it has arrived and grown too old.
    """
    days = policy.stop_notice_days
    if days <= 0 or (row.hours_left is not None and row.hours_left > 24 * (days + 1)):
        return False
    return row.stop_told is None or now - row.stop_told > timedelta(days=policy.stop_notice_days_most)


def _tier(row: Standing, policy: Policy) -> bool:
    """Whether a higher price tier has been reached, or lies just ahead, that nobody was told of."""
    if not policy.over_tier or row.tier is None:
        return False
    if row.tier >= 1 and tier_key("over_tier", row.tier, row.tier_period) not in row.raised:
        return True
    if row.next_tier_h is None or row.next_tier_h > 24 * policy.over_tier_days:
        return False
    ahead = {tier_key(code, row.tier + 1, row.tier_period) for code in ("over_tier", "over_tier_soon")}
    return not ahead & row.raised


def tier_key(code: str, tier: int, period: str) -> str:
    """The rung of a notice about a tier: ``over_tier.1``, or ``over_tier.1.2026-07`` where the ladder has spans."""
    return ".".join(part for part in (code, str(tier), period) if part)
