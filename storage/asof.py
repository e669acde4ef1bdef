"""An account and a time go in, what it had then comes out: posted, accrued and available, by all that is known now.

What counts by that time is a posting's own time, not when it was committed: a payment told late, a correction of a late
or rated-again read, and a bill (as of its period's end) count from when they belong. The period that the time falls
into is rated anew, by the rater's own step, on the slots measured up to then: now it is what the account has.
``told_micro`` is the other question: what the ledger said at that moment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ingest.records import MeterPoint
from storage.around import gather
from storage.customers import Customer, attributes_of
from storage.errors import StorageError
from storage.keptbooks import KeptBooks
from storage.positions import measured
from storage.recharge import recharge
from storage.records import Account, Install, OpenPeriod, Posting, StoredBill
from storage.store import Store
from storage.unit import Reader
from storage.usage import Energies, Master, at_ms
from tariff.statement import ladder_start


@dataclass(frozen=True, slots=True)
class Balance:
    """One account's money at one time, micro-units; ``accrued_to`` is the end of the last measured slot by then."""

    account: str
    at: datetime
    currency: str
    posted_micro: int
    accrued_micro: int
    accrued_to: datetime | None
    told_micro: int

    @property
    def available_micro(self) -> int:
        """What disconnection and reconnection are judged on."""
        return self.posted_micro - self.accrued_micro


@dataclass(frozen=True, slots=True)
class _Period:
    """A billing period whose bill does not count by the time asked for."""

    start: datetime
    end: datetime
    book_hash: str


def balance(store: Store, kept: KeptBooks, account: str, at: datetime) -> Balance | None:
    """What ``account`` had at ``at`` (UTC); None where there is no such account."""
    owner, legs, periods, guessed = store.read(lambda reader: _held(reader, account, at))
    if owner is None:
        return None
    mine = store.read(lambda reader: (reader.find(Install, account=account), reader.find(MeterPoint)))
    accrued, reached = 0, []
    for one in periods:
        micro, to = _accrued(store, kept, Master(*mine), owner, one, at)
        accrued += micro
        reached += [to] if to is not None else []
    return Balance(
        account=account,
        at=at,
        currency=owner.currency,
        posted_micro=sum(leg.amount_micro for leg in legs if leg.at <= at),
        accrued_micro=accrued - guessed,
        accrued_to=max(reached, default=None),
        told_micro=sum(leg.amount_micro for leg in legs if leg.posted <= at),
    )


def _held(reader: Reader, account: str, at: datetime) -> tuple[Account | None, Sequence[Posting], list[_Period], int]:
    """The account, its postings, the periods begun and not billed by then, and what bills rest on estimates."""
    bills = reader.find(StoredBill, account=account, start__lt=at, order="start")
    begun = [_Period(one.start, one.end, one.book_hash) for one in bills if one.end > at]
    begun += [
        _Period(one.start, one.end, one.book_hash)
        for one in reader.find(OpenPeriod, account=account, start__lt=at, order="start")
    ]
    guessed = sum(one.estimated_micro for one in bills if one.end <= at)
    legs = reader.find(Posting, ledger_account=f"customer:{account}")
    return reader.get(Account, account), legs, begun, guessed


def _accrued(
    store: Store, kept: KeptBooks, master: Master, owner: Account, period: _Period, at: datetime
) -> tuple[int, datetime | None]:
    """What one period had cost by ``at``, and up to when it had been measured."""
    book = kept.of(period.book_hash)
    if book is None:
        raise StorageError(f"{owner.account}: the tariff book {period.book_hash[:12]} of then is not at hand")
    customer = Customer(owner.account, book, owner.attributes, owner.closed)
    span = period.start, period.end
    until = min(at, period.end)
    table = gather(store, master.meters(owner.account), ladder_start(book, period.start), until, None)
    own = master.of_account(Energies.of(table), owner.account)
    attributes = attributes_of(master, customer, span)
    made = recharge(book, span, own, master=master, account=owner.account, attributes=attributes)
    ends = own.end[measured(own.flags)]
    last = at_ms(int(ends.max())) if ends.size else None
    return made.accrued_micro, last if last is not None and last > period.start else None
