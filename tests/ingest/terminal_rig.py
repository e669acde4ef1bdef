"""A terminal that dials in on virtual time, with the product's own hub and link in front of it."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from ingest.links.dialin import DialIn
from ingest.links.door import Limits
from ingest.links.qgdw376 import TerminalLink
from ingest.ports import Stream
from ingest.records import Drive, MeterPoint
from sim.loop import VirtualClock, VirtualLoop, run_virtual
from sim.meters import SimMeter
from sim.network import NetworkFaults, SimNetwork, SimStream
from sim.terminal import PASSWORD, Terminal, TerminalSession
from tests.ingest.rig import MemoryFences

T = TypeVar("T")
START = datetime(2026, 7, 1, 9, 0)
HOUR = timedelta(hours=1)
LOAD_W = 1200
NAME = "020004660"
ZONE = "Asia/Shanghai"


class SimListener:
    """``ingest.links.door.Listener`` without a socket: callers are handed over by ``TerminalRig.dial``."""

    def __init__(self) -> None:
        self.arrived: Callable[[Stream, str], None] | None = None
        self.port = 3761

    async def listen(self, host: str, port: int, arrived: Callable[[Stream, str], None]) -> "SimListener":
        self.arrived = arrived
        return self

    async def close(self) -> None:
        self.arrived = None


class TerminalRig:
    """Virtual time, one terminal with ``units`` measuring points, a hub and a link."""

    def __init__(self, units: int = 1, *, model: str = "qgdw376_terminal", seed: int = 1, **options: Any) -> None:
        self.loop = VirtualLoop()
        self.clock = VirtualClock(self.loop, START)
        self.faults = NetworkFaults()
        self.network = SimNetwork(self.loop, random.Random(seed), self.faults)
        self.listener = SimListener()
        self.model = model
        self.terminal = self.new(NAME, units)
        limits = Limits(options.pop("total", 8), options.pop("each", 4))
        self.hub = DialIn(self.clock, self.listener, "h", 3761, limits=limits)
        self.fences = MemoryFences()
        self.secrets: dict[str, bytes] = {"terminal": PASSWORD.hex().encode()}
        self.link = TerminalLink(
            self.clock,
            self.hub,
            NAME,
            gateway="t1",
            fences=self.fences,
            secrets=self.secrets.get,
            **{"timeout_s": 1.0, **options},
        )
        self.streams: list[SimStream] = []
        self.beating: list[asyncio.Task[None]] = []

    def new(self, name: str, units: int = 1) -> Terminal:
        """Another terminal."""
        meters = {
            n: SimMeter(f"{name}-{n}", lambda _, n=n: LOAD_W * n, START, register_mwh=n * 10**9)  # type: ignore[misc]
            for n in range(1, units + 1)
        }
        return Terminal(name, self.clock, meters, zone=ZONE)

    async def dial(
        self, terminal: Terminal | None = None, *, peer: str = "10.0.0.1", login: bool = True, beats: bool = True
    ) -> TerminalSession:
        """The terminal dials in; returns when its login was answered; it then beats every five minutes."""
        await self.hub.door.open()
        session = (terminal or self.terminal).session()
        stream = SimStream(self.network, peer, session)
        assert self.listener.arrived is not None
        self.listener.arrived(stream, peer)
        self.streams.append(stream)
        if login:
            stream.deliver(session.login())
            await self.clock.sleep(0.5)
        if login and beats:
            self.beating.append(self.loop.create_task(self._beat(stream, session)))
        return session

    async def _beat(self, stream: SimStream, session: TerminalSession) -> None:
        while not stream.closed:
            await self.clock.sleep(300)
            stream.deliver(session.heartbeat())

    def meter(self, number: int = 1) -> SimMeter:
        return self.terminal.points[number]

    def point(self, number: int = 1, **changes: Any) -> MeterPoint:
        point = MeterPoint(
            number, f"T{number}", f"{NAME}-{number}", self.model, "qgdw376", "t1", "h", 3761, number, zone=ZONE
        )
        return replace(point, **{"secret": "terminal", **changes})

    def order(self, action: str = "disconnect", fence: int = 1, number: int = 1, minutes: int = 45) -> Drive:
        return Drive(f"C{fence}", f"T{number}", action, fence, self.clock.now() + timedelta(minutes=minutes))

    def run(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run to the end, closing link and hub."""

        async def whole() -> T:
            try:
                return await main()
            finally:
                for task in self.beating:
                    task.cancel()
                await self.link.close()
                await self.hub.door.close()

        return run_virtual(self.loop, whole())
