"""The DLMS link over real TCP on loopback, and our simulated meter read by clients that others wrote."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest.links.dlms import DlmsLink
from ingest.links.tcp import TcpTransport
from ingest.records import Drive, DriveResult, MeterPoint, Poll, RelayState
from ingest.wire.ciphering import Keys
from sim.concentrator import SECRET, Concentrator
from sim.hdlcmeters import HdlcMeters
from sim.meters import SimMeter
from sim.secured import ServerKeys
from sim.sockets import Served, serve
from tests.ingest.dlms_rig import HOUR, START, load
from tests.ingest.rig import MemoryFences

PEERS = os.environ.get("PREWATT_PEERS", "")
peers = pytest.mark.skipif(not PEERS, reason="no protocol peers: PREWATT_PEERS names a python that has them")
NOW = START + 100 * HOUR
FOLDER = Path(__file__).resolve().parents[1] / "peers"


class Standing:
    """A clock that stands at ``NOW``; time-outs are the loop's."""

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


KEYS = Keys(bytes(range(0x10, 0x20)), bytes(range(0xC0, 0xD0)))
SECURED = (KEYS.encryption + KEYS.authentication).hex()
ways = pytest.mark.parametrize("secret", [SECRET.decode(), SECURED], ids=["lls", "gmac"])
framings = pytest.mark.parametrize("framing", ["wrapper", "hdlc"])


def concentrator(units: int = 3, *, secured: bool = False) -> Concentrator:
    metal = {unit: SimMeter(f"7{unit:07d}", load, START, register_mwh=unit * 10**9) for unit in range(1, units + 1)}
    return Concentrator(Standing(), metal, keys={unit: ServerKeys(KEYS) for unit in metal} if secured else None)


def point(unit: int, served: Served) -> MeterPoint:
    serial = f"7{unit:07d}"
    return MeterPoint(unit, f"D{unit}", serial, "dlms_generic", "dlms", "c1", served.host, served.port, unit)


def on_socket(device: Concentrator, work: Callable[[Served, DlmsLink], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        served = await serve(device)
        link = DlmsLink(
            Standing(),
            TcpTransport(),
            served.host,
            served.port,
            gateway="c1",
            fences=MemoryFences(),
            secrets=lambda _: SECRET,
            timeout_s=2.0,
        )
        try:
            return await work(served, link)
        finally:
            await link.close()
            await served.close()

    return asyncio.run(main())


@pytest.mark.sockets
def test_fifty_meters_over_one_real_connection() -> None:
    device = concentrator(50)

    async def work(served: Served, link: DlmsLink) -> list[Poll]:
        polls = await asyncio.gather(*(link.poll(point(unit, served), NOW) for unit in range(1, 51)))
        assert served.connections == 1
        return polls

    for unit, poll in enumerate(on_socket(device, work), 1):
        assert poll.findings == () and poll.serial == f"7{unit:07d}"
        assert poll.reads[0].register_wh == device.meters[unit].register_wh


@pytest.mark.sockets
def test_a_profile_and_a_relay_over_a_real_connection() -> None:
    device = concentrator()

    async def work(served: Served, link: DlmsLink) -> None:
        filled = await link.profile(point(2, served), START, NOW)
        assert [(read.end, read.register_wh) for read in filled.reads] == device.meters[2].profile
        order = Drive("C1", "D2", "disconnect", 1, NOW + timedelta(minutes=45))
        assert (await link.drive(point(2, served), order)).result is DriveResult.ACKNOWLEDGED
        assert (await link.relay(point(2, served))).state is RelayState.OPEN

    on_socket(device, work)


@pytest.mark.sockets
def test_a_killed_socket_is_unreachable_until_it_is_back() -> None:
    async def work(served: Served, link: DlmsLink) -> None:
        where = point(1, served)
        assert (await link.poll(where, NOW)).ok
        await served.kill()
        down = await link.poll(where, NOW)
        assert [finding.code for finding in down.findings] == ["unreachable"]
        order = Drive("C1", "D1", "disconnect", 1, NOW + timedelta(minutes=45))
        assert (await link.drive(where, order)).result is DriveResult.UNREACHABLE
        await served.listen(served.host, served.port)
        assert (await link.poll(where, NOW)).ok

    on_socket(concentrator(), work)


def ask_peer(script: str, device: Concentrator, secret: str, framing: str) -> dict[str, Any]:
    """Run ``script`` with the peers' python against ``device`` on loopback; what it printed."""

    async def main() -> dict[str, Any]:
        served = await serve(HdlcMeters(device) if framing == "hdlc" else device)
        where = [served.host, str(served.port), "2", secret, framing]
        process = await asyncio.create_subprocess_exec(
            PEERS, str(FOLDER / script), *where, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(60):
            out, err = await process.communicate()
        await served.close()
        assert process.returncode == 0, err.decode()[-2000:]
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
        return found

    return asyncio.run(main())


@peers
@pytest.mark.peers
@pytest.mark.sockets
@framings
@ways
def test_dlms_cosem_reads_and_switches_our_meter(secret: str, framing: str) -> None:
    device = concentrator(secured=secret == SECURED)
    found = ask_peer("dlms_cosem_client.py", device, secret, framing)
    metal = device.meters[2]
    assert bytes.fromhex(found["serial"]) == b"70000002"
    assert found["clock"].startswith("07ea0705") and found["scaler"] == [0, 30]
    stored = dict(metal.profile)
    wanted = [[stored[START + n * HOUR]] for n in range(1, 25)]
    assert [row[-1:] for row in found["range"]] == wanted
    assert (found["energy"], found["whole"]) == (metal.register_wh, 100)
    assert found["relay"] == [[True, 1], [False, 0], [True, 1]]
    assert [state for _, state, _ in metal.relay_changes] == [RelayState.OPEN, RelayState.CLOSED]


@peers
@pytest.mark.peers
@pytest.mark.sockets
@ways
@framings
def test_gurux_reads_and_switches_our_meter(secret: str, framing: str) -> None:
    device = concentrator(secured=secret == SECURED)
    found = ask_peer("gurux_client.py", device, secret, framing)
    metal = device.meters[2]
    assert (found["serial"], found["energy"], found["scaler"]) == ("70000002", metal.register_wh, 1)
    assert [row[1] for row in found["rows"]] == [wh for _, wh in metal.profile[1:4]]
    assert found["range"] == 24
    assert found["message"] == "balance 12.50" == metal.message.decode()  # SET and GET with list
    assert found["relay"] == [[True, 1], [False, 0], [True, 1]]
