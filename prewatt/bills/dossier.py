"""Bills go in, each with all that explains it comes out: reasons, ladders, days, and the periods to compare with.

Bills of one period and book are gathered with one look at the lake for a slice of accounts.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

import numpy as np

from ingest.records import Channel, MeterPoint
from prewatt.bills.view import BillView, Earlier, Revised
from storage import billing
from storage.around import gather
from storage.billing import Basis, Customer
from storage.keptbooks import KeptBooks
from storage.positions import billable
from storage.records import Account, Install, StoredBill, SupersededBill
from storage.store import Store
from storage.unit import Reader
from storage.usage import Energies, Grid, Master, ms_of, share
from tariff import calendar as calendars
from tariff.explain import sources
from tariff.model import Book
from tariff.plan import compile
from tariff.reasons import reasons
from tariff.records import Bill
from tariff.standing import standings
from tariff.statement import ladder_start, period_of
from tariff.usage import placed

SLICE = 500
Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Shown:
    """A bill with when it was posted (None: a draft)."""

    bill: Bill
    posted: datetime | None


@dataclass(frozen=True, slots=True)
class _Kept:
    """Committed rows of one slice of accounts."""

    accounts: Mapping[str, Account]
    master: Master
    bills: Mapping[tuple[str, datetime], int]
    before: Mapping[tuple[str, datetime], list[SupersededBill]]


def views(store: Store, books: KeptBooks, shown: Sequence[Shown], *, site: str) -> Iterator[BillView]:
    """Each bill with what explains it, in order of book, period and account; one whose book is lost is left out."""
    ordered = sorted(shown, key=lambda one: (one.bill.book_hash, one.bill.start, one.bill.end, one.bill.account))
    for _, group in groupby(ordered, key=lambda one: (one.bill.book_hash, one.bill.start, one.bill.end)):
        same = list(group)
        book = books.of(same[0].bill.book_hash)
        for at in range(0, len(same) if book is not None else 0, SLICE):
            assert book is not None
            yield from _slice(store, book, same[at : at + SLICE], site)


def _slice(store: Store, book: Book, shown: Sequence[Shown], site: str) -> Iterator[BillView]:
    span = shown[0].bill.start, shown[0].bill.end
    previous, year_before = neighbours(book, span[0])
    names = [one.bill.account for one in shown]
    kept = store.read(lambda reader: _kept(reader, names, (span[0], previous[0], year_before[0])))
    meters = sorted({meter for name in names for meter in kept.master.meters(name)})
    begin = ladder_start(book, span[0])
    now, *then = (
        Energies.of(gather(store, meters, *times, None)) for times in ((begin, span[1]), previous, year_before)
    )
    for one in shown:
        name = one.bill.account
        owner = kept.accounts.get(name)
        customer = Customer(name, book, owner.attributes if owner else {}, owner.closed if owner else None)
        basis = billing.basis(kept.master, customer, span, kept.master.of_account(now, name))
        others = [
            Earlier(*times, _used(kept.master.of_account(energies, name), times), kept.bills.get((name, times[0])))
            for times, energies in zip((previous, year_before), then, strict=True)
        ]
        yield _view(one, (owner, customer, basis), kept, others, site)


def _view(
    one: Shown, who: tuple[Account | None, Customer, Basis], kept: _Kept, others: Sequence[Earlier], site: str
) -> BillView:
    owner, customer, basis = who
    bill, book = one.bill, customer.book
    span, attributes = (bill.start, bill.end), customer.attributes
    before = kept.before.get((bill.account, bill.start), [])
    return BillView(
        bill=bill,
        name=owner.name if owner else "",
        lang=owner.lang if owner else "en",
        site=site,
        title=book.title,
        zone=book.zone,
        meters=tuple(kept.master.name(meter) for meter in kept.master.meters(bill.account)),
        posted=one.posted,
        wh=int(basis.usage.wh.sum()),
        lines=tuple(zip(bill.lines, reasons(book, bill, basis.usage, attributes, basis.carried), strict=True)),
        standings=standings(
            book, span, basis.usage, until=bill.ended or bill.end, attributes=attributes, carried=basis.carried
        ),
        previous=others[0],
        year_before=others[1],
        days=tuple(_days(book, span, basis)),
        sources=dict(sources(book)),
        revised=tuple(Revised(row.revision, row.total_micro, row.posted, row.superseded) for row in before),
        changes_micro=bill.total_micro - before[0].total_micro if before else 0,
    )


def neighbours(book: Book, start: datetime) -> tuple[Span, Span]:
    """The billing period before the one that begins at ``start``, and the same one a year before."""
    local = calendars.to_local(start, book.zone)
    a_year_ago = calendars.to_utc(local.replace(year=local.year - 1), book.zone)
    return period_of(book, start - timedelta(minutes=1)), period_of(book, a_year_ago)


def _kept(reader: Reader, names: Sequence[str], starts: Sequence[datetime]) -> _Kept:
    installs = reader.find(Install, account__in=names)
    known = {row.account: row for row in reader.find(Account, account__in=names)}
    free = [name for name in names if name not in known]  # meters without an account, billed under their own number
    points = reader.find(MeterPoint, meter_id__in=sorted({row.meter_id for row in installs}))
    loose = reader.find(MeterPoint, meter__in=free) if free else []
    installs += [Install(row.meter_id, row.meter, row.meter, row.serial, datetime(1970, 1, 1)) for row in loose]
    bills = reader.find(StoredBill, account__in=names, start__in=list(starts))
    before: dict[tuple[str, datetime], list[SupersededBill]] = {}
    for row in reader.find(SupersededBill, account__in=names, start=starts[0], order=("account", "revision")):
        before.setdefault((row.account, row.start), []).append(row)
    return _Kept(
        known,
        Master(installs, [*points, *loose]),
        {(row.account, row.start): row.total_micro for row in bills},
        before,
    )


def _used(own: Energies, span: Span) -> int | None:
    """Billable Wh that fall into the span; None when nothing is stored."""
    minutes = (ms_of(span[1]) - ms_of(span[0])) // 60_000
    rows = np.flatnonzero((own.channel == Channel.IMPORT) & billable(own.flags))
    taken = share(own.take(rows), Grid(ms_of(span[0]), minutes, 1))
    return int(taken.wh.sum()) if taken.wh.size else None


def _days(book: Book, span: Span, basis: Basis) -> Iterator[tuple[date, int]]:
    """Wh of each local day of the bill."""
    plan = compile(book, *span, basis.grid.minutes)
    wh, _, _ = placed(plan, basis.usage, span[1])
    day = plan.calendar.day - int(plan.calendar.day[0])
    first = calendars.to_local(span[0], book.zone).date()
    for number, energy in enumerate(np.bincount(day, weights=wh[0]).astype(np.int64).tolist()):
        yield first + timedelta(days=number), energy
