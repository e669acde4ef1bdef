"""A period and the stored intervals go in, bills come out; a posted bill stands in the ledger and clears what accrued.

A bill names what is missing (no interval, or none that may be billed) and where the account ended: its contract's or
meter's end, or the last interval of a meter that only files speak for. Bills are computed in full each time; posting
the same one again changes nothing.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby

import numpy as np
import pyarrow as pa

from ingest.records import Channel
from storage import blocks, wholes
from storage.accruals import settle
from storage.around import gather
from storage.codec import canonical, revive
from storage.customers import Customer as Customer
from storage.customers import Run as Run
from storage.customers import attributes_of as attributes_of
from storage.customers import plan_run as plan_run
from storage.customers import span_of as span_of
from storage.errors import Outdated
from storage.folds import Quality, carried
from storage.positions import billable, measured
from storage.records import Cursor, OpenPeriod, Posting, StoredBill
from storage.store import Store
from storage.unit import Reader, Unit
from storage.usage import ESTIMATED, Bool, Energies, Grid, Int, Master, at_ms, ms_of, share
from storage.writer import Priority
from tariff import gas, statement
from tariff.model import Book
from tariff.records import Bill, MissingSpan
from tariff.statement import Usage, ladder_start

REVENUE = "revenue:energy"
AFTER = timedelta(days=800)  # how far past a period the end of a file meter is looked for
SLICE = 100
RATER = "rater"  # whose cursors say how far reads have been rated
LOOK_ROWS = 1 << 18  # hourly intervals that are held at once


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """What one bill is made of: the energies of its slots, the Wh that each ladder had gone at its start, the slots
    that have a billable import, and those of them where it is an estimate.
    """

    usage: Usage
    carried: Mapping[str, int]
    grid: Grid
    has: Bool
    guess: Bool


Seen = tuple[tuple[str, int], ...]  # by dataset, the last batch that was rated


@dataclass(frozen=True, slots=True)
class Look:
    """The bills of some neighbouring accounts: how many intervals they rest on, how many accounts are through.

    ``seen`` is how far reads had been rated when the bills were made: see ``post``.
    """

    bills: tuple[Bill, ...]
    reads: int
    done: int
    seen: Seen = ()


def looks(store: Store, run: Run) -> Iterator[Look]:
    """The bills of a run in order of account, some accounts at a time: memory does not grow with their number.

    Accounts with nothing in the period get none.
    """
    done = 0
    while done < len(run.customers):
        seen = store.read(rated_to)
        first = run.customers[done]
        some = run.customers[done : done + _together(first, run.spans[first.book.hash])]
        bills: list[Bill] = []
        reads = 0
        for _, group in groupby(sorted(some, key=lambda one: one.book.hash), key=lambda one: one.book.hash):
            same = list(group)
            found, counted = _look(store, run.master, same, run.spans[same[0].book.hash])
            bills, reads = bills + found, reads + counted
        done += len(some)
        yield Look(tuple(sorted(bills, key=lambda bill: bill.account)), reads, done, seen)


def rated_to(reader: Reader) -> Seen:
    """The rater's cursors, which rise with every slice of reads that it commits."""
    return tuple(sorted((cursor.dataset, cursor.seq) for cursor in reader.find(Cursor, name=RATER)))


def _together(customer: Customer, span: tuple[datetime, datetime]) -> int:
    """How many accounts are billed from one look at the lake: as their intervals fit into it."""
    days = (span[1] - ladder_start(customer.book, span[0])).days
    return max(1, LOOK_ROWS // (24 * max(1, days)))


def compute(
    store: Store,
    period: str,
    books: Mapping[str, Book],
    *,
    book: str | None = None,
    account: str | None = None,
) -> list[Bill]:
    """All bills of ``period``, by account; see ``plan_run`` and ``looks``."""
    run = plan_run(store, period, books, book=book, account=account)
    return [bill for look in looks(store, run) for bill in look.bills]


def bills_of(
    store: Store, master: Master, customers: Sequence[Customer], span: tuple[datetime, datetime]
) -> list[Bill]:
    """Bills of customers of one book for one period; none for those with nothing in it."""
    step = _together(customers[0], span) if customers else 1
    parts = (customers[at : at + step] for at in range(0, len(customers), step))
    return [bill for part in parts for bill in _look(store, master, part, span)[0]]


def _look(
    store: Store, master: Master, customers: Sequence[Customer], span: tuple[datetime, datetime]
) -> tuple[list[Bill], int]:
    """Bills of customers of one book from one look at the lake, and how many intervals of the period it found."""
    begin = ladder_start(customers[0].book, span[0])
    meters = sorted({meter for one in customers for meter in master.meters(one.account)})
    energies = blocks.energies(store, {meter: master.slot_min(meter) for meter in meters}, begin, span[1])
    last = _file_ends(store, master, energies, meters, span[1])
    whole = wholes.billed(master, customers, span, energies, last)
    bills = [whole.get(one.account) or _bill(master, one, span, energies, last) for one in customers]
    return [bill for bill in bills if bill is not None], int((energies.end > ms_of(span[0])).sum())


def bill_of(
    store: Store, master: Master, customer: Customer, span: tuple[datetime, datetime], fresh: pa.Table | None = None
) -> Bill | None:
    """The bill of one customer, with intervals that are not stored yet; None when nothing is in the period."""
    meters = master.meters(customer.account)
    energies = Energies.of(gather(store, meters, ladder_start(customer.book, span[0]), span[1], fresh))
    return _bill(master, customer, span, energies, _file_ends(store, master, energies, meters, span[1]))


def _bill(
    master: Master,
    customer: Customer,
    span: tuple[datetime, datetime],
    energies: Energies,
    last: Mapping[int, datetime],
) -> Bill | None:
    own = master.meters(customer.account)
    if not own:
        return None
    low, high = np.searchsorted(energies.meter_id, [own[0], own[-1] + 1])
    mine = master.of_account(energies.take(np.arange(low, high)), customer.account)
    if not (mine.end > ms_of(span[0])).any():
        return None
    return one_bill(master, customer, span, mine, ended_at(master, customer, last, span[1]))


def _file_ends(
    store: Store, master: Master, energies: Energies, meters: Sequence[int], end: datetime
) -> dict[int, datetime]:
    """When meters that only files speak for spoke last, for those that are silent before the period's end."""
    last: dict[int, datetime] = {}
    for meter in meters:
        point = master.points.get(meter)
        low, high = np.searchsorted(energies.meter_id, [meter, meter + 1])
        if point is None or point.protocol != "file" or low == high:
            continue
        latest = int(energies.end[low:high].max())
        if latest < ms_of(end):
            last[meter] = at_ms(latest)
    if last:
        after = Energies.of(store.intervals(end, end + AFTER, sorted(last), None))
        for meter in np.unique(after.meter_id).tolist():
            del last[meter]
    return last


def ended_at(master: Master, customer: Customer, file_ends: Mapping[int, datetime], end: datetime) -> datetime | None:
    """When the account ended inside the period: contract, every meter taken away, or every file meter silent."""
    stops = []
    for install in master.by_account.get(customer.account, []):
        stop = install.end or file_ends.get(install.meter_id)
        stops.append(stop if stop is not None else end)
    found = [max(stops, default=end)] + ([customer.closed] if customer.closed is not None else [])
    return min(found) if min(found) < end else None


def one_bill(
    master: Master, customer: Customer, span: tuple[datetime, datetime], own: Energies, ended: datetime | None
) -> Bill:
    """The bill of one customer from its meters' intervals since the ladder's start."""
    made = basis(master, customer, span, own)
    attributes = attributes_of(master, customer, span)
    bill = rated(replace(customer, attributes=attributes), span, made, ended)
    missing = _missing(master, customer.account, made.grid, made.has, ended)
    bill = replace(bill, missing=missing, complete=not missing, estimated=_spans(made.grid, made.guess))
    if not ((own.flags & ESTIMATED) != 0).any():
        return bill
    measured_only = basis(master, customer, span, own, counts=measured)
    sure = rated(replace(customer, attributes=attributes), span, measured_only, ended)
    return replace(bill, estimated_micro=max(bill.total_micro - sure.total_micro, 0))


def rated(customer: Customer, span: tuple[datetime, datetime], made: Basis, ended: datetime | None = None) -> Bill:
    """The bill of one customer on its book, of energies that are on their slots already."""
    usage = made.usage
    return statement.bill(
        customer.book,
        customer.account,
        *span,
        usage.ends,
        usage.wh,
        minutes=made.grid.minutes,
        attributes=customer.attributes,
        ended=ended,
        carried=made.carried,
        export_wh=usage.export_wh,
        reactive_varh=usage.reactive_varh,
    )


def basis(
    master: Master,
    customer: Customer,
    span: tuple[datetime, datetime],
    own: Energies,
    *,
    counts: Quality = billable,
) -> Basis:
    """Put the intervals of one customer's meters since the ladder's start on the slots of one bill.

    ``counts`` says by their flags which intervals: for a bill all that may be billed, for hourly charges the measured.
    """
    start, end = span
    minutes = master.minutes(customer.account, start)
    grid = Grid(ms_of(start), minutes, (ms_of(end) - ms_of(start)) // (minutes * 60_000))
    counted = Channel.GAS if gas.is_gas(customer.book) else Channel.IMPORT
    wh, has, guess = _by_slot(own, grid, counted, counts)
    export, sold, _ = _by_slot(own, grid, Channel.EXPORT, counts)
    lag, reacts, _ = _by_slot(own, grid, Channel.REACTIVE, counts)
    any_slot = np.flatnonzero(has | sold | reacts)
    ends = (grid.start + (any_slot + 1) * grid.slot_ms).astype("datetime64[ms]")
    bought = export[any_slot] if sold.any() else None
    usage = Usage(ends, wh[any_slot], minutes, bought, lag[any_slot] if reacts.any() else None)
    before = carried(customer.book, start, own, minutes, customer.attributes, counts=counts)
    return Basis(usage, before, grid, has, guess)


def basis_of(
    store: Store,
    master: Master,
    customer: Customer,
    span: tuple[datetime, datetime],
    *,
    counts: Quality = billable,
) -> Basis:
    """What the bill of ``span`` is made of, as stored now."""
    meters = master.meters(customer.account)
    energies = Energies.of(gather(store, meters, ladder_start(customer.book, span[0]), span[1], None))
    return basis(master, customer, span, master.of_account(energies, customer.account), counts=counts)


def _by_slot(own: Energies, grid: Grid, channel: Channel, counts: Quality) -> tuple[Int, Bool, Bool]:
    """Wh per slot of one channel, the slots that have any, and those where some of it is estimated."""
    taken = share(own.take(np.flatnonzero(own.channel == channel)), grid)
    good = counts(taken.flags)
    wh, has, guess = np.zeros(grid.count, np.int64), np.zeros(grid.count, np.bool_), np.zeros(grid.count, np.bool_)
    np.add.at(wh, taken.slot[good], taken.wh[good])
    has[taken.slot[good]] = True
    guess[taken.slot[good & ~measured(taken.flags)]] = True
    return wh, has, guess


def _missing(
    master: Master,
    account: str,
    grid: Grid,
    has: Bool,
    ended: datetime | None,
) -> tuple[MissingSpan, ...]:
    """Spans without a billable interval while a meter was there and the account had not ended."""
    ends = grid.start + (np.arange(grid.count) + 1) * grid.slot_ms
    first = min((ms_of(install.start) for install in master.by_account.get(account, [])), default=0)
    last = ms_of(ended) if ended is not None else 1 << 62
    return _spans(grid, ~has & (ends > first) & (ends <= last))


def _spans(grid: Grid, chosen: Bool) -> tuple[MissingSpan, ...]:
    """Neighbouring slots of a bill as spans."""
    holes = np.flatnonzero(chosen)
    spans = []
    for part in np.split(holes, np.flatnonzero(np.diff(holes) != 1) + 1):
        if part.size:
            begin = grid.start + int(part[0]) * grid.slot_ms
            stop = grid.start + (int(part[-1]) + 1) * grid.slot_ms
            spans.append(MissingSpan(at_ms(begin), at_ms(stop), int(part.size)))
    return tuple(spans)


def post(store: Store, bills: Sequence[Bill], now: datetime, *, seen: Seen | None = None) -> int:
    """Post bills whose period is over: ledger, stored bill and cleared accrual in one transaction per slice.

    Returns how many were new; one that is posted already stays as it is. ValueError for a period that is not over.
    With ``seen`` Outdated is raised, and nothing posted, where reads have been rated since the bills were made: such a
    read has moved an open period that posting would clear, and no later step would bill it.
    """
    early = [bill.account for bill in bills if bill.end > now]
    if early:
        raise ValueError(f"the period of {early[0]} ends at {bills[0].end}: post bills after it")
    posted = 0
    for at in range(0, len(bills), SLICE):
        part = bills[at : at + SLICE]
        posted += store.write(Priority.BATCH, lambda unit, part=part: _post_all(unit, part, now, seen))  # type: ignore[misc]
    return posted


def _post_all(unit: Unit, bills: Sequence[Bill], now: datetime, seen: Seen | None) -> int:
    if seen is not None and rated_to(unit) != seen:
        raise Outdated(
            f"the bills of {bills[0].account} and {len(bills) - 1} more were made before the last reads were rated; "
            "make them again, then post"
        )
    return sum(_post(unit, bill, now) for bill in bills)


def _post(unit: Unit, bill: Bill, now: datetime) -> int:
    if unit.get(StoredBill, bill.account, bill.start) is not None:
        return 0
    unit.put(stored_bill(bill, now))
    number = f"{bill.account}:{bill.start.isoformat()}"
    if bill.total_micro:
        unit.post(legs("bill", number, bill, bill.total_micro, now))
    unit.delete(OpenPeriod, bill.account, bill.start)
    settle(unit, bill.account, bill.estimated_micro)
    return 1


def legs(source: str, number: str, bill: Bill, amount_micro: int, now: datetime) -> list[Posting]:
    """Both legs of a charge of ``amount_micro`` to the bill's customer, as of the period's end."""
    customer = f"customer:{bill.account}"
    return [
        Posting(source, number, customer, -amount_micro, bill.currency, bill.end, now),
        Posting(source, number, REVENUE, amount_micro, bill.currency, bill.end, now),
    ]


def stored_bill(bill: Bill, now: datetime) -> StoredBill:
    """A bill as it is kept: printed totals beside the whole of it as canonical JSON."""
    return StoredBill(
        bill.account,
        bill.start,
        bill.end,
        bill.book,
        bill.book_hash,
        bill.currency,
        bill.total_micro,
        bill.complete,
        bill.ended,
        bill.reads_hash,
        canonical(asdict(bill)),
        now,
        bill.estimated_micro,
    )


def kept_bill(text: str) -> Bill:
    """A bill from the canonical JSON that it is kept as; what an older one did not have has its default."""
    found: Bill = revive(json.loads(text), Bill)
    return found
