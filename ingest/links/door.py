"""A host and port go in, accepted connections come out, within limits: the listening side of links that are dialled.

Whoever listens gets a stream and the caller's address and serves it until it ends. A caller beyond the limits is
closed before a byte of it is read. One door per address and port, shared by all links behind it; it opens when the
first of them works, closes with the last.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from ingest.links.tcp import TcpStream
from ingest.ports import Stream

LOG = logging.getLogger(__name__)
Serve = Callable[[Stream, str], Awaitable[None]]
"""Serves one caller (stream, address) until it ends; must not raise on what the wire says."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many callers: ``total`` at a time, ``each`` of one address (mobile networks put many behind one)."""

    total: int = 4_096
    each: int = 512


class Opened(Protocol):
    """A listener at work."""

    port: int

    async def close(self) -> None: ...


class Listener(Protocol):
    """Opens listening sockets; OSError when the address cannot be had."""

    async def listen(self, host: str, port: int, arrived: Callable[[Stream, str], None]) -> Opened: ...


class TcpListener:
    """``Listener`` for real networks."""

    async def listen(self, host: str, port: int, arrived: Callable[[Stream, str], None]) -> "TcpOpened":
        """Listen; ``port`` 0 is any free one."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Accepted(arrived), host, port)
        return TcpOpened(server)


class TcpOpened:
    """A listening socket."""

    def __init__(self, server: asyncio.Server) -> None:
        """Already listening."""
        self._server = server
        self.port: int = server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Accept nobody more; who is there stays until they are closed."""
        self._server.close()
        await asyncio.sleep(0)


class _Accepted(TcpStream):
    """A stream that reports itself when its connection stands."""

    def __init__(self, arrived: Callable[[Stream, str], None]) -> None:
        super().__init__()
        self._arrived = arrived

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self._arrived(self, str(peer[0]) if peer else "")


class Door:
    """One listening address with whoever is connected to it."""

    def __init__(self, listener: Listener, host: str, port: int, serve: Serve, *, limits: Limits | None = None) -> None:
        """Nothing is opened yet."""
        self._listener = listener
        self._host = host
        self._port = port
        self._serve = serve
        self._limits = limits if limits is not None else Limits()
        self._opened: Opened | None = None
        self._opening = asyncio.Lock()
        self._tasks: dict[asyncio.Task[None], tuple[Stream, str]] = {}
        self._callers: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    @property
    def port(self) -> int:
        """The port that is listened on, also where any free one was asked for; 0 before it is open."""
        return self._opened.port if self._opened is not None else 0

    @property
    def callers(self) -> int:
        """Connections that stand."""
        return len(self._tasks)

    async def open(self) -> bool:
        """Listen; whether that was not done already. OSError when the address cannot be had."""
        async with self._opening:
            if self._opened is not None:
                return False
            self._opened = await self._listener.listen(self._host, self._port, self.arrived)
            return True

    def arrived(self, stream: Stream, address: str) -> None:
        """Take a caller in, or close it at once when there are too many."""
        word = ""
        if len(self._tasks) >= self._limits.total:
            word = "too_many"
        elif self._callers[address] >= self._limits.each:
            word = "too_many_of_one_address"
        if word:
            self.refused[word] += 1
            stream.close()
            return
        self._callers[address] += 1
        task = asyncio.get_running_loop().create_task(self._served(stream, address))
        self._tasks[task] = (stream, address)
        task.add_done_callback(self._gone)

    async def _served(self, stream: Stream, address: str) -> None:
        try:
            await self._serve(stream, address)
        except OSError as error:
            LOG.debug("%s: %s", address, error)
        finally:
            stream.close()

    def _gone(self, task: "asyncio.Task[None]") -> None:
        _, address = self._tasks.pop(task)
        self._callers[address] -= 1
        if not self._callers[address]:
            del self._callers[address]
        if not task.cancelled() and (error := task.exception()) is not None:
            LOG.error("a caller from %s ended in an error of ours: %r", address, error)

    async def close(self) -> None:
        """Listen no more, close every connection."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
