"""A host and port go in, a byte stream over TCP comes out (``ingest.ports.Transport`` on asyncio streams)."""

import asyncio
import contextlib
import socket


class TcpStream:
    """``ingest.ports.Stream`` over one TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Wrap what asyncio opened."""
        self._reader = reader
        self._writer = writer

    async def read(self, limit: int) -> bytes:
        """At most ``limit`` bytes; b"" at the end."""
        return await self._reader.read(limit)

    async def write(self, data: bytes) -> None:
        """Hand ``data`` to the kernel, waiting while its buffer is full."""
        self._writer.write(data)
        await self._writer.drain()

    def close(self) -> None:
        """Close at once; what was not sent is dropped, so that no late request leaves this host."""
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            self._writer.transport.abort()


class TcpTransport:
    """``ingest.ports.Transport`` for real networks; time-outs are the caller's."""

    async def connect(self, host: str, port: int) -> TcpStream:
        """Open a connection with keep-alive, so that a silently rebooted gateway is noticed; OSError if it fails."""
        reader, writer = await asyncio.open_connection(host, port)
        sock = writer.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return TcpStream(reader, writer)
