"""Every fault of the concentrator and of the line by name: findings, never a wrong value, never a word too many."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.drivers.dlms_generic import DRIVER
from ingest.records import DriveResult, Poll, RelayState
from ingest.wire import acse, apdu
from ingest.wire.axdr import Data, Tag
from ingest.wire.cosem import Name
from ingest.wire.wrapper import encode
from sim.concentrator import SECRET
from sim.logicaldevice import Firmware
from sim.meters import SimMeter
from tests.ingest.dlms_rig import HOUR, NO_LIST, START, DlmsRig, codes, load


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


class Hostile:
    """A peer that answers each message with the next item, wrapped in a frame of the unit that was asked or bare."""

    def __init__(self, answers: list[tuple[bool, bytes]]) -> None:
        self.answers = answers

    def session(self) -> "Hostile":
        return self

    def feed(self, data: bytes) -> list[bytes]:
        if not self.answers:
            return []
        framed, payload = self.answers.pop(0)
        return [encode(1, 1, payload) if framed and payload else payload]


AARE = acse.encode(acse.AssociationResponse(acse.encode_initiate(acse.Initiate(), answer=True)))
SNIPPETS = [
    AARE,
    b"\xd8\x01\x01",
    b"\x0e\x01\x06\x01",
    b"\xc7\x01\xc6\x00\x00",
    apdu.encode(apdu.GetListResponse(0xC6, tuple(Data(Tag.UNSIGNED, 1) for _ in range(11)))),
]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.booleans(), st.one_of(st.binary(max_size=60), st.sampled_from(SNIPPETS))),
        max_size=10,
    ),
    st.sampled_from(["poll", "profile", "relay", "drive"]),
)
def test_whatever_a_peer_sends_nothing_comes_out_but_a_result(answers: list[tuple[bool, bytes]], call: str) -> None:
    rig = DlmsRig()
    rig.network.devices["c1", 4059] = Hostile([(True, AARE), *answers])

    async def main() -> None:
        if call == "poll":
            assert (await rig.link.poll(rig.point(), START)).reads == ()
        elif call == "profile":
            assert (await rig.link.profile(rig.point(), START, START + HOUR)).reads == ()
        elif call == "relay":
            assert (await rig.link.relay(rig.point())).state is RelayState.UNKNOWN
        else:
            assert (await rig.link.drive(rig.point(), rig.order())).result is not DriveResult.ACKNOWLEDGED

    rig.run(main)
