# ruff: noqa: ARG002 - the sinks have the arguments of their Protocols
"""Simulated devices in another process go in, what collecting from them costs comes out, beside named libraries.

``python -m benchmarks.collect -o json --gateways 1000`` gives the figures to quote. A Modbus poll is the product's
whole visit: identity, registers, plausibility, a poll with its reads and its raw bytes. The library reads the same
registers by the calls that it documents (``read_holding_registers``, ``convert_from_registers``), blocking and with
asyncio, checks the same identity and gives the same values; the better of the two is the peer. Both ask the same server
in a process of its own, whose answers are made once: it is at work for 1 us a poll and bounds neither. The DLMS
libraries run where PREWATT_PEERS names a python that has them.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pymodbus.client import AsyncModbusTcpClient, ModbusTcpClient

from benchmarks.field import NOW, SERIAL, Standing, line_s, process
from benchmarks.harness import Options, Sample, main
from ingest.drivers import driver
from ingest.drivers.dlms_generic import DRIVER as DLMS
from ingest.links.dlms_visit import DlmsVisit
from ingest.links.modbus import ModbusLink
from ingest.links.mqtt import BrokerAddress, HandheldListener
from ingest.links.tcp import TcpTransport
from ingest.links.wports import Concentrator
from ingest.model import ModbusDriver, Quantity, expected_serial
from ingest.plan import Due
from ingest.poller import Pacing, Poller
from ingest.records import Finding, HandheldMessage, HandheldReply, Interval, MeterPoint, MeterRead, Poll, Receipt
from ingest.wire.cosem import ClassId, Name
from ingest.wire.registers import visit_plan
from sim.broker import Broker
from sim.concentrator import SECRET
from storage.inbox import ReadInbox
from storage.store import Store

POLLS, UNITS = 10_000, 32
POLLED = 64
"""Units behind the one fast gateway, all asked side by side: the most that ``pipeline`` allows."""
GETS, DEVICES = 20_000, 200
MESSAGES = 500
BAUD = 9600
SLOW_MODEL = "b23"  # three requests a meter
MEMORY_MIB = 500.0
ENERGY = Name(ClassId.REGISTER, "1.0.1.8.0.255", 2)


class NoFences:
    """``FenceStore`` of a benchmark that switches nothing."""

    def last(self, meter: str) -> int:
        """None left."""
        raise AssertionError(meter)

    async def raise_to(self, meter: str, fence: int) -> None:
        """None leaves."""
        raise AssertionError(meter)


def points(model: str, protocol: str, units: int, *, gateway: str = "g", first: int = 0) -> list[MeterPoint]:
    """The meters of one gateway, as master data hold them."""
    known = driver(model)
    serials = {unit: expected_serial(known, str(SERIAL + unit), unit) for unit in range(1, units + 1)}
    if protocol == "dlms":
        serials = {unit: f"7{unit:07d}" for unit in serials}  # as benchmarks.field names them
    return [
        MeterPoint(first + u, f"M{first + u}", serials[u], model, protocol, gateway, "127.0.0.1", 0, u)
        for u in range(1, units + 1)
    ]


def modbus_link(port: int, depth: int, *, timeout_s: float = 5.0) -> ModbusLink:
    """The product's link to the other process."""
    transport = TcpTransport()
    return ModbusLink(
        Standing(), transport, "127.0.0.1", port, gateway="g", fences=NoFences(), timeout_s=timeout_s, depth=depth
    )


# ---- Modbus beside pymodbus, on one connection
def ours(depth: int) -> Sample:
    """Visits of 64 units, ``depth`` at a time."""

    async def work(port: int) -> tuple[float, float, Counter[str]]:
        link, meters, found = modbus_link(port, depth), points("dds238", "modbus", POLLED), Counter[str]()
        calls = [Due(meter, NOW) for meter in meters]  # as the plan gives them
        todo = iter(range(POLLS))

        def count(poll: Poll) -> None:
            unit, rows = int(poll.meter[1:]), [read.register_wh for read in poll.reads]
            found[str([poll.serial == f"unit-{unit}", *rows, poll.power_w, poll.voltage_v])] += 1

        def following() -> Due | None:
            number = next(todo, None)
            return None if number is None else calls[number % POLLED]

        async def took(done: Sequence[tuple[Due, Poll | None]]) -> None:
            for _, poll in done:
                assert poll is not None
                count(poll)

        await link.poll(meters[0], NOW)
        start, cpu = time.perf_counter(), time.process_time()
        if depth > 1:
            await link.sweep(following, took, deadline_s=60.0)
        else:
            for number in todo:
                count(await link.poll(meters[number % POLLED], NOW))
        took_s = time.perf_counter() - start, time.process_time() - cpu
        await link.close()
        return *took_s, found

    with process("benchmarks.field", "--units", str(POLLED)) as where:
        wall, cpu, found = asyncio.run(work(where["port"]))
    return Sample(wall, found, {"polls_per_s": POLLS / wall, "cpu_us_per_poll": 1e6 * cpu / POLLS})


def values(registers: Sequence[int], unit: int, convert: Any, types: Any) -> str:
    """The same values from a library's registers 0x08 to 0x1A."""
    export_wh = 10 * convert(list(registers[0:2]), types.UINT32)
    import_wh = 10 * convert(list(registers[2:4]), types.UINT32)
    volts = round(convert(list(registers[4:5]), types.UINT16) / 10)
    power_w = convert(list(registers[6:7]), types.INT16)
    return str([registers[13] >> 8 == unit, import_wh, export_wh, power_w, volts])


def pymodbus_async() -> Sample:
    """pymodbus' asyncio client, which sends one request at a time."""

    async def work(port: int) -> tuple[float, float, Counter[str]]:
        client, found = AsyncModbusTcpClient("127.0.0.1", port=port), Counter[str]()
        await client.connect()
        start, cpu = time.perf_counter(), time.process_time()
        for number in range(POLLS):
            unit = number % POLLED + 1
            answer = await client.read_holding_registers(8, count=19, device_id=unit)
            found[values(answer.registers, unit, client.convert_from_registers, client.DATATYPE)] += 1
        took = time.perf_counter() - start, time.process_time() - cpu
        client.close()
        return *took, found

    with process("benchmarks.field", "--units", str(POLLED)) as where:
        wall, cpu, found = asyncio.run(work(where["port"]))
    return Sample(wall, found, {"polls_per_s": POLLS / wall, "cpu_us_per_poll": 1e6 * cpu / POLLS})


def pymodbus_sync() -> Sample:
    """pymodbus' blocking client."""
    with process("benchmarks.field", "--units", str(POLLED)) as where:
        client, found = ModbusTcpClient("127.0.0.1", port=where["port"]), Counter[str]()
        client.connect()
        start, cpu = time.perf_counter(), time.process_time()
        for number in range(POLLS):
            unit = number % POLLED + 1
            answer = client.read_holding_registers(8, count=19, device_id=unit)
            found[values(answer.registers, unit, client.convert_from_registers, client.DATATYPE)] += 1
        wall, used = time.perf_counter() - start, time.process_time() - cpu
        client.close()
    return Sample(wall, found, {"polls_per_s": POLLS / wall, "cpu_us_per_poll": 1e6 * used / POLLS})


# ---- many gateways, each with a slow line
class Tally:
    """``ReadSink`` and ``GapStore`` that count: the store has a benchmark of its own."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.registers: Counter[int] = Counter()
        self.findings: Counter[str] = Counter()

    async def accept(self, source: str, source_seq: str, reads: Sequence[MeterRead], at: datetime) -> Receipt:
        """Count the values."""
        self.registers.update(read.register_wh for read in reads)
        return Receipt(len(reads), len(reads), 0, 0)

    async def accept_intervals(self, source: str, source_seq: str, rows: Sequence[Interval], at: datetime) -> Receipt:
        """Pollers bring reads."""
        raise AssertionError(source)

    async def found(self, findings: Sequence[Finding]) -> None:
        """Count what went wrong."""
        self.findings.update(finding.code for finding in findings)

    def gaps(self, meter_id: int, since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
        """Nothing is stored yet."""
        return [(since, until)]


def lines_s(model: str, units: int) -> float:
    """What one line needs for all its meters."""
    known = driver(model)
    assert isinstance(known, ModbusDriver)
    return units * sum(line_s(8, 5 + 2 * block.count, BAUD) for block in visit_plan(known))


def gateways() -> Sample:
    """One cycle of the poller over every gateway, 32 meters each behind 9600 baud."""
    count = int(os.environ.get("PREWATT_GATEWAYS", "100"))

    async def work(port: int) -> tuple[float, float, Tally]:
        meters: list[MeterPoint] = []
        links: dict[str, ModbusLink] = {}
        for number in range(count):
            name = f"g{number:04d}"
            links[name] = modbus_link(port, 2, timeout_s=20.0)
            meters += points(SLOW_MODEL, "modbus", UNITS, gateway=name, first=number * UNITS)
        sink = Tally()
        poller = Poller(Standing(), links, meters, sink, sink, pacing=Pacing(turn_s=600.0))
        start, cpu = time.perf_counter(), time.process_time()
        await poller.cycle(NOW)
        took = time.perf_counter() - start, time.process_time() - cpu
        for link in links.values():
            await link.close()
        return *took, sink

    with process("benchmarks.field", "--model", SLOW_MODEL, "--units", str(UNITS), "--baud", str(BAUD)) as where:
        wall, cpu, sink = asyncio.run(work(where["port"]))
    need = lines_s(SLOW_MODEL, UNITS)
    figures = {"gateways": count, "lines_s": need, "over_lines": wall / need}
    figures |= {"cpu_us_per_read": 1e6 * cpu / (count * UNITS), "missing": count * UNITS - sink.registers.total()}
    return Sample(wall, [sink.registers, sink.findings], figures)


# ---- DLMS
def dlms(links: int) -> Sample:
    """GETs of 200 associated devices, spread over so many links."""

    async def work(port: int) -> tuple[float, float, Counter[str]]:
        lines = [Concentrator(TcpTransport(), "127.0.0.1", port, most=DEVICES) for _ in range(links)]
        visits = []
        for number, meter in enumerate(points("dlms_generic", "dlms", DEVICES)):
            visits.append(DlmsVisit(lines[number % links], Standing(), "c", meter, DLMS, 30.0))
        for visit in visits:
            await visit.open(lambda _: SECRET)
        found = Counter[str]()

        async def worker(visit: DlmsVisit) -> None:
            for _ in range(GETS // DEVICES):
                found[str(await visit._get_one(ENERGY))] += 1

        start, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(worker(visit) for visit in visits))
        took = time.perf_counter() - start, time.process_time() - cpu
        for line in lines:
            await line.close()
        return *took, found

    with process("benchmarks.field", "--kind", "dlms", "--units", str(DEVICES)) as where:
        wall, cpu, found = asyncio.run(work(where["port"]))
    return Sample(wall, found, {"gets_per_s": GETS / wall, "cpu_us_per_get": 1e6 * cpu / GETS})


def dlms_library(name: str) -> Sample:
    """The same register by a library's client, one GET after the other as its interface wants."""
    count = GETS // 10
    with process("benchmarks.field", "--kind", "dlms", "--units", "1") as where:
        script = Path(__file__).with_name("peer_dlms.py")
        command = [os.environ["PREWATT_PEERS"], str(script), name, str(where["port"]), SECRET.decode(), str(count)]
        done = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return Sample(
        done["wall_s"],
        done["value"],
        {"gets_per_s": count / done["wall_s"], "cpu_us_per_get": 1e6 * done["cpu_s"] / count},
    )


def catch_up() -> Sample:
    """Thirty days of hourly load profile of 20 meters over one link, as rows."""
    days, meters = 30, 20

    async def work(port: int) -> tuple[float, int, int]:
        line = Concentrator(TcpTransport(), "127.0.0.1", port)
        visits = [DlmsVisit(line, Standing(), "c", m, DLMS, 60.0) for m in points("dlms_generic", "dlms", meters)]
        for visit in visits:
            await visit.open(lambda _: SECRET)
        start = time.perf_counter()
        rows = 0
        for visit in visits:
            found = await visit.rows(Quantity.IMPORT, NOW - timedelta(days=days), NOW)
            rows += len(found.values)
        wall = time.perf_counter() - start
        await line.close()
        return wall, rows, meters

    with process("benchmarks.field", "--kind", "dlms", "--units", str(meters), "--hours", str(24 * days)) as where:
        wall, rows, count = asyncio.run(work(where["port"]))
    return Sample(wall, [rows, count], {"rows_per_s": rows / wall})


# ---- MQTT
def mqtt(options: Options) -> Sample:
    """Handhelds' messages from the broker to a committed read and its acknowledgement."""

    async def work(broker: Broker, inbox: ReadInbox) -> float:
        seen: set[str] = set()
        over = asyncio.Event()

        async def commit(message: HandheldMessage) -> HandheldReply:
            assert message.register_wh is not None
            read = MeterRead(message.seq, 1, NOW, message.register_wh)
            await inbox.accept(f"handheld:{message.device}", message.message_id, [read], NOW)
            seen.add(message.message_id)
            if len(seen) == MESSAGES:
                over.set()
            return HandheldReply(message.message_id, message.device, "accepted")

        async def found(findings: Sequence[Finding]) -> None:
            raise AssertionError(findings)

        address = BrokerAddress("127.0.0.1", broker.port)
        listener = HandheldListener(Standing(), address, commit, found=found, unsigned=True)
        await listener.start()
        await listener.connected.wait()
        command = [sys.executable, "-m", "benchmarks.field", "--kind", "mqtt"]
        sender = await asyncio.create_subprocess_exec(
            *command, "--port", str(broker.port), "--count", str(MESSAGES), stdout=subprocess.DEVNULL
        )
        while not seen:
            await asyncio.sleep(0.001)
        start, before = time.perf_counter(), len(seen)
        await asyncio.wait_for(over.wait(), 300)
        wall = (time.perf_counter() - start) * MESSAGES / max(1, MESSAGES - before)
        await sender.wait()
        await listener.stop()
        return wall

    with Broker(options.scratch / "broker") as broker, Store.open(options.scratch / "home", clock=Standing()) as store:
        wall = asyncio.run(work(broker, ReadInbox(store)))
    return Sample(wall, MESSAGES, {"messages_per_s": MESSAGES / wall})


METHODS: dict[str, Any] = {
    "modbus_pipelined": lambda _: ours(POLLED),
    "modbus_one_at_a_time": lambda _: ours(1),
    "pymodbus_async": lambda _: pymodbus_async(),
    "pymodbus_sync": lambda _: pymodbus_sync(),
    "gateways": lambda _: gateways(),
    "dlms_one_link": lambda _: dlms(1),
    "dlms_50_links": lambda _: dlms(50),
    "dlms_catch_up": lambda _: catch_up(),
    "mqtt": mqtt,
}
if os.environ.get("PREWATT_PEERS"):
    METHODS |= {"dlms_cosem": lambda _: dlms_library("dlms_cosem"), "gurux": lambda _: dlms_library("gurux")}


def bars(found: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The goals of collecting, want beside got; those whose methods did not run are left out."""

    def best(figure: str, *names: str) -> float:
        return max((float(found[n]["figures"][figure]) for n in names if n in found), default=float("nan"))

    library = best("polls_per_s", "pymodbus_async", "pymodbus_sync")
    clients = best("gets_per_s", "dlms_cosem", "gurux")
    slow = found.get("gateways", {"figures": {}, "peak_mib": float("nan")})
    at_least = {
        "modbus_over_pymodbus": (4.0, best("polls_per_s", "modbus_pipelined") / library),
        "dlms_over_library": (4.0, best("gets_per_s", "dlms_one_link") / clients),
    }
    at_most = {
        "gateways_over_lines": (1.2, float(slow["figures"].get("over_lines", "nan"))),
        "gateways_missing": (0.0, float(slow["figures"].get("missing", "nan"))),
        "gateways_mib": (MEMORY_MIB, float(slow["peak_mib"])),
    }
    out = {n: {"want": f">= {w:g}", "got": round(g, 3), "ok": g >= w} for n, (w, g) in at_least.items() if g == g}
    return out | {n: {"want": f"<= {w:g}", "got": round(g, 3), "ok": g <= w} for n, (w, g) in at_most.items() if g == g}


if __name__ == "__main__":
    if "--gateways" in sys.argv:  # children are told by the environment
        at = sys.argv.index("--gateways")
        os.environ["PREWATT_GATEWAYS"] = sys.argv[at + 1]
        del sys.argv[at : at + 2]
    floors = {"modbus_pipelined": "pymodbus_sync"}
    main("benchmarks.collect", METHODS, floors=floors, bars=bars, prepare=lambda _: None, rows=POLLS)
