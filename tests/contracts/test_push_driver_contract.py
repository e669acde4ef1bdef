"""What every driver of meters that push must hold beside the contract of all drivers; and the link that hears them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from ingest.drivers import drivers
from ingest.errors import ProfileError
from ingest.links.push import HELD, LATE_PUSH_S
from ingest.obis import unit_of
from ingest.records import Channel, Drive, DriveResult, Flag, RelayState
from ingest.terminalmodel import PushDriver
from tests.contracts.again import said_again
from tests.ingest.push_rig import LOAD_W, START, PushRig

KNOWN = {name: driver for name, driver in drivers().items() if isinstance(driver, PushDriver)}
every = pytest.mark.parametrize("driver", KNOWN.values(), ids=KNOWN.keys())
HOUR = timedelta(hours=1)


@every
def test_its_codes_are_energies_in_wh(driver: PushDriver) -> None:
    for codes in (*driver.import_obis, *driver.export_obis):
        assert codes and all(unit_of(code) == "Wh" for code in codes)
    assert not driver.switchable


@every
def test_the_link_hears_the_simulated_meters_through_it(driver: PushDriver) -> None:
    rig = PushRig(2)

    async def story() -> None:
        for hours in range(3):
            for number in (1, 2):
                await rig.push(number)
                poll = await rig.link.poll(rig.point(number, model=driver.name), START + hours * HOUR)
                assert poll.findings == () and poll.serial == rig.meters[number].serial
                (read,) = poll.reads
                assert read.channel == Channel.IMPORT and read.end == START + hours * HOUR and read.flags == 0
                assert 0 <= rig.meters[number].register_wh - read.register_wh < 10
                assert (poll.power_w, poll.voltage_v) == (LOAD_W, 230)
                assert said_again(rig.point(number), poll, driver)
            await rig.clock.sleep((START + (hours + 1) * HOUR - rig.clock.now()).total_seconds())

    rig.run(story)


@every
@pytest.mark.parametrize(
    ("fault", "dropped"),
    [
        ("dead", None),
        ("wrong_unit", None),
        ("half_frame", None),
        ("garbled", "bad_checksum"),
        ("wrong_scaler", "doubtful"),
        ("late_push", None),
    ],
)
def test_no_fault_makes_a_read_and_a_meter_not_heard_is_not_quarantined(
    driver: PushDriver, fault: str, dropped: str | None
) -> None:
    rig = PushRig()
    rig.meters[1].faults.add(fault)

    async def story() -> None:
        await rig.push()
        assert rig.stream is not None
        poll = await rig.link.poll(rig.point(model=driver.name), START)
        assert poll.reads == () and [finding.code for finding in poll.findings] == ["not_heard"]
        rig.stream.close()
        await rig.clock.sleep(1)
        assert dropped is None or rig.link.dropped[dropped]

    rig.run(story)


@every
def test_a_meter_whose_clock_runs_ahead_closes_no_slot(driver: PushDriver) -> None:
    """At nine it says ten: at ten that register would be an hour old under a new time."""
    rig = PushRig()
    rig.meters[1].skew_s = 3600

    async def story() -> None:
        await rig.push()
        assert (await rig.link.poll(rig.point(model=driver.name), START)).reads == ()
        await rig.clock.sleep(3600)
        rig.meters[1].faults.add("dead")
        poll = await rig.link.poll(rig.point(model=driver.name), START + HOUR)
        assert poll.reads == ()

    rig.run(story)


@every
def test_a_clock_without_a_deviation_counts_in_the_meters_own_zone(driver: PushDriver) -> None:
    """The profile's zone is a guess; the same push is an hour old where the meter hangs one zone further east."""
    rig = PushRig()

    async def story() -> None:
        await rig.push()
        point = rig.point(model=driver.name)
        assert (await rig.link.poll(replace(point, zone="Europe/Helsinki"), START)).reads == ()
        assert len((await rig.link.poll(point, START)).reads) == 1

    rig.run(story)


@every
def test_a_poll_waits_for_the_push_of_its_slot(driver: PushDriver) -> None:
    rig = PushRig()

    async def story() -> None:
        point = rig.point(model=driver.name)
        task = rig.loop.create_task(rig.link.poll(point, START))
        await rig.clock.sleep(20)
        await rig.push()
        (read,) = (await task).reads
        assert read.flags == 0 and rig.clock.now() < START + timedelta(seconds=30)
        before = rig.clock.now()
        assert (await rig.link.poll(rig.point(9, model=driver.name), START)).reads == ()
        assert rig.clock.now() == START + timedelta(seconds=45) > before

    rig.run(story)


@every
def test_what_nobody_asked_for_in_time_fills_the_gap(driver: PushDriver) -> None:
    rig = PushRig()

    async def story() -> None:
        shown = []
        for _ in range(4):
            await rig.push()
            shown.append(rig.meters[1].register_wh // 10 * 10)
            await rig.clock.sleep(3600 - 0.1)
        poll = await rig.link.profile(rig.point(model=driver.name), START, START + 3 * HOUR)
        assert [(read.end, read.register_wh) for read in poll.reads] == [
            (START + n * HOUR, shown[n]) for n in (1, 2, 3)
        ]
        assert {read.flags for read in poll.reads} == {int(Flag.BACKFILL)} and poll.serial == rig.meters[1].serial

    rig.run(story)


@every
def test_a_push_that_was_held_back_fills_an_uncertain_hour_only(driver: PushDriver) -> None:
    rig = PushRig()

    async def story() -> None:
        await rig.clock.sleep(7200)
        rig.meters[1].faults.add("late_push")
        await rig.push()
        point = rig.point(model=driver.name)
        assert (await rig.link.poll(point, START + HOUR)).reads == ()
        (read,) = (await rig.link.profile(point, START, START + 2 * HOUR)).reads
        assert read.end == START + HOUR and read.flags == int(Flag.BACKFILL | Flag.UNCERTAIN)
        assert LATE_PUSH_S < 3600

    rig.run(story)


@every
def test_a_register_that_cannot_be_is_suspect_and_nothing_is_switched(driver: PushDriver) -> None:
    rig = PushRig()

    async def story() -> None:
        point = rig.point(model=driver.name)
        await rig.push()
        assert (await rig.link.poll(point, START)).reads
        rig.meters[1].register_mwh += 10**11
        await rig.clock.sleep(3600 - 0.1)
        await rig.push()
        poll = await rig.link.poll(point, START + HOUR)
        assert poll.reads[0].flags == Flag.SUSPECT and [f.code for f in poll.findings] == ["too_fast"]
        out = await rig.link.drive(point, Drive("C1", "P1", "disconnect", 1, START + 2 * HOUR))
        assert (out.result, out.reason) == (DriveResult.REFUSED, "read_only")
        assert (await rig.link.relay(point)).state is RelayState.UNKNOWN
        with pytest.raises(ProfileError, match="sdm630"):
            await rig.link.poll(rig.point(model="sdm630"), START)

    rig.run(story)


def test_pushes_of_power_alone_push_no_register_out() -> None:
    rig = PushRig()

    async def story() -> None:
        await rig.push()
        for _ in range(3 * HELD):
            rig.meters[1].faults.add("power_only")
            await rig.push()
        poll = await rig.link.poll(rig.point(), START)
        assert len(poll.reads) == 1 and poll.power_w == LOAD_W
        assert len(rig.link._heard[rig.meters[1].serial]) == 2

    rig.run(story)


def test_what_is_held_is_bounded_and_a_silent_caller_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.links.push.MOST_METERS", 3)
    rig = PushRig(5)

    async def story() -> None:
        for number in (1, 2, 3, 4, 5):
            for _ in range(HELD + 5 if number == 5 else 1):
                await rig.push(number)
        held = rig.link._heard
        assert list(held) == [rig.meters[n].serial for n in (3, 4, 5)] and len(held[rig.meters[5].serial]) == HELD
        await rig.clock.sleep(7300)
        assert rig.stream is not None and rig.stream.closed and rig.link.dropped["silent"] == 1

    rig.run(story)
