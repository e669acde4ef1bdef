"""Requests to many logical devices go in, each one's own answer comes out: one TCP connection, routed by wrapper port.

Devices are asked side by side, at most ``most`` at a time; each device has one dialogue and one request under way. A
time-out gives up that device's association only; the connection is closed when it has been silent altogether since the
request left, when its framing broke, or when a device has used up its invoke-ids. Late answers meet an invoke-id that
is not in use and are counted in ``asides``.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from ingest.errors import LinkClosed, WireRefusal
from ingest.limits import READ_LIMIT
from ingest.ports import Stream, Transport
from ingest.wire.dialogue import Answer, Dialogue, State
from ingest.wire.security import Security
from ingest.wire.wrapper import Reader, encode

Outcome = Answer | bytes | WireRefusal | TimeoutError
"""What waiting for a device ends with; bytes: they must be sent to it first."""


@dataclass(slots=True)
class Device:
    """One logical device on one connection: its dialogue, and who waits for its answer until when (``ends``)."""

    unit: int
    client: int
    dialogue: Dialogue
    done: "asyncio.Future[Outcome] | None" = None
    ends: float = 0.0
    timeout_s: float = 0.0


class Concentrator:
    """The one connection to a concentrator, opened when it is needed; ``generation`` counts the openings."""

    def __init__(
        self, transport: Transport, host: str, port: int, *, most: int = 64, connect_timeout_s: float = 3.0
    ) -> None:
        """Nothing is opened yet."""
        self._transport = transport
        self._host = host
        self._port = port
        self._connect_timeout_s = connect_timeout_s
        self._stream: Stream | None = None
        self._write_now: Callable[[bytes], None] | None = None  # of a stream that makes no writer wait
        self._pump_task: asyncio.Task[None] | None = None
        self._opening: asyncio.Task[None] | None = None
        self._clients: set[int] = set()
        self._devices: dict[tuple[int, int], Device] = {}
        self._slots = asyncio.Semaphore(most)
        self._heard = 0
        self._out: list[bytes] = []
        self._bell: asyncio.TimerHandle | None = None
        self.generation = 0
        self.asides: Counter[str] = Counter()

    async def device(self, unit: int, client: int, secret: bytes | None, security: Security | None = None) -> Device:
        """The device on the open connection, with nothing associated; LinkClosed when the host cannot be reached."""
        self._clients.add(client)
        known = self._devices.get((unit, client))
        if known is not None and known.dialogue.exhausted:
            self._drop(self._stream, "invoke_ids_used_up")
        if self._stream is None:
            await self._open_once()
        device = self._devices.get((unit, client))
        if device is None:
            device = self._devices[unit, client] = Device(unit, client, Dialogue(secret, start=unit * 5))
        elif device.dialogue.state is not State.IDLE:
            device.dialogue.give_up()
        device.dialogue.secret = secret  # it may have been corrected since the last association
        device.dialogue.security = security
        return device

    def carries(self, device: Device) -> bool:
        """Whether ``device`` belongs to the connection that is open now."""
        return self._stream is not None and self._devices.get((device.unit, device.client)) is device

    async def ask(self, device: Device, apdu: bytes, *, timeout_s: float) -> Answer:
        """Send ``apdu`` and wait for what answers it, through all its blocks (``timeout_s`` each).

        Raises WireRefusal: ``timeout``, ``closed`` (the connection ended), or a word of the codec.
        """
        async with self._slots:
            stream = self._stream
            if stream is None or not self.carries(device):
                raise WireRefusal("closed", f"{self._host}:{self._port} was reopened meanwhile")
            heard = self._heard
            done = False
            try:
                answer = await self._exchange(stream, device, apdu, timeout_s)
                done = True
                return answer
            except TimeoutError:
                if heard == self._heard:
                    self._drop(stream, "silent")
                raise WireRefusal("timeout", f"no answer within {timeout_s:g} s") from None
            except OSError as error:
                self._drop(stream, "closed")
                raise WireRefusal("closed", str(error)) from error
            finally:
                device.done = None
                if not done:
                    device.dialogue.give_up()

    async def _exchange(self, stream: Stream, device: Device, apdu: bytes, timeout_s: float) -> Answer:
        """Send and wait; what must be sent for the next block leaves from here where the stream makes a writer wait."""
        loop = asyncio.get_running_loop()
        device.timeout_s, frame = timeout_s, encode(device.client, device.unit, apdu)
        while True:
            done: asyncio.Future[Outcome] = loop.create_future()
            device.done = done
            device.ends = loop.time() + timeout_s
            if self._bell is None or device.ends < self._bell.when():
                self._set_bell(device.ends)
            if self._write_now is not None:
                self._send(frame)
            else:
                async with asyncio.timeout(timeout_s):
                    await stream.write(frame)
            found = await done
            if isinstance(found, WireRefusal | TimeoutError):
                raise found
            if not isinstance(found, bytes):
                return found
            frame = encode(device.client, device.unit, found)

    def _send(self, frame: bytes) -> None:
        """Write with all that is asked in this turn of the loop."""
        self._out.append(frame)
        if len(self._out) == 1:
            asyncio.get_running_loop().call_soon(self._flush, self._stream)

    def _flush(self, stream: Stream | None) -> None:
        data, self._out = b"".join(self._out), []
        if self._write_now is not None and stream is self._stream:  # else closed meanwhile: who waited knows
            self._write_now(data)

    def _set_bell(self, at: float) -> None:
        """One timer for all that wait, set to the earliest end."""
        if self._bell is not None:
            self._bell.cancel()
        self._bell = asyncio.get_running_loop().call_at(at, self._ring)

    def _ring(self) -> None:
        """Somebody's time may be over; then the bell is set for the next one."""
        self._bell = None
        now = asyncio.get_running_loop().time()
        ends: list[float] = []
        for device in self._devices.values():
            if device.done is None or device.done.done():
                continue
            if device.ends <= now:
                device.done.set_result(TimeoutError())
            else:
                ends.append(device.ends)
        if ends:
            self._set_bell(min(ends))

    async def close(self) -> None:
        """Close, and let the reading task end."""
        pump = self._pump_task
        self._drop(self._stream, "closed")
        if self._bell is not None:
            self._bell.cancel()
            self._bell = None
        if pump is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await pump

    async def _open_once(self) -> None:
        """Open the connection; callers that come meanwhile share this attempt and its failure."""
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(self._open())
            self._opening.add_done_callback(self._opened)
        try:
            await asyncio.shield(self._opening)
        except (OSError, TimeoutError) as error:
            raise LinkClosed(f"{self._host}:{self._port} cannot be reached: {error or 'time-out'}") from error

    def _opened(self, task: asyncio.Task[None]) -> None:
        self._opening = None
        if not task.cancelled():
            task.exception()  # seen by whoever awaited it; nobody may have been left to

    async def _open(self) -> None:
        async with asyncio.timeout(self._connect_timeout_s):
            stream = await self._transport.connect(self._host, self._port)
        self._stream = stream
        self._write_now = getattr(stream, "send", None)
        self._out = []
        self._devices = {}
        self.generation += 1
        self._pump_task = asyncio.get_running_loop().create_task(self._pump(stream))

    async def _pump(self, stream: Stream) -> None:
        """Put each frame into its device's inbox until the stream ends or its framing breaks."""
        reader = Reader(ports=self._clients)
        reason = "closed"
        try:
            while reader.refusal is None and (data := await stream.read(READ_LIMIT)):
                for frame in reader.feed(data):
                    self._heard += 1
                    self._route(self._devices.get((frame.source, frame.destination)), frame.payload)
            if reader.refusal is not None:
                reason = str(reader.refusal)
        except OSError as error:
            reason = str(error)
        self._drop(stream, reason)

    def _route(self, device: Device | None, payload: bytes) -> None:
        """Let the device's dialogue judge what arrived, and wake who waits when that was the answer."""
        if device is None or (done := device.done) is None or done.done():
            self.asides["unasked"] += 1
            return
        try:
            step = device.dialogue.receive(payload)
        except WireRefusal as refusal:
            done.set_result(refusal)
            return
        if step.answer is not None:
            done.set_result(step.answer)
        elif step.aside:
            self.asides[step.aside] += 1
        elif step.send and self._write_now is not None:
            device.ends = asyncio.get_running_loop().time() + device.timeout_s
            self._send(encode(device.client, device.unit, step.send))
        elif step.send:
            done.set_result(step.send)

    def _drop(self, stream: Stream | None, reason: str) -> None:
        """Close ``stream``; whoever waits on it hears so. A newer connection is left alone."""
        if stream is None:
            return
        stream.close()
        if self._stream is not stream:
            return
        self._stream = None
        pump, self._pump_task = self._pump_task, None
        if pump is not None and pump is not asyncio.current_task():
            pump.cancel()
        devices, self._devices = self._devices, {}
        for device in devices.values():
            if device.done is not None and not device.done.done():
                device.done.set_result(WireRefusal("closed", reason))
