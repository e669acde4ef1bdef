"""Real sockets and an independent peer: our link against pymodbus' server, pymodbus' client against our gateway."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from ingest.drivers import driver
from ingest.links.modbus import ModbusLink
from ingest.links.tcp import TcpTransport
from ingest.model import ModbusDriver
from ingest.poller import Poller
from ingest.records import Channel, Drive, DriveResult, MeterPoint, RelayState
from sim.meters import SimMeter
from sim.modbus import ModbusGateway
from sim.sockets import Served, serve
from tests.ingest.rig import MemoryFences, MemoryGaps, MemorySink, on_asyncio

pytestmark = [pytest.mark.sockets, pytest.mark.peers]
NOW = datetime(2026, 7, 1, 10, 0)


class Clock:
    """A clock that stands in the meters' world and runs in the sockets'."""

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def point(model: str, port: int, unit: int = 1, serial: str = "", gateway: str = "g1") -> MeterPoint:
    return MeterPoint(unit, f"M{unit}", serial, model, "modbus", gateway, "127.0.0.1", port, unit, max_power_w=15_000)


def link(port: int, fences: MemoryFences | None = None, timeout_s: float = 1.0) -> ModbusLink:
    held = fences if fences is not None else MemoryFences()
    return ModbusLink(Clock(), TcpTransport(), "127.0.0.1", port, gateway="g1", fences=held, timeout_s=timeout_s)


def known(name: str) -> ModbusDriver:
    found = driver(name)
    assert isinstance(found, ModbusDriver)
    return found


def words(address: int, values: list[int]) -> Any:
    return SimData(address, values=values, datatype=DataType.REGISTERS)


@asynccontextmanager
async def pymodbus_server(*devices: Any) -> AsyncIterator[int]:
    """pymodbus' own server on a free port."""
    server = ModbusTcpServer(list(devices), address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    try:
        yield server.transport.sockets[0].getsockname()[1]
    finally:
        await server.shutdown()


@on_asyncio
async def test_our_link_reads_and_switches_a_meter_that_pymodbus_serves() -> None:
    # registers of a real DDS238 as a public reader printed them, with its relay closed
    dump = [0, 7133, 513, 0, 0, 0, 0, 0, 0, 2399, 0, 4733, 2306, 62, 132, 65534, 917, 4999, 0, 0, 0, 257]
    async with pymodbus_server(SimDevice(1, simdata=[words(0, [*dump, 0, 0, 0, 0, 1])])) as port:
        ours, meter = link(port), point("dds238", port, serial="unit-1")
        poll = await ours.poll(meter, NOW)
        assert poll.findings == ()
        assert [(r.channel, r.register_wh) for r in poll.reads] == [(Channel.IMPORT, 47_330), (Channel.EXPORT, 23_990)]
        assert (poll.power_w, poll.voltage_v, poll.serial) == (132, 231, "unit-1")
        assert poll.relay is not None
        assert poll.relay.state is RelayState.CLOSED
        order = Drive("C1", "M1", "disconnect", 1, NOW + timedelta(minutes=30))
        assert (await ours.drive(meter, order)).result is DriveResult.ACKNOWLEDGED
        assert (await ours.relay(meter)).state is RelayState.OPEN
        await ours.close()


@on_asyncio
async def test_our_link_reads_floats_and_a_serial_number_that_pymodbus_serves() -> None:
    floats = SimData(0, values=[230.2] * 38, datatype=DataType.FLOAT32)
    serial = words(0xFC00, [0x003D, 0x0901])
    bits = [SimData(0, values=[False] * 16, datatype=DataType.BITS)]
    async with pymodbus_server(SimDevice(5, simdata=(bits, bits, [serial], [floats]))) as port:
        ours = link(port)
        poll = await ours.poll(point("sdm630", port, 5, "4000001"), NOW)
        assert poll.findings == ()
        assert (poll.serial, poll.voltage_v, poll.power_w) == ("4000001", 230, 230)
        assert poll.reads[0].register_wh == 230_200
        other = await ours.poll(point("sdm630", port, 5, "4000002"), NOW)
        assert [finding.code for finding in other.findings] == ["wrong_unit"]
        hole = await ours.poll(point("iem3000", port, 5, "4000001"), NOW)
        assert [finding.code for finding in hole.findings] == ["exception_illegal_address"]
        await ours.close()


@on_asyncio
async def test_a_pymodbus_client_reads_and_switches_our_simulated_meter() -> None:
    gateway = ModbusGateway(Clock())
    metal = SimMeter("4000001", lambda _: 1500, NOW, register_mwh=60_240_000)
    gateway.add(1, metal, known("dds238"))
    gateway.add(2, SimMeter("4000002", lambda _: 1500, NOW, register_mwh=123_456_000), known("sdm630"))
    served = await serve(gateway)
    client = AsyncModbusTcpClient("127.0.0.1", port=served.port)
    assert await client.connect()
    block = await client.read_holding_registers(0x08, count=19, device_id=1)
    assert (block.registers[3], block.registers[6], block.registers[18]) == (6024, 1500, 1)
    written = await client.write_registers(0x1A, [0], device_id=1)
    assert not written.isError()
    assert metal.relay is RelayState.OPEN
    assert (await client.read_holding_registers(0x1A, count=1, device_id=1)).registers == [0]
    energy = await client.read_input_registers(0x48, count=2, device_id=2)
    convert = client.convert_from_registers
    assert convert(energy.registers, client.DATATYPE.FLOAT32) == pytest.approx(123.456, abs=1e-5)
    serial = await client.read_holding_registers(0xFC00, count=2, device_id=2)
    assert convert(serial.registers, client.DATATYPE.UINT32) == 4_000_002
    assert (await client.read_holding_registers(0x500, count=2, device_id=1)).exception_code == 2
    assert (await client.write_register(0x1A, 1, device_id=1)).exception_code == 1
    client.close()
    await served.close()


async def gateways(count: int, units: int) -> tuple[list[Served], list[MeterPoint], dict[str, ModbusLink]]:
    servers, points, links = [], [], {}
    for number in range(count):
        device = ModbusGateway(Clock())
        for unit in range(1, units + 1):
            device.add(unit, SimMeter("1", lambda _: 500, NOW, register_mwh=unit * 1_000_000), known("dds238"))
        served = await serve(device)
        servers.append(served)
        name = f"g{number}"
        links[name] = link(served.port, timeout_s=0.3)
        for unit in range(1, units + 1):
            meter_id = number * units + unit
            points.append(
                MeterPoint(
                    meter_id, f"M{meter_id}", f"unit-{unit}", "dds238", "modbus", name, "127.0.0.1", served.port, unit
                )
            )
    return servers, points, links


@on_asyncio
async def test_a_meter_s_socket_may_die_and_return_and_the_others_never_notice() -> None:
    servers, points, links = await gateways(3, 4)
    sink = MemorySink()
    poller = Poller(Clock(), links, points, sink, MemoryGaps(sink, NOW - timedelta(hours=1)))
    await servers[1].kill()
    first = await poller.cycle(NOW)
    assert (first.polled, first.failed, first.held) == (8, 1, 3)
    assert set(sink.codes()) == {"unreachable"}
    await servers[1].listen(port=servers[1].port)
    second = await poller.cycle(NOW)
    assert (second.polled, second.failed) == (4, 0)
    assert sorted(r.meter_id for r in sink.reads if r.channel == Channel.IMPORT) == list(range(1, 13))
    servers[2].silent = True
    poll = await links["g2"].poll(points[8], NOW)
    assert [finding.code for finding in poll.findings] == ["timeout"]
    for served in servers:
        await served.close()
    for ours in links.values():
        await ours.close()
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert left == []


@on_asyncio
async def test_a_connection_that_the_gateway_resets_is_opened_again() -> None:
    servers, points, links = await gateways(1, 1)
    ours = links["g0"]
    assert (await ours.poll(points[0], NOW)).ok
    port = servers[0].port
    await servers[0].kill()
    await servers[0].listen(port=port)
    await asyncio.sleep(0.05)
    assert (await ours.poll(points[0], NOW)).ok
    await ours.close()
    await servers[0].close()
