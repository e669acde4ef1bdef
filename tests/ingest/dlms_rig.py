"""A DLMS concentrator on virtual time with the product's own link in front of it."""

import random
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from ingest.links.dlms import DlmsLink
from ingest.links.dlms_visit import Seals
from ingest.records import Drive, MeterPoint, Poll
from ingest.wire import acse
from ingest.wire.ciphering import Keys
from sim.concentrator import SECRET, Concentrator
from sim.logicaldevice import Firmware
from sim.loop import VirtualClock, VirtualLoop, run_virtual
from sim.meters import SimMeter
from sim.network import NetworkFaults, SimNetwork
from sim.secured import ServerKeys
from tests.ingest.rig import MemoryFences

T = TypeVar("T")
START = datetime(2026, 7, 1, 9, 0)
HOUR = timedelta(hours=1)
PORT = 4059

NO_LIST = acse.OURS & ~acse.Conformance.MULTIPLE_REFERENCES
NO_RANGE = acse.OURS & ~acse.Conformance.SELECTIVE_ACCESS


def codes(poll: Poll) -> list[str]:
    """What was found wrong in one visit."""
    return [finding.code for finding in poll.findings]


def load(at: datetime) -> int:
    """Watts of an hour: never the same for two hours of a day, so that a wrong row shows."""
    return 400 + 37 * at.hour


class MemoryKeyStore:
    """``KeyStore`` without a disk."""

    def __init__(self) -> None:
        self.counters: dict[str, int] = {}

    def used(self, key: str) -> int:
        return self.counters.get(key, 0)

    async def reserve(self, key: str, count: int) -> int:
        first = self.used(key)
        self.counters[key] = first + count
        return first


class DlmsRig:
    """Virtual time, one concentrator ``c1`` with ``units`` meters, and a link to it."""

    def __init__(
        self,
        units: int = 1,
        *,
        firmware: Firmware | None = None,
        seed: int = 1,
        keys: Keys | None = None,
        **options: Any,
    ) -> None:
        self.loop = VirtualLoop()
        self.clock = VirtualClock(self.loop, START)
        self.faults = NetworkFaults()
        self.network = SimNetwork(self.loop, random.Random(seed), self.faults)
        self.fences = MemoryFences()
        metal = {unit: SimMeter(f"7{unit:07d}", load, START, register_mwh=unit * 10**9) for unit in range(1, units + 1)}
        servers = {} if keys is None else {unit: ServerKeys(keys) for unit in metal}
        self.device = Concentrator(self.clock, metal, firmware=firmware, keys=servers)
        self.network.devices["c1", PORT] = self.device
        self.secrets: dict[str, bytes] = {"lls": SECRET}
        if keys is not None:
            self.secrets["lls"] = (keys.encryption + keys.authentication).hex().encode()
        self.counters = MemoryKeyStore()
        seals = Seals(self.counters, random=random.Random(seed).randbytes)
        options = {"timeout_s": 1.0, "seals": seals, **options}
        self.link = DlmsLink(
            self.clock,
            self.network,
            "c1",
            PORT,
            gateway="c1",
            fences=self.fences,
            secrets=self.secrets.get,
            **options,
        )

    def meter(self, unit: int = 1) -> SimMeter:
        return self.device.meters[unit]

    def point(self, unit: int = 1, **changes: Any) -> MeterPoint:
        point = MeterPoint(
            unit, f"D{unit}", f"7{unit:07d}", "dlms_generic", "dlms", "c1", "c1", PORT, unit, secret="lls"
        )
        return replace(point, **changes)

    def order(self, action: str = "disconnect", fence: int = 1, unit: int = 1, minutes: int = 45) -> Drive:
        until = self.clock.now() + timedelta(minutes=minutes)
        return Drive(f"C{fence}", f"D{unit}", action, fence, until)

    def run(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run to the end, closing the link."""

        async def whole() -> T:
            try:
                return await main()
            finally:
                await self.link.close()

        return run_virtual(self.loop, whole())
