"""A simulated terminal goes in, its calls to a master station over real sockets come out: it dials, logs in, beats.

It dials again ``redial_s`` after a connection has ended, as terminals do, until it is stopped.
"""

import asyncio
import contextlib

from ingest.limits import READ_LIMIT
from sim.terminal import Terminal, TerminalSession


class Caller:
    """One terminal that keeps calling ``host`` and ``port``."""

    def __init__(
        self, terminal: Terminal, host: str, port: int, *, redial_s: float = 0.2, heartbeat_s: float = 60.0
    ) -> None:
        """Nothing is dialled yet."""
        self.terminal = terminal
        self.session: TerminalSession | None = None
        self.calls = 0
        self._place = host, port
        self._redial_s = redial_s
        self._heartbeat_s = heartbeat_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Call, again and again."""
        self._task = asyncio.get_running_loop().create_task(self._call())

    async def forever(self) -> None:
        """Call until cancelled."""
        await self._call()

    async def stop(self) -> None:
        """Hang up for good."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _call(self) -> None:
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection(*self._place)
                self.calls += 1
                try:
                    await self._talk(reader, writer)
                finally:
                    writer.close()
            await asyncio.sleep(self._redial_s)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until the station closes it."""
        session = self.session = self.terminal.session()
        writer.write(session.login())
        while True:
            try:
                async with asyncio.timeout(self._heartbeat_s):
                    data = await reader.read(READ_LIMIT)
            except TimeoutError:
                writer.write(session.heartbeat())
                continue
            if not data:
                return
            for answer in session.feed(data):
                writer.write(answer)
            await writer.drain()
