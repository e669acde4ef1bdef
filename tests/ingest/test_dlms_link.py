"""The DLMS link against the simulated concentrator on virtual time: reads, gaps, clocks and zones."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from ingest.drivers.dlms_generic import DRIVER
from ingest.records import Channel, Flag, Poll, RelayState
from ingest.wire import acse
from sim.concentrator import SECRET
from sim.logicaldevice import Firmware
from tests.ingest.dlms_rig import HOUR, NO_RANGE, START, DlmsRig, codes, load


def truth(rig: DlmsRig, unit: int = 1) -> int:
    rig.meter(unit).advance(rig.clock.now())
    return rig.meter(unit).register_wh


def test_a_poll_reads_who_it_is_and_what_it_counts() -> None:
    rig = DlmsRig()

    async def main() -> Poll:
        await rig.clock.sleep(3600)
        return await rig.link.poll(rig.point(), START + HOUR)

    poll = rig.run(main)
    assert (poll.serial, poll.power_w, poll.voltage_v, poll.findings) == ("70000001", load(rig.clock.now()), 230, ())
    (read,) = poll.reads
    assert (read.meter_id, read.channel, read.end, read.flags) == (1, Channel.IMPORT, START + HOUR, Flag.NONE)
    assert 0 <= truth(rig) - read.register_wh <= 1
    assert poll.relay is not None and poll.relay.state is RelayState.CLOSED
    assert poll.offset_s in (-1, 0)


@pytest.mark.parametrize(
    "firmware",
    [
        pytest.param(
            Firmware(DRIVER, SECRET, services=acse.OURS & ~acse.Conformance.MULTIPLE_REFERENCES), id="no list"
        ),
        pytest.param(Firmware(DRIVER, SECRET, max_apdu=64), id="tiny blocks"),
        pytest.param(Firmware(replace(DRIVER, authentication="none"), None), id="no authentication"),
        pytest.param(Firmware(DRIVER, SECRET, services=NO_RANGE), id="no range"),
    ],
)
def test_what_a_device_offers_changes_the_way_not_the_values(firmware: Firmware) -> None:
    rig = DlmsRig(firmware=firmware, drivers={"dlms_generic": firmware.driver})

    async def main() -> tuple[Poll, Poll]:
        await rig.clock.sleep(6 * 3600)
        return await rig.link.poll(rig.point(), START + 6 * HOUR), await rig.link.profile(
            rig.point(), START + HOUR, START + 5 * HOUR
        )

    poll, filled = rig.run(main)
    assert codes(poll) == codes(filled) == []
    assert abs(poll.reads[0].register_wh - truth(rig)) <= 1
    stored = dict(rig.meter().profile)
    assert {read.end: read.register_wh for read in filled.reads} == {
        START + n * HOUR: stored[START + n * HOUR] for n in range(2, 6)
    }


def test_a_gap_is_filled_with_the_registers_of_exact_slot_ends() -> None:
    rig = DlmsRig(firmware=Firmware(DRIVER, SECRET, max_apdu=80))

    async def main() -> Poll:
        await rig.clock.sleep(100 * 3600 + 1234)
        return await rig.link.profile(rig.point(), START, START + 100 * HOUR)

    filled = rig.run(main)
    assert codes(filled) == []
    assert [read.end for read in filled.reads] == [START + n * HOUR for n in range(1, 101)]
    assert {read.flags for read in filled.reads} == {int(Flag.BACKFILL)}
    steps = [b.register_wh - a.register_wh for a, b in zip(filled.reads, filled.reads[1:], strict=False)]
    assert steps == [load(START + n * HOUR) for n in range(1, 100)]


def test_a_late_read_is_the_profile_row_of_its_slot() -> None:
    rig = DlmsRig()

    async def main() -> Poll:
        await rig.clock.sleep(3600 + 1800)
        return await rig.link.poll(rig.point(), START + HOUR)

    (read,) = rig.run(main).reads
    assert (read.end, read.register_wh, read.flags) == (START + HOUR, 10**6 + load(START), int(Flag.BACKFILL))


def test_a_slot_that_lies_ahead_gives_no_read() -> None:
    rig = DlmsRig()
    poll = rig.run(lambda: rig.link.poll(rig.point(), START + HOUR))
    assert (poll.reads, codes(poll)) == ((), ["early_read"])


def test_many_devices_side_by_side_on_one_connection_in_the_time_of_one() -> None:
    units = 60
    rig = DlmsRig(units)

    async def main() -> tuple[list[Poll], float]:
        began = rig.clock.monotonic()
        polls = await asyncio.gather(*(rig.link.poll(rig.point(unit), START) for unit in range(1, units + 1)))
        return polls, rig.clock.monotonic() - began

    polls, took = rig.run(main)
    assert [poll.serial for poll in polls] == [f"7{unit:07d}" for unit in range(1, units + 1)]
    assert [poll.reads[0].register_wh // 10**6 for poll in polls] == list(range(1, units + 1))
    assert took < 1.5
    assert rig.link._concentrator.generation == 1


def test_at_most_so_many_requests_are_under_way() -> None:
    rig = DlmsRig(8, depth=1)

    async def main() -> float:
        began = rig.clock.monotonic()
        await asyncio.gather(*(rig.link.poll(rig.point(unit), START) for unit in range(1, 9)))
        return rig.clock.monotonic() - began

    assert rig.run(main) > 8 * 3 * 0.04


@pytest.mark.parametrize(
    ("secret", "code"), [(b"99999999", "bad_auth"), (None, "no_secret")], ids=["wrong secret", "no secret"]
)
def test_without_the_right_secret_nothing_is_read(secret: bytes | None, code: str) -> None:
    rig = DlmsRig()
    rig.secrets.clear()
    if secret is not None:
        rig.secrets["lls"] = secret
    poll = rig.run(lambda: rig.link.poll(rig.point(), START))
    assert (poll.reads, codes(poll)) == ((), [code])


def test_a_secret_that_was_corrected_works_at_once() -> None:
    rig = DlmsRig()

    async def main() -> tuple[Poll, Poll]:
        rig.secrets["lls"] = b"99999999"
        wrong = await rig.link.poll(rig.point(), START)
        rig.secrets["lls"] = SECRET
        return wrong, await rig.link.poll(rig.point(), START)

    wrong, right = rig.run(main)
    assert (codes(wrong), codes(right)) == (["bad_auth"], [])


def test_a_meter_that_leaves_releases_unanswered_is_not_asked_to_release() -> None:
    driver = replace(DRIVER, releases=False)
    rig = DlmsRig(drivers={"dlms_generic": driver})

    async def main() -> list[Poll]:
        return [await rig.link.poll(rig.point(), START) for _ in range(3)]

    assert [codes(poll) for poll in rig.run(main)] == [[], [], []]


def test_a_clock_an_hour_off_is_flagged_and_its_profile_is_uncertain() -> None:
    rig = DlmsRig()
    rig.meter().skew_s = 3600

    async def main() -> tuple[Poll, Poll]:
        await rig.clock.sleep(4 * 3600)
        return await rig.link.poll(rig.point(), START + 4 * HOUR), await rig.link.profile(
            rig.point(), START, START + 4 * HOUR
        )

    poll, filled = rig.run(main)
    assert codes(poll) == codes(filled) == ["clock_off"]
    assert poll.offset_s is not None and abs(poll.offset_s - 3600) <= 1
    assert poll.reads[0].flags == Flag.CLOCK and abs(poll.reads[0].offset_s - 3600) <= 1
    assert {read.flags for read in filled.reads} == {int(Flag.BACKFILL | Flag.CLOCK | Flag.UNCERTAIN)}


def test_a_meter_without_deviation_is_read_in_the_zone_of_its_point() -> None:
    driver = replace(DRIVER, utc_deviation=False)
    rig = DlmsRig(firmware=Firmware(driver, SECRET, zone="Asia/Shanghai"), drivers={"dlms_generic": driver})

    async def main() -> tuple[Poll, Poll]:
        await rig.clock.sleep(5 * 3600)
        point = rig.point(zone="Asia/Shanghai")
        right = await rig.link.profile(point, START, START + 5 * HOUR)
        return right, await rig.link.poll(rig.point(zone="UTC"), START + 5 * HOUR)

    right, wrong = rig.run(main)
    assert codes(right) == [] and [read.end for read in right.reads] == [START + n * HOUR for n in range(1, 6)]
    assert codes(wrong) == ["clock_off"] and wrong.offset_s is not None and abs(wrong.offset_s - 8 * 3600) <= 1


def test_a_register_that_fell_is_suspect() -> None:
    rig = DlmsRig()

    async def main() -> tuple[Poll, Poll]:
        first = await rig.link.poll(rig.point(), START)
        rig.meter().register_mwh = 5 * 10**8
        await rig.clock.sleep(60)
        return first, await rig.link.poll(rig.point(), START)

    first, fell = rig.run(main)
    assert codes(first) == [] and codes(fell) == ["register_fell"]
    assert fell.reads[0].flags == Flag.SUSPECT


def test_a_communication_gap_ends_with_every_slot_filled() -> None:
    """Dead for two days, then one profile request: each register equals the meter's own at that time."""
    rig = DlmsRig()

    async def main() -> Poll:
        rig.meter().faults.add("dead")
        for hour in range(1, 4):
            await rig.clock.sleep(3600)
            assert not (await rig.link.poll(rig.point(), START + hour * HOUR)).ok
        await rig.clock.sleep(timedelta(days=2).total_seconds())
        rig.meter().faults.clear()
        return await rig.link.profile(rig.point(), START, START + 51 * HOUR)

    filled = rig.run(main)
    registers = 10**6
    assert len(filled.reads) == 51
    for hour, read in enumerate(filled.reads):
        registers += load(START + hour * HOUR)
        assert (read.end, read.register_wh) == (START + (hour + 1) * HOUR, registers)
