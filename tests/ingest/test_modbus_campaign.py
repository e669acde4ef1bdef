"""Zero wrong values: every Modbus driver polled over a line with every fault, beside a plain pymodbus loop on the same.

A small number of polls runs here; ``PREWATT_POLLS=20000 pytest tests/ingest/test_modbus_campaign.py -s`` is the long
proof. A value is wrong when the device did not show it between the beginning and the end of its poll.
"""

import asyncio
import os
import random
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from pymodbus import FramerType, ModbusException
from pymodbus.client import AsyncModbusTcpClient

from ingest.drivers import drivers
from ingest.links.sweep import Done
from ingest.model import ModbusDriver, Quantity
from ingest.plan import Due
from ingest.records import Channel, MeterPoint, Poll
from ingest.wire.registers import decode, step
from sim.loop import VirtualClock
from sim.network import SimNetwork
from tests.ingest.badline import BadLine
from tests.ingest.bridge import BridgeLoop
from tests.ingest.rig import Rig

MODBUS = [known for known in drivers().values() if isinstance(known, ModbusDriver)]
POLLS = int(os.environ.get("PREWATT_POLLS", "1600"))
EACH = max(12, POLLS // (2 * len(MODBUS)))
UNITS = 3
LATE_S = (0.86, 0.9, 0.93, 0.95, 0.97, 1.0, 1.2, 2.5)
"""Around the time-out of 1 s less the network's latency, and far beyond it."""


@dataclass
class Tally:
    """What one way of reading gave."""

    polls: int = 0
    good: int = 0
    wrong: int = 0
    struck: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Tally") -> None:
        self.polls, self.good, self.wrong = self.polls + other.polls, self.good + other.good, self.wrong + other.wrong
        self.struck.update(other.struck)


def scene(driver: ModbusDriver, framing: str, seed: int, rig: Rig) -> tuple[list[MeterPoint], BadLine, random.Random]:
    """Three meters behind a bad line; the third unit dies and comes back."""
    rig.gateway("g1", framing=framing, depth=1 if seed % 2 else 4)
    points = [rig.meter(driver.name, unit, load_w=1000 * unit) for unit in range(1, UNITS + 1)]
    rng = random.Random(seed)
    line = BadLine(rig.gateways["g1"], rng, 0.2)
    rig.network.devices["g1", 502] = line
    rig.faults.late = 0.12
    rig.faults.lost_request = rig.faults.lost_answer = 0.02
    return points, line, rng


async def between(rig: Rig, rng: random.Random, number: int) -> None:
    """An hour goes by; lateness changes, the gateway reconnects, the third unit dies or comes back."""
    await rig.clock.sleep(3600 - (rig.clock.now() - rig.clock.now().replace(minute=0, second=0)).total_seconds())
    rig.faults.late_s = rng.choice(LATE_S)
    if number % 7 == 3:
        rig.network.set_down("g1", True)
        rig.network.set_down("g1", False)
    (rig.meters["M3"].faults.add if number % 5 == 2 else rig.meters["M3"].faults.discard)("dead")


def ours(driver: ModbusDriver, framing: str, seed: int) -> Tally:
    """The product's own link; a poll that failed is tried once more, as the scheduler's next cycle would."""
    rig = Rig(seed)
    points, line, rng = scene(driver, framing, seed, rig)
    tally = Tally()
    coarse_wh = step(next(r for r in driver.registers if r.quantity is Quantity.IMPORT))

    def judge(point: MeterPoint, poll: Poll, before_wh: int) -> bool:
        metal = rig.meters[point.meter]
        metal.advance(rig.clock.now())
        tally.polls += 1
        reads = [r for r in poll.reads if r.channel == Channel.IMPORT]
        tally.good += len(reads)
        tally.wrong += sum(not before_wh - coarse_wh < r.register_wh <= metal.register_wh for r in reads)
        tally.wrong += sum(r.register_wh != 0 for r in poll.reads if r.channel == Channel.EXPORT)
        return bool(reads)

    def shown(point: MeterPoint) -> int:
        rig.meters[point.meter].advance(rig.clock.now())
        return rig.meters[point.meter].register_wh

    async def read(point: MeterPoint) -> None:
        for _ in range(2):
            before_wh = shown(point)
            if judge(point, await rig.links["g1"].poll(point, rig.clock.now()), before_wh):
                break

    async def sweep() -> None:
        """All meters at once, as the poller asks a pipelined gateway; who gave nothing is polled by itself."""
        calls = deque(Due(point, rig.clock.now()) for point in points)
        before, again = {point.meter: shown(point) for point in points}, list[MeterPoint]()

        async def took(done: Sequence[Done]) -> None:
            for call, poll in done:
                if poll is None or not judge(call.point, poll, before[call.point.meter]):
                    again.append(call.point)

        await rig.links["g1"].sweep(lambda: calls.popleft() if calls else None, took, deadline_s=60.0)
        for point in again:
            await read(point)

    async def story() -> None:
        for number in range(max(1, EACH // UNITS)):
            if number % 2:
                await sweep()
            else:
                await asyncio.gather(*(read(point) for point in points))  # pipelined where the link is
            await between(rig, rng, number)

    rig.run(story)
    tally.struck.update(line.counts)
    tally.struck.update(rig.faults.counts)
    return tally


def plain(driver: ModbusDriver, framing: str, seed: int) -> Tally:
    """The same faults read by a loop as in its documentation: a client with its defaults, register after register."""
    rig = Rig(seed)
    loop = BridgeLoop()
    rig.loop, rig.clock = loop, VirtualClock(loop, rig.clock.now())
    rig.network = loop.network = SimNetwork(loop, random.Random(seed), rig.faults)
    points, line, rng = scene(driver, framing, seed, rig)
    tally = Tally()
    register = next(r for r in driver.registers if r.quantity is Quantity.IMPORT)
    coarse_wh = step(register)

    async def story() -> None:
        kind = FramerType.SOCKET if framing == "tcp" else FramerType.RTU
        client = AsyncModbusTcpClient("g1", port=502, framer=kind, timeout=1)
        for number in range(max(1, EACH // UNITS)):
            for point in points:
                metal = rig.meters[point.meter]
                metal.advance(rig.clock.now())
                before_wh = metal.register_wh
                tally.polls += 1
                try:
                    if not client.connected:
                        await client.connect()
                    ask = client.read_holding_registers if register.function == 3 else client.read_input_registers
                    for other in driver.registers:  # voltage and power are shown too, one after the other
                        read = client.read_holding_registers if other.function == 3 else client.read_input_registers
                        if other is not register:
                            await read(other.address, count=other.count, device_id=point.unit)
                    answer = await ask(register.address, count=register.count, device_id=point.unit)
                except (ModbusException, OSError, TimeoutError):
                    continue
                if answer.isError():
                    continue
                metal.advance(rig.clock.now())
                value = decode(register, b"".join(word.to_bytes(2, "big") for word in answer.registers))
                tally.good += 1
                tally.wrong += value is None or not before_wh - coarse_wh < value <= metal.register_wh
            await between(rig, rng, number)
        client.close()

    rig.links.clear()
    rig.run(story)
    tally.struck.update(line.counts)
    return tally


@pytest.mark.parametrize("framing", ["tcp", "rtu"])
def test_no_value_is_wrong_whatever_the_line_does(framing: str) -> None:
    whole = Tally()
    for seed, driver in enumerate(MODBUS):
        one = ours(driver, framing, seed + 1)
        assert one.wrong == 0, driver.name
        assert one.good, driver.name
        whole.add(one)
    print(f"\n{framing}: {whole.polls} polls, {whole.good} values, {whole.wrong} wrong; faults {dict(whole.struck)}")
    assert whole.polls >= len(MODBUS) * (EACH // UNITS) * UNITS
    assert whole.good > whole.polls / 6
    kinds = {"dead", "half_frame", "stale", "wrong_unit", "exception", "glitch", "late", "link_down", "lost_answer"}
    assert kinds <= set(whole.struck)


def test_a_plain_loop_on_the_same_line_gives_wrong_values() -> None:
    whole = Tally()
    for seed, driver in enumerate(MODBUS):
        whole.add(plain(driver, "rtu", seed + 1))
    print(f"\npymodbus, defaults: {whole.polls} polls, {whole.good} values, {whole.wrong} wrong; {dict(whole.struck)}")
    assert whole.good > 0
    assert whole.wrong > 0
