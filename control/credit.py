"""A Case and its Policy go in; what is available, the credit status, and whether a payment opens an epoch come out.

Available = all posted credits - all posted debits - accrued, at the last accepted ACTUAL read. Pending payments are
shown and not counted; the estimate for the unread gap warns and never disconnects. A post-paid account runs through the
same machine with what is overdue in the place of what is exhausted.
"""

from typing import Protocol

from control import windows
from control.allocation import Owed, to_stay_on
from control.policy import Policy
from control.records import Case, Credit

POSTPAID = "postpaid"


class Owing(Protocol):
    """Whatever has the money of a Case: the Case itself, or an account's standing."""

    @property
    def account(self) -> str: ...
    @property
    def klass(self) -> str: ...
    @property
    def mode(self) -> str: ...
    @property
    def posted_micro(self) -> int: ...
    @property
    def accrued_micro(self) -> int: ...
    @property
    def overdue_micro(self) -> int | None: ...
    @property
    def book_hash(self) -> str: ...


def available(case: Owing) -> int:
    """Micro-units that disconnection and reconnection are judged on; post-paid: minus what is overdue."""
    if case.mode == POSTPAID:
        return -(case.overdue_micro or 0)
    return case.posted_micro - case.accrued_micro


def expected(case: Case) -> int:
    """Micro-units left when the unread gap is estimated too: for warnings and for field orders, never for a cut."""
    return available(case) if case.mode == POSTPAID else available(case) - max(case.estimate_micro, 0)


def status(case: Case, policy: Policy) -> Credit:
    """The credit status on actual reads; worst condition first."""
    return grade(available(case), policy, case.balance_after_payment_micro, case.last_payment_micro)


def grade(amount_micro: int, policy: Policy, after_payment_micro: int = 0, payment_micro: int = 0) -> Credit:
    """The status of ``amount_micro``: negative, exhausted, emergency, then the second and first warning, else ok.

    Emergency is the stretch that emergency credit covers; exhausted is the disconnection balance itself and, where that
    is above zero, all down to zero; negative is below both.
    """
    line = policy.disconnection_balance_micro
    if amount_micro < min(line, 0):
        return Credit.NEGATIVE
    if amount_micro <= line:
        return Credit.EXHAUSTED
    if policy.emergency_credit_micro and amount_micro <= line + policy.emergency_credit_micro:
        return Credit.EMERGENCY
    level = warned_level(amount_micro, policy, share_base(policy, after_payment_micro, payment_micro))
    return (Credit.OK, Credit.LOW, Credit.LOW2)[min(level, 2)]


def share_base(policy: Policy, after_payment_micro: int, payment_micro: int) -> int:
    """What the share left is a share of, as the policy says; 0 = not known."""
    return max(payment_micro if policy.share_of == "last_payment" else after_payment_micro, 0)


def warned_level(amount_micro: int, policy: Policy, base_micro: int) -> int:
    """How many rungs of the money and share axes ``amount_micro`` has reached, the larger of the two."""
    money = sum(amount_micro <= rung for rung in policy.money_micro)
    share = sum(amount_micro * 100 <= rung * base_micro for rung in policy.share_percent) if base_micro > 0 else 0
    return max(money, share)


def opens_epoch(
    policy: Policy, before_micro: int, after_micro: int, *, base_before_micro: int, payment_micro: int, raised: bool
) -> bool:
    """Whether a payment lifts the status to ok, 5 % above every rung, and so opens a credit epoch.

    ``base_before_micro`` is the balance just after the payment before this one (or that payment: ``share_of``);
    ``raised`` says that an alert went out in this epoch: on the axes of hours or kWh, say, which money does not show.
    """
    if payment_micro <= 0 or not (raised or grade(before_micro, policy, base_before_micro, base_before_micro) != "ok"):
        return False
    margin = 100 + policy.hysteresis_percent
    if any(after_micro * 100 < rung * margin for rung in policy.money_micro):
        return False
    return grade(after_micro, policy, after_micro, payment_micro) is Credit.OK


def shortfall(case: Case, policy: Policy) -> int:
    """Micro-units that must be paid to stay on; 0 if nothing must."""
    return max(policy.disconnection_balance_micro - available(case), 0)


def owed(case: Case, policy: Policy) -> Owed:
    """What the account owes before its next payment, by purpose."""
    left = available(case)
    emergency = policy.emergency_credit_micro
    used = min(max(policy.disconnection_balance_micro + emergency - left, 0), emergency)
    return Owed(
        debt_micro=case.debt_micro,
        debt_share_percent=case.debt_share_percent,
        debt_cap_week_micro=case.debt_cap_week_micro,
        debt_week_micro=case.debt_week_micro,
        accumulated_micro=case.accumulated_micro,
        to_threshold_micro=max(policy.connection_balance_micro - left, 0),
        emergency_used_micro=used,
    )


def needed(case: Case, policy: Policy) -> int:
    """Micro-units that must be paid to come back on, with what the debt takes of the payment; 0 if nothing must.

    A friendly period is any time at which the window of disconnection is shut: no debt is taken in it.
    """
    due = owed(case, policy)
    return to_stay_on(due, friendly=bool(windows.shut(policy, case.now, case.zone))) if due.to_threshold_micro else 0


def qualifies(amount_micro: int, policy: Policy, *, shortfall_micro: int, last_bill_micro: int) -> bool:
    """Whether a payment counts for G3 and G7: it covers the shortfall, or a fifth of the last bill.

    Where no bill is known the fifth cannot be told, and any payment counts: what is not known holds.
    """
    if amount_micro <= 0:
        return False
    if amount_micro >= shortfall_micro or last_bill_micro <= 0:
        return True
    return amount_micro * 100 >= last_bill_micro * policy.qualify_percent
