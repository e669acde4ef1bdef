"""The virtual network: streams between links and device sessions, with faults drawn from one seeded generator.

A ``write`` is one message. A lost request never reaches the device; a lost answer is one that the device gave (and
acted upon) but that never arrives; a duplicate reaches the device twice; a late answer comes after the link's time-out;
a link that is down refuses connections and closes the ones it has.
"""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from sim.loop import VirtualLoop
from sim.ports import Device, Session


@dataclass(slots=True)
class NetworkFaults:
    """Shares of messages (0 to 1) per kind, and the links that are down; ``counts`` says how often each struck.

    ``half_open``: with this message the peer is gone and nobody is told; the stream carries nothing more, either way.
    """

    lost_request: float = 0.0
    lost_answer: float = 0.0
    duplicate: float = 0.0
    late: float = 0.0
    late_s: float = 8.0
    half_open: float = 0.0
    down: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)


class Passage(NamedTuple):
    """One request and its answer: how often it reaches the device and after how long, and when the answer is back."""

    copies: int
    arrives_s: float
    answered_s: float | None  # None: the answer was lost, or there was none to give


class SimStream:
    """One end of a connection: what ``ingest.ports.Stream`` asks for."""

    def __init__(self, network: "SimNetwork", host: str, session: Session) -> None:
        """Belongs to the link to ``host`` and talks to ``session``."""
        self._network = network
        self._host = host
        self._session = session
        self._inbox: asyncio.Queue[bytes] = asyncio.Queue()
        self._rest = b""
        self.closed = False
        self.gone = False  # the peer is; this end does not know

    async def read(self, limit: int) -> bytes:
        """Up to ``limit`` bytes, b"" when the peer closed."""
        if not self._rest:
            if self.closed and self._inbox.empty():
                return b""
            self._rest = await self._inbox.get()
        data, self._rest = self._rest[:limit], self._rest[limit:]
        return data

    async def write(self, data: bytes) -> None:
        """Send one message."""
        if self.closed:
            raise ConnectionResetError(f"the link to {self._host} is closed")
        self._network.carry(self, data)

    def close(self) -> None:
        """Close this end; a reader waiting here gets b""."""
        if not self.closed:
            self.closed = True
            self._inbox.put_nowait(b"")

    def deliver(self, data: bytes) -> None:
        """An answer arrives (dropped when the stream was closed meanwhile, or the peer has gone)."""
        if not self.closed and not self.gone:
            self._inbox.put_nowait(data)

    @property
    def host(self) -> str:
        """The link's name."""
        return self._host

    def ask(self, data: bytes) -> list[bytes]:
        """Let the device see one message."""
        return self._session.feed(data)


class SimNetwork:
    """``ingest.ports.Transport`` over virtual links; devices are found by (host, port)."""

    def __init__(self, loop: VirtualLoop, rng: random.Random, faults: NetworkFaults) -> None:
        """All chance comes from ``rng``."""
        self._loop = loop
        self._rng = rng
        self.faults = faults
        self.devices: dict[tuple[str, int], Device] = {}
        self._streams: list[SimStream] = []

    async def connect(self, host: str, port: int) -> SimStream:
        """Open a stream, or raise OSError as a real network does."""
        await asyncio.sleep(self.latency())
        device = self.devices.get((host, port))
        if device is None or host in self.faults.down:
            raise ConnectionRefusedError(f"{host}:{port} does not answer")
        stream = SimStream(self, host, device.session())
        self._streams = [s for s in self._streams if not s.closed]
        self._streams.append(stream)
        return stream

    def set_down(self, host: str, down: bool) -> None:
        """Take a link down (closing what is open on it) or bring it back."""
        if down:
            self.faults.down.add(host)
            self.faults.counts["link_down"] += 1
            for stream in self._streams:
                if stream.host == host:
                    stream.close()
        else:
            self.faults.down.discard(host)

    def carry(self, stream: SimStream, data: bytes) -> None:
        """Take one message to the device, by the faults."""
        stream.gone = stream.gone or self._strikes("half_open", self.faults.half_open)
        if stream.gone or self._strikes("lost_request", self.faults.lost_request):
            return
        self._loop.call_later(self.latency(), self._arrive, stream, data)
        if self._strikes("duplicate", self.faults.duplicate):
            self._loop.call_later(2 * self.latency(), self._arrive, stream, data)

    def _arrive(self, stream: SimStream, data: bytes) -> None:
        if stream.host in self.faults.down:
            return
        for answer in stream.ask(data):
            if self._strikes("lost_answer", self.faults.lost_answer):
                continue
            late = self.faults.late_s if self._strikes("late", self.faults.late) else 0.0
            self._loop.call_later(self.latency() + late, stream.deliver, answer)

    def exchange(self) -> Passage:
        """One request and its answer as a whole, by the same faults: for a link that carries records, not bytes."""
        faults = self.faults
        if self._strikes("lost_request", faults.lost_request):
            return Passage(0, 0.0, None)
        arrives_s = self.latency()
        copies = 2 if self._strikes("duplicate", faults.duplicate) else 1
        back: list[float] = []
        for copy in range(1, copies + 1):
            if not self._strikes("lost_answer", faults.lost_answer):
                late = faults.late_s if self._strikes("late", faults.late) else 0.0
                back.append(copy * arrives_s + self.latency() + late)
        return Passage(copies, arrives_s, min(back, default=None))

    def _strikes(self, name: str, share: float) -> bool:
        if share <= 0 or self._rng.random() >= share:
            return False
        self.faults.counts[name] += 1
        return True

    def latency(self) -> float:
        """Seconds that one message travels."""
        return 0.02 + 0.06 * self._rng.random()
