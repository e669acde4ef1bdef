"""The store goes in; the pages of outages (list, map, buttons) and work orders, and the outages' JSON, come out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import cos, radians
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from control import outages
from control.areas import Area, areas
from control.fieldbook import STANDING, Outage
from control.records import WorkOrder
from control.workorders import OPEN_STATES
from ingest.wire.handheldfields import CAUSES, OUTCOMES
from prewatt.console.board import frame, snapshot
from prewatt.console.lists import LISTS, ROWS, Row
from prewatt.console.source import Source
from prewatt.console.viewer import HEADERS, MESSAGE_LIMIT, Console
from prewatt.console.views import Frame
from prewatt.errors import Usage
from prewatt.listing import outage_row
from prewatt.lookup import known
from prewatt.output import plain
from storage.records import Account
from storage.unit import Reader

WIDTH, HEIGHT, EDGE = 1000, 420, 40
LEAST_DEGREES = 0.002  # some 200 m: a village of one transformer is not drawn as large as a city
CLOSINGS = tuple(word for word in OUTCOMES if word != "no_access")
PLACES = ("account", "transformer", "feeder", "meter")


@dataclass(frozen=True, slots=True)
class Dot:
    """One area on the map: where it is drawn, and its state (``off`` now, ``ahead``, or ``on``)."""

    area: Area
    x: int
    y: int
    state: str


@dataclass(frozen=True, slots=True)
class OutagePage:
    """The whole page; ``rows`` are cells with the outage that they are of."""

    frame: Frame
    rows: tuple[tuple[Row, Outage], ...]
    areas: tuple[Area, ...]
    dots: tuple[Dot, ...]
    some: bool  # only the areas with an outage


@dataclass(frozen=True, slots=True)
class OrderPage:
    """The whole page; ``rows`` are cells with the order that they are of."""

    frame: Frame
    rows: tuple[tuple[Row, WorkOrder], ...]
    open: int


async def outage_page(console: Console, request: Request) -> Response:
    """Outages now and ahead, where, and the words that begin and end them."""
    view = await console.watch.once(("outages",), lambda: _outages(console.source))
    columns = LISTS["outages"].columns
    return console.draw(
        request, "outages.html", view.frame, "outages", o=view, columns=columns, causes=CAUSES, standing=STANDING,
        message=request.query_params.get("message", "")[:MESSAGE_LIMIT], width=WIDTH, height=HEIGHT,
    )  # fmt: skip


async def order_page(console: Console, request: Request) -> Response:
    """Work orders, the open ones first, and the words that give and end them."""
    view = await console.watch.once(("orders",), lambda: _orders(console.source))
    columns = LISTS["orders"].columns
    return console.draw(
        request, "orders.html", view.frame, "orders", o=view, columns=columns, outcomes=CLOSINGS, open=OPEN_STATES,
        message=request.query_params.get("message", "")[:MESSAGE_LIMIT],
    )  # fmt: skip


async def outage_json(console: Console, request: Request) -> Response:
    """Outages now and planned, of an account, a transformer's area, a feeder or a meter, or all: for programs."""
    asked = {name: request.query_params[name][:100] for name in PLACES if request.query_params.get(name)}
    if len(asked) > 1:
        return JSONResponse({"error": f"one of {', '.join(PLACES)}"}, 400, headers=HEADERS)
    now = console.source.now
    try:
        rows = console.source.store.read(lambda reader: _asked(reader, asked, now))
    except Usage as unknown:
        return JSONResponse({"error": unknown.what, **asked}, 404, headers=HEADERS)
    found = {"schema": "prewatt.outages/1", "at": now, **asked, "outages": [outage_row(row, now) for row in rows]}
    off = any(outages.live(row, now) for row in rows)
    return JSONResponse(plain({**found, "off_now": off}), headers=HEADERS)


def _asked(reader: Reader, asked: Mapping[str, str], now: datetime) -> list[Outage]:
    if not asked:
        return reader.find(Outage, state__in=list(STANDING), order=("start", "outage"))
    if account := asked.get("account"):
        known(reader, account)
        return outages.of_account(reader, account, now)
    return outages.of_place(reader, **asked)


def _outages(source: Source) -> OutagePage:
    def look(reader: Reader) -> OutagePage:
        standing = reader.find(Outage, state__in=list(STANDING), order=("start", "outage"), limit=ROWS)
        over = reader.find(Outage, order="-start", limit=ROWS)
        rows = {row.outage: row for row in (*standing, *over)}
        found, some = areas(reader)
        listing = LISTS["outages"]
        cells = tuple((listing.row({}, row), row) for row in rows.values())
        hit = tuple(sorted(found, key=lambda area: (not area.outages, area.transformer)))
        return OutagePage(frame(source, snapshot(source, [])), cells, hit, _drawn(found, source.now), some)

    return source.store.read(look)


def _orders(source: Source) -> OrderPage:
    def look(reader: Reader) -> OrderPage:
        waiting = reader.find(WorkOrder, state__in=list(OPEN_STATES), order="due", limit=ROWS)
        newest = reader.find(WorkOrder, order="-created", limit=ROWS)
        rows = {row.order: row for row in (*waiting, *newest)}
        names = {row.account: row for row in _accounts(reader, {row.account for row in rows.values()})}
        listing = LISTS["orders"]
        cells = tuple((listing.row(names, row), row) for row in rows.values())
        return OrderPage(frame(source, snapshot(source, [])), cells, len(waiting))

    return source.store.read(look)


def _accounts(reader: Reader, names: set[str]) -> list[Any]:
    found: list[Any] = reader.find(Account, account__in=sorted(names))
    return found


def _drawn(found: list[Area], now: datetime) -> tuple[Dot, ...]:
    """Areas with a centre as dots of one picture, north up, as wide as high on the ground."""
    placed = [(area, area.latitude, area.longitude) for area in found]
    points = [(area, north, east) for area, north, east in placed if north is not None and east is not None]
    if not points:
        return ()
    middle = sum(north for _, north, _ in points) / len(points)
    flat = [(area, north, east * cos(radians(middle))) for area, north, east in points]
    low = (min(y for _, y, _ in flat), min(x for _, _, x in flat))
    high = (max(y for _, y, _ in flat), max(x for _, _, x in flat))
    wide, tall = max(high[1] - low[1], LEAST_DEGREES), max(high[0] - low[0], LEAST_DEGREES)
    scale = min((WIDTH - 2 * EDGE) / wide, (HEIGHT - 2 * EDGE) / tall)
    left = (WIDTH - (high[1] - low[1]) * scale) / 2
    top = (HEIGHT - (high[0] - low[0]) * scale) / 2
    return tuple(
        Dot(area, round(left + (x - low[1]) * scale), round(top + (high[0] - y) * scale), _state(area, now))
        for area, y, x in flat
    )


def _state(area: Area, now: datetime) -> str:
    if any(outages.live(one, now) for one in area.outages):
        return "off"
    return "ahead" if area.outages else "on"
