"""The direct transport is held against the wire: same relay changes, same money, and the same kinds of trouble."""

import asyncio
import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from ingest import drivers
from ingest.plan import Due
from ingest.records import Channel, Drive, DriveResult, Flag, MeterPoint, RelayState
from sim.direct import TOGETHER, DirectLink
from sim.faults import FAULTS
from sim.loop import DeviceClock, VirtualClock, VirtualLoop, run_virtual
from sim.meters import SimMeter
from sim.network import NetworkFaults, SimNetwork
from sim.run import play, town
from sim.world import Cast, World

pytestmark = pytest.mark.long

SEED, ACCOUNTS, DAYS = 4, 5, 2
NEAR = timedelta(seconds=30)
WH_PER_CHANGE = 30  # what half a minute more or less of light may draw
T = datetime(2026, 3, 5)


def lived(transport: str) -> tuple[dict[str, Any], dict[str, list[tuple[datetime, RelayState, str]]], dict[str, int]]:
    world = World(town(SEED, ACCOUNTS), FAULTS["none"], Cast(transport=transport))
    try:
        figures = play(world, DAYS)
        assert world.store is not None
        money = world.store.read(lambda reader: reader.balances("customer:"))
        return figures, {name: metal.relay_changes for name, metal in world.meters.items()}, money
    finally:
        world.close()


def test_both_transports_switch_the_same_relays_and_count_the_same_money() -> None:
    wire, direct = lived("wire"), lived("direct")
    assert wire[0]["disconnects"] >= 2
    for name in ("disconnects", "reconnects", "payments", "unpaid_on_hours", "invariants"):
        assert wire[0][name] == direct[0][name], name
    for meter, changes in wire[1].items():
        assert [(state, cause) for _, state, cause in changes] == [(s, c) for _, s, c in direct[1][meter]], meter
        for (one, _, _), (other, _, _) in zip(changes, direct[1][meter], strict=True):
            assert abs(one - other) < NEAR, meter
    assert wire[2] == direct[2]


class Memory:
    """Fences in a dictionary."""

    def __init__(self) -> None:
        self.raised: dict[str, int] = {}

    def last(self, meter: str) -> int:
        return self.raised.get(meter, 0)

    async def raise_to(self, meter: str, fence: int) -> None:
        self.raised[meter] = max(fence, self.last(meter))


class Bench:
    """One meter behind a direct link."""

    def __init__(self, faults: NetworkFaults, model: str = "dlms_generic") -> None:
        self.loop = VirtualLoop()
        self.clock = VirtualClock(self.loop, T)
        self.metal = SimMeter("S1", lambda hour: 1000, T)
        self.network = SimNetwork(self.loop, random.Random(1), faults)
        self.point = MeterPoint(1, "M1", "S1", model, "", "g", "g", 1, 1)
        known = drivers.drivers()
        self.link = DirectLink(
            self.clock, DeviceClock(self.clock), self.network, "g", {"M1": self.metal}, known, Memory(), "g"
        )

    def run(self, work: Any) -> Any:
        return run_virtual(self.loop, work)

    def order(self, action: str, fence: int = 1) -> Drive:
        return Drive(f"c{fence}", "M1", action, fence, T + timedelta(hours=9))


def test_a_poll_reads_what_the_meter_shows_and_a_late_one_takes_the_profile() -> None:
    bench = Bench(NetworkFaults())

    async def day() -> None:
        await asyncio.sleep(3630)
        poll = await bench.link.poll(bench.point, T + timedelta(hours=1))
        assert [(r.channel, r.flags) for r in poll.reads] == [(Channel.IMPORT, 0)]
        assert (poll.serial, poll.power_w, poll.offset_s) == ("S1", 1000, 0)
        assert 1008 <= poll.reads[0].register_wh <= 1009
        await asyncio.sleep(1800)
        late = await bench.link.poll(bench.point, T + timedelta(hours=1))
        assert [(r.register_wh, r.flags) for r in late.reads] == [(1000, int(Flag.BACKFILL))]

    bench.run(day())


def test_a_modbus_meter_shows_ten_watt_hours_at_a_time_and_no_profile() -> None:
    bench = Bench(NetworkFaults(), "dds238")

    async def day() -> None:
        await asyncio.sleep(3630)
        poll = await bench.link.poll(bench.point, T + timedelta(hours=1))
        assert [(r.channel, r.register_wh) for r in poll.reads] == [(Channel.IMPORT, 1000), (Channel.EXPORT, 0)]
        none = await bench.link.profile(bench.point, T, T + timedelta(hours=1))
        assert [finding.code for finding in none.findings] == ["no_load_profile"]

    bench.run(day())


def test_a_lost_request_moves_nothing_and_a_lost_answer_leaves_the_relay_moved() -> None:
    for faults, state in (
        (NetworkFaults(), RelayState.OPEN),
        (NetworkFaults(lost_request=1.0), RelayState.CLOSED),
        (NetworkFaults(lost_answer=1.0), RelayState.OPEN),
    ):
        bench = Bench(NetworkFaults())

        async def day(bench: Bench = bench, faults: NetworkFaults = faults) -> DriveResult:
            real = bench.network.exchange
            asked = 0

            def third() -> Any:  # the order itself, behind the association and the look
                nonlocal asked
                asked += 1
                bench.network.faults = faults if asked == 3 else NetworkFaults()
                return real()

            bench.network.exchange = third  # type: ignore[method-assign]
            return (await bench.link.drive(bench.point, bench.order("disconnect"))).result

        result = bench.run(day())
        assert bench.metal.relay is state
        assert result is (DriveResult.ACKNOWLEDGED if faults == NetworkFaults() else DriveResult.UNKNOWN)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda bench: bench.network.set_down("g", True), "unreachable"),
        (lambda bench: bench.metal.faults.add("dead"), "timeout"),
        (lambda bench: bench.metal.faults.add("wrong_unit"), "wrong_unit"),
        (lambda bench: setattr(bench.metal, "serial", "S2"), "wrong_unit"),
    ],
)
def test_trouble_is_a_finding_and_no_read(change: Any, reason: str) -> None:
    bench = Bench(NetworkFaults())
    change(bench)
    poll = bench.run(bench.link.poll(bench.point, T))
    assert (poll.ok, [finding.code for finding in poll.findings]) == (False, [reason])


def test_a_fence_that_left_before_and_a_wrong_clock_refuse_the_order() -> None:
    bench = Bench(NetworkFaults())
    bench.metal.skew_s = 600

    async def day() -> list[DriveResult]:
        wrong = await bench.link.drive(bench.point, bench.order("disconnect", 3))
        bench.metal.skew_s = 0
        first = await bench.link.drive(bench.point, bench.order("disconnect", 3))
        again = await bench.link.drive(bench.point, bench.order("connect", 2))
        return [wrong.result, first.result, again.result]

    assert bench.run(day()) == [DriveResult.REFUSED, DriveResult.ACKNOWLEDGED, DriveResult.FENCED]
    assert [state for _, state, _ in bench.metal.relay_changes] == [RelayState.OPEN]


def swept(bench: Bench, visits: int, *, meanwhile: Any = None) -> list[tuple[str, float]]:
    """What a sweep over so many visits of the one meter gives, by reason ("" is a read), and when."""
    found: list[tuple[str, float]] = []
    calls = [Due(bench.point, T) for _ in range(visits)]

    async def took(done: Any) -> None:
        for _, poll in done:
            why = "back" if poll is None else poll.findings[0].code if poll.findings else ""
            found.append((why, bench.loop.time()))

    async def day() -> None:
        beside = asyncio.create_task(meanwhile()) if meanwhile is not None else None
        await bench.link.sweep(lambda: calls.pop() if calls else None, took, deadline_s=60.0)
        if beside is not None:
            await beside

    bench.run(day())
    return found


def test_a_sweep_visits_all_in_rounds_that_share_a_wait() -> None:
    found = swept(Bench(NetworkFaults()), TOGETHER + 3)
    assert [why for why, _ in found] == [""] * (TOGETHER + 3)
    times = sorted({at for _, at in found})
    assert len(times) == 2
    assert TOGETHER * 3 * 0.04 < times[0] < TOGETHER * 3 * 0.16  # two exchanges and one after, to and fro, one by one


def test_who_comes_after_a_link_was_found_down_is_handed_back_unasked() -> None:
    bench = Bench(NetworkFaults())
    bench.network.set_down("g", True)
    assert [why for why, _ in swept(bench, 3)] == ["unreachable", "back", "back"]
    late = Bench(NetworkFaults())

    async def breaks() -> None:
        await asyncio.sleep(0.2)
        late.network.set_down("g", True)

    assert [why for why, _ in swept(late, 3, meanwhile=breaks)] == ["unreachable", "back", "back"]


def test_an_order_waits_for_one_round_of_a_serial_line_at_most() -> None:
    bench, drove = Bench(NetworkFaults(), "dds238"), []

    async def drives() -> None:
        await asyncio.sleep(0.01)
        await bench.link.drive(bench.point, bench.order("disconnect"))
        drove.append(bench.loop.time())

    times = sorted({at for _, at in swept(bench, 4 * TOGETHER, meanwhile=drives)})
    assert times[0] < drove[0] < times[1] + 1
