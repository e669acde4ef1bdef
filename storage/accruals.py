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

Open = Mapping[str, Mapping[datetime, OpenPeriod]]


def put_states(unit: Unit, changed: Sequence[OpenPeriod], open_of: Open) -> None:
    """Write the changed periods, and from all open periods of their accounts the accounts' money.

    One statement for all: what a posted bill put aside (``billed_estimate_micro``) is taken from the row that stands.
    """
    unit.put_all(changed)
    stored = unit.tables.of(AccountState)
    accounts = sorted({period.account for period in changed})
    rows = (stored.codec.row(_after(AccountState(account), open_of[account])) for account in accounts)
    columns = ", ".join(f'"{name}"' for name in stored.codec.names)
    sql = (
        f'INSERT INTO "{stored.spec.name}" ({columns}) VALUES ({", ".join("?" * len(stored.codec.names))})'
        " ON CONFLICT (account) DO UPDATE SET accrued_micro = excluded.accrued_micro - billed_estimate_micro,"
        " estimate_micro = excluded.estimate_micro + billed_estimate_micro,"
        " accrued_to = coalesce(excluded.accrued_to, accrued_to), period_start = excluded.period_start,"
        " book_hash = excluded.book_hash, next_tier_wh = excluded.next_tier_wh"
    )
    unit.connection.executemany(sql, rows)


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
