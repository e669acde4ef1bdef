"""Accounts and months go in; how they use energy, and what other tariffs would have cost them, comes out.

The same stored reads are rated on other books and nothing is posted. Load factor is the mean power over the largest one
of a slot; shares are those of the account's own windows; the power factor needs reactive reads. Whether a customer may
have a tariff is for the utility to say: only its cost is told.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from ingest.records import MeterPoint
from prewatt.bills.dossier import Span
from prewatt.errors import Usage
from prewatt.listing import money
from prewatt.lookup import config_of, known
from prewatt.rules import read_book
from prewatt.wiring import Shell, reading
from storage import billing
from storage.around import gather
from storage.billing import Basis, Customer
from storage.records import Account, Install
from storage.unit import Reader
from storage.usage import Energies, Master, at_ms, ms_of
from tariff import money as exact
from tariff.errors import RatingError
from tariff.model import Book
from tariff.plan import compile
from tariff.records import Bill
from tariff.statement import ladder_start
from tariff.usage import placed

Row = dict[str, Any]
MOST_MONTHS = 36
PLACES = 4  # of shares and factors


@dataclass(slots=True)
class Profile:
    """How one account used energy over its months."""

    wh: int = 0
    slots: int = 0
    minutes: int = 60
    peak_wh: int = 0
    peak_at: datetime | None = None
    varh: int | None = None
    by_window: dict[str, int] = field(default_factory=dict)

    def take(self, basis: Basis, plan_wh: np.ndarray[Any, Any], labels: Sequence[str]) -> None:
        """Add one month: the energies of its slots, and the window of each."""
        usage = basis.usage
        self.minutes = basis.grid.minutes
        self.wh += int(usage.wh.sum())
        self.slots += int(basis.has.sum())
        if usage.wh.size and int(usage.wh.max()) > self.peak_wh:
            place = int(usage.wh.argmax())
            self.peak_wh = int(usage.wh[place])
            self.peak_at = at_ms(int(usage.ends[place].astype("datetime64[ms]").astype(np.int64)))
        if usage.reactive_varh is not None:
            self.varh = (self.varh or 0) + int(usage.reactive_varh.sum())
        for label in dict.fromkeys(labels):
            inside = np.array([one == label for one in labels])
            self.by_window[label] = self.by_window.get(label, 0) + int(plan_wh[inside].sum())

    def row(self) -> Row:
        """As printed: decimals of four places, None where nothing can be said."""
        hours = self.slots * self.minutes
        peak_w = self.peak_wh * 60 // self.minutes
        factor = _ratio(self.wh * 60 * 1000, hours * peak_w * 1000) if hours and peak_w else None
        power = None
        if self.varh is not None and (self.wh or self.varh):
            power = f"{self.wh / (self.wh**2 + self.varh**2) ** 0.5:.{PLACES}f}"
        return {
            "kwh": exact.text(self.wh, 3),
            "peak_kw": exact.text(self.peak_wh * 60_000 // self.minutes, 6),
            "peak_at": self.peak_at,
            "load_factor": factor,
            "shares": {label: _ratio(wh, self.wh) for label, wh in sorted(self.by_window.items())} if self.wh else {},
            "power_factor": power,
        }


def _ratio(part: int, whole: int) -> str:
    return exact.text(int(exact.divide(part * 10**PLACES, whole)), PLACES, PLACES)


def advice(option: Path | None, account: str, *, first: str = "", last: str = "", names: Sequence[str] = ()) -> Row:
    """Advice to ``account`` ("" = all) over the months ``first`` to ``last`` (default: the twelve before this one)."""
    with reading(config_of(option)) as shell:
        months = _months(shell.clock.now(), first, last)
        books = {book.name: book for book in (read_book(shell.config, name) for name in names)}
        rows = list(_advised(shell, account, months, books))
    return {"from": months[0], "to": months[-1], "accounts": rows}


def _months(now: datetime, first: str, last: str) -> list[str]:
    try:
        end = datetime.fromisoformat(f"{last}-01") if last else _on(now.replace(day=1), -1)
        start = datetime.fromisoformat(f"{first}-01") if first else _on(end, -11)
    except ValueError:
        raise Usage(f"{first or last!r} is no month", attempt="--from 2026-01 --to 2026-06") from None
    count = (end.year - start.year) * 12 + end.month - start.month + 1
    if not 1 <= count <= MOST_MONTHS:
        raise Usage(f"{count} months from {start:%Y-%m} to {end:%Y-%m}", attempt=f"1 to {MOST_MONTHS} months")
    return [f"{_on(start, step):%Y-%m}" for step in range(count)]


def _on(at: datetime, step: int) -> datetime:
    index = at.year * 12 + at.month - 1 + step
    return at.replace(year=index // 12, month=index % 12 + 1, day=1)


def _advised(shell: Shell, account: str, months: Sequence[str], given: Mapping[str, Book]) -> Iterator[Row]:
    accounts, master = shell.store.read(lambda reader: rows(reader, account))
    if account and not accounts:
        raise Usage(f"no account {account!r}", attempt="prewatt accounts list")
    for owner in accounts:
        own = shell.books.get(owner.book)
        if own is None or not master.meters(owner.account):
            continue
        others = given or {name: book for name, book in shell.books.items() if book.currency == own.currency}
        yield _advise(shell, master, owner, [own, *(book for book in others.values() if book != own)], months)


def rows(reader: Reader, account: str) -> tuple[list[Account], Master]:
    accounts = [known(reader, account)] if account else reader.find(Account, order="account")
    only: dict[str, Any] = {"account": account} if account else {}
    return accounts, Master(reader.find(Install, **only), reader.find(MeterPoint))


def _advise(shell: Shell, master: Master, owner: Account, books: Sequence[Book], months: Sequence[str]) -> Row:
    """One account on its own book and the others, from one look at the lake."""
    spans = {book.hash: [billing.span_of(book, month) for month in months] for book in books}
    begin = min(ladder_start(book, spans[book.hash][0][0]) for book in books)
    end = max(found[-1][1] for found in spans.values())
    table = gather(shell.store, master.meters(owner.account), begin, end, None)
    energies = master.of_account(Energies.of(table), owner.account)
    profile = Profile()
    own, *others = [_cost(master, owner, book, spans[book.hash], energies, months) for book in books]
    for span in spans[books[0].hash]:
        _profile(profile, master, Customer(owner.account, books[0], owner.attributes, owner.closed), span, energies)
    tariffs = sorted((_beside(one, own) for one in others), key=lambda row: (row["total"] is None, _sort(row)))
    return {
        "account": owner.account,
        "book": books[0].name,
        "currency": books[0].currency,
        **profile.row(),
        "months": len(own.months),
        "missing": own.missing,
        "estimated": own.estimated,
        "total": money(own.total_micro),
        "why_not": own.why_not,
        "tariffs": tariffs,
        "cheapest": _cheapest(own, others),
    }


@dataclass(slots=True)
class _Cost:
    """What one book asks for the months that have reads; ``why_not`` says why it cannot price one."""

    book: Book
    months: dict[str, int] = field(default_factory=dict)
    missing: int = 0
    estimated: int = 0
    why_not: str = ""

    @property
    def total_micro(self) -> int:
        return sum(self.months.values())


def _cost(
    master: Master, owner: Account, book: Book, spans: Sequence[Span], energies: Energies, months: Sequence[str]
) -> _Cost:
    found = _Cost(book)
    customer = Customer(owner.account, book, owner.attributes, owner.closed)
    try:
        for month, span in zip(months, spans, strict=True):
            bill = monthly(master, customer, span, energies)
            if bill is not None:
                found.months[month] = bill.total_micro
                found.missing += sum(one.intervals for one in bill.missing)
                found.estimated += sum(one.intervals for one in bill.estimated)
    except RatingError as error:
        found.months, found.why_not = {}, str(error)
    return found


def monthly(master: Master, customer: Customer, span: Span, energies: Energies) -> Bill | None:
    """The bill of one month; None where no interval lies in it."""
    low, high = (ms_of(at) for at in span)
    if not ((energies.end > low) & (energies.end <= high)).any():
        return None
    begin = ms_of(ladder_start(customer.book, span[0]))
    part = energies.take(np.flatnonzero((energies.end > begin) & (energies.end <= high)))
    return billing.one_bill(master, customer, span, part, None)


def _profile(profile: Profile, master: Master, customer: Customer, span: Span, energies: Energies) -> None:
    low, high = (ms_of(at) for at in span)
    part = energies.take(np.flatnonzero((energies.end > low) & (energies.end <= high)))
    if not part.end.size:
        return
    basis = billing.basis(master, customer, span, part)
    plan = compile(customer.book, *span, basis.grid.minutes, customer.attributes)
    wh, _, _ = placed(plan, basis.usage, span[1])
    calendar = plan.calendar
    labels = [calendar.periods[int(number)] for number in calendar.period]
    profile.take(basis, wh[0], labels)


def _beside(one: _Cost, own: _Cost) -> Row:
    """One other tariff, month by month, against the account's own."""
    row: Row = {"book": one.book.name, "title": one.book.title, "book_hash": one.book.hash}
    if one.why_not or one.book.currency != own.book.currency or own.why_not:
        why = one.why_not or own.why_not or f"it is in {one.book.currency}"
        return row | {"total": None, "difference": None, "months": [], "why_not": why}
    months = [
        {"period": month, "total": money(total), "difference": money(total - own.months[month])}
        for month, total in one.months.items()
        if month in own.months
    ]
    difference = money(one.total_micro - own.total_micro)
    return row | {"total": money(one.total_micro), "difference": difference, "months": months, "why_not": ""}


def _sort(row: Row) -> tuple[float, str]:
    return float(row["total"] or 0), row["book"]  # for the order of the list only


def _cheapest(own: _Cost, others: Sequence[_Cost]) -> Row | None:
    """The tariff that asks least, and by how much less than the account's own; None where nothing can be compared."""
    comparable = [one for one in others if not one.why_not and one.book.currency == own.book.currency]
    if own.why_not or not own.months or not comparable:
        return None
    best = min([own, *comparable], key=lambda one: one.total_micro)  # of equals the own one
    saves = own.total_micro - best.total_micro
    percent = exact.text(int(exact.divide(saves * 1000, own.total_micro)), 1, 1) if own.total_micro > 0 else None
    return {"book": best.book.name, "saves": money(saves), "percent": percent}
