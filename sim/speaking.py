"""A simulated meter that speaks by itself goes in; its P1 telegrams or DLMS pushes over real sockets come out."""

import asyncio
import contextlib
from collections.abc import Callable


async def speak_to_all(says: Callable[[], bytes], port: int, every_s: float) -> asyncio.Server:
    """Listen on loopback and say ``says()`` every ``every_s`` to whoever is connected, as a serial server would."""

    async def heard(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader  # a port that hears nothing
        with contextlib.suppress(OSError):
            while True:
                writer.write(says())
                await writer.drain()
                await asyncio.sleep(every_s)

    return await asyncio.start_server(heard, "127.0.0.1", port)


async def speak_to(says: Callable[[], bytes], host: str, port: int, every_s: float, redial_s: float = 5.0) -> None:
    """Call ``host`` and ``port`` and say ``says()`` every ``every_s``, again and again, until cancelled."""
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(host, port)
            with contextlib.closing(writer):
                while True:
                    writer.write(says())
                    await writer.drain()
                    await asyncio.sleep(every_s)
        await asyncio.sleep(redial_s)
