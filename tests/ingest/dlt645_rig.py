"""A line of DL/T 645 meters on virtual time with the product's own link in front of it."""

import random
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from ingest.links.dlt645 import Dlt645Link
from ingest.records import Drive, MeterPoint
from sim.dlt645 import PASSWORD, Dlt645Line, Dlt645Meter
from sim.loop import VirtualClock, VirtualLoop, run_virtual
from sim.meters import Load, SimMeter
from sim.network import NetworkFaults, SimNetwork
from tests.ingest.rig import MemoryFences

T = TypeVar("T")
START = datetime(2026, 7, 1, 9, 0)
HOUR = timedelta(hours=1)
LOAD_W = 1200
PORT = 8899


def constant(load_w: int) -> Load:
    """A load that never changes."""
    return lambda _: load_w


class Dlt645Rig:
    """Virtual time, one line with ``units`` meters, and a link to it."""

    def __init__(self, units: int = 1, *, model: str = "dlt645_2007", seed: int = 1, **options: Any) -> None:
        self.loop = VirtualLoop()
        self.clock = VirtualClock(self.loop, START)
        self.faults = NetworkFaults()
        self.network = SimNetwork(self.loop, random.Random(seed), self.faults)
        self.fences = MemoryFences()
        self.model = model
        meters = {}
        for number in range(1, units + 1):
            address = f"{202607140000 + number}"
            load_w = LOAD_W * number
            metal = SimMeter(address, constant(load_w), START, register_mwh=number * 10**9)
            meters[address] = Dlt645Meter(address, metal, zone="Asia/Shanghai")
        self.device = Dlt645Line(self.clock, meters)
        self.network.devices["s1", PORT] = self.device
        self.secrets: dict[str, bytes] = {"meter": PASSWORD.encode()}
        self.link = Dlt645Link(
            self.clock,
            self.network,
            "s1",
            PORT,
            gateway="s1",
            fences=self.fences,
            secrets=self.secrets.get,
            **{"timeout_s": 1.0, **options},
        )

    def unit(self, number: int = 1) -> Dlt645Meter:
        return self.device.meters[f"{202607140000 + number}"]

    def point(self, number: int = 1, **changes: Any) -> MeterPoint:
        address = f"{202607140000 + number}"
        point = MeterPoint(
            number, f"T{number}", address, self.model, "dlt645", "s1", "s1", PORT, number, zone="Asia/Shanghai"
        )
        return replace(point, secret="meter", **changes)

    def order(self, action: str = "disconnect", fence: int = 1, number: int = 1, minutes: int = 45) -> Drive:
        return Drive(f"C{fence}", f"T{number}", action, fence, self.clock.now() + timedelta(minutes=minutes))

    def run(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run to the end, closing the link."""

        async def whole() -> T:
            try:
                return await main()
            finally:
                await self.link.close()

        return run_virtual(self.loop, whole())
