"""DLMS wrapper frames go in, HDLC frames leave, and back: a transport that lets the DLMS link speak to HDLC meters.

The link above routes by wrapper ports; here each pair of ports is one HDLC connection (client address, logical device),
opened by SNRM when its first APDU leaves. Lost frames are sent again by their HDLC numbers, which never makes a meter
do something twice; the link above keeps its own time-out for the whole answer.
"""

import asyncio
from collections.abc import Callable

from ingest.limits import READ_LIMIT
from ingest.ports import Stream, Transport
from ingest.wire import hdlc
from ingest.wire.hdlc_link import HdlcLink, Limits, Phase
from ingest.wire.wrapper import HEADER, encode

TRIES = 3
LinkMaker = Callable[[int, int], HdlcLink]


class HdlcTransport:
    """``ingest.ports.Transport`` over another one (TCP, serial): meters that speak HDLC behind it.

    ``physical`` is the lower part of the meters' addresses (None: one-byte addresses), ``size`` 4 forces four bytes;
    ``wait_s`` is how long an answer may take before a frame is sent again.
    """

    def __init__(
        self,
        inner: Transport,
        *,
        physical: int | None = None,
        size: int = 0,
        wait_s: float = 1.0,
        limits: Limits | None = None,
    ) -> None:
        """Nothing is opened yet."""
        self._inner = inner
        self._physical = physical
        self._size = size
        self._wait_s = wait_s
        self._limits = limits if limits is not None else Limits(2030, 2030, 1, 1)

    async def connect(self, host: str, port: int) -> "HdlcStream":
        """Open the stream below; OSError if it fails."""
        return HdlcStream(await self._inner.connect(host, port), self.link, self._wait_s)

    def link(self, unit: int, client: int) -> HdlcLink:
        """A new connection from ``client`` to logical device ``unit``."""
        remote = hdlc.address(unit, self._physical, size=self._size)
        return HdlcLink(hdlc.address(client), remote, client=True, ours=self._limits)


class _Talk:
    """One HDLC connection with whoever waits for it to open."""

    def __init__(self, link: HdlcLink) -> None:
        self.link = link
        self.opened = asyncio.Event()
        self.waits = False
        self.tries = 0


class HdlcStream:
    """``ingest.ports.Stream`` that takes and gives wrapper frames."""

    def __init__(self, inner: Stream, link: LinkMaker, wait_s: float) -> None:
        """Over an open stream."""
        self._inner = inner
        self._link = link
        self._wait_s = wait_s
        self._talks: dict[tuple[int, int], _Talk] = {}
        self._ready = bytearray()

    async def write(self, data: bytes) -> None:
        """Send one wrapper frame's payload to its device, connecting first."""
        _, client, unit, _ = HEADER.unpack_from(data)
        talk = self._talks.get((unit, client))
        if talk is None:
            talk = self._talks[unit, client] = _Talk(self._link(unit, client))
        if not talk.link.open:
            talk.opened.clear()
            talk.waits, talk.tries = True, 0
            await self._inner.write(talk.link.connect())
            await talk.opened.wait()
            if not talk.link.open:
                raise ConnectionResetError(f"device {unit} does not answer SNRM")
        talk.waits, talk.tries = True, 0
        await self._inner.write(talk.link.send(hdlc.LLC_REQUEST + data[HEADER.size :]))

    async def read(self, limit: int) -> bytes:
        """Wrapper frames of what has arrived; b"" at the end."""
        while not self._ready:
            try:
                async with asyncio.timeout(self._wait_s):
                    data = await self._inner.read(READ_LIMIT)
            except TimeoutError:
                await self._repeat()
                continue
            if not data:
                self._release()
                return b""
            for (unit, client), talk in self._talks.items():
                await self._taken(talk, unit, client, data)
        found = bytes(self._ready[:limit])
        del self._ready[: len(found)]
        return found

    async def _taken(self, talk: _Talk, unit: int, client: int, data: bytes) -> None:
        reply, payloads = talk.link.receive(data)
        if talk.link.open:
            talk.opened.set()
        if reply or payloads:
            talk.tries = 0
        for payload in payloads:
            talk.waits = False
            self._ready += encode(unit, client, payload.removeprefix(hdlc.LLC_RESPONSE) or b"\x00")
        if reply:
            await self._inner.write(reply)

    async def _repeat(self) -> None:
        """Nothing came: each connection that waits sends its last frames again, ``TRIES`` times."""
        for talk in self._talks.values():
            if not talk.waits:
                continue
            talk.tries += 1
            if talk.tries < TRIES:
                await self._inner.write(talk.link.again())
            else:
                talk.waits = False
                talk.link.phase = Phase.CLOSED
                talk.opened.set()

    def _release(self) -> None:
        for talk in self._talks.values():
            talk.link.phase = Phase.CLOSED
            talk.opened.set()

    def close(self) -> None:
        """Close the stream below; the meter forgets the connection by its own inactivity time-out."""
        self._release()
        self._inner.close()
