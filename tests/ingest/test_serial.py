"""DL/T 645, P1 and DLMS over HDLC on a pseudo terminal: the serial port that Modbus RTU has, shared."""

import asyncio
import os
import pty
import random
import termios
import tty
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from ingest.links.dlms import DlmsLink
from ingest.links.dlt645 import Dlt645Link
from ingest.links.hdlc import HdlcTransport
from ingest.links.p1 import P1Link
from ingest.links.serial import SerialTransport
from ingest.records import Drive, DriveResult, MeterPoint
from sim.concentrator import SECRET
from sim.dlt645 import PASSWORD, Dlt645Line, Dlt645Meter
from sim.hdlcmeters import HdlcMeters
from sim.meters import SimMeter
from sim.p1port import telegram
from sim.ports import Session
from tests.ingest.dlms_rig import START
from tests.ingest.rig import MemoryFences, on_asyncio
from tests.ingest.test_dlms_sockets import NOW, Standing, concentrator

ADDRESS = "202607140001"
pytestmark = pytest.mark.sockets


class Port:
    """A pseudo terminal: ``name`` for the link, the far end for the device."""

    def __init__(self) -> None:
        self.far, near = pty.openpty()
        tty.setraw(near)
        self.name = os.ttyname(near)
        self._near = near  # held open, so that the far end never sees a hang-up
        os.set_blocking(self.far, False)

    def answers(self, session: Session, noise: Callable[[], bytes] = bytes) -> None:
        """Let ``session`` answer, with ``noise`` around each answer."""

        def ready() -> None:
            for answer in session.feed(os.read(self.far, 4096)):
                os.write(self.far, noise() + answer + noise())

        asyncio.get_running_loop().add_reader(self.far, ready)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.far)
        for descriptor in (self.far, self._near):
            os.close(descriptor)


@on_asyncio
async def test_dlt645_meters_are_read_and_switched() -> None:
    port, rng = Port(), random.Random(4)
    metal = SimMeter(ADDRESS, lambda _: 1234, START, register_mwh=5 * 10**9)
    device = Dlt645Line(Standing(), {ADDRESS: Dlt645Meter(ADDRESS, metal)})
    port.answers(device.session(), lambda: b"\0" * rng.randrange(2))
    point = MeterPoint(1, "T1", ADDRESS, "dlt645_2007", "dlt645", "s", port.name, 0, 1, secret="m")
    link = Dlt645Link(
        Standing(),
        SerialTransport(2400),  # a pseudo terminal takes no parity a second time
        port.name,
        0,
        gateway="s",
        fences=MemoryFences(),
        secrets=lambda _: PASSWORD.encode(),
        timeout_s=0.5,
    )
    poll = await link.poll(point, NOW)
    assert poll.findings == () and poll.power_w == 1234 and poll.serial == ADDRESS
    order = Drive("C1", "T1", "disconnect", 1, NOW + timedelta(hours=1))
    assert (await link.drive(point, order)).result is DriveResult.ACKNOWLEDGED
    metal.faults.add("dead")
    assert [finding.code for finding in (await link.poll(point, NOW)).findings] == ["timeout"]
    metal.faults.clear()
    assert (await link.poll(point, NOW)).reads  # the port was opened anew
    await link.close()
    port.close()


@on_asyncio
async def test_a_p1_port_is_heard() -> None:
    port, clock = Port(), Standing()
    meter = SimMeter("E0001234", lambda _: 1200, START, register_mwh=10**9)

    async def speak() -> None:
        while True:
            os.write(port.far, telegram(meter, clock))
            await asyncio.sleep(0.05)

    speaker = asyncio.ensure_future(speak())
    link = P1Link(clock, SerialTransport(115_200), port.name, 0, gateway="p")
    point = MeterPoint(1, "P1", "E0001234", "p1_dsmr", "p1", "p", port.name, 0, 1, zone="Europe/Amsterdam")
    poll = await link.poll(point, NOW)
    assert poll.findings == () and poll.power_w == 1200 and poll.serial == "E0001234"
    await link.close()
    speaker.cancel()
    port.close()


@on_asyncio
async def test_dlms_meters_behind_hdlc_are_read() -> None:
    port = Port()
    port.answers(HdlcMeters(concentrator(1)).session())
    point = MeterPoint(1, "D1", "70000001", "dlms_generic", "dlms", "c1", port.name, 0, 1)
    link = DlmsLink(
        Standing(),
        HdlcTransport(SerialTransport(9600), physical=17),
        port.name,
        0,
        gateway="c1",
        fences=MemoryFences(),
        secrets=lambda _: SECRET,
        timeout_s=2.0,
        depth=1,
    )
    poll = await link.poll(point, NOW)
    assert poll.findings == () and poll.reads and poll.serial == "70000001"
    await link.close()
    port.close()


@on_asyncio
async def test_seven_bits_and_parity_are_asked_of_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system is asked for: a pseudo terminal itself always has eight bits."""
    port, asked = Port(), list[int]()
    settle = termios.tcsetattr

    def noted(descriptor: int, when: int, state: list[Any]) -> None:
        asked.append(state[2])
        settle(descriptor, when, state)

    monkeypatch.setattr(termios, "tcsetattr", noted)
    for transport in (SerialTransport(9600, "E", 1, 7), SerialTransport(9600, "N", 2)):
        (await transport.connect(port.name, 0)).close()
    seven, eight = asked
    assert seven & termios.CSIZE == termios.CS7 and seven & (termios.PARENB | termios.PARODD) == termios.PARENB
    assert eight & termios.CSIZE == termios.CS8 and eight & (termios.PARENB | termios.CSTOPB) == termios.CSTOPB
    port.close()
