"""Modbus requests go in, checked answers or named refusals come out, over one TCP connection that is closed on doubt.

A time-out, a broken frame, another unit's answer or a wrong count closes the connection: what arrives late then finds
nobody, instead of the next request. Nothing is sent twice. An answer whose transaction nobody waits for is dropped and
counted; transaction ids run on across connections, so that a gateway that replays an old one is recognised.

Where several requests are under way at once (``pipelined``) a time-out of one closes nothing while others are answered:
the transaction id tells a late answer. What is asked in one turn of the event loop leaves in one write. When such a
connection ends, or its stream goes astray, and it cannot be said by whose fault, all who wait hear ``line_closed``:
they may be asked again, one at a time, and nobody is blamed. Frames of one chunk count only if what follows them can
begin a frame that somebody waits for: else the end of one answer was lost and the next one's bytes stand in its place.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import repeat

from ingest.limits import READ_LIMIT
from ingest.ports import Stream, Transport
from ingest.wire.modbus import Frame, Refusal, TcpFramer, adu, check

_CLOSING = frozenset({"bad_answer", "bad_count"})  # refusals after which the stream is no longer trusted


@dataclass(slots=True, eq=False)
class Asked:
    """Requests to one unit that left together: what came, when patience ends, and who is told when it is ``over``."""

    unit: int
    pdus: Sequence[bytes]
    stream: Stream
    number: int
    left: int
    rings: int
    heard: int
    timeout_s: float
    ends: float
    tell: Callable[["Asked"], None]
    tids: list[int] = field(default_factory=list)
    frames: dict[int, Frame] = field(default_factory=dict)
    over: bool = False
    refusal: Refusal | None = None

    def end(self, refusal: Refusal | None = None) -> None:
        """Nothing more is waited for."""
        self.over, self.refusal = True, refusal
        self.tell(self)


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
        self._writer: asyncio.Task[None] | None = None
        self._out: list[bytes] = []
        self._waiting: dict[int, Asked] = {}
        self._tid = 0
        self._number = 0
        self._newest = 0
        self._heard = 0
        self._opening = asyncio.Lock()
        self._free_at: dict[int, float] = {}
        self._bell: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop
        self.generation = 0
        self.dropped: Counter[str] = Counter()

    async def ask(self, unit: int, pdu: bytes, *, timeout_s: float, generation: int = 0) -> bytes | Refusal:
        """The data that answers ``pdu``, or why there is none.

        ``generation`` (when not 0) refuses to send on another connection than that one. Reasons: ``unreachable``
        (nothing was sent), ``timeout``, ``closed``, ``line_closed`` (by another's doing), ``half_frame``,
        ``bad_frame``, ``wrong_unit``, those of ``check``.
        """
        found = await self._ask(unit, (pdu,), timeout_s, generation)
        return found if isinstance(found, Refusal) else found[0]

    async def ask_all(self, unit: int, pdus: Sequence[bytes], *, timeout_s: float) -> list[bytes] | Refusal:
        """The data that answer ``pdus``, in their order, or the first refusal; together where the peer allows."""
        if self._pipelined and not self._gap_s:
            return await self._ask(unit, pdus, timeout_s)
        found: list[bytes] = []
        for pdu in pdus:
            data = await self.ask(unit, pdu, timeout_s=timeout_s)
            if isinstance(data, Refusal):
                return data
            found.append(data)
        return found

    async def _ask(
        self, unit: int, pdus: Sequence[bytes], timeout_s: float, generation: int = 0
    ) -> list[bytes] | Refusal:
        if not generation:
            await self.ready()
        if self._gap_s:
            await self.pause(-1, self._gap_s)
        stream = self._stream
        if stream is None or (generation and generation != self.generation):
            return Refusal("unreachable", f"{self._host}:{self._port} is not connected")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def tell(_: Asked) -> None:
            if not done.done():
                done.set_result(None)

        asked = self._enter(stream, unit, pdus, timeout_s, tell)
        over = False
        try:
            await self._send(stream, b"".join(map(adu, asked.tids, [unit] * len(pdus), pdus)))
            await done
            over = True
        except OSError as error:
            return Refusal("timeout" if asked.over else "closed", str(error))
        finally:
            if not over:
                self.abandon(asked)
        return self.outcome(asked)

    async def ready(self) -> bool:
        """Open the connection unless it is; whether it is."""
        if self._stream is None:
            async with self._opening:
                if self._stream is None:
                    await self._open()
        return self._stream is not None

    @property
    def sweeps(self) -> bool:
        """Whether ``begin`` may be used: many requests at a time, without a pause between them."""
        return self._pipelined and not self._gap_s

    def begin(self, unit: int, pdus: Sequence[bytes], timeout_s: float, tell: Callable[[Asked], None]) -> Asked | None:
        """Ask without waiting, None when nothing is connected; ``tell`` is called when it is over (see ``outcome``).

        What was begun leaves together in the next turn of the loop, or with ``flush``.
        """
        stream = self._stream
        if stream is None:
            return None
        asked = self._enter(stream, unit, pdus, timeout_s, tell)
        if not self._out:
            self._loop.call_soon(self._flush, stream)
        self._out += map(adu, asked.tids, repeat(unit), pdus)
        return asked

    def flush(self) -> None:
        """Send what was begun now: the peer works on it while the caller works on what came before."""
        if self._out and self._stream is not None:
            self._flush(self._stream)

    def outcome(self, asked: Asked) -> list[bytes] | Refusal:
        """The data of what is over, in the order of its requests, or why there is none."""
        waiting = self._waiting
        for tid in asked.tids:
            waiting.pop(tid, None)
        if asked.refusal is not None:
            return asked.refusal
        found: list[bytes] = []
        for tid, pdu in zip(asked.tids, asked.pdus, strict=True):
            data = self._checked(asked.stream, asked.unit, pdu, asked.frames[tid])
            if isinstance(data, Refusal):
                return data
            found.append(data)
        return found

    def abandon(self, asked: Asked) -> None:
        """Wait no longer for what was asked: its connection is closed, since an answer may still come."""
        for tid in asked.tids:
            self._waiting.pop(tid, None)
        self._drop(asked.stream)

    def _enter(
        self, stream: Stream, unit: int, pdus: Sequence[bytes], timeout_s: float, tell: Callable[[Asked], None]
    ) -> Asked:
        """Note who waits for what, under the next transaction ids that nobody waits for, and set the bell."""
        self._number += 1
        rings = len(self._waiting) + len(pdus) - 1 if self._pipelined else 0
        ends = self._loop.time() + timeout_s
        asked = Asked(unit, pdus, stream, self._number, len(pdus), rings, self._heard, timeout_s, ends, tell)
        tid, waiting = self._tid, self._waiting
        for _ in pdus:
            tid = tid % 0xFFFF + 1
            while tid in waiting:
                tid = tid % 0xFFFF + 1
            waiting[tid] = asked
            asked.tids.append(tid)
        self._tid = tid
        if self._bell is None or ends < self._bell.when():
            self._set_bell(ends)
        return asked

    async def _send(self, stream: Stream, data: bytes) -> None:
        """Write now, or (pipelined) with all that is asked in this turn of the loop."""
        if not self._pipelined:
            await stream.write(data)
            return
        self._out.append(data)
        if len(self._out) == 1:
            self._loop.call_soon(self._flush, stream)

    def _flush(self, stream: Stream) -> None:
        data, self._out = b"".join(self._out), []
        if stream is not self._stream or not data:
            return  # closed meanwhile (who waited on it knows), or sent already
        send = getattr(stream, "send", None)
        if send is not None:
            send(data)
        else:
            self._writer = self._loop.create_task(self._write(stream, data))

    async def _write(self, stream: Stream, data: bytes) -> None:
        try:
            await stream.write(data)
        except OSError:
            self._drop(stream)

    def _set_bell(self, at: float) -> None:
        """One timer for all that wait, set to the earliest end."""
        if self._bell is not None:
            self._bell.cancel()
        self._bell = self._loop.call_at(at, self._ring)

    def _ring(self) -> None:
        """Somebody's time may be over; then the bell is set for the next one."""
        self._bell = None
        now = self._loop.time()
        for asked in list(dict.fromkeys(self._waiting.values())):
            if asked.ends <= now and not asked.over:
                self._late(asked, now)
        ends = [asked.ends for asked in self._waiting.values() if not asked.over]
        if ends:
            self._set_bell(min(ends))

    def _late(self, asked: Asked, now: float) -> None:
        """The time of one request is over.

        A pipelined gateway may have been busy with those before it: while answers come, and none to a later request,
        it is given the time of as many. A silent connection, or one in the middle of a frame, is closed.
        """
        silent = self._heard == asked.heard
        if asked.rings > 0 and not silent and self._newest < asked.number:
            asked.rings, asked.heard, asked.ends = asked.rings - 1, self._heard, now + asked.timeout_s
            return
        half = self._framer.half
        shared = half and any(other is not asked for other in self._waiting.values())
        reason = "line_closed" if shared else "half_frame" if half else "timeout"
        asked.end(Refusal(reason, f"no answer within {asked.timeout_s:g} s"))
        if not self._pipelined or silent or half:
            self._drop(asked.stream)

    def _checked(self, stream: Stream, unit: int, pdu: bytes, result: Frame) -> bytes | Refusal:
        """Judge a frame: unit first, then function, count and echo; a doubtful one closes the connection."""
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
        tasks = [task for task in (self._reader, self._writer) if task is not None]
        if self._bell is not None:
            self._bell.cancel()
            self._bell = None
        if self._stream is not None:
            self._drop(self._stream)
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _open(self) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(self._connect_timeout_s):
                self._stream = await self._transport.connect(self._host, self._port)
            self.generation += 1
            self._framer = TcpFramer()
            self._loop = asyncio.get_running_loop()
            self._reader = self._loop.create_task(self._pump(self._stream, self._framer))

    async def _pump(self, stream: Stream, framer: TcpFramer) -> None:
        """Hand each frame to the request that waits for its transaction id, until the stream ends or breaks."""
        reason = "closed"
        try:
            while data := await stream.read(READ_LIMIT):
                frames = framer.feed(data)
                lost = framer.broken or self._astray(framer.rest) or (framer.joined and self._swallowed(frames))
                if self._pipelined and lost:
                    reason = "bad_frame"
                    break
                self._take(frames, stream)
                if framer.broken:
                    reason = framer.broken
                    break
            else:
                reason = "half_frame" if framer.half else "closed"
        except OSError:
            reason = "closed"
        self._drop(stream, reason)

    def _astray(self, head: bytes) -> bool:
        """Whether bytes that should begin a frame cannot: another protocol, or a transaction that nobody knows."""
        known = len(head) < 2 or int.from_bytes(head[:2], "big") in self._waiting
        return not known or any(head[2:4])

    def _swallowed(self, frames: list[Frame]) -> bool:
        """Whether a frame that came in two pieces holds the head of another answer that is waited for."""
        return bool(frames) and any(tid.to_bytes(2, "big") + b"\0\0\0" in frames[0].pdu for tid in self._waiting)

    def _take(self, frames: list[Frame], stream: Stream) -> None:
        """Give each frame to whoever waits for its transaction; what nobody waits for is dropped and counted."""
        waiting = self._waiting
        self._heard += len(frames)
        for frame in frames:
            tid = frame.tid
            asked = waiting.get(tid)
            if asked is None or asked.over or tid in asked.frames or asked.stream is not stream:
                self.dropped["stale_answer"] += 1
                continue
            asked.frames[tid] = frame
            asked.left -= 1
            if not asked.left:
                self._newest = max(self._newest, asked.number)
                asked.end()

    def _drop(self, stream: Stream, reason: str = "closed") -> None:
        """Close ``stream``; the oldest that waits on it hears ``reason``. A newer connection is left alone."""
        stream.close()
        if self._stream is not stream:
            return
        self._stream = None
        if self._reader is not None and self._reader is not asyncio.current_task():
            self._reader.cancel()
        self._reader = None
        waiting = [asked for asked in dict.fromkeys(self._waiting.values()) if not asked.over]
        alone = len(waiting) == 1 and not any(asked.over for asked in self._waiting.values())
        for asked in waiting:
            word = reason if alone else "line_closed"
            asked.end(Refusal(word, f"{self._host}:{self._port}"))
