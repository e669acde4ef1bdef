"""The Modbus link on virtual time: pauses, many units behind one gateway, and noise for an answer."""

import asyncio
import random

import pytest

from ingest.links.connection import Connection
from ingest.records import Channel, Poll, RelayState
from ingest.wire.modbus import Frame
from sim.modbus import ModbusGateway
from tests.ingest.rig import START, Rig

SLOT = START


def codes(poll: Poll) -> list[str]:
    return [finding.code for finding in poll.findings]


def test_the_pause_between_requests_is_kept() -> None:
    rig = Rig()
    point = rig.meter("lx47le")

    async def story() -> float:
        begin = rig.clock.monotonic()
        for _ in range(5):
            await rig.links["g1"].poll(point, SLOT)
        return rig.clock.monotonic() - begin

    assert rig.run(story) >= 4 * 0.05


def test_pipelined_visits_of_many_units_never_mix_under_faults() -> None:
    rig = Rig(5)
    rig.gateway("g1", depth=8)
    points = [rig.meter("dds238", unit, load_w=100 * unit) for unit in range(1, 21)]
    rig.faults.duplicate = rig.faults.late = 0.05

    async def story() -> list[Poll]:
        polls: list[Poll] = []
        for _ in range(10):
            now = rig.clock.now()
            polls += await asyncio.gather(*(rig.links["g1"].poll(point, now) for point in points))
            await rig.clock.sleep(60)
        return polls

    polls = rig.run(story)
    good = [poll for poll in polls if poll.ok]
    assert len(good) > 60
    assert all(poll.power_w == 100 * int(poll.meter[1:]) for poll in good)
    assert {code for poll in polls for code in codes(poll)} <= {"timeout", "closed", "line_closed", "unreachable"}


def test_depth_is_what_makes_visits_overlap() -> None:
    def took(depth: int) -> float:
        rig = Rig()
        rig.gateway("g1", depth=depth)
        points = [rig.meter("dds238", unit) for unit in range(1, 9)]

        async def story() -> float:
            begin = rig.clock.monotonic()
            polls = await asyncio.gather(*(rig.links["g1"].poll(point, SLOT) for point in points))
            assert all(poll.ok for poll in polls)
            return rig.clock.monotonic() - begin

        return rig.run(story)

    assert took(8) < took(1) / 3


class Garbage:
    """A device that answers with noise, or with its own good answers bent in one place."""

    def __init__(self, good: ModbusGateway, rng: random.Random) -> None:
        self._good, self._rng = good, rng

    def session(self) -> "Garbage":
        return self

    def feed(self, data: bytes) -> list[bytes]:
        rng = self._rng
        answers = ModbusGateway.session(self._good).feed(data) or [b""]
        bent = bytearray(answers[0])
        match rng.randrange(6):
            case 0:
                return [rng.randbytes(rng.randrange(1, 400))]
            case 1:
                return [bytes(bent[: rng.randrange(len(bent) + 1)])]
            case 2:
                return [bytes(bent) + rng.randbytes(rng.randrange(30))]
            case 3:
                return [bytes(bent[at : at + 1]) for at in range(len(bent))]
            case 4 if bent:
                bent[rng.randrange(min(9, len(bent)))] ^= 1 << rng.randrange(8)
        return [bytes(bent), bytes(bent)]


@pytest.mark.parametrize("seed", range(8))
def test_no_answer_whatever_raises_or_moves_a_relay_by_itself(seed: int) -> None:
    rig = Rig(seed)
    point = rig.meter("dds238")
    rig.network.devices["g1", 502] = Garbage(rig.gateways["g1"], random.Random(seed))
    metal = rig.meters["M1"]

    async def story() -> int:
        good = 0
        for _ in range(60):
            metal.advance(rig.clock.now())
            before_wh = metal.register_wh
            poll = await rig.links["g1"].poll(point, rig.clock.now())
            for read in poll.reads:
                good += 1
                assert read.channel == Channel.EXPORT or -10 <= read.register_wh - before_wh <= 10
            assert poll.reads or poll.findings
            report = await rig.links["g1"].relay(point)
            assert report.state in (RelayState.CLOSED, RelayState.UNKNOWN)
            await rig.clock.sleep(1)
        return good

    assert rig.run(story) > 20
    assert metal.relay_changes == []


def swallowed() -> int:
    """Half an answer, completed by exactly the bytes of another: the frame is whole, its values are not."""
    rig = Rig()
    rig.gateway("g1", depth=4)
    points = [rig.meter("sdm120", unit) for unit in (1, 2, 3, 4)]
    gateway = rig.gateways["g1"]
    answer = gateway.answer
    identity = 7 + 2 + 4  # bytes of the answer that comes next: a serial number

    def swallowing(frame: Frame) -> list[bytes]:
        whole = answer(frame)[0]
        return [whole[:-identity] if frame.unit == 1 and len(whole) > 100 else whole]

    gateway.answer = swallowing  # type: ignore[method-assign]

    async def story() -> list[Poll]:
        return list(await asyncio.gather(*(rig.links["g1"].poll(point, SLOT) for point in points)))

    reads = [read for poll in rig.run(story) for read in poll.reads if read.channel == Channel.IMPORT]
    return sum(abs(read.register_wh - 5_000_000) > 10 for read in reads)


def test_an_answer_that_swallowed_the_next_one_is_not_believed() -> None:
    assert swallowed() == 0


def test_without_looking_into_joined_frames_it_would_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "_swallowed", lambda self, frames: False)
    assert swallowed() > 0
