"""A Modbus gateway on virtual time with the product's own link in front of it, and sinks that remember."""

import asyncio
import functools
import random
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from ingest.drivers import driver
from ingest.links.modbus import ModbusLink
from ingest.model import ModbusDriver, expected_serial
from ingest.records import Finding, Interval, MeterPoint, MeterRead, Receipt
from sim.loop import VirtualClock, VirtualLoop, run_virtual
from sim.meters import SimMeter
from sim.modbus import ModbusGateway
from sim.network import NetworkFaults, SimNetwork

T = TypeVar("T")
START = datetime(2026, 7, 1, 9, 0)
LOAD_W = 1200


def on_asyncio(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a coroutine test on the real event loop, for tests with real sockets."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


class MemoryFences:
    """``FenceStore`` without a disk; ``raised`` keeps the order of commits."""

    def __init__(self) -> None:
        self.fences: dict[str, int] = {}
        self.raised: list[tuple[str, int]] = []

    def last(self, meter: str) -> int:
        return self.fences.get(meter, 0)

    async def raise_to(self, meter: str, fence: int) -> None:
        self.fences[meter] = max(fence, self.fences.get(meter, 0))
        self.raised.append((meter, fence))


@dataclass
class MemorySink:
    """``ReadSink`` that keeps what it took, once per (source, source_seq)."""

    reads: list[MeterRead] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    seqs: set[tuple[str, str]] = field(default_factory=set)
    broken: bool = False

    async def accept(self, source: str, source_seq: str, reads: Sequence[MeterRead], at: datetime) -> Receipt:
        if self.broken:
            raise RuntimeError("the disk is full")
        known = {(r.meter_id, r.channel, r.end): r for r in self.reads}
        new = [r for r in reads if (r.meter_id, r.channel, r.end) not in known]
        if (source, source_seq) in self.seqs:
            new = []
        self.seqs.add((source, source_seq))
        self.reads.extend(new)
        return Receipt(len(reads), len(new), len(reads) - len(new), 0)

    async def accept_intervals(self, source: str, source_seq: str, rows: Sequence[Interval], at: datetime) -> Receipt:
        raise AssertionError("pollers bring reads")

    async def found(self, findings: Sequence[Finding]) -> None:
        self.findings.extend(findings)

    def codes(self) -> list[str]:
        return [finding.code for finding in self.findings]


class MemoryGaps:
    """``GapStore`` over a ``MemorySink``: hourly slots since ``since`` of which no read is there."""

    def __init__(self, sink: MemorySink, since: datetime) -> None:
        self._sink = sink
        self._since = since

    def gaps(self, meter_id: int, since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
        have = {r.end for r in self._sink.reads if r.meter_id == meter_id}
        found: list[tuple[datetime, datetime]] = []
        end = max(since, self._since) + timedelta(hours=1)
        while end <= until:
            if end not in have:
                if found and found[-1][1] == end - timedelta(hours=1):
                    found[-1] = (found[-1][0], end)
                else:
                    found.append((end - timedelta(hours=1), end))
            end += timedelta(hours=1)
        return found


class Rig:
    """Virtual time, one network, gateways by name and a link to each."""

    def __init__(self, seed: int = 1, start: datetime = START) -> None:
        self.loop = VirtualLoop()
        self.clock = VirtualClock(self.loop, start)
        self.faults = NetworkFaults()
        self.network = SimNetwork(self.loop, random.Random(seed), self.faults)
        self.fences = MemoryFences()
        self.gateways: dict[str, ModbusGateway] = {}
        self.links: dict[str, ModbusLink] = {}
        self.meters: dict[str, SimMeter] = {}
        self.points: dict[str, MeterPoint] = {}

    def gateway(self, name: str = "g1", **options: Any) -> ModbusGateway:
        device = self.gateways[name] = ModbusGateway(self.clock, options.get("framing", "tcp"))
        self.network.devices[name, 502] = device
        self.links[name] = ModbusLink(
            self.clock, self.network, name, 502, gateway=name, fences=self.fences, timeout_s=1.0, **options
        )
        return device

    def meter(self, model: str, unit: int = 1, *, gateway: str = "g1", load_w: int = LOAD_W) -> MeterPoint:
        """A meter of ``model`` on ``unit``, its point as master data hold it."""
        if gateway not in self.gateways:
            self.gateway(gateway)
        known = driver(model)
        assert isinstance(known, ModbusDriver)
        number = len(self.meters) + 1
        metal = SimMeter(f"{4_000_000 + number}", lambda _: load_w, self.clock.now(), register_mwh=5_000_000_000)
        self.gateways[gateway].add(unit, metal, known)
        meter = f"M{number}"
        serial = expected_serial(known, metal.serial, unit)
        point = MeterPoint(number, meter, serial, model, "modbus", gateway, gateway, 502, unit, max_power_w=15_000)
        self.meters[meter], self.points[meter] = metal, point
        return point

    def run(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run to the end, closing the links."""

        async def whole() -> T:
            try:
                return await main()
            finally:
                for link in self.links.values():
                    await link.close()

        return run_virtual(self.loop, whole())
