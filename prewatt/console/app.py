"""A source goes in, the operator console as a web application comes out; ``serve`` lets it listen by itself.

Pages come with a strict content security policy and load nothing from elsewhere; actions carry CSRF tokens; word of
every commit comes as server-sent events.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
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

from prewatt.console import acts, bills, pages
from prewatt.console.lists import LISTS
from prewatt.console.source import Source
from prewatt.console.viewer import Console

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
    "/accounts/{account}/bill": bills.so_far,
    "/accounts/{account}/bill/{start}": bills.posted,
    "/stream": pages.stream,
    **{f"/{name}": pages.listing for name in LISTS},
}
POSTS: dict[str, Endpoint] = {
    "/language": acts.choose,
    "/theme": acts.choose,
    "/accounts/{account}/{verb}": acts.account,
    "/commands/{command}/{verb}": acts.command,
}


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


def console(source: Source, *, key: bytes, root: str = "") -> Starlette:
    """The console as an application of its own, to be mounted at ``root``; ``key`` signs its CSRF tokens."""
    it = Console(source, key, root)
    static = resources.files("prewatt.console").joinpath("static")
    routes: list[Any] = [Mount("/static", _Assets(directory=str(static)))]
    routes += [Route(path, _bound(it, work), methods=["GET"]) for path, work in GETS.items()]
    routes += [Route(path, _bound(it, work), methods=["POST"]) for path, work in POSTS.items()]
    return Starlette(routes=routes, middleware=[Middleware(GZipMiddleware, minimum_size=1000)])


def _bound(it: Console, work: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint on this console; the request remembers what was committed when it came."""

    async def handle(request: Request) -> Response:
        request.state.version = it.watch.token
        return await work(it, request)

    return handle


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
