"""A host and port go in, a byte stream over TCP or TLS comes out (``ingest.ports.Transport`` on asyncio)."""

import asyncio
import contextlib
import socket
import ssl
from pathlib import Path

_HIGH = 1 << 18


class TcpStream(asyncio.Protocol):
    """``ingest.ports.Stream`` over one connection: bytes gather here until they are read."""

    def __init__(self) -> None:
        """Not yet connected; the event loop calls ``connection_made``."""
        self._held = bytearray()
        self._ended = False
        self._error: Exception | None = None
        self._reading: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, watch for a peer that died without a word."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def data_received(self, data: bytes) -> None:
        """Gather; a reader that falls behind makes the peer wait."""
        self._held += data
        if len(self._held) > _HIGH and self._transport is not None:
            self._transport.pause_reading()
        _wake(self._reading)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let whoever waits here see the end."""
        self._ended, self._error = True, exc
        _wake(self._reading)
        _wake(self._writable)

    def pause_writing(self) -> None:
        """The kernel's buffer is full."""
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """There is room again."""
        _wake(self._writable)
        self._writable = None

    async def read(self, limit: int) -> bytes:
        """At most ``limit`` bytes; b"" at the end; OSError when the connection broke."""
        while not self._held:
            if self._ended:
                if isinstance(self._error, OSError):
                    raise self._error
                return b""
            self._reading = asyncio.get_running_loop().create_future()
            await self._reading
        paused = len(self._held) > _HIGH
        data = bytes(self._held[:limit])
        del self._held[:limit]
        if paused and self._transport is not None and not self._ended:
            self._transport.resume_reading()
        return data

    async def write(self, data: bytes) -> None:
        """Hand ``data`` to the kernel, waiting while its buffer is full; OSError when the connection is gone."""
        if self._transport is None or self._ended or self._transport.is_closing():
            raise ConnectionResetError("the connection is closed")
        self._transport.write(data)
        if self._writable is not None:
            await self._writable
            if self._ended:
                raise ConnectionResetError("the connection is closed")

    def send(self, data: bytes) -> None:
        """Hand over ``data`` without waiting; what a closed connection gets is lost, and its reader sees the end."""
        if self._transport is not None and not self._ended and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """Close at once; what was not sent is dropped, so that no late request leaves this host."""
        if self._transport is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed already
                self._transport.abort()


def _wake(waiter: "asyncio.Future[None] | None") -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


class TcpTransport:
    """``ingest.ports.Transport`` for real networks; time-outs are the caller's."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        """With ``tls`` the connection is encrypted and the peer must prove that it is the host that was asked for."""
        self._tls = tls

    async def connect(self, host: str, port: int) -> TcpStream:
        """Open a connection with keep-alive, so that a silently rebooted gateway is noticed; OSError if it fails."""
        loop = asyncio.get_running_loop()
        _, stream = await loop.create_connection(TcpStream, host, port, ssl=self._tls)
        return stream


def tls_context(authorities: Path | None, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """TLS 1.2 or later, the peer checked against ``authorities`` (None: the system's), our certificate shown if given.

    OSError or ssl.SSLError when a file cannot be read or is none. Modbus/TCP Security V3.6 asks for both sides' proof.
    """
    context = ssl.create_default_context(cafile=str(authorities) if authorities is not None else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is not None:
        context.load_cert_chain(str(certificate), str(key) if key is not None else None)
    return context
