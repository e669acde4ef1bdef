"""Nobody waits for another's fault: random lines, dead units and slow gateways on virtual time."""

import asyncio
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.plan import slot_floor, stagger_s
from ingest.poller import CycleReport, Pacing, Poller
from ingest.records import Channel, MeterPoint
from tests.ingest.rig import START, MemoryGaps, MemorySink, Rig

HOUR = timedelta(hours=1)


def poller(rig: Rig, sink: MemorySink, **options: object) -> Poller:
    gaps = MemoryGaps(sink, START - HOUR)
    return Poller(rig.clock, rig.links, list(rig.points.values()), sink, gaps, **options)  # type: ignore[arg-type]


@settings(max_examples=12, deadline=None)
@given(
    st.sets(st.tuples(st.integers(1, 3), st.integers(1, 8)), max_size=10), st.sampled_from([1, 4]), st.integers(0, 99)
)
def test_each_healthy_meter_is_read_in_its_slot_whoever_is_dead(
    dead: set[tuple[int, int]], depth: int, seed: int
) -> None:
    rig, sink = Rig(seed), MemorySink()
    for line in (1, 2, 3):
        rig.gateway(f"g{line}", depth=depth)
        for unit in range(1, 9):
            point = rig.meter("dds238", unit, gateway=f"g{line}")
            if (line, unit) in dead:
                rig.meters[point.meter].faults.add("dead")
    well = {p.meter_id for p in rig.points.values() if (int(p.gateway[1:]), p.unit) not in dead}
    at: dict[tuple[int, datetime], datetime] = {}

    async def seen(point: MeterPoint, poll: object) -> None:
        at.setdefault((point.meter_id, slot_floor(rig.clock.now(), 60)), rig.clock.now())

    async def story() -> None:
        poll = poller(rig, sink, seen=seen)
        for hour in range(3):
            for _ in range(4):
                await poll.cycle(rig.clock.now())
            await rig.clock.sleep((START + (hour + 1) * HOUR - rig.clock.now()).total_seconds())
        await poll.close()

    rig.run(story)
    have = {(r.meter_id, r.end) for r in sink.reads if r.channel == Channel.IMPORT}
    assert have == {(meter, START + hour * HOUR) for meter in well for hour in range(3)}
    if depth == 1:  # after the first hour the dead come last: the healthy ones wait for no time-out
        late = [at[m, START + h * HOUR] - (START + h * HOUR) for m in well for h in (1, 2)]
        assert max(late, default=timedelta()) < timedelta(seconds=2)


@settings(max_examples=10, deadline=None)
@given(st.integers(60, 1500), st.integers(0, 99))
def test_every_due_meter_is_read_within_its_window(window_s: int, seed: int) -> None:
    rig, sink = Rig(seed), MemorySink()
    for unit in range(1, 13):
        rig.meter("sdm630", unit, gateway=f"g{unit % 2}")
    at: dict[int, datetime] = {}

    async def seen(point: MeterPoint, poll: object) -> None:
        if rig.clock.now() >= START + HOUR:
            at.setdefault(point.meter_id, rig.clock.now())

    async def story() -> None:
        poll = poller(rig, sink, seen=seen, pacing=Pacing(window_s=window_s))
        while rig.clock.now() < START + HOUR + timedelta(seconds=window_s + 10):
            await poll.cycle(rig.clock.now())
            await rig.clock.sleep(5)

    rig.run(story)
    assert sorted(at) == list(range(1, 13))
    for meter, when in at.items():
        second = START + HOUR + timedelta(seconds=stagger_s(meter, min(window_s, 1800)))
        assert second <= when <= second + timedelta(seconds=8)


def test_a_gateway_that_drags_goes_on_beside_the_next_cycles() -> None:
    rig, sink = Rig(), MemorySink()
    for unit in range(1, 31):
        rig.meter("sdm630", unit, gateway="slow")
        rig.meters[f"M{unit}"].faults.add("dead")
    rig.meter("sdm630", 1, gateway="quick")

    async def story() -> tuple[list[CycleReport], list[float]]:
        poll = poller(rig, sink, pacing=Pacing(turn_s=5.0))
        reports, took = [], []
        for _ in range(9):
            begin = rig.clock.monotonic()
            reports.append(await poll.cycle(rig.clock.now()))
            took.append(rig.clock.monotonic() - begin)
        await poll.close()
        return reports, took

    reports, took = rig.run(story)
    assert (reports[0].polled, reports[0].busy, reports[0].failed) == (1, 1, 0)
    assert max(took) < 5.1
    assert sum(report.failed for report in reports) >= 30


def test_an_answer_that_another_s_fault_took_away_is_asked_for_again_in_the_same_cycle() -> None:
    rig, sink = Rig(3), MemorySink()
    rig.gateway("g1", depth=8)
    for unit in range(1, 9):
        rig.meter("dds238", unit)
    rig.meters["M4"].faults.add("half_frame")

    async def story() -> CycleReport:
        return await poller(rig, sink).cycle(rig.clock.now())

    report = rig.run(story)
    assert (report.polled, report.failed) == (7, 1)
    assert "line_closed" not in report.findings


@pytest.mark.parametrize("kind", ["cancelled", "closed"])
def test_turns_end_with_the_poller(kind: str) -> None:
    rig, sink = Rig(), MemorySink()
    rig.meter("sdm630")
    rig.meters["M1"].faults.add("dead")

    async def story() -> int:
        poll = poller(rig, sink, pacing=Pacing(turn_s=0.2))
        if kind == "cancelled":
            task = asyncio.create_task(poll.cycle(rig.clock.now()))
            await asyncio.sleep(0.1)
            task.cancel()
            await asyncio.wait([task])
        else:
            assert (await poll.cycle(rig.clock.now())).busy == 1
            await poll.close()
        return len(poll._turns)

    assert rig.run(story) == 0


def test_a_turn_that_outlasts_its_cycle_costs_its_link_no_later_hour() -> None:
    """One dead unit keeps the line beyond ``turn_s``: the healthy one is read in every hour all the same."""
    rig, sink = Rig(1), MemorySink()
    rig.gateway("slow")
    healthy, dead = rig.meter("dds238", 1, gateway="slow"), rig.meter("dds238", 2, gateway="slow")
    rig.meters[dead.meter].faults.add("dead")

    async def story() -> None:
        poll = poller(rig, sink, pacing=Pacing(turn_s=0.01))
        for hour in range(6):
            await poll.cycle(rig.clock.now())
            await rig.clock.sleep((START + (hour + 1) * HOUR - rig.clock.now()).total_seconds())
        await poll.close()

    rig.run(story)
    have = {r.end for r in sink.reads if r.meter_id == healthy.meter_id and r.channel == Channel.IMPORT}
    assert have == {START + hour * HOUR for hour in range(6)}


def test_a_cycle_without_a_next_one_waits_for_every_link() -> None:
    rig, sink = Rig(1), MemorySink()
    for unit in (1, 2):
        rig.meter("dds238", unit, gateway="slow")
    rig.meters["M2"].faults.add("dead")

    async def story() -> CycleReport:
        poll = poller(rig, sink, pacing=Pacing(turn_s=0.01))
        report = await poll.cycle(rig.clock.now(), whole=True)
        await poll.close()
        return report

    report = rig.run(story)
    assert (report.busy, report.polled, report.failed) == (0, 1, 1)
