"""A link's queue: the most urgent first, equals in order, nobody lost when one gives up."""

import asyncio
from datetime import timedelta

from ingest.links.turns import Turns
from ingest.plan import Urgency
from ingest.records import Drive
from tests.ingest.rig import START, Rig, on_asyncio


@on_asyncio
async def test_the_most_urgent_goes_first_and_equals_in_order() -> None:
    turns, order = Turns(), []

    async def caller(name: str, urgency: Urgency) -> None:
        async with turns.take(urgency):
            order.append(name)
            await asyncio.sleep(0)

    names = [("read", Urgency.SCHEDULED), ("fill", Urgency.BACKFILL), ("read2", Urgency.SCHEDULED)]
    names += [("look", Urgency.ON_DEMAND), ("cut", Urgency.COMMAND), ("read3", Urgency.SCHEDULED)]
    await asyncio.gather(*(caller(name, urgency) for name, urgency in names))
    assert order == ["read", "cut", "look", "read2", "read3", "fill"]


@on_asyncio
async def test_a_caller_that_gives_up_passes_its_turn_on() -> None:
    turns, entered = Turns(2), []

    async def caller(name: int) -> None:
        async with turns.take(Urgency.SCHEDULED):
            entered.append(name)
            await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(caller(n)) for n in range(6)]
    await asyncio.sleep(0)
    tasks[2].cancel()  # waits
    tasks[0].cancel()  # holds: its turn goes to 3 ...
    await asyncio.sleep(0)
    tasks[3].cancel()  # ... which gives up in the same moment
    await asyncio.gather(*tasks, return_exceptions=True)
    assert sorted(entered) == [0, 1, 4, 5]
    async with asyncio.timeout(1):
        await asyncio.gather(caller(7), caller(8), caller(9))


def test_a_command_overtakes_the_reads_that_wait() -> None:
    rig = Rig()
    points = [rig.meter("dds238", unit) for unit in range(1, 9)]
    ends: dict[str, float] = {}

    async def story() -> None:
        async def read(unit: int) -> None:
            await rig.links["g1"].poll(points[unit], START)
            ends[f"read {unit}"] = rig.clock.monotonic()

        async def cut() -> None:
            await asyncio.sleep(0.001)
            order = Drive("C1", "M8", "disconnect", 1, START + timedelta(hours=1))
            await rig.links["g1"].drive(points[7], order)
            ends["cut"] = rig.clock.monotonic()

        await asyncio.gather(*(read(unit) for unit in range(8)), cut())

    rig.run(story)
    assert sum(at < ends["cut"] for at in ends.values()) == 1  # only the read that was under way
