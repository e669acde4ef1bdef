"""Requests to many logical devices go in, each one's own answer comes out: one TCP connection, routed by wrapper port.

Devices are asked side by side, at most ``most`` at a time; each device has one dialogue and one request under way. A
time-out gives up that device's association only; the connection is closed when it has been silent altogether since the
request left, when its framing broke, or when a device has used up its invoke-ids. Late answers meet an invoke-id that
is not in use and are counted in ``asides``.
"""

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass, field

from ingest.errors import LinkClosed, WireRefusal
from ingest.ports import Stream, Transport
from ingest.wire.dialogue import Answer, Dialogue, State
from ingest.wire.security import Security
from ingest.wire.wrapper import Reader, encode

READ_LIMIT = 65536
MAX_WAITING = 32
"""Frames kept for one device that nobody has looked at yet; more are dropped and counted."""


@dataclass(slots=True)
class Device:
    """One logical device on one connection: its dialogue and what has arrived for it while a request is under way."""

    unit: int
    client: int
    dialogue: Dialogue
    inbox: asyncio.Queue[bytes | LinkClosed] = field(default_factory=asyncio.Queue)
    asking: bool = False


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
        self._pump_task: asyncio.Task[None] | None = None
        self._opening: asyncio.Task[None] | None = None
        self._clients: set[int] = set()
        self._devices: dict[tuple[int, int], Device] = {}
        self._slots = asyncio.Semaphore(most)
        self._heard = 0
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
            device.asking = True
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
                device.asking = False
                if not done:
                    device.dialogue.give_up()

    async def _exchange(self, stream: Stream, device: Device, apdu: bytes, timeout_s: float) -> Answer:
        loop = asyncio.get_running_loop()
        while not device.inbox.empty():
            device.inbox.get_nowait()
        async with asyncio.timeout(timeout_s) as limit:
            await stream.write(encode(device.client, device.unit, apdu))
            while True:
                payload = await device.inbox.get()
                if isinstance(payload, LinkClosed):
                    raise WireRefusal("closed", str(payload))
                step = device.dialogue.receive(payload)
                if step.answer is not None:
                    return step.answer
                if step.aside:
                    self.asides[step.aside] += 1
                if step.send:
                    limit.reschedule(loop.time() + timeout_s)
                    await stream.write(encode(device.client, device.unit, step.send))

    async def close(self) -> None:
        """Close, and let the reading task end."""
        pump = self._pump_task
        self._drop(self._stream, "closed")
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
        if device is None or not device.asking:
            self.asides["unasked"] += 1
        elif device.inbox.qsize() >= MAX_WAITING:
            self.asides["flood"] += 1
        else:
            device.inbox.put_nowait(payload)

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
            if device.asking:
                device.inbox.put_nowait(LinkClosed(reason))
