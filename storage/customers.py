"""Master data and a period go in, whom to bill comes out: each customer with the book and the span that hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ingest.records import MeterPoint
from storage.records import Account, Install
from storage.store import Store
from storage.usage import Master
from tariff import supply
from tariff.calendar import to_utc
from tariff.model import Book
from tariff.statement import period_of


@dataclass(frozen=True, slots=True)
class Customer:
    """Whom a bill is for: an account, or a meter without one when only a computation is asked for."""

    account: str
    book: Book
    attributes: Mapping[str, str]
    closed: datetime | None


@dataclass(frozen=True, slots=True)
class Run:
    """Everybody who may get a bill of one period, by account, and the spans of their books, by hash."""

    master: Master
    customers: tuple[Customer, ...]
    spans: Mapping[str, tuple[datetime, datetime]]


def attributes_of(master: Master, customer: Customer, span: tuple[datetime, datetime]) -> dict[str, str]:
    """The customer's attributes in a bill of ``span``: with the days of supply, where it begins or ends inside."""
    since, until = master.supply(customer.account)
    ends = [at for at in (until, customer.closed) if at is not None]
    return supply.held(customer.attributes, customer.book.zone, span, since, min(ends, default=None))


def span_of(book: Book, period: str) -> tuple[datetime, datetime]:
    """The UTC span of the billing period that begins in local month ``YYYY-MM``; ValueError for other text."""
    first = datetime.fromisoformat(f"{period}-01").replace(day=book.cycle_day)
    return period_of(book, to_utc(first, book.zone))


def plan_run(
    store: Store,
    period: str,
    books: Mapping[str, Book],
    *,
    book: str | None = None,
    account: str | None = None,
) -> Run:
    """Whom to bill for ``period`` (YYYY-MM), each on its own book or all on ``book``.

    With ``book`` meters without an account are billed too, under their own number. Raises KeyError for a book or
    account that does not exist, ValueError for a period that is none.
    """
    datetime.fromisoformat(f"{period}-01")
    installs, points, accounts = store.read(lambda r: (r.find(Install), r.find(MeterPoint), r.find(Account)))
    known = {one.account: one for one in accounts}
    if book is not None:
        free = _unassigned(points, installs, known)
        installs = [*installs, *free]
    master = Master(installs, points)
    if account is not None and account not in master.by_account and account not in known:
        raise KeyError(account)
    customers = []
    for name in sorted(master.by_account) if account is None else [account]:
        own = known.get(name)
        tariff = books[book] if book is not None else books[own.book] if own is not None else None
        if tariff is not None:
            customers.append(Customer(name, tariff, own.attributes if own else {}, own.closed if own else None))
    spans = {one.book.hash: span_of(one.book, period) for one in {id(c.book): c for c in customers}.values()}
    return Run(master, tuple(customers), spans)


def _unassigned(
    points: Sequence[MeterPoint], installs: Sequence[Install], known: Mapping[str, Account]
) -> list[Install]:
    """Installs of meters that nobody has, each at an account of its own name."""
    taken = {install.meter_id for install in installs}
    return [
        Install(point.meter_id, point.meter, point.meter, point.serial, datetime(1970, 1, 1))
        for point in points
        if point.meter_id not in taken and point.meter not in known
    ]
