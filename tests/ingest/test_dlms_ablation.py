"""Each safeguard of the DLMS link, taken away by name, lets through what it is there to stop."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from ingest.drivers.dlms_generic import DRIVER
from ingest.links import dlms as link_module
from ingest.links.dlms_visit import DlmsVisit
from ingest.links.fenced import FencedDrives
from ingest.records import Drive, Poll
from ingest.registerwatch import RegisterWatch
from ingest.wire import apdu
from ingest.wire.dialogue import Dialogue, Step
from ingest.wire.wrapper import Reader, encode
from sim.concentrator import SECRET
from sim.logicaldevice import Firmware
from sim.meters import SimMeter
from tests.ingest.dlms_rig import HOUR, NO_LIST, START, DlmsRig, load


def old_values_under_a_new_time() -> int:
    """A meter of 1 Wh a millisecond, asked again at once after each time-out while the late answer is on its way.

    A second meter keeps the connection alive, so that only the invoke-id tells the answers apart.
    """
    rig = DlmsRig(2, seed=5)
    rig.faults.late, rig.faults.late_s = 0.3, 1.05
    rig.device.meters[1] = SimMeter("70000001", lambda _: 3_600_000, START)
    point = rig.point(max_power_w=10_000_000)
    stale = 0

    async def story() -> None:
        nonlocal stale
        for _ in range(150):
            rig.meter().advance(rig.clock.now())
            before_wh = rig.meter().register_wh
            other = asyncio.ensure_future(rig.link.poll(rig.point(2), rig.clock.now()))
            poll = await rig.link.poll(point, rig.clock.now())
            await other
            stale += sum(read.register_wh < before_wh for read in poll.reads)

    rig.run(story)
    assert rig.faults.counts["late"] > 30
    return stale


def _whatever_comes_is_mine(self: Dialogue, asked: apdu.Request, record: apdu.Response) -> Step:
    """What a client does that does not look at the invoke-id."""
    if not isinstance(record, apdu.GetListResponse | apdu.GetResponse):
        return Step(aside="unexpected")
    self._finish()
    return Step(answer=record)


def swapped_meters_read() -> int:
    rig = DlmsRig()
    rig.device.meters[1] = SimMeter("79999999", load, START)
    return len(rig.run(lambda: rig.link.poll(rig.point(), START)).reads)


def out_of_date_drives() -> int:
    """An order below the last fence, and one whose time has passed."""
    rig = DlmsRig()
    rig.fences.fences["D1"] = 5

    async def story() -> None:
        await rig.link.drive(rig.point(), Drive("C", "D1", "disconnect", 4, START + HOUR))
        await rig.link.drive(rig.point(), Drive("C", "D1", "disconnect", 6, START))

    rig.run(story)
    return len(rig.meter().relay_changes)


def cut_by_a_wrong_clock() -> int:
    rig = DlmsRig()
    rig.meter().skew_s = 600
    rig.run(lambda: rig.link.drive(rig.point(), rig.order()))
    return len(rig.meter().relay_changes)


def stamps_of_a_wrong_clock_believed() -> int:
    rig = DlmsRig()
    rig.meter().skew_s = 3600

    async def story() -> Poll:
        await rig.clock.sleep(4 * 3600)
        return await rig.link.profile(rig.point(), START, START + 4 * HOUR)

    return sum(not read.flags & 64 for read in rig.run(story).reads)


def frames_made_of_two_halves() -> int:
    """Half an answer with a register, then the whole answer of another device."""
    first, second = encode(1, 16, bytes.fromhex("c401c10006000012d4")), encode(2, 16, bytes(20))
    reader = Reader()
    return len(reader.feed(first[: len(first) // 2]) + reader.feed(second))


def late_reads_named_as_punctual() -> int:
    rig = DlmsRig()

    async def story() -> Poll:
        await rig.clock.sleep(3600 + 1800)
        return await rig.link.poll(rig.point(), START + HOUR)

    return sum(read.flags == 0 for read in rig.run(story).reads)


def impossible_energy_believed() -> int:
    rig = DlmsRig(firmware=Firmware(DRIVER, SECRET, services=NO_LIST))

    async def story() -> Poll:
        await rig.link.poll(rig.point(), START)
        rig.meter().register_mwh += 5 * 10**11
        await rig.clock.sleep(timedelta(minutes=1).total_seconds())
        return await rig.link.poll(rig.point(), START)

    return sum(read.flags == 0 for read in rig.run(story).reads)


Patch = Callable[[pytest.MonkeyPatch], None]
SAFEGUARDS: dict[str, tuple[Callable[[], int], Patch]] = {
    "invoke_id": (
        old_values_under_a_new_time,
        lambda m: m.setattr(Dialogue, "_answered", _whatever_comes_is_mine),
    ),
    "identity": (swapped_meters_read, lambda m: m.setattr(DlmsVisit, "_identify", lambda self, answer: None)),
    "fence_and_expiry": (out_of_date_drives, lambda m: m.setattr(FencedDrives, "_dropped", lambda self, order: None)),
    "clock": (cut_by_a_wrong_clock, lambda m: m.setattr(link_module, "CLOCK_LIMIT_S", 10**9)),
    "stamps": (stamps_of_a_wrong_clock_believed, lambda m: m.setattr(link_module, "CLOCK_LIMIT_S", 10**9)),
    "framing": (frames_made_of_two_halves, lambda m: m.setattr(Reader, "_plausible", lambda self, at: True)),
    "late_read": (late_reads_named_as_punctual, lambda m: m.setattr(link_module, "LATE_SHARE", 1)),
    "plausible_energy": (impossible_energy_believed, lambda m: m.setattr(RegisterWatch, "verdict", lambda *a, **k: "")),
}


@pytest.mark.parametrize("name", sorted(SAFEGUARDS))
def test_the_safeguard_stops_it(name: str) -> None:
    assert SAFEGUARDS[name][0]() == 0


@pytest.mark.parametrize("name", sorted(SAFEGUARDS))
def test_without_the_safeguard_it_happens(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scene, take_away = SAFEGUARDS[name]
    take_away(monkeypatch)
    assert scene() > 0
