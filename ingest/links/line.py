"""Requests go in, each one's own answer comes out, over one half-duplex stream: RS-485 behind a serial server.

Answers carry no number, so an answer counts only when its address, function and data identifier are those asked for;
after any doubt the stream is closed, and a new one is drained until it has been silent before anything is asked on it.
"""

import asyncio
import contextlib
from collections import Counter

from ingest.limits import READ_LIMIT
from ingest.ports import Stream, Transport
from ingest.wire import dlt645
from ingest.wire.modbus import Refusal
from ingest.wire.sift import Sifter

DRAIN_S = 0.3
"""Silence that a reopened line must have kept: what a serial server still held of an older answer is out by then."""
MOST_DRAINS = 20


class Line:
    """One serial server's TCP connection, opened when it is needed; one request under way at a time."""

    def __init__(self, transport: Transport, host: str, port: int, *, connect_timeout_s: float = 3.0) -> None:
        """Nothing is opened yet."""
        self._transport = transport
        self._host = host
        self._port = port
        self._connect_timeout_s = connect_timeout_s
        self._stream: Stream | None = None
        self._sifter = Sifter()
        self._doubt = False
        self._free_at = 0.0
        self.dropped: Counter[str] = Counter()
        self.generation = 0

    async def ask(
        self, request: dlt645.Frame, *, timeout_s: float, gap_s: float = 0.0, generation: int = 0
    ) -> dlt645.Frame | Refusal:
        """The answer to ``request``, or why there is none: ``unreachable`` (nothing was sent), ``timeout``, ``closed``,
        ``half_frame``. ``generation`` (when not 0) refuses another connection than that one.
        """
        if self._stream is None and not generation:
            await self._open()
        stream = self._stream
        if stream is None or (generation and generation != self.generation):
            return Refusal("unreachable", f"{self._host}:{self._port} is not connected")
        loop = asyncio.get_running_loop()
        if (wait := self._free_at - loop.time()) > 0:
            await asyncio.sleep(wait)
        done = False
        try:
            async with asyncio.timeout(timeout_s):
                await stream.write(dlt645.encode(request))
                answer = await self._answer(stream, request)
            done = isinstance(answer, dlt645.Frame)
            return answer
        except TimeoutError:
            half = self._sifter.held > len(dlt645.PREAMBLE)
            return Refusal("half_frame" if half else "timeout", f"no answer within {timeout_s:g} s")
        except OSError as error:
            return Refusal("closed", str(error))
        finally:
            self._free_at = loop.time() + gap_s
            if not done:
                self._drop()

    async def _answer(self, stream: Stream, request: dlt645.Frame) -> dlt645.Frame | Refusal:
        while data := await stream.read(READ_LIMIT):
            found: dlt645.Frame | None = None
            for piece in self._sifter.feed(data):
                if found is None and isinstance(piece.content, dlt645.Frame) and answers(request, piece.content):
                    found = piece.content
                else:
                    self.dropped[piece.refusal or "stale_answer"] += 1
            if found is not None:
                return found
        return Refusal("closed", f"{self._host}:{self._port}")

    async def _open(self) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(self._connect_timeout_s):
                stream = await self._transport.connect(self._host, self._port)
            if self._doubt:
                await self._drain(stream)
            self._stream, self._sifter = stream, Sifter()
            self.generation += 1

    async def _drain(self, stream: Stream) -> None:
        """Throw away what arrives until the line has been silent."""
        for _ in range(MOST_DRAINS):
            try:
                async with asyncio.timeout(DRAIN_S):
                    if not await stream.read(READ_LIMIT):
                        raise ConnectionResetError("closed while it was drained")
                self.dropped["drained"] += 1
            except TimeoutError:
                self._doubt = False
                return
        stream.close()
        raise ConnectionResetError("a line that never falls silent")

    def _drop(self) -> None:
        stream, self._stream = self._stream, None
        self._doubt = True
        if stream is not None:
            stream.close()

    async def close(self) -> None:
        """Close; the next request opens the line again."""
        self._drop()


def answers(request: dlt645.Frame, answer: dlt645.Frame) -> bool:
    """Whether ``answer`` belongs to ``request``: same meter, same function, same data identifier."""
    same = request.address in (answer.address, dlt645.WILDCARD)
    if not same or not answer.answer or answer.function != request.function:
        return False
    return answer.refused or not request.identifier or answer.identifier == request.identifier
