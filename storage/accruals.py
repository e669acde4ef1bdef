"""Open periods go in, the accounts' states that follow from them are written, in the caller's transaction.

What control disconnects on is the ledger less ``accrued_micro``, and rests on actual reads alone. A posted bill puts
its estimated slots on the ledger: that part is taken off ``accrued_micro`` again and counted in ``estimate_micro``,
which only warns. So posting a bill changes nothing of what is available.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from storage.records import AccountState, OpenPeriod
from storage.unit import Unit

FIND = 500  # accounts of one look-up
Open = Mapping[str, Mapping[datetime, OpenPeriod]]


def put_states(unit: Unit, changed: Sequence[OpenPeriod], open_of: Open) -> None:
    """Write the changed periods, and from all open periods of their accounts the accounts' money."""
    unit.put_all(changed)
    accounts = sorted({period.account for period in changed})
    for at in range(0, len(accounts), FIND):
        part = accounts[at : at + FIND]
        known = {state.account: state for state in unit.find(AccountState, account__in=part)}
        before = [known.get(account) or AccountState(account) for account in part]
        after = [_after(state, open_of[state.account]) for state in before]
        unit.put_all([new for old, new in zip(before, after, strict=True) if new != old])


def settle(unit: Unit, account: str, estimated_micro: int = 0) -> None:
    """Make one account's money again from the periods that are still open in this transaction.

    ``estimated_micro`` is by how much the estimated part of its posted bills has grown (or, negative, has gone).
    """
    before = unit.get(AccountState, account) or AccountState(account)
    before = replace(before, billed_estimate_micro=before.billed_estimate_micro + estimated_micro)
    after = _after(before, {period.start: period for period in unit.find(OpenPeriod, account=account)})
    if estimated_micro or after != before:
        unit.put(after)


def _after(before: AccountState, mine: Mapping[datetime, OpenPeriod]) -> AccountState:
    reached = [period.accrued_to for period in mine.values() if period.accrued_to is not None]
    latest = mine[max(mine)] if mine else None
    return replace(
        before,
        accrued_micro=sum(period.accrued_micro for period in mine.values()) - before.billed_estimate_micro,
        accrued_to=max(reached, default=before.accrued_to),
        period_start=latest.start if latest is not None else before.period_start,
        book_hash=latest.book_hash if latest is not None else before.book_hash,
        next_tier_wh=latest.next_tier_wh if latest is not None else before.next_tier_wh,
        estimate_micro=sum(period.estimate_micro for period in mine.values()) + before.billed_estimate_micro,
    )
