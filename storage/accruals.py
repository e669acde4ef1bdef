"""Open periods go in, the accounts' states that follow from them are written, in the caller's transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from storage.records import AccountState, OpenPeriod
from storage.unit import Unit

Open = Mapping[str, Mapping[datetime, OpenPeriod]]


def put_states(unit: Unit, changed: Sequence[OpenPeriod], open_of: Open) -> None:
    """Write the changed periods, and from all open periods of their accounts the accounts' money."""
    for period in changed:
        unit.put(period)
    for account in sorted({period.account for period in changed}):
        _write(unit, account, open_of[account])


def settle(unit: Unit, account: str) -> None:
    """Make one account's money again from the periods that are still open in this transaction."""
    _write(unit, account, {period.start: period for period in unit.find(OpenPeriod, account=account)})


def _write(unit: Unit, account: str, mine: Mapping[datetime, OpenPeriod]) -> None:
    before = unit.get(AccountState, account) or AccountState(account)
    reached = [period.accrued_to for period in mine.values() if period.accrued_to is not None]
    latest = mine[max(mine)] if mine else None
    after = replace(
        before,
        accrued_micro=sum(period.accrued_micro for period in mine.values()),
        accrued_to=max(reached, default=before.accrued_to),
        period_start=latest.start if latest is not None else before.period_start,
        book_hash=latest.book_hash if latest is not None else before.book_hash,
        estimate_micro=sum(period.estimate_micro for period in mine.values()),
    )
    if after != before:
        unit.put(after)
