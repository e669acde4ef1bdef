"""The DL/T 645 link over real TCP, and our simulated meter read by a client that others wrote."""

import asyncio
import json
from typing import Any

import pytest

from ingest.links.dlt645 import Dlt645Link
from ingest.links.tcp import TcpTransport
from ingest.records import Drive, DriveResult, MeterPoint, RelayState
from sim.dlt645 import PASSWORD, Dlt645Line, Dlt645Meter
from sim.meters import SimMeter
from sim.sockets import serve
from tests.ingest.dlms_rig import HOUR, START
from tests.ingest.rig import MemoryFences
from tests.ingest.test_dlms_sockets import FOLDER, NOW, PEERS, Standing, peers

ADDRESS = "202607140001"


def line() -> Dlt645Line:
    metal = SimMeter(ADDRESS, lambda _: 1234, START, register_mwh=5 * 10**9)
    return Dlt645Line(Standing(), {ADDRESS: Dlt645Meter(ADDRESS, metal)})


@pytest.mark.sockets
def test_a_poll_and_a_trip_over_a_real_connection() -> None:
    device = line()

    async def main() -> None:
        served = await serve(device)
        point = MeterPoint(1, "T1", ADDRESS, "dlt645_2007", "dlt645", "s", served.host, served.port, 1, secret="m")
        link = Dlt645Link(
            Standing(),
            TcpTransport(),
            served.host,
            served.port,
            gateway="s",
            fences=MemoryFences(),
            secrets=lambda _: PASSWORD.encode(),
        )
        poll = await link.poll(point, NOW)
        assert poll.findings == () and poll.power_w == 1234
        assert 0 <= device.meters[ADDRESS].meter.register_wh - poll.reads[0].register_wh < 10
        out = await link.drive(point, Drive("C1", "T1", "disconnect", 1, NOW + HOUR))
        assert (out.result, out.reason) == (DriveResult.ACKNOWLEDGED, "")
        assert (await link.relay(point)).state is RelayState.OPEN
        await link.close()
        await served.close()

    asyncio.run(main())


@peers
@pytest.mark.peers
@pytest.mark.sockets
def test_dlt645_reads_our_meter() -> None:
    device = line()

    async def main() -> dict[str, Any]:
        served = await serve(device)
        process = await asyncio.create_subprocess_exec(
            PEERS,
            str(FOLDER / "dlt645_client.py"),
            served.host,
            str(served.port),
            ADDRESS,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(30):
            out, err = await process.communicate()
        await served.close()
        assert process.returncode == 0, err.decode()[-2000:]
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
        return found

    found = asyncio.run(main())
    shown_wh = device.meters[ADDRESS].meter.register_wh // 10 * 10
    assert round(float(found["energy_kwh"]) * 1000) == shown_wh
    assert (float(found["voltage_v"]), float(found["power_kw"])) == (220.0, 1.234)
