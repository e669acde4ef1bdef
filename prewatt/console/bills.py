"""A viewer's wish to see a bill goes in, the bill's own page comes out: a posted one, or what is due so far."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from ingest.records import MeterPoint
from prewatt.bills.dossier import Shown, views
from prewatt.console import billpage
from prewatt.console.source import Source
from prewatt.console.viewer import HEADERS, Console, refusal
from storage import billing
from storage.billing import Customer
from storage.keptbooks import KeptBooks
from storage.records import Account, Install, StoredBill
from storage.usage import Master
from tariff.errors import RatingError
from tariff.records import Bill
from tariff.statement import period_of

Find = Callable[[], Shown | None]


async def posted(console: Console, request: Request) -> Response:
    """The bill of the period that starts at ``start`` (UTC), as it stands."""
    account = request.path_params["account"]
    try:
        start = datetime.fromisoformat(request.path_params["start"]).replace(tzinfo=None)
    except ValueError:
        return refusal(console.words(request).say("bill.none", account=account), 404)
    return await _page(console, request, lambda: _kept(console.source, account, start))


async def so_far(console: Console, request: Request) -> Response:
    """What the bill of the current period would be if it ended with the last read: a draft."""
    account = request.path_params["account"]
    return await _page(console, request, lambda: _draft(console.source, account))


async def _page(console: Console, request: Request, find: Find) -> Response:
    words, source = console.words(request), console.source

    def draw() -> str:
        shown = find()
        found = (
            list(views(source.store, KeptBooks(source.store, source.books, source.series), [shown], site=source.site))
            if shown
            else []
        )
        return billpage.page(found, words.lang) if found else ""

    account = request.path_params["account"]
    try:
        text = await console.watch.once(("bill", request.url.path, words.lang), draw)
    except RatingError as error:
        return refusal(f"{account}: {error}", 409)
    if not text:
        return refusal(words.say("bill.none", account=account), 404)
    return HTMLResponse(text, headers={**HEADERS, "Content-Security-Policy": billpage.policy(text)})


def _kept(source: Source, account: str, start: datetime) -> Shown | None:
    row = source.store.read(lambda reader: reader.get(StoredBill, account, start))
    return None if row is None else Shown(billing.kept_bill(row.bill), row.posted)


def _draft(source: Source, account: str) -> Shown | None:
    owner, installs, points = source.store.read(
        lambda reader: (reader.get(Account, account), reader.find(Install, account=account), reader.find(MeterPoint))
    )
    book = source.books.get(owner.book) if owner is not None else None
    if owner is None or book is None:
        return None
    customer = Customer(account, book, owner.attributes, owner.closed)
    bill = billing.bill_of(source.store, Master(installs, points), customer, period_of(book, source.now))
    return None if bill is None else Shown(_until(bill, source.now), None)


def _until(bill: Bill, now: datetime) -> Bill:
    """The same bill without what cannot be read yet among its missing slots."""
    spans = []
    for span in bill.missing:
        slot = (span.end - span.start) / span.intervals
        count = min((now - span.start) // slot, span.intervals)
        if count > 0:
            spans.append(replace(span, end=span.start + count * slot, intervals=count))
    return replace(bill, missing=tuple(spans), complete=not spans)
