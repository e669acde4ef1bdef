"""A period goes in, its bills come out as rows one by one, with what they add up to when they have gone by.

Posting is the daemon's or the lock holder's. However many accounts there are, only some are held at once.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

from prewatt.errors import ShellError, Usage
from prewatt.listing import bill_row, money
from prewatt.lookup import config_of
from prewatt.output import say
from prewatt.progress import Progress, bar
from prewatt.rules import read_book
from prewatt.wiring import Shell, reading
from storage import billing, posting
from storage.records import StoredBill
from tariff.model import Book
from tariff.records import Bill

TOGETHER = 200
"""Posted bills that are read at once."""


@dataclass(slots=True)
class Tally:
    """What a run of bills adds up to so far: micro-units by currency, bills, intervals, and since when it runs."""

    began: float
    micro: dict[str, int] = field(default_factory=dict)
    bills: int = 0
    reads: int = 0

    def add(self, bills: Sequence[Bill], reads: int = 0) -> None:
        """Count some bills."""
        for bill in bills:
            self.micro[bill.currency] = self.micro.get(bill.currency, 0) + bill.total_micro
        self.bills += len(bills)
        self.reads += reads

    def totals(self) -> dict[str, str]:
        """Totals by currency."""
        return {currency: money(total) for currency, total in sorted(self.micro.items())}

    def total(self) -> str | None:
        """The total where there is one currency."""
        return money(sum(self.micro.values())) if len(self.micro) < 2 else None

    def speed(self, now: float) -> str:
        """In a sentence, for the person at the terminal."""
        seconds = max(now - self.began, 0.001)
        return f"{self.bills} bills from {self.reads} reads in {seconds:.1f} s: {self.reads / seconds:,.0f} reads/s"


def periods(period: str) -> list[str]:
    """The months that a period names: a month YYYY-MM, or all twelve of a year YYYY."""
    if len(period) == 4 and period.isdigit():
        return [f"{period}-{month:02d}" for month in range(1, 13)]
    return [period]


@contextmanager
def computing(option: Path | None, period: str, book: str, account: str) -> Iterator[tuple[dict[str, Any], Tally]]:
    """The bills of a period, posted nowhere; with ``book`` (a name or a file) all on that book.

    The answer's rows are made as they are taken; what they add up to may be called afterwards.
    """
    with reading(config_of(option)) as shell, bar() as progress:
        books = dict(shell.books)
        if book:
            found = read_book(shell.config, book)
            books, book = {**books, found.name: found}, found.name
        tally = Tally(shell.clock.monotonic())
        first, *rest = periods(period)
        one = planned(shell, books, first, book=book, account=account)  # refused before a row is written
        runs = chain([one], (planned(shell, books, month, book=book, account=account) for month in rest))
        rows = (bill_row(bill) for bill in _bills(shell, runs, len(rest) + 1, tally, progress))
        del one
        yield answer(period, rows, tally), tally
        say(tally.speed(shell.clock.monotonic()))


def planned(shell: Shell, books: Mapping[str, Book], period: str, *, book: str = "", account: str = "") -> billing.Run:
    """Whom to bill; Usage for a period, book or account that is none."""
    try:
        return billing.plan_run(shell.store, period, books, book=book or None, account=account or None)
    except ValueError:
        attempt = "a month of the book's zone: 2026-01, or a year: 2026"
        raise Usage(f"{period!r} is no period", attempt=attempt) from None
    except KeyError as missing:
        raise Usage(f"no account or book {missing.args[0]!r}", attempt="prewatt accounts list") from None


def _bills(
    shell: Shell,
    runs: Iterable[billing.Run],
    months: int,
    tally: Tally,
    progress: Progress,
    post: Callable[[billing.Run, billing.Look], Sequence[Bill]] | None = None,
) -> Iterator[Bill]:
    """Every bill of the runs, counted, and posted where that is asked for before it is handed on.

    A run holds everybody who may get a bill: each is taken when the one before it has gone by.
    """
    before = 0
    for run in runs:
        total = before + len(run.customers) * months
        for look in billing.looks(shell.store, run):
            bills = look.bills if post is None else post(run, look)
            tally.add(bills, look.reads)
            progress("accounts billed", before + look.done, total)
            yield from bills
        before, months = before + len(run.customers), months - 1
        del run


def posted(shell: Shell, period: str, account: str, *, rows: bool = True) -> dict[str, Any]:
    """The bills of a period, computed and posted; ShellError while it is not over. Without ``rows`` only their sums."""
    months, now = periods(period), shell.clock.now()

    def runs() -> Iterator[billing.Run]:
        return (planned(shell, shell.books, month, account=account) for month in months)

    for customer, end in ((one, run.spans[one.book.hash][1]) for run in runs() for one in run.customers):
        if end > now:
            told = f"the period of {customer.account} ends at {end}: post bills after it"
            raise ShellError(told, attempt=f"prewatt bill {period} --dry-run")
    tally, new = Tally(shell.clock.monotonic()), 0

    def post(run: billing.Run, look: billing.Look) -> Sequence[Bill]:
        nonlocal new
        fresh, bills = posting.post_look(shell.store, run, look, now)
        new += fresh
        return bills

    kept = []
    for bill in _bills(shell, runs(), len(months), tally, shell.progress, post):
        if rows:
            kept.append(bill_row(bill))
    sums = {"posted": new, "reads": tally.reads, "speed": tally.speed(shell.clock.monotonic())}
    return (_resolved(answer(period, kept, tally)) if rows else {"period": period}) | sums


@contextmanager
def standing(
    option: Path | None, period: str, account: str, told: Mapping[str, Any]
) -> Iterator[tuple[dict[str, Any], Tally]]:
    """The bills of a period as they stand posted, with what posting them ``told``."""
    with reading(config_of(option)) as shell:
        tally = Tally(shell.clock.monotonic())
        runs = (planned(shell, shell.books, month, account=account) for month in periods(period))
        rows = (bill_row(bill) for run in runs for bill in _posted(shell, run, tally))
        yield answer(period, rows, tally) | {"posted": told["posted"], "reads": told["reads"]}, tally
        say(str(told["speed"]))


def _posted(shell: Shell, run: billing.Run, tally: Tally) -> Iterator[Bill]:
    for at in range(0, len(run.customers), TOGETHER):
        starts: dict[datetime, list[str]] = {}
        for one in run.customers[at : at + TOGETHER]:
            starts.setdefault(run.spans[one.book.hash][0], []).append(one.account)
        found = [
            row
            for start, accounts in sorted(starts.items())
            for row in shell.store.read(lambda r, s=start, a=accounts: r.find(StoredBill, start=s, account__in=a))  # type: ignore[misc]
        ]
        bills = [billing.kept_bill(row.bill) for row in sorted(found, key=lambda row: row.account)]
        tally.add(bills)
        yield from bills


def answer(period: str, rows: Any, tally: Tally) -> dict[str, Any]:
    """The object that ``bill`` prints; ``total`` stands where there is one currency, ``totals`` always."""
    return {"period": period, "bills": rows, "totals": tally.totals, "total": tally.total, "reads": lambda: tally.reads}


def _resolved(found: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value() if callable(value) else value for key, value in found.items()}
