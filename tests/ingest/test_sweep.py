"""A sweep polls what single polls would, beside faults, deadlines and more urgent callers, and gives its turns back."""

import asyncio
import functools
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime

import pytest

from ingest.links import sweep as sweep_module
from ingest.links.modbus import ModbusLink
from ingest.links.sweep import Done
from ingest.links.visit import Visit
from ingest.plan import Due, Urgency
from ingest.records import Channel, MeterPoint, Poll
from ingest.registerwatch import RegisterWatch
from ingest.wire.modbus import Refusal
from sim.modbus import ModbusSession
from tests.ingest.rig import START, Rig

UNITS = 8


def swept(rig: Rig, *, deadline_s: float = 60.0, depth: int = UNITS) -> tuple[dict[str, Poll | None], float]:
    """One sweep over all meters of the rig: their polls, and how long it took."""
    link, calls = rig.links["g1"], deque(Due(point, START) for point in rig.points.values())
    found: dict[str, Poll | None] = {}

    async def took(done: Sequence[Done]) -> None:
        found.update((call.point.meter, poll) for call, poll in done)

    async def story() -> float:
        begin = rig.clock.monotonic()
        await link.sweep(lambda: calls.popleft() if calls else None, took, deadline_s=deadline_s)
        return rig.clock.monotonic() - begin

    took_s = rig.run(story)
    assert link._turns._free == depth and not link._connection._waiting  # type: ignore[union-attr]
    return found, took_s


def field(depth: int = UNITS, **gateway: object) -> Rig:
    rig = Rig(3)
    rig.gateway("g1", depth=depth, **gateway)
    for unit in range(1, UNITS + 1):
        rig.meter("dds238", unit)
    return rig


def test_it_finds_what_single_polls_find() -> None:
    found, _ = swept(field())
    for meter, poll in found.items():
        alone = field()
        single = alone.run(functools.partial(alone.links["g1"].poll, alone.points[meter], START))
        assert poll is not None
        assert (poll.reads, poll.serial, poll.relay and poll.relay.state) == (
            single.reads,
            single.serial,
            single.relay and single.relay.state,
        )
        assert poll.ok and poll.raw


class AtOnce:
    """A connection whose gateway answers all that was sent in one chunk, when it is read; ``sent`` hears each send."""

    def __init__(self, session: ModbusSession, sent: Callable[[], None]) -> None:
        self._session, self._sent, self._held, self._some = session, sent, b"", asyncio.Event()

    def send(self, data: bytes) -> None:
        self._sent()
        self._held += b"".join(self._session.feed(data))
        self._some.set()

    async def write(self, data: bytes) -> None:
        self.send(data)

    async def read(self, limit: int) -> bytes:
        await self._some.wait()
        data, self._held = self._held, b""
        self._some.clear()
        return data

    def close(self) -> None:
        pass


def test_the_next_are_asked_while_answers_are_still_being_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = field()
    link, points, story = rig.links["g1"], list(rig.points.values()), list[str]()
    calls = deque(Due(point, START) for point in points * 2)
    judged = ModbusLink.judged

    async def connect(host: str, port: int) -> AtOnce:
        return AtOnce(rig.gateways["g1"].session(), lambda: story.append("sent"))

    def judging(self: ModbusLink, visit: Visit, slot_end: datetime, answers: Sequence[bytes] | Refusal) -> Poll | None:
        story.append("judged")
        return judged(self, visit, slot_end, answers)

    async def took(done: Sequence[Done]) -> None:
        assert all(poll is not None and poll.ok for _, poll in done)

    monkeypatch.setattr(sweep_module, "SLICE", 4)
    monkeypatch.setattr(ModbusLink, "judged", judging)
    monkeypatch.setattr(link._connection._transport, "connect", connect)
    rig.run(lambda: link.sweep(lambda: calls.popleft() if calls else None, took, deadline_s=60.0))
    assert story == ["sent", *["judged"] * 4, "sent", *["judged"] * 4, "sent", *["judged"] * 8]


@pytest.mark.parametrize("fault", ["dead", "half_frame", "wrong_unit"])
def test_a_faulty_meter_takes_nobody_s_value_and_lies_to_nobody(fault: str) -> None:
    rig = field()
    rig.meters["M4"].faults.add(fault)
    found, _ = swept(rig)
    assert len(found) == UNITS and found["M4"] is not None and not found["M4"].ok
    for meter, poll in found.items():
        assert poll is not None
        assert poll.ok or meter == "M4" or [f.code for f in poll.findings] == ["line_closed"]


def test_healthy_meters_do_not_wait_for_a_dead_one() -> None:
    rig = field(depth=2)
    rig.meters["M1"].faults.add("dead")
    order: list[str] = []
    link, calls = rig.links["g1"], deque(Due(point, START) for point in rig.points.values())

    async def took(done: Sequence[Done]) -> None:
        order.extend(call.point.meter for call, _ in done)

    rig.run(lambda: link.sweep(lambda: calls.popleft() if calls else None, took, deadline_s=60.0))
    assert order[-1] == "M1" and len(order) == UNITS


def test_a_deadline_ends_a_visit_that_was_given_time_again_and_again() -> None:
    rig = field(depth=2)
    rig.meters["M1"].faults.add("dead")
    found, took_s = swept(rig, deadline_s=0.2, depth=2)
    assert found["M1"] is not None
    assert [finding.code for finding in found["M1"].findings] == ["deadline"]
    assert took_s < 1.0


def test_a_doubtful_value_is_handed_back_and_nothing_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = field()
    verdict: Callable[..., str] = RegisterWatch.verdict

    def doubts_three(self: RegisterWatch, point: MeterPoint, *words: object, **more: object) -> str:
        return "too_fast" if point.unit == 3 else verdict(self, point, *words, **more)

    monkeypatch.setattr(RegisterWatch, "verdict", doubts_three)
    found, _ = swept(rig)
    assert [meter for meter, poll in found.items() if poll is None] == ["M3"]
    knows = rig.links["g1"]._watch.knows
    assert [meter for meter, point in rig.points.items() if not knows(point, Channel.IMPORT)] == ["M3"]


def test_a_command_goes_first_when_a_turn_is_free() -> None:
    rig = field(depth=1)
    rig.links["g1"]._connection._pipelined = True  # type: ignore[union-attr]
    link, calls, order = rig.links["g1"], deque(Due(point, START) for point in rig.points.values()), list[str]()

    async def took(done: Sequence[Done]) -> None:
        order.extend(call.point.meter for call, _ in done)

    async def command() -> None:
        async with link._turns.take(Urgency.COMMAND):
            order.append("command")

    async def story() -> None:
        sweep = asyncio.create_task(link.sweep(lambda: calls.popleft() if calls else None, took, deadline_s=60.0))
        await asyncio.sleep(0)
        await asyncio.gather(sweep, command())

    rig.run(story)
    assert order.index("command") <= 1 and len(order) == UNITS + 1


def test_an_unreachable_gateway_is_asked_once_and_the_caller_hears_of_it() -> None:
    rig = field()
    rig.network.set_down("g1", True)
    link, calls, heard = rig.links["g1"], deque(Due(point, START) for point in rig.points.values()), list[str]()

    async def took(done: Sequence[Done]) -> None:
        heard.extend(finding.code for _, poll in done if poll is not None for finding in poll.findings)
        calls.clear()

    rig.run(lambda: link.sweep(lambda: calls.popleft() if calls else None, took, deadline_s=60.0))
    assert heard == ["unreachable"]


def test_a_sweep_that_is_cancelled_leaves_no_turn_taken_and_no_request_waiting() -> None:
    rig = field(depth=2)
    rig.meters["M1"].faults.add("dead")
    link, calls = rig.links["g1"], deque(Due(point, START) for point in rig.points.values())

    async def took(done: Sequence[Done]) -> None:
        assert done

    async def story() -> None:
        task = asyncio.create_task(link.sweep(lambda: calls.popleft() if calls else None, took, deadline_s=60.0))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    rig.run(story)
    assert link._turns._free == 2 and not link._connection._waiting  # type: ignore[union-attr]


def test_meters_that_want_a_pause_between_requests_are_handed_back() -> None:
    rig = field()
    rig.meter("lx47le", UNITS + 1)
    found, _ = swept(rig)
    assert [meter for meter, poll in found.items() if poll is None] == [f"M{UNITS + 1}"]
