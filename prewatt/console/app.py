"""A source goes in, the operator console as a web application comes out; ``serve`` lets it listen by itself.

Pages come with a strict content security policy and load nothing from elsewhere; actions carry CSRF tokens; word of
every commit comes as server-sent events.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from importlib import resources
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from prewatt.console import acts, bills, cashbook, entry, fieldpages, pages, safety, staff
from prewatt.console.lists import LISTS
from prewatt.console.source import Source
from prewatt.console.viewer import Console
from prewatt.people import People
from prewatt.roles import LOOK

Endpoint = Callable[[Console, Request], Awaitable[Response]]
KEY_BYTES = 32
GETS: dict[str, Endpoint] = {
    "/": pages.first,
    "/board.csv": pages.board_csv,
    "/accounts": pages.accounts,
    "/accounts/{account}": pages.one,
    "/accounts/{account}/series.json": pages.series,
    "/accounts/{account}/balance.csv": pages.balance_csv,
    "/accounts/{account}/load.csv": pages.load_csv,
    "/accounts/{account}/explain": pages.explain,
    "/accounts/{account}/balance": pages.then,
    "/accounts/{account}/balance.json": pages.then_json,
    "/accounts/{account}/bill": bills.so_far,
    "/accounts/{account}/bill/{start}": bills.posted,
    "/stream": pages.stream,
    **{f"/{name}": pages.listing for name in LISTS},
    "/orders": fieldpages.order_page,
    "/outages": fieldpages.outage_page,
    "/v1/outages": fieldpages.outage_json,
    "/payments": cashbook.page,
    "/safety": safety.page,
    "/users": staff.page,
}
POSTS: dict[str, Endpoint] = {
    "/language": acts.choose,
    "/theme": acts.choose,
    "/accounts/{account}/{verb}": acts.account,
    "/commands/{command}/{verb}": acts.command,
    "/safety/{verb}": acts.safety,
    "/payments/{verb}": acts.payment,
    "/orders/{verb}": acts.order,
    "/outages/{verb}": acts.outage,
    "/users/{verb}": acts.user,
}
RIGHTS_OF: dict[Endpoint, str] = {staff.page: "users.add"}
"""Pages that not everybody may look at."""
LOGIN: dict[tuple[str, str], Endpoint] = {
    ("GET", "/login"): entry.show,
    ("POST", "/login"): entry.enter,
    ("POST", "/v1/session"): entry.knock,
    ("POST", "/logout"): entry.leave,
    ("GET", "/password"): entry.show,
    ("POST", "/password"): entry.renew,
}
"""What nobody needs a right for; each asks for itself who is there."""


class _Server(uvicorn.Server):
    """A web server that leaves signals to the process that it runs in."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing."""
        yield


class _Assets(StaticFiles):
    """The console's own files, whose addresses change with their content."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def console(source: Source, *, key: bytes, root: str = "", people: People | None = None) -> Starlette:
    """The console as an application of its own, to be mounted at ``root``; ``key`` signs sessions and CSRF tokens.

    Without ``people`` whoever reaches it may do everything: the demo's, on loopback.
    """
    it = Console(source, key, root, people)
    static = resources.files("prewatt.console").joinpath("static")
    routes: list[Any] = [Mount("/static", _Assets(directory=str(static)))]
    routes += [Route(path, _bound(it, work), methods=[how]) for (how, path), work in LOGIN.items()]
    routes += [Route(path, _bound(it, work), methods=["GET"]) for path, work in GETS.items()]
    routes += [Route(path, _bound(it, work), methods=["POST"]) for path, work in POSTS.items()]
    return Starlette(routes=routes, middleware=[Middleware(GZipMiddleware, minimum_size=1000)])


def _bound(it: Console, work: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint on this console; the request remembers what was committed when it came."""

    async def handle(request: Request) -> Response:
        request.state.version = it.watch.token
        right, kind = wants(request.method, work, request.path_params)
        refused = entry.gate(it, request, right, kind)
        return refused if refused is not None else await work(it, request)

    return handle


def wants(method: str, work: Endpoint, params: Mapping[str, Any]) -> tuple[str, str]:
    """The right that an endpoint asks for, and the kind by which its requests are counted."""
    if work in LOGIN.values():
        return entry.OPEN, "login" if method == "POST" else "look"
    if work is acts.choose:
        return entry.OPEN, "act"
    if method == "POST":
        act = acts.ACTS.get((acts.KINDS[work], str(params.get("verb", ""))))
        return (act.action if act is not None else LOOK), "act"
    return RIGHTS_OF.get(work, LOOK), "stream" if work is pages.stream else "look"


def endpoints() -> list[tuple[str, str, str]]:
    """Every endpoint of the console as (method, path, right), the buttons one by one."""
    rows = [(how, path, *wants(how, work, {})[:1]) for (how, path), work in LOGIN.items()]
    rows += [("GET", path, *wants("GET", work, {})[:1]) for path, work in GETS.items()]
    for path, work in POSTS.items():
        verbs = [verb for kind, verb in acts.ACTS if kind == acts.KINDS.get(work)]
        for verb in verbs or [""]:
            rows.append(("POST", path.replace("{verb}", verb), wants("POST", work, {"verb": verb})[0]))
    return rows


@contextlib.asynccontextmanager
async def serve(source: Source, *, host: str = "127.0.0.1", port: int = 0, key: bytes = b"") -> AsyncIterator[str]:
    """Listen while the block runs, for an engine in this process (the demo's); gives the address, ``http://.../``.

    ``key`` signs forms; without one they last as long as this process.
    """
    app = console(source, key=key or secrets.token_bytes(KEY_BYTES))
    config = uvicorn.Config(
        app, host=host, port=port, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1
    )
    server = _Server(config)
    bound = config.bind_socket()
    running = asyncio.create_task(server.serve(sockets=[bound]))
    try:
        while not server.started and not running.done():
            await asyncio.sleep(0.01)
        yield f"http://{host}:{bound.getsockname()[1]}/"
    finally:
        server.should_exit = True
        await running
        bound.close()
