"""A Case and its Policy go in and the rungs reached on the four axes come out; here too are the keys that rungs go by.

A rung key is ``axis.value`` (``money.1``, ``kwh.2``, ``share.30``, ``hours.24``) or a notice with its number
(``stop.1``, ``final.2``: numbered, because a notice that has grown too old must be told again).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from control import credit
from control.policy import Policy
from control.records import Case

AXES = ("money", "kwh", "share", "hours")
WARNING, STOP, FINAL = "warning", "stop", "final"


@dataclass(frozen=True, slots=True)
class Rung:
    """One rung reached: its key, its axis and its level from 1 (the first warning) upwards."""

    key: str
    axis: str
    level: int


def reached(case: Case, policy: Policy) -> tuple[Rung, ...]:
    """Every rung reached, judged with the estimate for the unread gap: an estimate may warn."""
    return tuple(_rungs(case, policy))


def _rungs(case: Case, policy: Policy) -> Iterator[Rung]:
    """Axis by axis; what is not known reaches nothing."""
    amount = credit.expected(case)
    for level, rung in enumerate(policy.money_micro, 1):
        if amount <= rung:
            yield Rung(f"money.{level}", "money", level)
    if case.kwh_left is not None:
        for level, rung in enumerate(policy.kwh_wh, 1):
            if case.kwh_left <= rung:
                yield Rung(f"kwh.{level}", "kwh", level)
    base = credit.share_base(policy, case.balance_after_payment_micro, case.last_payment_micro)
    if base > 0:
        for level, percent in enumerate(policy.share_percent, 1):
            if amount * 100 <= percent * base:
                yield Rung(f"share.{percent}", "share", level)
    if case.hours_left is not None:
        for level, hours in enumerate(policy.hours, 1):
            if case.hours_left <= hours:
                yield Rung(f"hours.{hours}", "hours", level)


def level_of(key: str, policy: Policy) -> int:
    """The level of a rung key, 0 if it is none of this policy's ladder."""
    axis, _, value = key.partition(".")
    if axis not in AXES or not value.isdigit():
        return 0
    number = int(value)
    if axis in ("money", "kwh"):
        return number
    values = policy.share_percent if axis == "share" else policy.hours
    return values.index(number) + 1 if number in values else 0


def delivered_at(case: Case, kind: str) -> tuple[datetime, ...]:
    """When notices of ``kind`` (warning = any rung of the ladder) reached the customer in this epoch, oldest first."""
    found = []
    for key, text in case.delivered.items():
        axis = key.partition(".")[0]
        if (axis in AXES) if kind == WARNING else (axis == kind):
            at = _instant(text)
            if at is not None:
                found.append(at)
    return tuple(sorted(found))


def _instant(text: str) -> datetime | None:
    """Naive UTC of an ISO time; None for what is none: such a delivery proves nothing."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at
