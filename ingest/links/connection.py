"""Modbus requests go in, checked answers or named refusals come out, over one TCP connection that is closed on doubt.

A time-out, a broken frame, another unit's answer or a wrong count closes the connection: what arrives late then finds
nobody, instead of the next request. Nothing is sent twice. An answer whose transaction nobody waits for is dropped and
counted; transaction ids run on across connections, so that a gateway that replays an old one is recognised.

Where several requests are under way at once (``pipelined``) a time-out of one closes nothing while others are answered:
the transaction id tells a late answer. When such a connection does end, its oldest request hears why, the others hear
``line_closed``: they may be asked again and nobody is blamed.
"""

import asyncio
import contextlib
from collections import Counter

from ingest.ports import Stream, Transport
from ingest.wire.modbus import Frame, Refusal, TcpFramer, adu, check

READ_LIMIT = 65536
_CLOSING = frozenset({"bad_answer", "bad_count"})  # refusals after which the stream is no longer trusted
_LATE = Refusal("timeout")


class Connection:
    """One gateway's TCP connection, opened when it is needed. ``generation`` counts the openings."""

    tagged = True
    """Answers carry the transaction id of their request."""

    def __init__(
        self,
        transport: Transport,
        host: str,
        port: int,
        *,
        connect_timeout_s: float = 3.0,
        gap_s: float = 0.0,
        pipelined: bool = False,
    ) -> None:
        """Nothing is opened yet; ``gap_s`` is the least time between two requests on this line."""
        self._transport = transport
        self._host = host
        self._port = port
        self._connect_timeout_s = connect_timeout_s
        self._gap_s = gap_s
        self._pipelined = pipelined
        self._stream: Stream | None = None
        self._framer = TcpFramer()
        self._reader: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[Frame | Refusal]] = {}
        self._tid = 0
        self._heard = 0
        self._opening = asyncio.Lock()
        self._free_at: dict[int, float] = {}
        self.generation = 0
        self.dropped: Counter[str] = Counter()

    async def ask(self, unit: int, pdu: bytes, *, timeout_s: float, generation: int = 0) -> bytes | Refusal:
        """The data that answers ``pdu``, or why there is none.

        ``generation`` (when not 0) refuses to send on another connection than that one. Reasons: ``unreachable``
        (nothing was sent), ``timeout``, ``closed``, ``line_closed`` (by another's doing), ``half_frame``,
        ``bad_frame``, ``wrong_unit``, those of ``check``.
        """
        if self._stream is None and not generation:
            async with self._opening:
                if self._stream is None:
                    await self._open()
        if self._gap_s:
            await self.pause(-1, self._gap_s)
        stream = self._stream
        if stream is None or (generation and generation != self.generation):
            return Refusal("unreachable", f"{self._host}:{self._port} is not connected")
        tid = self._next_tid()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Frame | Refusal] = loop.create_future()
        self._waiting[tid] = answer
        bell = loop.call_later(timeout_s, self._ring, answer, stream, self._heard)
        done = False
        try:
            await stream.write(adu(tid, unit, pdu))
            result = await answer
            done = True
        except OSError as error:
            return Refusal("timeout" if answer.done() else "closed", str(error))
        finally:
            bell.cancel()
            self._waiting.pop(tid, None)
            if not done:
                self._drop(stream)
        if result is _LATE:
            half = self._framer.half
            return Refusal("half_frame" if half else "timeout", f"no answer within {timeout_s:g} s")
        return self._checked(stream, unit, pdu, result)

    def _next_tid(self) -> int:
        """The next transaction id that nobody waits for."""
        while True:
            self._tid = self._tid % 0xFFFF + 1
            if self._tid not in self._waiting:
                return self._tid

    def _ring(self, answer: "asyncio.Future[Frame | Refusal]", stream: Stream, heard: int) -> None:
        """The time of one request is over: close, unless other requests were answered meanwhile in whole frames."""
        if answer.done():
            return
        answer.set_result(_LATE)
        if not self._pipelined or self._heard == heard or self._framer.half:
            self._drop(stream)

    def _checked(self, stream: Stream, unit: int, pdu: bytes, result: Frame | Refusal) -> bytes | Refusal:
        """Judge a frame: unit first, then function, count and echo; a doubtful one closes the connection."""
        if isinstance(result, Refusal):
            return result
        if result.unit != unit:
            self._drop(stream)
            return Refusal("wrong_unit", f"unit {result.unit} answers for {unit}")
        data = check(pdu, result.pdu)
        if isinstance(data, Refusal) and data.reason in _CLOSING:
            self._drop(stream)
        return data

    async def pause(self, unit: int, gap_s: float) -> None:
        """Wait until ``gap_s`` has passed since the last request to ``unit`` (-1: on the line), and note this one."""
        now = asyncio.get_running_loop().time()
        wait = self._free_at.get(unit, now) - now
        self._free_at[unit] = max(now, now + wait) + gap_s
        if wait > 0:
            await asyncio.sleep(wait)

    async def close(self) -> None:
        """Close, and let the reading task end."""
        reader = self._reader
        if self._stream is not None:
            self._drop(self._stream)
        if reader is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await reader

    async def _open(self) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(self._connect_timeout_s):
                self._stream = await self._transport.connect(self._host, self._port)
            self.generation += 1
            self._framer = TcpFramer()
            self._reader = asyncio.get_running_loop().create_task(self._pump(self._stream, self._framer))

    async def _pump(self, stream: Stream, framer: TcpFramer) -> None:
        """Hand each frame to the request that waits for its transaction id, until the stream ends or breaks."""
        reason = "closed"
        try:
            while data := await stream.read(READ_LIMIT):
                for frame in framer.feed(data):
                    self._heard += 1
                    waiter = self._waiting.get(frame.tid)
                    if waiter is None or waiter.done():
                        self.dropped["stale_answer"] += 1
                    else:
                        waiter.set_result(frame)
                if framer.broken:
                    reason = framer.broken
                    break
            else:
                reason = "half_frame" if framer.half else "closed"
        except OSError:
            reason = "closed"
        self._drop(stream, reason)

    def _drop(self, stream: Stream, reason: str = "closed") -> None:
        """Close ``stream``; the oldest that waits on it hears ``reason``. A newer connection is left alone."""
        stream.close()
        if self._stream is not stream:
            return
        self._stream = None
        if self._reader is not None and self._reader is not asyncio.current_task():
            self._reader.cancel()
        self._reader = None
        where = f"{self._host}:{self._port}"
        blamed = not all(waiter.done() is False for waiter in self._waiting.values())
        for waiter in self._waiting.values():
            if not waiter.done():
                waiter.set_result(Refusal("line_closed" if blamed else reason, where))
                blamed = True
