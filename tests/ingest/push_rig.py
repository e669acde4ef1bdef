"""Meters that push on virtual time, with the product's own push link in front of them."""

import random
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, TypeVar

from ingest.links.push import PushLink
from ingest.records import MeterPoint
from sim.loop import VirtualClock, VirtualLoop, run_virtual
from sim.meters import SimMeter
from sim.network import NetworkFaults, SimNetwork, SimStream
from sim.pusher import push
from tests.ingest.terminal_rig import SimListener

T = TypeVar("T")
START = datetime(2026, 7, 1, 9, 0)
LOAD_W = 1200


class _Mute:
    def feed(self, data: bytes) -> list[bytes]:
        return []


class PushRig:
    """``units`` meters that push through one connection."""

    def __init__(self, units: int = 1, **options: Any) -> None:
        self.loop = VirtualLoop()
        self.clock = VirtualClock(self.loop, START)
        self.network = SimNetwork(self.loop, random.Random(1), NetworkFaults())
        self.listener = SimListener()
        self.meters = {
            n: SimMeter(f"735999289000{n:04d}", lambda _: LOAD_W, START, register_mwh=n * 10**9)
            for n in range(1, units + 1)
        }
        self.link = PushLink(self.clock, self.listener, "h", 4059, gateway="p", **options)
        self.stream: SimStream | None = None

    def point(self, number: int = 1, **changes: Any) -> MeterPoint:
        given: dict[str, Any] = {"serial": f"735999289000{number:04d}", "model": "dlms_push", **changes}
        return MeterPoint(
            number, f"P{number}", given["serial"], given["model"], "push", "p", "h", 4059, 1, zone="Europe/Oslo"
        )

    async def push(self, number: int = 1) -> None:
        """The meter pushes once."""
        if self.stream is None or self.stream.closed:
            await self.link.door.open()
            assert self.listener.arrived is not None
            self.stream = SimStream(self.network, "10.0.0.1", _Mute())
            self.listener.arrived(self.stream, "10.0.0.1")
        if data := push(self.meters[number], self.clock):
            self.stream.deliver(data)
        await self.clock.sleep(0.1)

    def run(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        async def whole() -> T:
            try:
                return await main()
            finally:
                await self.link.close()

        return run_virtual(self.loop, whole())
