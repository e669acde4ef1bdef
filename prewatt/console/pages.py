"""A viewer's GET goes in; a page, a part of one for the live update, a chart's numbers or a CSV file comes out."""

import csv
import io
import json
from calendar import timegm
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from control.tiles import TILES
from prewatt.console import account, board, lists, live
from prewatt.console.viewer import HEADERS, MESSAGE_LIMIT, Console, refusal
from prewatt.console.views import AccountPage, AttentionRow
from prewatt.console.words import sign
from prewatt.errors import Usage, translate
from prewatt.listing import balance_row
from prewatt.output import plain
from storage import asof
from storage.asof import Balance
from storage.keptbooks import KeptBooks
from tariff import money

PART = "x-part"


async def first(console: Console, request: Request) -> Response:
    """The board, or only its live part."""
    chosen = request.query_params.get("state", "")
    chosen = chosen if chosen in TILES else ""
    view = await console.watch.once(("board", chosen), lambda: board.board(console.source, chosen))
    again = console.url("") + (f"?{urlencode({'state': chosen})}" if chosen else "")
    values = {"board": view, "chosen": chosen, "again": again, "message": _message(request)}
    return console.draw(request, _template(request, "board"), view.frame, "board", **values)


async def board_csv(console: Console, request: Request) -> Response:
    """All accounts with their state, as a file."""
    del request
    _, rows = await console.watch.once(("everybody", ""), lambda: board.everybody(console.source))
    names = ("account", "name", "protocol", "state", "available", "currency", "burn_per_h", "hours_left", "read_age_s")
    return _csv("board.csv", names, [_plain_row(row) for row in rows])


def _plain_row(row: AttentionRow) -> tuple[Any, ...]:
    left = "" if row.hours_left is None else f"{row.hours_left:.1f}"
    money_of = (money.format(row.available_micro), row.currency, money.format(row.burn_micro))
    return (row.account, row.name, row.protocol, row.state, *money_of, left, row.read_age_s)


async def accounts(console: Console, request: Request) -> Response:
    """All accounts, or those that ``q`` finds; the only one found is opened."""
    text = request.query_params.get("q", "").strip()[:100]
    frame, rows = await console.watch.once(("everybody", text), lambda: board.everybody(console.source, text))
    if text and len(rows) == 1:
        return RedirectResponse(console.url(f"accounts/{rows[0].account}"), 303, headers=HEADERS)
    return console.draw(request, "accounts.html", frame, "accounts", rows=rows, text=text)


async def _view(console: Console, request: Request) -> AccountPage | Response:
    name = request.path_params["account"]
    view = await console.watch.once(("account", name), lambda: account.page(console.source, name))
    if view is not None:
        return view
    return refusal(console.words(request).say("account.unknown", account=name), 404)


async def one(console: Console, request: Request) -> Response:
    """One account's page, or only its live part."""
    view = await _view(console, request)
    if isinstance(view, Response):
        return view
    values = {"a": view, "message": _message(request), "again": console.url(f"accounts/{view.account}")}
    return console.draw(request, _template(request, "account"), view.frame, "account", **values)


async def series(console: Console, request: Request) -> Response:
    """The charts' numbers: seconds since 1970 and money as plain floats, for the eye only."""
    view = await _view(console, request)
    if isinstance(view, Response):
        return view
    words = console.words(request)
    points = {
        "sign": sign(view.currency),
        "zone": view.frame.zone,
        "balance": _points(view.balance),
        "projection": _points(view.projection),
        "warn": view.warn_micro / 1e6,
        "cut": view.cut_micro / 1e6,
        "load": [[_epoch(b.end), b.energy_wh / 1000, b.tier, b.period] for b in view.bars],
        "periods": (periods := dear(view)),
        "period_names": [words.code("period", name) for name in periods],
    }
    return JSONResponse(points, headers=HEADERS)


def dear(view: AccountPage) -> list[str]:
    """The tariff periods of the bars, the dearest per kWh first: the charts draw it strongest."""
    sums: dict[str, list[int]] = {}
    for bar in view.bars:
        found = sums.setdefault(bar.period, [0, 0])
        found[0] += bar.amount_micro
        found[1] += bar.energy_wh
    return sorted(sums, key=lambda period: (-sums[period][0] / max(1, sums[period][1]), period))


async def explain(console: Console, request: Request) -> Response:
    """The last decision on the account, of all or up to a time, its guards and its inputs."""
    view = await _view(console, request)
    if isinstance(view, Response):
        return view
    found: Mapping[str, Any] = {}
    message = ""
    try:
        at = _at(console, request)
        asked = {"account": view.account, **({"at": at.isoformat()} if at is not None else {})}
        found = await console.source.do("explain", asked, console.who(request).name)
    except Exception as error:
        known = translate(error)
        if known is None:
            raise
        message = known.what
    inputs = json.dumps(found.get("inputs", {}), ensure_ascii=False, indent=2, sort_keys=True)
    values = {"a": view, "found": found, "inputs": inputs, "message": message, "at": _asked(request)}
    return console.draw(request, "explain.html", view.frame, "account", **values)


async def then(console: Console, request: Request) -> Response:
    """What the account had at a time: posted, accrued, available."""
    view = await _view(console, request)
    if isinstance(view, Response):
        return view
    values: dict[str, Any] = {"a": view, "at": _asked(request), "found": None, "message": ""}
    try:
        values["found"] = await _balance(console, request, view.account)
    except Exception as error:
        known = translate(error)
        if known is None:
            raise
        values["message"] = known.what
    return console.draw(request, "then.html", view.frame, "account", **values)


async def then_json(console: Console, request: Request) -> Response:
    """The same for scripts, as the command line's ``balance --at`` tells it; ``at`` is needed."""
    name = request.path_params["account"]
    try:
        found = await _balance(console, request, name)
    except Exception as error:
        known = translate(error)
        if known is None:
            raise
        return JSONResponse({"error": known.what}, 400, headers=HEADERS)
    if found is None:
        return JSONResponse({"error": f"no account {name}, or no time: ?at=2026-03-02T08:00:00Z"}, 404, headers=HEADERS)
    return JSONResponse({"schema": "prewatt.balance/1", **plain(balance_row(found))}, headers=HEADERS)


async def _balance(console: Console, request: Request, account: str) -> Balance | None:
    at = _at(console, request)
    if at is None:
        return None
    source = console.source
    kept = KeptBooks(source.store, source.books, source.series)
    key = ("balance", account, at)
    return await console.watch.once(key, lambda: asof.balance(source.store, kept, account, at))


def _asked(request: Request) -> str:
    return request.query_params.get("at", "")[:40]


def _at(console: Console, request: Request) -> datetime | None:
    """The time that a page is asked for as naive UTC; one without an offset is the site's own."""
    text = _asked(request)
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise Usage(f"{text!r} is no time", attempt="2026-03-02T08:00") from None
    return (at if at.tzinfo else at.replace(tzinfo=ZoneInfo(console.source.zone))).astimezone(UTC).replace(tzinfo=None)


async def balance_csv(console: Console, request: Request) -> Response:
    """The burn-down as a file."""
    view = await _view(console, request)
    if isinstance(view, Response):
        return view
    rows = [(f"{at.isoformat()}Z", money.format(micro)) for at, micro in view.balance]
    return _csv(f"{view.account}-balance.csv", ("at", "available"), rows)


async def load_csv(console: Console, request: Request) -> Response:
    """The bars as a file."""
    view = await _view(console, request)
    if isinstance(view, Response):
        return view
    rows = [
        (f"{b.end.isoformat()}Z", b.energy_wh, money.format(b.amount_micro), b.period, b.tier, b.price)
        for b in view.bars
    ]
    return _csv(f"{view.account}-load.csv", ("end", "energy_wh", "amount", "period", "tier", "price"), rows)


async def listing(console: Console, request: Request) -> Response:
    """The newest commands, work orders, payments or notices."""
    name = request.url.path.rpartition("/")[2]
    frame, rows = await console.watch.once(("list", name), lambda: lists.rows(console.source, name))
    return console.draw(request, "listing.html", frame, name, rows=rows, columns=lists.LISTS[name].columns)


async def stream(console: Console, request: Request) -> Response:
    """Word of every commit."""
    del request
    return live.Stream(console.watch, HEADERS)


def _template(request: Request, page: str) -> str:
    return f"{page}_live.html" if request.headers.get(PART) == page else f"{page}.html"


def _message(request: Request) -> str:
    return request.query_params.get("message", "")[:MESSAGE_LIMIT]


def _points(found: Iterable[tuple[datetime, int]]) -> list[tuple[int, float]]:
    return [(_epoch(at), micro / 1e6) for at, micro in found]


def _epoch(at: datetime) -> int:
    return timegm(at.timetuple())


def _csv(name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Response:
    """UTF-8 with a mark, so that spreadsheets see it; a cell that would be a formula is made text."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
    return Response("\ufeff" + text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def _cell(value: Any) -> Any:
    formula = isinstance(value, str) and value[:1] in ("=", "+", "@", "\t", "\r")
    return f"'{value}" if formula else value
