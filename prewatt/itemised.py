"""An account with an hour or a period goes in; why each charge or bill line is what it is comes out, derived anew.

A step is one slot's part in one line: window, period, tier, price, book version; ``sources`` says where each version
was published. What was charged or posted is priced again on the book of then, from the intervals stored now:
``rederived`` says whether it agrees.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ingest.records import MeterPoint
from prewatt import rules
from prewatt.bills.statement import standing_row, why_row
from prewatt.errors import ShellError, Usage
from prewatt.listing import bill_row, money
from prewatt.lookup import config_of, known
from prewatt.rules import series_of
from prewatt.wiring import Shell, reading
from storage import billing, latefees
from storage.billing import Basis, Customer
from storage.folds import Quality
from storage.keptbooks import KeptBooks
from storage.positions import billable, measured
from storage.records import Account, BookVersion, Install, StoredBill
from storage.usage import Master
from tariff import explain
from tariff import money as exact
from tariff.explain import Step
from tariff.inputs import Input, shared
from tariff.model import Book
from tariff.reasons import reasons
from tariff.records import Bill, BillLine
from tariff.standing import standings
from tariff.statement import period_of

Row = dict[str, Any]
Span = tuple[datetime, datetime]
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Subject:
    """One account of an open home, with what its bills are made of."""

    shell: Shell
    account: Account

    @cached_property
    def master(self) -> Master:
        """Who has which meter when."""
        return Master(*self.shell.store.read(lambda reader: (reader.find(Install), reader.find(MeterPoint))))

    def book(self, book_hash: str) -> Book:
        """The book of that content: one in force, else as it was kept when it was; ShellError for neither."""
        for book in self.shell.books.values():
            if book.hash == book_hash:
                return book
        kept = self.shell.store.read(lambda reader: reader.get(BookVersion, book_hash))
        if kept is None:
            raise ShellError(f"the book {book_hash[:12]} was never kept here", attempt="prewatt tariff show")
        return rules.read_kept(self.shell.config, kept)

    def own_book(self) -> Book:
        """The book that the account is on now."""
        found = self.shell.books.get(self.account.book)
        if found is None:
            raise ShellError(
                f"no book {self.account.book!r}", which=self.account.account, attempt="prewatt tariff list"
            )
        return found

    def customer(self, book: Book) -> Customer:
        """The account as bills on ``book`` are made for it."""
        return Customer(self.account.account, book, self.account.attributes, self.account.closed)

    def late_fee(self, start: datetime) -> latefees.Told | None:
        """What the bill that begins at ``start`` bears for being late, as last posted."""
        kept = KeptBooks(self.shell.store, self.shell.books, series_of(self.shell.config))
        return latefees.told(self.shell.store, kept, self.account.account, start)

    def basis(self, book: Book, span: Span, *, counts: Quality = billable) -> Basis:
        """The energies of one bill; for hourly charges ``counts`` takes the measured ones only."""
        return billing.basis_of(self.shell.store, self.master, self.customer(book), span, counts=counts)


def hour(option: Path | None, account: str, at: datetime) -> Row:
    """The charges of the UTC hour that holds ``at``, each with its steps; ShellError when nothing was charged."""
    start = at.replace(minute=0, second=0, microsecond=0)
    with reading(config_of(option)) as shell:
        subject = Subject(shell, shell.store.read(lambda reader: known(reader, account)))
        table = shell.store.charges(start, start + HOUR, subject.master.meters(account))
        rows = [row for row in table.to_pylist() if row["account"] == account]
        if not rows:
            raise ShellError(
                f"nothing was charged to {account} in that hour", attempt="prewatt rate, or another --hour"
            )
        return _hour(subject, start, rows)


def _hour(subject: Subject, start: datetime, rows: Sequence[Row]) -> Row:
    made: dict[tuple[str, Span], Basis] = {}
    charges: list[Row] = []
    steps: list[Step] = []
    for row in rows:
        book = subject.book(row["book_hash"])
        at = row["end"] - timedelta(minutes=row["minutes"])
        span = period_of(book, at)
        basis = made.get((book.hash, span)) or subject.basis(book, span, counts=measured)
        made[book.hash, span] = basis
        given = {"at": at, "attributes": subject.account.attributes, "carried": basis.carried}
        again = explain.charge_micro(book, *span, basis.usage, **given)
        charges.append(_charge(row, book, subject.master.name(row["meter_id"]), again))
        steps += explain.steps(book, *span, basis.usage, **given)
    return {
        "account": subject.account.account,
        "start": start,
        "end": start + HOUR,
        "charges": charges,
        **_told(steps),
        "total": money(sum(row["amount_micro"] for row in rows)),
        "rederived": all(charge["rederived"] for charge in charges),
    }


def _charge(row: Row, book: Book, meter: str, again_micro: int) -> Row:
    """One charge row as stored, and whether pricing the slot again gives the same."""
    return {
        "meter": meter,
        "start": row["end"] - timedelta(minutes=row["minutes"]),
        "end": row["end"],
        "kwh": exact.text(row["energy_wh"], 3),
        "amount": money(row["amount_micro"]),
        "currency": book.currency,
        "period": row["period"],
        "tier": row["tier"],
        "price": exact.text(row["price"], row["price_scale"]),
        "book": book.name,
        "book_hash": book.hash,
        "rederived": again_micro == row["amount_micro"],
    }


def _told(steps: Sequence[Step], charged: Mapping[int, str] = MappingProxyType({})) -> Row:
    """The steps as rows, with what was ``charged`` by their places, and the source of each book version once."""
    versions = {(step.book, step.book_hash, step.version): step.source for step in steps}
    return {
        "steps": [_step(step) | ({"charged": charged[at]} if at in charged else {}) for at, step in enumerate(steps)],
        "sources": [
            {"book": book, "book_hash": book_hash, "version": version, **source}
            for (book, book_hash, version), source in versions.items()
        ],
    }


def _charged(steps: Sequence[Step], lines: Sequence[BillLine], book: Book) -> dict[int, str]:
    """What each step put on its line, by the step's place: rounded, so that the steps of a line add up to it."""
    found: dict[int, str] = {}
    for line in lines:
        own = [place for place, step in enumerate(steps) if _key(step) == _key(line)]
        parts = [Input("step", exact=Fraction(steps[place].amount)) for place in own]
        rounded = shared(parts, line.amount_micro, book)
        found |= {place: money(part.amount_micro or 0) for place, part in zip(own, rounded, strict=True)}
    return found


def _key(one: Step | BillLine) -> tuple[str, str, str, int | None]:
    """The line of a bill that it is, or is on."""
    return one.component if isinstance(one, Step) else one.id, one.version, one.period, one.tier


def _input(line: BillLine, one: Input) -> Row:
    """One thing that a line that is no energy was made of."""
    return {
        "id": line.id,
        "version": line.version,
        "period": line.period,
        "tier": line.tier,
        "what": one.what,
        "start": one.start,
        "end": one.end,
        "quantity": one.quantity,
        "unit": one.unit,
        "note": one.note,
        "amount": None if one.amount_micro is None else money(one.amount_micro),
    }


def _step(step: Step) -> Row:
    return {
        "start": step.start,
        "local": step.local.isoformat(timespec="minutes"),  # the book's wall clock: no Z
        "component": step.component,
        "window": step.window,
        "period": step.period,
        "tier": step.tier,
        "kwh": step.kwh,
        "price": step.price,
        "amount": step.amount,
        "position_kwh": step.position_kwh,
        "limits_kwh": list(step.limits_kwh),
        "version": step.version,
        "book_hash": step.book_hash,
        "jump": step.jump,
    }


def bill(option: Path | None, account: str, period: str, line: str = "") -> Row:
    """One bill with the steps of its energy lines, or of ``line`` only; a posted one on the book of then."""
    with reading(config_of(option)) as shell:
        subject = Subject(shell, shell.store.read(lambda reader: known(reader, account)))
        book = subject.own_book()
        try:
            span = billing.span_of(book, period)
        except ValueError:
            raise Usage(f"{period!r} is no period", attempt="a month of the book's zone: 2026-01") from None
        posted = shell.store.read(lambda reader: reader.get(StoredBill, account, span[0]))
        if posted is not None:
            book, span = subject.book(posted.book_hash), (posted.start, posted.end)
        made = billing.bill_of(shell.store, subject.master, subject.customer(book), span)
        if made is None:
            raise ShellError(f"{account} has nothing in {period}", attempt=f"prewatt bill {period} --dry-run")
        return _bill(subject, book, made, posted, line) | {"period": period}


def _bill(subject: Subject, book: Book, made: Bill, posted: StoredBill | None, only: str) -> Row:
    lines = [one for one in made.lines if only in ("", one.id)]
    late = subject.late_fee(made.start)
    if not lines and not (late and only == latefees.SOURCE):
        names = dict.fromkeys([*(one.id for one in made.lines), *([latefees.SOURCE] if late else [])])
        raise Usage(f"the bill has no line {only!r}", which=made.account, attempt=", ".join(names))
    span = made.start, made.end
    basis = subject.basis(book, span)
    found = explain.steps(book, *span, basis.usage, attributes=subject.account.attributes, carried=basis.carried)
    chosen = [step for step in found if only in ("", step.component)]
    whys = reasons(book, made, basis.usage, subject.account.attributes, basis.carried)
    until, attributes = made.ended or made.end, subject.account.attributes
    stands = standings(book, span, basis.usage, until=until, attributes=attributes, carried=basis.carried)
    row = bill_row(made)
    return row | {
        "lines": [
            _line(row, one, chosen) | {"why": why_row(why)}
            for row, one, why in zip(row["lines"], made.lines, whys, strict=True)
            if one in lines
        ],
        "standings": [standing_row(one) for one in stands],
        **_told(chosen, _charged(chosen, lines, book)),
        "inputs": [
            _input(line, one) for line, why in zip(made.lines, whys, strict=True) if line in lines for one in why.inputs
        ]
        + (_parts(late, book.currency) if late and only in ("", latefees.SOURCE) else []),
        "late_fee": None if late is None else {"amount": money(late.fee_micro), "due": late.due.due, "at": late.at},
        "posted": posted is not None,
        "rederived": (late is None or late.fee_micro == late.posted_micro)
        and (posted is None or (posted.total_micro, posted.reads_hash) == (made.total_micro, made.reads_hash)),
    }


def _parts(late: latefees.Told, currency: str) -> list[Row]:
    """The parts in which a bill was paid late, each with its days overdue; at the end what the minimum adds."""
    rule = late.due.rule
    rows = []
    for part in late.parts:
        shares = f"{part.days - part.days_next_year} days at {rule.daily}"
        shares += f", {part.days_next_year} at {rule.daily_next_year or rule.daily}" if part.days_next_year else ""
        rows.append((part.until, part.amount_micro, shares, part.fee_micro))
    rest = late.fee_micro - sum(part.fee_micro for part in late.parts)
    rows += [(late.at, 0, f"minimum {rule.minimum}", rest)] if rest else []
    line = BillLine(latefees.SOURCE, "", "", None, "", "", "", late.fee_micro)
    return [
        _input(line, Input("overdue", money(amount), currency, note=note, amount_micro=fee)) | {"end": until}
        for until, amount, note, fee in rows
    ]


def _line(row: Row, line: BillLine, steps: Sequence[Step]) -> Row:
    """A line with the number of slots that made it and their exact sum, which the line's amount rounds."""
    own = [step for step in steps if _key(step) == _key(line)]
    return row | {"slots": len(own), "exact": exact.plain(sum((Decimal(step.amount) for step in own), Decimal(0)))}
