"""The DLMS link against the simulated concentrator on virtual time: reads, gaps, relays, and every fault by name."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from ingest.drivers.dlms_generic import DRIVER
from ingest.records import Channel, DriveOutcome, DriveResult, Flag, Poll, RelayState
from ingest.wire import acse
from ingest.wire.cosem import Name
from sim.concentrator import SECRET
from sim.logicaldevice import Firmware
from sim.meters import SimMeter
from tests.ingest.dlms_rig import HOUR, START, DlmsRig, load

NO_LIST = acse.OURS & ~acse.Conformance.MULTIPLE_REFERENCES
NO_RANGE = acse.OURS & ~acse.Conformance.SELECTIVE_ACCESS


def codes(poll: Poll) -> list[str]:
    return [finding.code for finding in poll.findings]


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


def test_one_dead_device_stops_no_other() -> None:
    rig = DlmsRig(10)
    rig.meter(4).faults.add("dead")

    async def main() -> list[Poll]:
        return await asyncio.gather(*(rig.link.poll(rig.point(unit), START) for unit in range(1, 11)))

    polls = rig.run(main)
    assert [poll.meter for poll in polls if not poll.ok] == ["D4"]
    assert codes(polls[3]) == ["timeout"]


def test_a_swapped_meter_is_named_and_not_read() -> None:
    rig = DlmsRig()
    rig.device.meters[1] = SimMeter("79999999", load, START, register_mwh=5 * 10**9)
    poll = rig.run(lambda: rig.link.poll(rig.point(), START))
    assert (poll.serial, poll.reads, codes(poll)) == ("79999999", (), ["wrong_unit"])


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("wrong_unit", "timeout"),
        ("half_frame", "timeout"),
        ("exception", "exception"),
        ("garbled", "truncated"),
    ],
)
def test_faulty_answers_become_findings(fault: str, code: str) -> None:
    rig = DlmsRig()
    rig.meter().faults.add(fault)
    poll = rig.run(lambda: rig.link.poll(rig.point(), START))
    assert (poll.reads, codes(poll)) == ((), [code])
    assert rig.device.counts[fault] > 0


@pytest.mark.parametrize("fault", ["stale_answer", "notify"])
def test_stale_answers_and_pushes_in_front_of_each_answer_change_nothing(fault: str) -> None:
    rig = DlmsRig()
    rig.meter().faults.add(fault)

    async def main() -> list[Poll]:
        found = []
        for hour in range(1, 30):
            await rig.clock.sleep(3600 - (rig.clock.now() - START).total_seconds() % 3600)
            found.append(await rig.link.poll(rig.point(), START + hour * HOUR))
        return found

    polls = rig.run(main)
    assert all(codes(poll) == [] for poll in polls)
    wanted = 10**6
    for hour, poll in enumerate(polls):
        wanted += load(START + hour * HOUR)
        assert abs(poll.reads[0].register_wh - wanted) <= 1
    assert sum(rig.link.dropped.values()) >= 29


@pytest.mark.parametrize("fault", ["half_frame", "wrong_unit"])
def test_a_spoiled_stream_costs_the_others_at_most_a_second_try(fault: str) -> None:
    rig = DlmsRig(6)
    rig.meter(2).faults.add(fault)

    async def main() -> list[Poll]:
        return await asyncio.gather(*(rig.link.poll(rig.point(unit), START) for unit in range(1, 7)))

    polls = rig.run(main)
    assert [unit for unit, poll in enumerate(polls, 1) if not poll.ok] in ([2], [2, 3])
    for unit, poll in enumerate(polls, 1):
        for read in poll.reads:
            assert abs(read.register_wh - unit * 10**6) <= 2


def test_a_neighbours_answer_is_never_taken_even_where_identity_is_a_request_of_its_own() -> None:
    rig = DlmsRig(3, firmware=Firmware(DRIVER, SECRET, services=NO_LIST))
    rig.meter(1).faults.add("wrong_unit")

    async def main() -> list[Poll]:
        found = []
        for _ in range(20):
            found += await asyncio.gather(*(rig.link.poll(rig.point(unit), rig.clock.now()) for unit in (1, 2)))
        return found

    for poll in rig.run(main):
        for read in poll.reads:
            assert read.register_wh // 10**6 == read.meter_id == 2


@pytest.mark.parametrize("services", [acse.OURS, NO_LIST], ids=["list", "one by one"])
def test_late_answers_are_never_taken_for_another_request(services: int) -> None:
    """Many answers come after the time-out, into the next visit: whatever is read is right."""
    rig = DlmsRig(5, firmware=Firmware(DRIVER, SECRET, services=services))
    rig.faults.late, rig.faults.late_s = 0.1, 1.1

    async def main() -> list[Poll]:
        found = []
        for _ in range(60):
            points = [rig.point(unit) for unit in range(1, 6)]
            found += await asyncio.gather(*(rig.link.poll(point, rig.clock.now()) for point in points))
            await rig.clock.sleep(0.1)
        return found

    polls = rig.run(main)
    good = 0
    for poll in polls:
        for read in poll.reads:
            good += 1
            wanted = SimMeter("x", load, START, register_mwh=read.meter_id * 10**9)
            wanted.advance(poll.at)
            assert 0 <= wanted.register_wh - read.register_wh <= 2, poll
    assert good > 40
    assert rig.faults.counts["late"] > 50 and rig.link.dropped["stale"] + rig.link.dropped["unasked"] > 10


def test_lost_duplicated_and_late_messages_never_raise_and_never_lie() -> None:
    rig = DlmsRig(3, seed=7)
    rig.faults.lost_request = rig.faults.lost_answer = rig.faults.duplicate = rig.faults.late = 0.1

    async def main() -> list[Poll]:
        found = []
        for step in range(80):
            rig.network.set_down("c1", step % 9 == 8)
            unit = step % 3 + 1
            found.append(await rig.link.poll(rig.point(unit), rig.clock.now()))
            await rig.link.relay(rig.point(unit))
            await rig.clock.sleep(3)
        return found

    polls = rig.run(main)
    assert any(poll.ok for poll in polls) and any(codes(poll) == ["unreachable"] for poll in polls)
    for poll in polls:
        for read in poll.reads:
            wanted = SimMeter("x", load, START, register_mwh=read.meter_id * 10**9)
            wanted.advance(poll.at)
            assert 0 <= wanted.register_wh - read.register_wh <= 4


def test_neighbours_start_with_other_invoke_ids() -> None:
    rig = DlmsRig(3)

    async def main() -> set[int]:
        devices = [await rig.link._concentrator.device(unit, 1, SECRET) for unit in range(1, 4)]
        for device in devices:
            await rig.link._concentrator.ask(device, device.dialogue.open(), timeout_s=1)
        return {device.dialogue.get(Name(1, "0.0.96.1.0.255", 2))[2] for device in devices}

    assert len(rig.run(main)) == 3


def test_a_connection_on_which_nothing_comes_back_is_closed() -> None:
    rig = DlmsRig(2)

    async def main() -> list[int]:
        generations = []
        for faults in ({"dead"}, set(), {"dead"}):
            rig.meter(1).faults = set(faults)
            await rig.link.poll(rig.point(1), START)
            generations.append(rig.link._concentrator.generation)
        return generations

    assert rig.run(main) == [1, 2, 2]


def test_a_device_that_used_up_its_invoke_ids_gets_a_new_connection() -> None:
    """Others keep the connection alive, so only this rule can close it."""
    rig = DlmsRig(2, late_s=10_000)
    session = rig.device.session

    def deaf_to_gets() -> object:
        real = session()
        feed = real.feed
        real.feed = lambda data: [] if data[5] == 1 and data[8] == 0xC0 else feed(data)  # type: ignore[method-assign]
        return real

    rig.device.session = deaf_to_gets  # type: ignore[method-assign, assignment]

    async def main() -> tuple[int, int]:
        for turn in range(16):
            both = [rig.link.poll(rig.point(unit), START) for unit in (1, 2)]
            first, second = await asyncio.gather(*both)
            assert codes(first) == ["timeout"] and second.ok
            if turn == 14:
                before = rig.link._concentrator.generation
        return before, rig.link._concentrator.generation

    assert rig.run(main) == (1, 2)


def test_reads_that_come_while_a_framing_breaker_retries_still_succeed() -> None:
    rig = DlmsRig(4)
    rig.meter(1).faults.add("half_frame")

    async def poll(unit: int) -> Poll:
        await asyncio.sleep(0.07 * unit)
        return await rig.link.poll(rig.point(unit), START)

    async def main() -> list[Poll]:
        return await asyncio.gather(*(poll(unit) for unit in range(1, 5)))

    assert [poll.ok for poll in rig.run(main)] == [False, True, True, True]


def test_a_connection_that_broke_between_visits_is_opened_again() -> None:
    rig = DlmsRig()

    async def main() -> list[Poll]:
        first = await rig.link.poll(rig.point(), START)
        rig.network.set_down("c1", True)
        down = await rig.link.poll(rig.point(), START)
        rig.network.set_down("c1", False)
        return [first, down, await rig.link.poll(rig.point(), START)]

    first, down, again = rig.run(main)
    assert (codes(first), codes(down), codes(again)) == ([], ["unreachable"], [])


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


def test_an_outcome_is_the_devices_not_the_links() -> None:
    """The whole life of a drive in one place: open, read back, fence, expiry, close."""
    rig = DlmsRig()

    async def main() -> list[DriveOutcome]:
        late = rig.order("connect", fence=3)
        found = [await rig.link.drive(rig.point(), rig.order("disconnect", fence=1))]
        assert (await rig.link.relay(rig.point())).state is RelayState.OPEN
        found.append(await rig.link.drive(rig.point(), rig.order("disconnect", fence=1)))
        found.append(await rig.link.drive(rig.point(), rig.order("connect", fence=2)))
        assert (await rig.link.relay(rig.point())).state is RelayState.CLOSED
        await rig.clock.sleep(46 * 60)
        found.append(await rig.link.drive(rig.point(), late))
        return found

    results = [outcome.result for outcome in rig.run(main)]
    assert results == [DriveResult.ACKNOWLEDGED, DriveResult.FENCED, DriveResult.ACKNOWLEDGED, DriveResult.EXPIRED]
    assert [state for _, state, _ in rig.meter().relay_changes] == [RelayState.OPEN, RelayState.CLOSED]
    assert rig.fences.raised == [("D1", 1), ("D1", 2)]


@pytest.mark.parametrize("mode", [1, 3, 5, 6])
def test_where_reconnecting_only_arms_a_person_closes(mode: int) -> None:
    rig = DlmsRig(firmware=Firmware(DRIVER, SECRET, control_mode=mode))

    async def main() -> tuple[RelayState, RelayState]:
        await rig.link.drive(rig.point(), rig.order("disconnect", fence=1))
        armed = await rig.link.drive(rig.point(), rig.order("arm", fence=2))
        assert (armed.result, armed.reason) == (DriveResult.ACKNOWLEDGED, "")
        ready = (await rig.link.relay(rig.point())).state
        assert rig.device.press(1)
        return ready, (await rig.link.relay(rig.point())).state

    assert rig.run(main) == (RelayState.READY, RelayState.CLOSED)


@pytest.mark.parametrize(
    ("prepare", "action", "result", "reason"),
    [
        (lambda rig: setattr(rig.meter(), "skew_s", 121), "disconnect", "refused", "bad_time"),
        (lambda rig: setattr(rig.meter(), "skew_s", -600), "connect", "acknowledged", ""),
        (lambda rig: setattr(rig.meter(), "skew_s", 119), "disconnect", "acknowledged", ""),
        (lambda rig: setattr(rig.meter(), "serial", "1"), "disconnect", "refused", "wrong_unit"),
        (lambda rig: setattr(rig.meter(), "keep_power", True), "disconnect", "refused", "temporary_failure"),
        (lambda rig: rig.secrets.clear(), "disconnect", "refused", "no_secret"),
        (lambda rig: rig.secrets.update(lls=b"x"), "connect", "refused", "bad_auth"),
        (lambda rig: rig.meter().faults.add("dead"), "connect", "unreachable", "timeout"),
        (lambda rig: rig.network.set_down("c1", True), "connect", "unreachable", "unreachable"),
        (lambda rig: None, "arm", "refused", "no_arm"),
        (lambda rig: None, "limit", "refused", "unknown_action"),
        (lambda rig: rig.meter().faults.add("stuck_relay"), "disconnect", "acknowledged", "read_back closed"),
    ],
)
def test_a_drive_says_why(prepare: object, action: str, result: str, reason: str) -> None:
    rig = DlmsRig()
    assert callable(prepare)
    prepare(rig)
    outcome = rig.run(lambda: rig.link.drive(rig.point(), rig.order(action)))
    assert (outcome.result.value, outcome.reason) == (result, reason)
    if result != "acknowledged":
        assert rig.meter().relay_changes == []


def test_a_lost_acknowledgement_is_unknown_and_nothing_is_sent_twice() -> None:
    rig = DlmsRig()
    session, switched = rig.device.session, []

    def deaf() -> object:
        real = session()
        feed = real.feed

        def lossy(data: bytes) -> list[bytes]:
            answers = feed(data)
            if data[8:10] == b"\xc3\x01":
                switched.append(data)
                return []
            return answers

        real.feed = lossy  # type: ignore[method-assign]
        return real

    rig.device.session = deaf  # type: ignore[method-assign, assignment]
    outcome = rig.run(lambda: rig.link.drive(rig.point(), rig.order()))
    assert (outcome.result, len(switched)) == (DriveResult.UNKNOWN, 1)
    assert rig.meter().relay is RelayState.OPEN
    assert rig.fences.fences == {"D1": 1}


def test_a_driver_without_verified_read_back_is_read_only() -> None:
    driver = replace(DRIVER, disconnect_verified=False)
    rig = DlmsRig(drivers={"dlms_generic": driver})
    outcome = rig.run(lambda: rig.link.drive(rig.point(), rig.order()))
    assert (outcome.result, outcome.reason) == (DriveResult.REFUSED, "read_only")


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
