"""Modbus requests go in, checked answers or named refusals come out, over a serial line or RTU frames in TCP.

RTU answers carry no transaction id, so one request is under way at a time, and an answer that comes after its time-out
could be taken for the next one's. Therefore every time-out closes the stream, and the line remembers what it is still
owed: until that answer was seen, or ``owed_s`` has passed, the same unit is not asked for anything of the same length
(``draining``); every other unit goes on at once, since a frame names its unit. Bytes that came before a request was
sent answer nothing and are dropped.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence

from ingest.limits import READ_LIMIT
from ingest.ports import Stream, Transport
from ingest.wire.modbus import Frame, Refusal, check
from ingest.wire.rtu import RtuReader, answer_length, request_adu

OWED_S = 10.0
"""Longer than any device or serial server was seen to hold an answer back."""


class RtuConnection:
    """One serial line, opened when it is needed; the same face as ``ingest.links.connection.Connection``."""

    tagged = False
    """Answers carry no transaction id: what was read twice is believed sooner."""

    def __init__(
        self,
        transport: Transport,
        host: str,
        port: int,
        *,
        connect_timeout_s: float = 3.0,
        gap_s: float = 0.0,
        owed_s: float = OWED_S,
    ) -> None:
        """Nothing is opened yet; ``gap_s`` is the silence between two exchanges on the line."""
        self._transport = transport
        self._host = host
        self._port = port
        self._connect_timeout_s = connect_timeout_s
        self._gap_s = gap_s
        self._owed_s = owed_s
        self._stream: Stream | None = None
        self._pump_task: asyncio.Task[None] | None = None
        self._reader = RtuReader()
        self._line = asyncio.Lock()
        self._asked: tuple[int, bytes, asyncio.Future[bytes | Refusal]] | None = None
        self._owed: dict[tuple[int, int, int], float] = {}
        self._free_at: dict[int, float] = {}
        self.generation = 0
        self.dropped: Counter[str] = Counter()

    async def ask(self, unit: int, pdu: bytes, *, timeout_s: float, generation: int = 0) -> bytes | Refusal:
        """The data that answers ``pdu``, or why there is none: ``draining`` beside the reasons of ``Connection``."""
        async with self._line:
            if self._stream is None and not generation:
                await self._open()
            stream = self._stream
            if stream is None or (generation and generation != self.generation):
                return Refusal("unreachable", f"{self._host}:{self._port} is not connected")
            await self.pause(-1, self._gap_s)
            if self._still_owed((unit, pdu[0], answer_length(pdu))):
                return Refusal("draining", f"unit {unit} still owes an answer of this length; it is asked again later")
            result = await self._exchange(stream, unit, pdu, timeout_s)
            self._free_at[-1] = asyncio.get_running_loop().time() + self._gap_s
            return result

    async def ask_all(self, unit: int, pdus: Sequence[bytes], *, timeout_s: float) -> list[bytes] | Refusal:
        """The data that answer ``pdus``, one after the other, or the first refusal."""
        found: list[bytes] = []
        for pdu in pdus:
            data = await self.ask(unit, pdu, timeout_s=timeout_s)
            if isinstance(data, Refusal):
                return data
            found.append(data)
        return found

    def _still_owed(self, key: tuple[int, int, int]) -> bool:
        """Whether an answer that looks like this one may still come."""
        if asyncio.get_running_loop().time() < self._owed.get(key, 0.0):
            return True
        self._owed.pop(key, None)
        return False

    async def _exchange(self, stream: Stream, unit: int, pdu: bytes, timeout_s: float) -> bytes | Refusal:
        """Send one request and wait for its answer; a time-out is noted as owed and closes."""
        if self._reader.clear():
            self.dropped["noise"] += 1
        answer: asyncio.Future[bytes | Refusal] = asyncio.get_running_loop().create_future()
        self._asked = (unit, pdu, answer)
        done = False
        try:
            async with asyncio.timeout(timeout_s):
                await stream.write(request_adu(unit, pdu))
                result = await answer
            done = not isinstance(result, Refusal) or result.reason.startswith("exception_")
        except TimeoutError:
            reason = "half_frame" if self._reader.half else "timeout"
            return Refusal(reason, f"no answer within {timeout_s:g} s")
        except OSError as error:
            return Refusal("closed", str(error))
        finally:
            self._asked = None
            if not done:
                until = asyncio.get_running_loop().time() + self._owed_s
                self._owed[unit, pdu[0], answer_length(pdu)] = until
                self._drop(stream)
        return result

    async def pause(self, unit: int, gap_s: float) -> None:
        """Wait until ``gap_s`` has passed since the last request to ``unit`` (-1: on the line), and note this one."""
        now = asyncio.get_running_loop().time()
        wait = self._free_at.get(unit, now) - now
        self._free_at[unit] = max(now, now + wait) + gap_s
        if wait > 0:
            await asyncio.sleep(wait)

    async def close(self) -> None:
        """Close, and let the reading task end."""
        pump = self._pump_task
        if self._stream is not None:
            self._drop(self._stream)
        if pump is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await pump

    async def _open(self) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(self._connect_timeout_s):
                self._stream = await self._transport.connect(self._host, self._port)
            self.generation += 1
            self._reader.clear()
            self._pump_task = asyncio.get_running_loop().create_task(self._pump(self._stream))

    async def _pump(self, stream: Stream) -> None:
        """Read the line; frames while somebody waits are judged, everything else is noise."""
        with contextlib.suppress(OSError):
            while data := await stream.read(READ_LIMIT):
                asked = self._asked
                if asked is None or asked[2].done():
                    self.dropped["unasked"] += 1
                    continue
                unit, pdu, answer = asked
                for frame in self._reader.feed(data, pdu):
                    if not answer.done():
                        self._judge(frame, unit, pdu, answer)
        self._drop(stream)

    def _judge(self, frame: Frame, unit: int, pdu: bytes, answer: "asyncio.Future[bytes | Refusal]") -> None:
        """An owed answer is dropped and no longer owed; another unit's or another length is a refusal."""
        data = check(pdu, frame.pdu)
        late = [key for key in self._owed if key[0] == frame.unit and key[2] == len(frame.pdu) + 3]
        if late and (frame.unit != unit or isinstance(data, Refusal)):
            for key in late:
                del self._owed[key]
            self.dropped["late_answer"] += 1
        elif frame.unit != unit:
            answer.set_result(Refusal("wrong_unit", f"unit {frame.unit} answers for {unit}"))
        else:
            answer.set_result(data)

    def _drop(self, stream: Stream, reason: str = "closed") -> None:
        """Close ``stream``; who waits on it hears ``reason``. A newer one is left alone."""
        stream.close()
        if self._stream is not stream:
            return
        self._stream = None
        if self._pump_task is not None and self._pump_task is not asyncio.current_task():
            self._pump_task.cancel()
        self._pump_task = None
        if self._asked is not None and not self._asked[2].done():
            self._asked[2].set_result(Refusal(reason, f"{self._host}:{self._port}"))
