"""Posted bills and the stored intervals go in; whatever comes out differently when made again comes out, named.

The proof that money rests on nothing but stored reads and books: each bill is made again from the lake by the same
functions, on the book whose text was kept under its hash, and compared to the micro-unit: total, reads, lines; then the
postings of the bill and its corrections, the charge of every slot, and what open periods accrued. A book that is no
longer at hand, or whose text has changed, is named.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import groupby, pairwise
from typing import Any, TypeVar

from ingest.records import MeterPoint
from storage.around import gather
from storage.billing import Customer, attributes_of, bills_of, kept_bill
from storage.codec import canonical
from storage.keptbooks import KeptBooks
from storage.recharge import Recharged, recharge, unlike
from storage.records import Account, Install, OpenPeriod, Posting, StoredBill, SupersededBill
from storage.store import Store
from storage.unit import Reader
from storage.usage import Energies, Master
from tariff.errors import RatingError
from tariff.model import Book
from tariff.records import Bill, BillLine
from tariff.statement import ladder_start

SLICE = 500
Period = TypeVar("Period", StoredBill, OpenPeriod)
Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Difference:
    """One amount that is not what it would be now, as stored and as made again (None: not there), and why in a word.

    ``reason``: total, reads, book, gone (nothing is left in the period) or kept (the bill's own text differs from its
    row) for a bill; line, posting, slot or accrued for the ``place`` that is named.
    """

    account: str
    start: datetime
    stored_micro: int | None
    now_micro: int | None
    reason: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class Rerated:
    """How many posted bills, charged slots and open periods were made again, and what differs, by account and start."""

    checked: int
    differences: tuple[Difference, ...]
    slots: int = 0
    periods: int = 0


@dataclass(frozen=True, slots=True)
class _Held:
    """Committed rows of the home that a check rests on."""

    store: Store
    books: KeptBooks
    master: Master
    accounts: Mapping[str, Account]


@dataclass(slots=True)
class _Count:
    slots: int = 0
    periods: int = 0


def rerate(
    store: Store,
    books: Mapping[str, Book] | KeptBooks,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    account: str = "",
    slots: bool = False,
) -> Rerated:
    """Make every posted bill that starts in [``since``, ``until``) again and compare; with ``slots`` every charge too.

    ``account`` limits it to one. With ``slots`` the accrued money of open periods is made again as well.
    """
    only: dict[str, Any] = {"account": account} if account else {}
    installs, points, accounts, stored, open_ = store.read(
        lambda r: (
            r.find(Install),
            r.find(MeterPoint),
            r.find(Account),
            r.find(StoredBill, **only),
            r.find(OpenPeriod, **only) if slots else [],
        )
    )
    kept = books if isinstance(books, KeptBooks) else KeptBooks(store, books)
    held = _Held(store, kept, Master(installs, points), {one.account: one for one in accounts})
    inside = lambda one: (since is None or one.start >= since) and (until is None or one.start < until)  # noqa: E731
    chosen = sorted(filter(inside, stored), key=lambda one: (one.book_hash, one.start, one.end, one.account))
    periods = sorted(filter(inside, open_), key=lambda one: (one.book_hash, one.start, one.end, one.account))
    found: list[Difference] = []
    count = _Count(periods=len(periods))
    for part in _parts(chosen):
        found += _bills(held, part, count, slots=slots)
    for some in _parts(periods):
        found += _open(held, some, count)
    ordered = sorted(found, key=lambda one: (one.account, one.start))
    return Rerated(len(chosen), tuple(ordered), count.slots, count.periods)


def _parts(rows: Sequence[Period]) -> Iterator[list[Period]]:
    """Rows of one book and period, so many at a time: the unit of work that an executor may take elsewhere."""
    for _, group in groupby(rows, key=lambda one: (one.book_hash, one.start, one.end)):
        same = list(group)
        for at in range(0, len(same), SLICE):
            yield same[at : at + SLICE]


def _bills(held: _Held, stored: Sequence[StoredBill], count: _Count, *, slots: bool) -> Iterator[Difference]:
    span = stored[0].start, stored[0].end
    book = held.books.of(stored[0].book_hash)
    if book is None:
        yield from (Difference(one.account, one.start, one.total_micro, None, "book") for one in stored)
        return
    customers = [_customer(held, one.account, book) for one in stored if one.account in held.accounts]
    bills = {bill.account: bill for bill in bills_of(held.store, held.master, customers, span)}
    names = [one.account for one in stored]
    legs, before = held.store.read(lambda reader: _booked(reader, names, span[0]))
    for one in stored:
        yield from _bill(one, bills.get(one.account))
        yield from _postings(one, legs.get(one.account, []), before.get(one.account, []))
    if slots:
        yield from _charges(held, customers, span, count)


def _customer(held: _Held, name: str, book: Book) -> Customer:
    return Customer(name, book, held.accounts[name].attributes, held.accounts[name].closed)


def _bill(one: StoredBill, now: Bill | None) -> Iterator[Difference]:
    """What differs between a stored bill and the one made again, and between its row and its own text."""
    try:
        then = kept_bill(one.bill)
    except (ValueError, TypeError, KeyError):
        yield Difference(one.account, one.start, one.total_micro, None, "kept")
        return
    row = (one.total_micro, one.reads_hash, one.book_hash, one.complete)
    if row != (then.total_micro, then.reads_hash, then.book_hash, then.complete):
        yield Difference(one.account, one.start, one.total_micro, then.total_micro, "kept")
    if now is None:
        yield Difference(one.account, one.start, one.total_micro, None, "gone")
        return
    if now.total_micro != one.total_micro:
        yield Difference(one.account, one.start, one.total_micro, now.total_micro, "total")
    if now.reads_hash != one.reads_hash:
        yield Difference(one.account, one.start, one.total_micro, now.total_micro, "reads")
    yield from _lines(one, then, now)


def _lines(one: StoredBill, then: Bill, now: Bill) -> Iterator[Difference]:
    """Lines by what they are for; several of one kind (blocks without tiers) by their order."""
    stored, made = _by_name(then.lines), _by_name(now.lines)
    for name in dict.fromkeys([*stored, *made]):
        old, new = stored.get(name), made.get(name)
        if old is None or new is None or canonical(asdict(old)) != canonical(asdict(new)):
            then_micro, now_micro = (None if line is None else line.amount_micro for line in (old, new))
            yield Difference(one.account, one.start, then_micro, now_micro, "line", name)


def _by_name(lines: Sequence[BillLine]) -> dict[str, BillLine]:
    found: dict[str, BillLine] = {}
    for line in lines:
        name = " ".join(filter(None, (line.id, line.version, line.period, "" if line.tier is None else f"{line.tier}")))
        while name in found:
            name += "'"
        found[name] = line
    return found


def _booked(
    reader: Reader, names: Sequence[str], start: datetime
) -> tuple[dict[str, list[Posting]], dict[str, list[SupersededBill]]]:
    """The customers' legs of bills and corrections of one period, and the bills that corrections replaced."""
    accounts = [f"customer:{name}" for name in names]
    legs: dict[str, list[Posting]] = {}
    for leg in reader.find(Posting, ledger_account__in=accounts, source__in=["bill", "correction"]):
        name = leg.ledger_account.removeprefix("customer:")
        if leg.source_id.removeprefix(f"{name}:").startswith(start.isoformat()):
            legs.setdefault(name, []).append(leg)
    before: dict[str, list[SupersededBill]] = {}
    for row in reader.find(SupersededBill, account__in=list(names), start=start, order=("account", "revision")):
        before.setdefault(row.account, []).append(row)
    return legs, before


def _postings(one: StoredBill, legs: Sequence[Posting], before: Sequence[SupersededBill]) -> Iterator[Difference]:
    """Each posting against the totals that the bill has had: the first one, then every difference."""
    totals = [*(row.total_micro for row in before), one.total_micro]
    number = f"{one.account}:{one.start.isoformat()}"
    want = {("bill", number): -totals[0]}
    for revision, (old, new) in enumerate(pairwise(totals), start=1):
        want["correction", f"{number}:{revision}"] = old - new
    have = {(leg.source, leg.source_id): leg.amount_micro for leg in legs}
    if sum(have.values()) == -one.total_micro and not before:
        return  # a home whose corrections were booked before the bills as they stood were kept
    for key in sorted(want.keys() | have.keys()):
        if want.get(key, 0) != have.get(key, 0):
            yield Difference(one.account, one.start, have.get(key), want.get(key), "posting", " ".join(key))


def _energies(held: _Held, customers: Sequence[Customer], span: Span) -> Energies:
    meters = sorted({meter for one in customers for meter in held.master.meters(one.account)})
    return Energies.of(gather(held.store, meters, ladder_start(customers[0].book, span[0]), span[1], None))


def _charges(held: _Held, customers: Sequence[Customer], span: Span, count: _Count) -> Iterator[Difference]:
    """The charge of every slot of one book and period."""
    for one, made, rows in _made(held, customers, span):
        count.slots += len(rows)
        yield from _slots(held, one, span, made, rows)


def _made(
    held: _Held, customers: Sequence[Customer], span: Span
) -> Iterator[tuple[Customer, Recharged, list[dict[str, object]]]]:
    """Each customer's charges made again, and as they are stored."""
    if not customers:
        return
    energies = _energies(held, customers, span)
    meters = sorted({meter for one in customers for meter in held.master.meters(one.account)})
    stored: dict[str, list[dict[str, object]]] = {}
    for row in held.store.charges(*span, meters).to_pylist():
        stored.setdefault(str(row["account"]), []).append(row)
    for one in customers:
        own = held.master.of_account(energies, one.account)
        try:
            attributes = attributes_of(held.master, one, span)
            made = recharge(one.book, span, own, master=held.master, account=one.account, attributes=attributes)
        except RatingError:
            made = Recharged((), 0)
        yield one, made, stored.get(one.account, [])


def _slots(
    held: _Held, one: Customer, span: Span, made: Recharged, rows: Sequence[Mapping[str, object]]
) -> Iterator[Difference]:
    for (meter, end), then, now in unlike(made, held.master, rows):
        then_micro, now_micro = (None if row is None else int(row["amount_micro"]) for row in (then, now))
        place = f"{held.master.name(meter)} {end.isoformat(timespec='minutes')}Z"
        yield Difference(one.account, span[0], then_micro, now_micro, "slot", place)


def _open(held: _Held, periods: Sequence[OpenPeriod], count: _Count) -> Iterator[Difference]:
    """What open periods accrued, and the charges of their slots."""
    span = periods[0].start, periods[0].end
    book = held.books.of(periods[0].book_hash)
    if book is None:
        yield from (Difference(one.account, one.start, one.accrued_micro, None, "book") for one in periods)
        return
    accrued = {one.account: one.accrued_micro for one in periods}
    customers = [_customer(held, name, book) for name in accrued if name in held.accounts]
    for one, made, rows in _made(held, customers, span):
        count.slots += len(rows)
        if made.accrued_micro != accrued[one.account]:
            yield Difference(one.account, span[0], accrued[one.account], made.accrued_micro, "accrued")
        yield from _slots(held, one, span, made, rows)
