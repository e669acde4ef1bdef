"""DL/T 645 meters behind a terminal that dials in: read, switched and told through AFN 10, by the DL/T 645 link."""

from datetime import timedelta
from functools import partial

import pytest

from ingest.links.dlt645 import Dlt645Link
from ingest.links.forwarding import ForwardedLink, ForwardTransport
from ingest.records import DriveResult, MeterPoint, RelayState
from ingest.wire.dlt645 import Order
from sim.dlt645 import PASSWORD, Dlt645Line, Dlt645Meter
from sim.meters import SimMeter
from sim.terminal import PASSWORD as CODE
from tests.ingest.terminal_rig import HOUR, LOAD_W, NAME, START, ZONE, TerminalRig

ADDRESS = "202607140001"


class Behind:
    """A terminal with two meters on its line, and a link to them."""

    def __init__(self) -> None:
        self.rig = rig = TerminalRig()
        meters = {}
        for number in (1, 2):
            address = f"20260714000{number}"
            metal = SimMeter(address, lambda _, n=number: LOAD_W * n, START, register_mwh=number * 10**9)  # type: ignore[misc]
            meters[address] = Dlt645Meter(address, metal, zone=ZONE)
        rig.terminal.line = self.line = Dlt645Line(rig.clock, meters)
        rig.secrets.update(meter=PASSWORD.encode(), code=CODE.hex().encode())
        self.name = "code"
        transport = ForwardTransport(
            rig.hub, NAME, password=lambda: rig.secrets.get(self.name), timeout_s=1.0, wait_s=0.5
        )
        make = partial(Dlt645Link, rig.clock, transport, "h", 1, gateway="d", fences=rig.fences)
        self.link = ForwardedLink(make(secrets=rig.secrets.get, timeout_s=1.0), rig.hub, NAME)

    def point(self, number: int = 1) -> MeterPoint:
        address = f"20260714000{number}"
        return MeterPoint(
            number, f"T{number}", address, "dlt645_2007", "dlt645", "d", "h", 1, number, zone=ZONE, secret="meter"
        )


def test_meters_are_read_and_switched_through_their_terminal() -> None:
    behind = Behind()
    rig = behind.rig

    async def story() -> None:
        await rig.dial()
        for number in (1, 2):
            poll = await behind.link.poll(behind.point(number), START)
            metal = behind.line.meters[f"20260714000{number}"].meter
            assert poll.findings == () and poll.serial == metal.serial and poll.power_w == LOAD_W * number
            assert 0 <= metal.register_wh - poll.reads[0].register_wh < 10
        done = await behind.link.drive(behind.point(), rig.order())
        assert (done.result, done.reason) == (DriveResult.ACKNOWLEDGED, "")
        assert (await behind.link.relay(behind.point())).state is RelayState.OPEN
        assert behind.line.meters[ADDRESS].meter.relay is RelayState.OPEN
        until = rig.clock.now() + HOUR
        assert await behind.link.inner.tell(behind.point(2), Order.ALARM, until) == ""
        assert behind.line.meters["202607140002"].meter.alarm
        assert (await behind.link.profile(behind.point(), START, START)).findings[0].code == "no_load_profile"
        await behind.link.close()

    rig.run(story)


@pytest.mark.parametrize("fault", ["dead", "wrong_unit", "half_frame"])
def test_no_fault_of_a_meter_makes_a_read(fault: str) -> None:
    behind = Behind()

    async def story() -> None:
        await behind.rig.dial()
        behind.line.meters[ADDRESS].meter.faults.add(fault)
        poll = await behind.link.poll(behind.point(), START)
        assert poll.reads == () and poll.findings
        assert (await behind.link.poll(behind.point(2), START)).reads
        await behind.link.close()

    behind.rig.run(story)


def test_without_terminal_or_with_a_wrong_code_nothing_is_read() -> None:
    behind = Behind()
    rig = behind.rig

    async def story() -> None:
        poll = await behind.link.poll(behind.point(), START)
        assert [finding.code for finding in poll.findings] == ["unreachable"]
        await rig.dial()
        for name in ("other", "odd"):
            rig.secrets["odd"] = b"zz"
            behind.name = name  # "other" is none: zeros leave, and the terminal refuses them
            poll = await behind.link.poll(behind.point(), START)
            assert poll.reads == () and poll.findings
        behind.name = "code"
        assert (await behind.link.poll(behind.point(), START)).reads
        rig.streams[-1].close()
        await rig.clock.sleep(0.1)
        poll = await behind.link.poll(behind.point(), START)
        assert poll.reads == ()
        await rig.dial()
        assert (await behind.link.poll(behind.point(), START)).reads
        await behind.link.close()

    rig.run(story)


def test_no_wrong_value_through_a_bad_connection() -> None:
    behind = Behind()
    rig = behind.rig
    rig.faults.late, rig.faults.late_s = 0.05, 1.3
    rig.faults.lost_request = rig.faults.lost_answer = rig.faults.duplicate = 0.02

    async def story() -> int:
        good = 0
        for _ in range(30):
            if not rig.hub.sessions():
                await rig.dial()
            for number in (1, 2):
                metal = behind.line.meters[f"20260714000{number}"].meter
                metal.advance(rig.clock.now())
                before_wh = metal.register_wh
                poll = await behind.link.poll(behind.point(number), rig.clock.now())
                metal.advance(rig.clock.now())
                for read in poll.reads:
                    good += 1
                    assert before_wh - 10 < read.register_wh <= metal.register_wh
                    assert poll.power_w == LOAD_W * number
            await rig.clock.sleep(timedelta(minutes=10).total_seconds())
        await behind.link.close()
        return good

    assert rig.run(story) > 15
