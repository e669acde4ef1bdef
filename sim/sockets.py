"""A simulated device goes in, a listening loopback socket comes out, that can be closed politely or killed."""

import asyncio
import ssl

from ingest.limits import READ_LIMIT
from sim.ports import Device


class Served:
    """One device on one port. ``delay_s`` holds every answer back (a slow line); ``silent`` swallows them."""

    def __init__(self, device: Device) -> None:
        """Not yet listening; see ``serve``."""
        self.device = device
        self.host = ""
        self.port = 0
        self.delay_s = 0.0
        self.silent = False
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}

    async def listen(self, host: str = "127.0.0.1", port: int = 0, *, tls: ssl.SSLContext | None = None) -> None:
        """Listen on ``host`` and ``port`` (0: any free one, found in ``port`` afterwards)."""
        self._server = await asyncio.start_server(self._serve, host, port, ssl=tls)
        self.host, self.port = self._server.sockets[0].getsockname()[:2]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open[writer] = asyncio.current_task()
        self.connections += 1
        session = self.device.session()
        try:
            while data := await reader.read(READ_LIMIT):
                for answer in session.feed(data):
                    if self.delay_s:
                        await asyncio.sleep(self.delay_s)
                    if not self.silent:
                        writer.write(answer)
                await writer.drain()
        except (OSError, asyncio.CancelledError):
            return  # the client went away, or we were killed
        finally:
            self._open.pop(writer, None)
            writer.close()

    async def kill(self) -> None:
        """Stop listening and reset every connection: a meter whose socket died. ``listen`` brings it back."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        open_now = dict(self._open)
        for writer in open_now:
            writer.transport.abort()
        for task in open_now.values():
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        if server is not None:
            await server.wait_closed()

    close = kill


async def serve(device: Device, *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None) -> Served:
    """Serve ``device`` on a real socket (encrypted with ``tls``) and return the handle."""
    served = Served(device)
    await served.listen(host, port, tls=tls)
    return served
