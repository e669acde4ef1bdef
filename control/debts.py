"""A payment of an account with debt goes in; where each part went is posted and kept, in the caller's transaction.

What is owed stands in the ledger as ``debt:<account>`` (agreed, paid off bit by bit) and ``accumulated:<account>``
(grown while nothing could be collected), below zero while it is owed. The terms are attributes of the account:
``debt_share_percent`` of each payment and at most ``debt_cap_week_micro`` a week (from Monday, local time). The split
itself is ``control/allocation.py``; its other parts stay where the payment was posted, with the customer.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from control import credit, windows
from control.allocation import allocate
from control.policy import Policy
from control.records import Allocated, Case
from storage.records import Account, Payment, Posting
from storage.unit import Reader, Unit

SHARE, CAP = "debt_share_percent", "debt_cap_week_micro"


def facts(reader: Reader, account: Account, now: datetime) -> dict[str, Any]:
    """What a Case says of the account's debt; nothing (and no query) for one without debt terms."""
    if SHARE not in account.attributes:
        return {}
    terms = {name: _number(account.attributes, name) for name in (SHARE, CAP)}
    local = windows.local(now, account.zone)
    monday = local.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=local.weekday())
    rows = reader.find(Allocated, account=account.account, at__gt=now - timedelta(days=8), order=("at", "external_id"))
    week = [row for row in rows if windows.local(row.at, account.zone) >= monday]
    return {
        "debt_micro": max(-reader.balance(f"debt:{account.account}"), 0),
        "accumulated_micro": max(-reader.balance(f"accumulated:{account.account}"), 0),
        "debt_share_percent": min(terms[SHARE], 100),
        "debt_cap_week_micro": terms[CAP],
        "debt_week_micro": sum(row.debt_micro - min(row.undone_micro, row.debt_micro) for row in week),
        "last_debt_micro": rows[-1].debt_micro + rows[-1].accumulated_micro if rows else 0,
    }


def take(unit: Unit, payment: Payment, before: Case, policy: Policy, now: datetime) -> Allocated | None:
    """Split a payment that was just posted; ``before`` is the case before it. None where no debt is owed."""
    if before.debt_micro <= 0 and before.accumulated_micro <= 0:
        return None
    owed = credit.owed(before, policy)
    friendly = bool(windows.shut(policy, now, before.zone))
    parts = allocate(payment.amount_micro, owed, friendly=friendly)
    row = Allocated(
        payment.channel, payment.external_id, payment.account, now, payment.amount_micro, friendly,
        owed.debt_micro, owed.debt_share_percent, owed.debt_cap_week_micro, owed.debt_week_micro,
        owed.accumulated_micro, owed.to_threshold_micro, owed.emergency_used_micro,
        parts.debt_micro, parts.accumulated_micro, parts.threshold_micro, parts.emergency_micro, parts.credit_micro,
    )  # fmt: skip
    unit.put(row)
    _post(unit, payment, "allocation", parts.debt_micro, parts.accumulated_micro, now)
    return row


def undo(unit: Unit, payment: Payment, amount_micro: int, now: datetime) -> None:
    """A reversal of ``amount_micro`` gives back first what the debt took of the original."""
    row = unit.get(Allocated, payment.channel, payment.external_id)
    if row is None or row.undone_micro:
        return
    debt = min(row.debt_micro, amount_micro)
    accumulated = min(row.accumulated_micro, amount_micro - debt)
    unit.put(replace(row, undone_micro=debt + accumulated))
    _post(unit, payment, "allocation_reversal", -debt, -accumulated, now)


def _post(unit: Unit, payment: Payment, source: str, debt_micro: int, accumulated_micro: int, now: datetime) -> None:
    """From the customer's money to the debts, or back."""
    parts = {
        f"customer:{payment.account}": -(debt_micro + accumulated_micro),
        f"debt:{payment.account}": debt_micro,
        f"accumulated:{payment.account}": accumulated_micro,
    }
    legs = [
        Posting(f"{source}:{payment.channel}", payment.external_id, name, amount, payment.currency, payment.at, now)
        for name, amount in parts.items()
        if amount
    ]
    if legs:
        unit.post(legs)


def _number(attributes: Mapping[str, str], name: str) -> int:
    """A whole number, 0 where there is none: then nothing is taken."""
    text = attributes.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else 0
