"""Open periods go in, the accounts' states that follow from them are written, in the caller's transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from storage.records import AccountState, OpenPeriod
from storage.unit import Unit

FIND = 500  # accounts of one look-up
Open = Mapping[str, Mapping[datetime, OpenPeriod]]


def put_states(unit: Unit, changed: Sequence[OpenPeriod], open_of: Open) -> None:
    """Write the changed periods, and from all open periods of their accounts the accounts' money."""
    for period in changed:
        unit.put(period)
    accounts = sorted({period.account for period in changed})
    for at in range(0, len(accounts), FIND):
        part = accounts[at : at + FIND]
        known = {state.account: state for state in unit.find(AccountState, account__in=part)}
        for account in part:
            _write(unit, known.get(account) or AccountState(account), open_of[account])


def settle(unit: Unit, account: str) -> None:
    """Make one account's money again from the periods that are still open in this transaction."""
    _write(
        unit,
        unit.get(AccountState, account) or AccountState(account),
        {period.start: period for period in unit.find(OpenPeriod, account=account)},
    )


def _write(unit: Unit, before: AccountState, mine: Mapping[datetime, OpenPeriod]) -> None:
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
