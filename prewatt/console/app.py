"""Requests in, pages out: the console's routes with a strict content security policy, CSRF tokens and live events.

Every action is one of the daemon's own actions, the same that the command line calls. Nothing is loaded from elsewhere.
"""

import asyncio
import csv
import hmac
import io
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import resources
from typing import Any

from markupsafe import Markup
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from control.tiles import TILES
from prewatt.console import account, board, render
from prewatt.console.source import Source
from prewatt.console.views import AccountPage, Frame
from prewatt.console.words import Words
from storage.records import Event

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
COOKIE_AGE_S = 365 * 86400
POLL_S = 0.5
KEEP_ALIVE_S = 15.0
HOLD_H = 24


@dataclass(frozen=True, slots=True)
class Console:
    """One console on one daemon; ``key`` signs its CSRF tokens, ``root`` is where it is mounted."""

    source: Source
    key: bytes
    root: str = ""

    def csrf(self, request: Request) -> str:
        """The token of this browser: an HMAC of its session cookie."""
        return hmac.new(self.key, _session(request).encode(), "sha256").hexdigest()

    def url(self, path: str) -> str:
        """An address of this console."""
        return f"{self.root}/{path}"

    def draw(self, request: Request, template: str, frame: Frame, page: str, **values: Any) -> HTMLResponse:
        """One page in the viewer's language and theme."""
        words = Words(request.cookies.get("lang", _preferred(request)), frame.zone)
        text = render.page(
            template,
            w=words,
            frame=frame,
            page=page,
            theme="dark" if request.cookies.get("theme") == "dark" else "light",
            csrf=self.csrf(request),
            nonce=secrets.token_hex(8),
            here=request.url.path + (f"?{request.url.query}" if request.url.query else ""),
            url=self.url,
            static=lambda name: self.url(f"static/{name}"),
            icon=self.icon,
            **values,
        )
        response = HTMLResponse(text, headers=HEADERS)
        if "session" not in request.cookies:
            _cookie(response, "session", _session(request))
        return response

    def icon(self, name: str) -> Markup:
        """One of the sprite's icons; the word beside it carries the meaning."""
        use = Markup('<svg class="icon" aria-hidden="true"><use href="{}#{}"/></svg>')
        return use.format(self.url("static/icons.svg"), name)


def _session(request: Request) -> str:
    """This browser's session id: its cookie, or a fresh one that this response sets."""
    if "session" in request.cookies:
        return request.cookies["session"]
    if not hasattr(request.state, "session"):
        request.state.session = secrets.token_hex(16)
    return str(request.state.session)


def _preferred(request: Request) -> str:
    """Chinese if the browser asks for it first, else English."""
    return "zh" if request.headers.get("accept-language", "").lower().startswith("zh") else "en"


def _cookie(response: Response, name: str, value: str) -> None:
    response.set_cookie(name, value, max_age=COOKIE_AGE_S, httponly=True, samesite="strict")


async def _board(console: Console, request: Request) -> Response:
    chosen = request.query_params.get("state", "")
    chosen = chosen if chosen in TILES else ""
    view = await asyncio.to_thread(board.board, console.source, chosen)
    part = "board_live.html" if request.headers.get("x-part") == "board" else "board.html"
    return console.draw(request, part, view.frame, "board", board=view, chosen=chosen)


async def _board_csv(console: Console, request: Request) -> Response:
    del request
    _, rows = await asyncio.to_thread(board.everybody, console.source)
    table = [
        (
            r.account,
            r.name,
            r.protocol,
            r.state,
            _plain(r.available_micro),
            r.currency,
            _plain(r.burn_micro),
            r.hours_left,
        )
        for r in rows
    ]
    return _csv(
        "board.csv",
        ("account", "name", "protocol", "state", "available", "currency", "burn_per_h", "hours_left"),
        table,
    )


async def _accounts(console: Console, request: Request) -> Response:
    text = request.query_params.get("q", "").strip()
    snap, rows = await asyncio.to_thread(board.everybody, console.source, text)
    if text and len(rows) == 1:
        return RedirectResponse(console.url(f"accounts/{rows[0].account}"), 303)
    return console.draw(request, "accounts.html", board.frame(console.source, snap), "accounts", rows=rows)


async def _page(console: Console, request: Request) -> AccountPage | Response:
    name = request.path_params["account"]
    view = await asyncio.to_thread(account.page, console.source, name)
    if view is not None:
        return view
    words = Words(request.cookies.get("lang", _preferred(request)), console.source.zone)
    return Response(words.say("account.unknown", account=name), 404, headers=HEADERS, media_type="text/plain")


async def _account(console: Console, request: Request) -> Response:
    view = await _page(console, request)
    if isinstance(view, Response):
        return view
    part = "account_live.html" if request.headers.get("x-part") == "account" else "account.html"
    message = request.query_params.get("message", "")[:300]
    return console.draw(request, part, view.frame, "account", a=view, message=message)


async def _series(console: Console, request: Request) -> Response:
    """The charts' numbers: seconds since 1970 and money as plain floats, for the eye only."""
    view = await _page(console, request)
    if isinstance(view, Response):
        return view
    load = [{"at": _epoch(b.end), "kwh": b.energy_wh / 1000, "tier": b.tier, "period": b.period} for b in view.bars]
    points = {
        "balance": [(_epoch(at), micro / 1e6) for at, micro in view.balance],
        "projection": [(_epoch(at), micro / 1e6) for at, micro in view.projection],
        "warn": view.warn_micro / 1e6,
        "cut": view.cut_micro / 1e6,
        "load": load,
    }
    return JSONResponse(points, headers=HEADERS)


async def _explain(console: Console, request: Request) -> Response:
    view = await _page(console, request)
    if isinstance(view, Response):
        return view
    found = await console.source.do("explain", {"account": view.account}, "console")
    text = json.dumps(found, ensure_ascii=False, indent=2)
    return console.draw(request, "explain.html", view.frame, "account", a=view, text=text)


async def _balance_csv(console: Console, request: Request) -> Response:
    view = await _page(console, request)
    if isinstance(view, Response):
        return view
    rows = [(f"{at.isoformat()}Z", _plain(micro)) for at, micro in view.balance]
    return _csv(f"{view.account}-balance.csv", ("at", "available"), rows)


async def _load_csv(console: Console, request: Request) -> Response:
    view = await _page(console, request)
    if isinstance(view, Response):
        return view
    rows = [(f"{b.end.isoformat()}Z", b.energy_wh, _plain(b.amount_micro), b.period, b.tier) for b in view.bars]
    return _csv(f"{view.account}-load.csv", ("end", "energy_wh", "amount", "period", "tier"), rows)


async def _act(console: Console, request: Request) -> Response:
    """A person's action: CSRF checked, handed to the daemon, its answer shown on the page it came from."""
    form = {key: str(value) for key, value in (await request.form()).items()}
    if not hmac.compare_digest(form.pop("csrf", ""), console.csrf(request)):
        return Response(
            "refused: the form is stale; try: load the page again", 403, headers=HEADERS, media_type="text/plain"
        )
    path, verb = dict(request.path_params), request.path_params["verb"]
    wanted = ACTIONS.get((("command" if "command" in path else "account"), verb))
    if wanted is None:
        return Response(f"no action {verb!r}", 404, headers=HEADERS, media_type="text/plain")
    subject = path.get("command") or path["account"]
    words = Words(request.cookies.get("lang", _preferred(request)), console.source.zone)
    try:
        await wanted(console.source, subject, form)
        message = words.say("account.done", what=words.say(f"account.{verb}") if "account" in path else verb)
    except Exception as error:
        if not hasattr(error, "attempt"):
            raise
        message = words.say("account.refused", why=str(error))
    if "account" in path:
        back = console.url(f"accounts/{subject}")
        return RedirectResponse(f"{back}?{_query(message)}", 303, headers=HEADERS)
    return RedirectResponse(console.url(""), 303, headers=HEADERS)


def _query(message: str) -> str:
    from urllib.parse import urlencode

    return urlencode({"message": message})


Act = Callable[[Source, str, Mapping[str, str]], Awaitable[Any]]


def _action(name: str, key: str, *fields: str, **fixed: Any) -> Act:
    async def run(source: Source, subject: str, form: Mapping[str, str]) -> Any:
        given = {field: form[field] for field in fields if form.get(field)}
        return await source.do(name, {key: subject, **given, **fixed}, "console")

    return run


ACTIONS: Mapping[tuple[str, str], Act] = {
    ("account", "topup"): _action("accounts.topup", "account", "amount", "id"),
    ("account", "read"): _action("accounts.read", "account"),
    ("account", "protect"): _action("accounts.protect", "account", "reason"),
    ("account", "reconnect"): _action("accounts.reconnect", "account"),
    ("account", "disconnect"): _action("accounts.disconnect", "account", "reason"),
    ("command", "approve"): _action("commands.approve", "command"),
    ("command", "hold"): _action("commands.hold", "command", hours=HOLD_H),
}


async def _choose(console: Console, request: Request) -> Response:
    """Keep the viewer's language or theme in a cookie."""
    form = {key: str(value) for key, value in (await request.form()).items()}
    if not hmac.compare_digest(form.get("csrf", ""), console.csrf(request)):
        return Response(
            "refused: the form is stale; try: load the page again", 403, headers=HEADERS, media_type="text/plain"
        )
    back = form.get("back", "")
    response = RedirectResponse(
        back if back.startswith(f"{console.root}/") and "//" not in back else console.url(""), 303
    )
    for name, allowed in (("lang", ("en", "zh")), ("theme", ("light", "dark"))):
        if form.get(name) in allowed:
            _cookie(response, name, form[name])
    return response


async def _stream(console: Console, request: Request) -> Response:
    """Server-sent events: one ``change`` whenever the timeline has grown."""

    async def lines() -> AsyncIterator[str]:
        last, quiet = -1, 0.0
        while not await request.is_disconnected():
            seq = await asyncio.to_thread(_last_seq, console.source)
            if seq != last:
                last, quiet = seq, 0.0
                yield f"event: change\nid: {seq}\ndata: {seq}\n\n"
            elif quiet >= KEEP_ALIVE_S:
                quiet = 0.0
                yield ": still here\n\n"
            await asyncio.sleep(POLL_S)
            quiet += POLL_S

    return StreamingResponse(lines(), media_type="text/event-stream", headers=HEADERS)


def _last_seq(source: Source) -> int:
    found = source.store.read(lambda reader: reader.find(Event, order="-seq", limit=1))
    return found[0].seq if found else 0


def _epoch(at: Any) -> int:
    from calendar import timegm

    return timegm(at.timetuple())


def _plain(micro: int) -> str:
    from tariff import money

    return money.format(micro)


def _csv(name: str, header: tuple[str, ...], rows: Any) -> Response:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(rows)
    headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
    return Response("\ufeff" + text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def console(source: Source, *, key: bytes, root: str = "") -> Starlette:
    """The console as an application of its own, to be mounted at ``root``."""
    it = Console(source, key, root)
    static = resources.files("prewatt.console").joinpath("static")
    gets = {
        "/": _board,
        "/board.csv": _board_csv,
        "/accounts": _accounts,
        "/find": _accounts,
        "/accounts/{account}": _account,
        "/accounts/{account}/series.json": _series,
        "/accounts/{account}/balance.csv": _balance_csv,
        "/accounts/{account}/load.csv": _load_csv,
        "/accounts/{account}/explain": _explain,
        "/stream": _stream,
    }
    posts = {
        "/language": _choose,
        "/theme": _choose,
        "/accounts/{account}/{verb}": _act,
        "/commands/{command}/{verb}": _act,
    }
    routes: list[Any] = [Mount("/static", StaticFiles(directory=str(static)))]
    routes += [Route(path, partial(work, it), methods=["GET"]) for path, work in gets.items()]
    routes += [Route(path, partial(work, it), methods=["POST"]) for path, work in posts.items()]
    return Starlette(routes=routes)
