"""A store goes in; word that something was committed comes out, to any number of open pages at little cost.

SQLite's ``data_version`` of one connection changes with every commit of any other. Pages of one version are computed
once, however many ask: what is younger than ``FRESH_S`` and of the same version is handed out again.
"""

import asyncio
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Hashable, Mapping
from typing import Any, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from storage.state import STATE_FILE, connect
from storage.store import Store

T = TypeVar("T")
POLL_S = 0.2
KEEP_ALIVE_S = 15.0
RETRY_MS = 1000
FRESH_S = 1.0
KEPT = 64


class Watch:
    """What was committed lately to one store, for all its pages."""

    def __init__(self, store: Store) -> None:
        """Nothing is opened before the first question."""
        self._path = store.home / STATE_FILE
        self._run = secrets.token_hex(4)
        self._link: sqlite3.Connection | None = None
        self._known: dict[Hashable, tuple[int, float, Any]] = {}
        self._turns: dict[Hashable, asyncio.Lock] = {}

    def version(self) -> int:
        """A number that is another one after each commit."""
        if self._link is None:
            self._link = connect(self._path, durable=False, read_only=True)
        return int(self._link.execute("PRAGMA data_version").fetchone()[0])

    @property
    def token(self) -> str:
        """The version with this run's name, so that a page drawn by an earlier process sees that it is old."""
        return f"{self._run}-{self.version()}"

    async def once(self, key: Hashable, work: Callable[[], T]) -> T:
        """``work`` in a thread, unless somebody just asked for the same and nothing was committed since."""
        turn = self._turns.setdefault(key, asyncio.Lock())
        async with turn:
            version, now = self.version(), time.monotonic()
            known = self._known.get(key)
            if known is not None and known[0] == version and now - known[1] < FRESH_S:
                return known[2]  # type: ignore[no-any-return]
            found = await asyncio.to_thread(work)
            self._forget()
            self._known[key] = version, now, found
            return found

    def _forget(self) -> None:
        """Keep no more than ``KEPT`` pages, the newest."""
        while len(self._known) >= KEPT:
            oldest = next(iter(self._known))
            del self._known[oldest]
            self._turns.pop(oldest, None)


async def changes(watch: Watch, gone: Callable[[], bool]) -> AsyncIterator[str]:
    """Server-sent events: one ``change`` at once and after every commit, until ``gone``."""
    last, quiet = "", 0.0
    yield f"retry: {RETRY_MS}\n\n"
    while not gone():
        token = watch.token
        if token != last:
            last, quiet = token, 0.0
            yield f"event: change\ndata: {token}\n\n"
        elif quiet >= KEEP_ALIVE_S:
            quiet = 0.0
            yield ": still here\n\n"
        await asyncio.sleep(POLL_S)
        quiet += POLL_S


class Stream(Response):
    """The stream of one open page; it ends when the page leaves, and whole when the server stops."""

    media_type = "text/event-stream"

    def __init__(self, watch: Watch, headers: Mapping[str, str]) -> None:
        """Nothing is sent yet."""
        super().__init__(headers=headers)
        del self.headers["content-length"]
        self._watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the peer is gone."""
        del scope
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        left = asyncio.ensure_future(_left(receive))
        try:
            async for line in changes(self._watch, left.done):
                await send({"type": "http.response.body", "body": line.encode(), "more_body": True})
        except asyncio.CancelledError:
            pass  # the server stops: the peer gets a whole answer and asks again
        left.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> None:
    """Wait until the peer has closed."""
    while (await receive())["type"] != "http.disconnect":
        pass
