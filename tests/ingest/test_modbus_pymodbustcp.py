"""pyModbusTCP, in an environment and processes of its own: our link reads its server, its client reads our gateway."""

import asyncio
import json
import os
import socket
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from ingest.records import Drive, DriveResult, RelayState
from sim.meters import SimMeter
from sim.modbus import ModbusGateway
from sim.sockets import serve
from tests.ingest.rig import on_asyncio
from tests.ingest.test_modbus_peers import NOW, Clock, known, link, point

PEERS = os.environ.get("PREWATT_PEERS", "")
SCRIPT = Path(__file__).resolve().parents[1] / "peers" / "pymodbustcp_peer.py"
pytestmark = [
    pytest.mark.sockets,
    pytest.mark.peers,
    pytest.mark.skipif(not PEERS, reason="no protocol peers: PREWATT_PEERS names a python that has them"),
]


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_our_link_reads_and_switches_what_it_serves() -> None:
    port = free_port()
    with subprocess.Popen(
        [PEERS, str(SCRIPT), "serve", str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as peer:
        assert peer.stdout is not None
        assert peer.stdin is not None
        assert json.loads(peer.stdout.readline()) == {"listens": True}

        async def story() -> None:
            ours, meter = link(port), point("dds238", port, serial="unit-1")
            poll = await ours.poll(meter, NOW)
            assert poll.findings == ()
            assert [read.register_wh for read in poll.reads] == [47_330, 23_990]
            order = Drive("C1", "M1", "disconnect", 1, NOW + timedelta(minutes=30))
            assert (await ours.drive(meter, order)).result is DriveResult.ACKNOWLEDGED
            await ours.close()

        asyncio.run(story())
        peer.stdin.close()
        assert json.loads(peer.stdout.readline()) == {"relay": [0]}


@on_asyncio
async def test_its_client_reads_and_switches_our_simulated_meter() -> None:
    gateway = ModbusGateway(Clock())
    metal = SimMeter("4000001", lambda _: 1500, NOW, register_mwh=60_240_000)
    gateway.add(1, metal, known("dds238"))
    served = await serve(gateway)
    peer = await asyncio.create_subprocess_exec(
        PEERS, str(SCRIPT), "read", served.host, str(served.port), "1", stdout=subprocess.PIPE
    )
    out, _ = await peer.communicate()
    found = json.loads(out)
    assert (found["block"][3], found["block"][6], found["block"][18]) == (6024, 1500, 1)
    assert (found["written"], found["relay"], found["hole"], found["why"]) == (True, [0], None, 2)
    assert metal.relay is RelayState.OPEN
    await served.close()
