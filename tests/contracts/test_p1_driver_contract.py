"""What every P1 driver must hold beside the contract of all drivers; a new one needs no edit here."""

from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

import pytest

from ingest.drivers import drivers
from ingest.links.p1 import P1Link
from ingest.model import P1Driver
from ingest.obis import unit_of
from ingest.records import Channel, Drive, DriveResult, Flag, MeterPoint, RelayState
from sim.loop import VirtualClock, VirtualLoop, run_virtual
from sim.meters import SimMeter
from sim.p1port import SpeakingPort
from tests.contracts.again import said_again

T = TypeVar("T")
KNOWN = {name: driver for name, driver in drivers().items() if isinstance(driver, P1Driver)}
every = pytest.mark.parametrize("driver", KNOWN.values(), ids=KNOWN.keys())
START = datetime(2026, 7, 1, 9, 0)
SERIAL = "E0001234"


class PortRig:
    """A port that speaks on virtual time and the link that listens."""

    def __init__(self, driver: P1Driver) -> None:
        self.loop = VirtualLoop()
        self.clock = VirtualClock(self.loop, START)
        self.meter = SimMeter(SERIAL, lambda _: 1200, START, register_mwh=10**9)
        self.link = P1Link(self.clock, SpeakingPort(self.meter, self.clock), "p", 1, gateway="p")
        self.point = MeterPoint(1, "P1", SERIAL, driver.name, "p1", "p", "p", 1, 1, zone="Europe/Amsterdam")

    def run(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        async def whole() -> T:
            try:
                return await main()
            finally:
                await self.link.close()

        return run_virtual(self.loop, whole())


@every
def test_its_codes_are_energies_in_wh(driver: P1Driver) -> None:
    for codes in (*driver.import_obis, *driver.export_obis):
        assert codes and all(unit_of(code) == "Wh" for code in codes)
    assert not driver.switchable and not driver.load_profile


@every
def test_the_link_hears_the_simulated_meter_through_it(driver: P1Driver) -> None:
    rig = PortRig(driver)

    async def story() -> None:
        for hours in (0, 1, 2):
            poll = await rig.link.poll(rig.point, START + timedelta(hours=hours))
            assert poll.findings == () and poll.serial == SERIAL
            by_channel = {read.channel: read.register_wh for read in poll.reads}
            assert 0 <= rig.meter.register_wh - by_channel[Channel.IMPORT] <= 1
            assert by_channel[Channel.EXPORT] == 0
            assert (poll.power_w, poll.voltage_v) == (1200, 230)
            assert said_again(rig.point, poll, driver)
            await rig.clock.sleep(3600 - 2)

    rig.run(story)


@every
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("dead", "timeout"),
        ("wrong_unit", "wrong_unit"),
        ("half_frame", "timeout"),
        ("garbled", "timeout"),
        ("refuses", "unreachable"),
    ],
)
def test_no_fault_makes_a_read(driver: P1Driver, fault: str, code: str) -> None:
    rig = PortRig(driver)
    rig.meter.faults.add(fault)
    poll = rig.run(lambda: rig.link.poll(rig.point, START))
    assert poll.reads == () and [finding.code for finding in poll.findings] == [code]


@every
def test_an_old_telegram_is_never_a_fresh_value(driver: P1Driver) -> None:
    rig = PortRig(driver)

    async def story() -> None:
        assert (await rig.link.poll(rig.point, START)).reads
        rig.meter.faults.add("dead")
        await rig.clock.sleep(3600)
        assert (await rig.link.poll(rig.point, START + timedelta(hours=1))).reads == ()

    rig.run(story)


@every
def test_a_clock_that_is_off_flags_and_nothing_is_switched(driver: P1Driver) -> None:
    rig = PortRig(driver)
    rig.meter.skew_s = 3600

    async def story() -> None:
        poll = await rig.link.poll(rig.point, START)
        assert poll.offset_s in (3599, 3600) and poll.reads[0].flags & Flag.CLOCK
        order = Drive("C1", "P1", "disconnect", 1, START + timedelta(hours=1))
        out = await rig.link.drive(rig.point, order)
        assert (out.result, out.reason) == (DriveResult.REFUSED, "read_only")
        assert (await rig.link.relay(rig.point)).state is RelayState.UNKNOWN
        assert (await rig.link.profile(rig.point, START, START)).findings[0].code == "no_load_profile"

    rig.run(story)
