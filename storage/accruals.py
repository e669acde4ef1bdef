"""Open periods go in, the accounts' states that follow from them are written, in the caller's transaction.

What control disconnects on is the ledger less ``accrued_micro``, and rests on actual reads alone. A posted bill puts
its estimated slots on the ledger: that part is taken off ``accrued_micro`` again and counted in ``estimate_micro``,
which only warns. So posting a bill changes nothing of what is available.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter

from storage import bulk
from storage.codec import to_ms
from storage.records import AccountState, OpenPeriod
from storage.unit import Unit

Open = Mapping[str, Mapping[datetime, OpenPeriod]]


@dataclass(frozen=True, slots=True)
class Rows:
    """Open periods and the accounts' money that follows from them, as they are stored and in the tables' order."""

    periods: Sequence[Sequence[object]]
    states: Sequence[Sequence[object]]


def rows_of(changed: Sequence[OpenPeriod], open_of: Open) -> Rows:
    """The changed periods, and from all open periods of their accounts the accounts' money.

    Made before the transaction, and not by the codec: there are millions of rows, and they share few times.
    """
    ordered, times = sorted(changed, key=attrgetter("account", "start")), _Times()
    accounts = dict.fromkeys(period.account for period in ordered)
    return Rows(
        [_open(one, times) for one in ordered], [_state(account, open_of[account], times) for account in accounts]
    )


def put_states(unit: Unit, rows: Rows) -> None:
    """Write them: what a posted bill put aside (``billed_estimate_micro``) is taken from the row that stands."""
    unit.put_rows(OpenPeriod, rows.periods)
    stored = unit.tables.of(AccountState)
    fresh = dict(zip(stored.codec.names, stored.codec.row(AccountState("")), strict=True)) | dict.fromkeys(_OWN, "?")
    values = ", ".join("NULL" if value is None else str(value) for value in fresh.values())
    sql = (
        f'INSERT INTO "{stored.spec.name}" ({", ".join(fresh)}) VALUES ({values})'
        " ON CONFLICT (account) DO UPDATE SET accrued_micro = excluded.accrued_micro - billed_estimate_micro,"
        " estimate_micro = excluded.estimate_micro + billed_estimate_micro,"
        " accrued_to = coalesce(excluded.accrued_to, accrued_to), period_start = excluded.period_start,"
        " book_hash = excluded.book_hash, next_tier_wh = excluded.next_tier_wh"
    )
    bulk.insert(unit.connection, sql, rows.states)


_OWN = ("account", "accrued_micro", "accrued_to", "period_start", "book_hash", "estimate_micro", "next_tier_wh")


class _Times(dict[datetime | None, int | None]):
    """Stored times of instants: many periods share few."""

    def __missing__(self, at: datetime | None) -> int | None:
        """Work one out."""
        self[at] = found = None if at is None else to_ms(at)
        return found


def _open(one: OpenPeriod, times: _Times) -> tuple[object, ...]:
    """A period as it is stored."""
    return (
        one.account, times[one.start], times[one.end], one.book_hash, one.accrued_micro, times[one.accrued_to],
        one.estimate_micro, one.next_tier_wh,
    )  # fmt: skip


def _state(account: str, mine: Mapping[datetime, OpenPeriod], times: _Times) -> tuple[object, ...]:
    """What ``_after`` says of an account that has nothing but these periods, as it is stored."""
    if len(mine) == 1:
        (one,) = mine.values()
    else:
        after = _after(AccountState(account), mine)
        one = replace(mine[max(mine)], accrued_micro=after.accrued_micro, accrued_to=after.accrued_to,
                      estimate_micro=after.estimate_micro)  # fmt: skip
    return (
        account, one.accrued_micro, times[one.accrued_to], times[one.start], one.book_hash, one.estimate_micro,
        one.next_tier_wh,
    )  # fmt: skip


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
