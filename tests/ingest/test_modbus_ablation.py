"""Each safeguard of the Modbus link, taken away by name, lets through what it is there to stop."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from ingest.links import connection as connection_module
from ingest.links.connection import Connection
from ingest.links.fenced import FencedDrives
from ingest.links.modbus import ModbusLink
from ingest.links.visit import Visit
from ingest.records import Channel, Drive, RelayState
from ingest.registerwatch import RegisterWatch
from ingest.wire.modbus import Frame, Refusal, adu, check
from tests.ingest.rig import START, Rig


def old_values_under_a_new_time() -> int:
    """One meter, asked every minute over a line whose answers come after the time-out now and then."""
    rig = Rig(3)
    rig.faults.late, rig.faults.late_s = 0.25, 1.2
    point = rig.meter("lx47le")
    stale = 0

    async def story() -> None:
        nonlocal stale
        for _ in range(60):
            metal = rig.meters["M1"]
            metal.advance(rig.clock.now())
            before_wh = metal.register_wh
            poll = await rig.links["g1"].poll(point, rig.clock.now())
            stale += sum(read.register_wh < before_wh for read in poll.reads)
            await rig.clock.sleep(60)

    rig.run(story)
    assert rig.faults.counts["late"] > 5
    return stale


async def _next_frame_is_mine(
    self: Connection, unit: int, pdu: bytes, *, timeout_s: float, generation: int = 0
) -> bytes | Refusal:
    """What a library does that neither closes on a time-out nor looks at the transaction id."""
    if self._stream is None:
        self._stream = await self._transport.connect(self._host, self._port)
    await self._stream.write(adu(1, unit, pdu))
    try:
        async with asyncio.timeout(timeout_s):
            while not (frames := self._framer.feed(await self._stream.read(4096))):
                pass
    except TimeoutError:
        return Refusal("timeout")
    return check(pdu, frames[0].pdu)


def crossed_meters_read() -> int:
    rig = Rig()
    point = rig.meter("dds238", 1)
    rig.meter("dds238", 2)
    rig.meters["M1"].faults.add("wrong_unit")
    return len(rig.run(lambda: rig.links["g1"].poll(point, START)).reads)


def drives(*orders: tuple[str, int, int]) -> list[RelayState]:
    """The relay's changes after (action, fence, minutes of validity) in turn; the last fence before was 5."""
    rig = Rig()
    point = rig.meter("dds238")
    rig.fences.fences["M1"] = 5

    async def story() -> None:
        for action, fence, minutes in orders:
            order = Drive("C", "M1", action, fence, START + timedelta(minutes=minutes))
            await rig.links["g1"].drive(point, order)

    rig.run(story)
    return [state for _, state, _ in rig.meters["M1"].relay_changes]


def out_of_date_drives() -> int:
    return len(drives(("disconnect", 4, 30))) + len(drives(("disconnect", 6, 0)))


def impossible_energy_believed() -> int:
    rig = Rig()
    point = rig.meter("sdm630")

    async def story() -> int:
        await rig.links["g1"].poll(point, START)
        await rig.clock.sleep(3600)
        rig.meters["M1"].register_mwh += 500_000_000
        poll = await rig.links["g1"].poll(point, START + timedelta(hours=1))
        return sum(read.flags == 0 for read in poll.reads if read.channel == Channel.IMPORT)

    return rig.run(story)


def late_reads_named_as_punctual() -> int:
    rig = Rig()
    point = rig.meter("sdm630")

    async def story() -> int:
        await rig.clock.sleep(1800)
        poll = await rig.links["g1"].poll(point, START)
        return sum(read.flags == 0 for read in poll.reads)

    return rig.run(story)


def other_units_answers_taken() -> int:
    """A gateway that answers for another unit than the one asked."""
    rig = Rig()
    point = rig.meter("dtsu666", 1)
    gateway = rig.gateways["g1"]
    answer = gateway.answer

    def crossed(frame: Frame) -> list[bytes]:
        return [adu(frame.tid, 9, write[7:]) for write in answer(frame)]

    gateway.answer = crossed  # type: ignore[method-assign]
    return len(rig.run(lambda: rig.links["g1"].poll(point, START)).reads)


def short_answers_taken() -> int:
    """A gateway that answers with fewer registers than asked, in a frame that is otherwise right."""
    rig = Rig()
    point = rig.meter("dds238", 1)
    gateway = rig.gateways["g1"]
    answer = gateway.answer

    def short(frame: Frame) -> list[bytes]:
        return [adu(frame.tid, frame.unit, bytes([3, 36]) + write[9:-2]) for write in answer(frame)]

    gateway.answer = short  # type: ignore[method-assign]
    return len(rig.run(lambda: rig.links["g1"].poll(point, START)).reads)


def _trusting(request: bytes, response: bytes) -> bytes:
    return response[2:] if request[0] < 5 else response[1:]


async def _believes(
    self: ModbusLink, visit: Visit, register: object, channel: Channel, value: int, step_wh: int
) -> object:
    return value, 0


Patch = Callable[[pytest.MonkeyPatch], None]
SAFEGUARDS: dict[str, tuple[Callable[[], int], Patch]] = {
    "transaction_id_and_close": (
        old_values_under_a_new_time,
        lambda m: m.setattr(Connection, "ask", _next_frame_is_mine),
    ),
    "identity": (crossed_meters_read, lambda m: m.setattr(Visit, "_identify", lambda self, value: None)),
    "fence_and_expiry": (out_of_date_drives, lambda m: m.setattr(FencedDrives, "_dropped", lambda self, order: None)),
    "plausible_energy": (impossible_energy_believed, lambda m: m.setattr(RegisterWatch, "verdict", lambda *a, **k: "")),
    "late_read": (late_reads_named_as_punctual, lambda m: m.setattr(ModbusLink, "_slot_flags", lambda *a: 0)),
    "unit": (
        other_units_answers_taken,
        lambda m: m.setattr(Connection, "_checked", lambda self, stream, unit, pdu, got: check(pdu, got.pdu)),
    ),
    "count": (short_answers_taken, lambda m: m.setattr(connection_module, "check", _trusting)),
}


@pytest.mark.parametrize("name", sorted(SAFEGUARDS))
def test_the_safeguard_stops_it(name: str) -> None:
    assert SAFEGUARDS[name][0]() == 0


@pytest.mark.parametrize("name", sorted(SAFEGUARDS))
def test_without_the_safeguard_it_happens(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scene, take_away = SAFEGUARDS[name]
    take_away(monkeypatch)
    assert scene() > 0
