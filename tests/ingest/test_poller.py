"""The poller: all meters read, the dead ones held back alone, nothing done before it is committed."""

import asyncio
from datetime import datetime, timedelta

import pytest

from ingest.poller import CycleReport, Pacing, Poller
from ingest.quarantine import Quarantine
from ingest.records import Drive, DriveOutcome, Finding, Flag, MeterPoint, MeterRead, Poll, RelayReport
from tests.ingest.rig import START, MemoryGaps, MemorySink, Rig

HOUR = timedelta(hours=1)


def poller(rig: Rig, sink: MemorySink, **options: object) -> Poller:
    gaps = MemoryGaps(sink, START - HOUR)
    return Poller(rig.clock, rig.links, list(rig.points.values()), sink, gaps, **options)  # type: ignore[arg-type]


def test_every_meter_is_read_once_a_slot() -> None:
    rig, sink = Rig(), MemorySink()
    for number in range(12):
        rig.meter("sdm630" if number % 2 else "dds238", number // 3 + 1, gateway=f"g{number % 3}")

    async def story() -> list[CycleReport]:
        poll = poller(rig, sink)
        reports = []
        for hour in range(3):
            reports.append(await poll.cycle(rig.clock.now()))
            reports.append(await poll.cycle(rig.clock.now()))
            await rig.clock.sleep((START + (hour + 1) * HOUR - rig.clock.now()).total_seconds())
        return reports

    reports = rig.run(story)
    assert [(r.due, r.polled, r.failed) for r in reports] == [(12, 12, 0), (0, 0, 0)] * 3
    ends = sorted({(r.meter_id, r.end) for r in sink.reads})
    assert ends == [(m, START + h * HOUR) for m in range(1, 13) for h in range(3)]
    assert sink.findings == []


def test_a_dead_unit_costs_its_neighbours_nothing_once_it_is_held_back() -> None:
    rig, sink = Rig(), MemorySink()
    for unit in range(1, 5):
        rig.meter("dds238", unit, gateway="g1")
    rig.meter("dds238", 1, gateway="g2")
    rig.meters["M1"].faults.add("dead")

    async def story() -> tuple[list[CycleReport], list[float]]:
        poll = poller(rig, sink)
        reports, took = [], []
        for _ in range(6):
            begin = rig.clock.monotonic()
            reports.append(await poll.cycle(rig.clock.now()))
            took.append(rig.clock.monotonic() - begin)
            await rig.clock.sleep(10)
        return reports, took

    reports, took = rig.run(story)
    assert [r.polled for r in reports] == [4, 0, 0, 0, 0, 0]
    assert [r.failed for r in reports] == [1, 1, 1, 0, 0, 0]
    assert [r.held for r in reports] == [0, 0, 0, 1, 1, 1]
    assert all(t < 0.01 for t in took[3:])
    assert sink.codes() == ["timeout", "timeout", "timeout", "quarantined"]


def test_a_held_meter_comes_back_by_its_probe() -> None:
    rig, sink = Rig(), MemorySink()
    rig.meter("dds238")
    rig.meters["M1"].faults.add("dead")

    async def story() -> CycleReport:
        poll = poller(rig, sink)
        for _ in range(3):
            await poll.cycle(rig.clock.now())
        rig.meters["M1"].faults.clear()
        await rig.clock.sleep(110)
        assert (await poll.cycle(rig.clock.now())).held == 1
        await rig.clock.sleep(10)
        return await poll.cycle(rig.clock.now())

    assert rig.run(story).polled == 1
    assert sink.codes()[-1] == "recovered"


def test_a_gateway_that_is_down_is_asked_once_a_cycle_and_holds_up_nobody() -> None:
    rig, sink = Rig(), MemorySink()
    for unit in range(1, 6):
        rig.meter("dds238", unit, gateway="g1")
        rig.meter("dds238", unit, gateway="g2")
    rig.faults.down.add("g1")

    async def story() -> list[CycleReport]:
        poll = poller(rig, sink)
        first = await poll.cycle(rig.clock.now())
        for _ in range(4):
            await poll.cycle(rig.clock.now())
        rig.faults.down.clear()
        return [first, await poll.cycle(rig.clock.now())]

    first, back = rig.run(story)
    assert (first.polled, first.failed, first.held) == (5, 1, 4)
    assert (back.polled, back.failed, back.held) == (5, 0, 0)  # the meters were not blamed for their gateway


def test_only_what_is_committed_counts_as_read() -> None:
    rig, sink = Rig(), MemorySink()
    rig.meter("dds238")
    sink.broken = True

    async def story() -> CycleReport:
        poll = poller(rig, sink)
        with pytest.raises(ExceptionGroup):
            await poll.cycle(rig.clock.now())
        sink.broken = False
        return await poll.cycle(rig.clock.now())

    assert rig.run(story).polled == 1
    assert len(sink.reads) == 2


def test_after_a_restart_a_stored_slot_is_not_read_again() -> None:
    rig, sink = Rig(), MemorySink()
    rig.meter("dds238")

    async def story() -> CycleReport:
        await poller(rig, sink).cycle(rig.clock.now())
        await rig.clock.sleep(1200)
        return await poller(rig, sink).cycle(rig.clock.now())

    assert rig.run(story).due == 0


def test_a_wrong_profile_and_a_missing_link_are_findings_of_their_own() -> None:
    rig, sink = Rig(), MemorySink()
    good = rig.meter("dds238")
    points = [
        good,
        MeterPoint(8, "M8", "", "no_such_model", "modbus", "g1", "g1", 502, 8),
        MeterPoint(9, "M9", "", "dds238", "modbus", "nowhere", "x", 502, 9),
    ]

    async def story() -> CycleReport:
        poll = poller(rig, sink)
        poll.points = points
        return await poll.cycle(rig.clock.now())

    report = rig.run(story)
    assert (report.polled, report.failed) == (1, 2)
    assert sorted(sink.codes()) == ["no_link", "profile_error"]


def test_every_poll_is_shown_to_the_observer() -> None:
    rig, sink = Rig(), MemorySink()
    rig.meter("dds238", 1)
    rig.meter("dds238", 2)
    rig.meters["M2"].faults.add("dead")
    seen: list[tuple[str, bool]] = []

    async def observe(point: MeterPoint, poll: Poll) -> None:
        seen.append((point.meter, poll.ok))

    rig.run(lambda: poller(rig, sink, seen=observe).cycle(rig.clock.now()))
    assert seen == [("M1", True), ("M2", False)]


class ProfileLink:
    """A link whose meters store a load profile; it notes what it is asked."""

    def __init__(self, rig: Rig, *, hang_s: float = 0.0, empty: bool = False, says: str = "empty_profile") -> None:
        self.rig, self.hang_s, self.empty, self.says = rig, hang_s, empty, says
        self.asked: list[tuple[str, datetime, datetime]] = []

    async def poll(self, point: MeterPoint, slot_end: datetime) -> Poll:
        await asyncio.sleep(self.hang_s)
        return Poll(point.meter, self.rig.clock.now(), reads=(MeterRead(point.meter_id, 1, slot_end, 1000),))

    async def profile(self, point: MeterPoint, start: datetime, end: datetime) -> Poll:
        self.asked.append((point.meter, start, end))
        ends = [start + n * HOUR for n in range(1, (end - start) // HOUR + 1)]
        reads = tuple(MeterRead(point.meter_id, 1, e, 900, int(Flag.BACKFILL)) for e in ends)
        found = (Finding(self.says, self.rig.clock.now(), point.meter),) if self.empty and self.says else ()
        return Poll(point.meter, self.rig.clock.now(), reads=() if self.empty else reads, findings=found)

    async def relay(self, point: MeterPoint) -> RelayReport:
        raise NotImplementedError

    async def drive(self, point: MeterPoint, order: Drive) -> DriveOutcome:
        raise NotImplementedError

    async def close(self) -> None:
        return


class _Stored:
    """A driver that only says that it stores a profile."""

    name = protocol = title = "stored"
    switchable, load_profile, max_power_w, proven = False, True, 1, "unproven"


def backfill(rig: Rig, sink: MemorySink, link: ProfileLink, pacing: Pacing) -> Poller:
    points = [MeterPoint(n, f"M{n}", "", "stored", "x", "g1", "g1", 1, n) for n in (1, 2)]
    gaps = MemoryGaps(sink, START - 10 * HOUR)
    return Poller(rig.clock, {"g1": link}, points, sink, gaps, pacing=pacing, drivers={"stored": _Stored()})


def test_gaps_are_filled_from_the_profile_oldest_first_and_a_few_at_a_time() -> None:
    rig, sink = Rig(), MemorySink()
    sink.reads.append(MeterRead(1, 1, START - 5 * HOUR, 1))
    link = ProfileLink(rig)

    async def story() -> list[int]:
        poll = backfill(rig, sink, link, Pacing(backfill_calls=2))
        first = await poll.cycle(rig.clock.now())
        soon = await poll.cycle(rig.clock.now())
        await rig.clock.sleep(301)
        return [first.backfilled, soon.backfilled, (await poll.cycle(rig.clock.now())).backfilled]

    assert rig.run(story) == [4 + 9, 0, 4]
    assert [meter for meter, _, _ in link.asked] == ["M1", "M2", "M1"]
    assert link.asked[2] == ("M1", START - 5 * HOUR, START - HOUR)
    assert MemoryGaps(sink, START - 10 * HOUR).gaps(1, START - 10 * HOUR, START) == []


def test_a_gap_that_gives_nothing_rests() -> None:
    rig, sink = Rig(), MemorySink()
    link = ProfileLink(rig, empty=True)

    async def story() -> list[int]:
        poll, counts = backfill(rig, sink, link, Pacing(backfill_every=timedelta(0))), []
        for _ in range(3):
            await poll.cycle(rig.clock.now())
            counts.append(len(link.asked))
            await rig.clock.sleep(1000)
        return counts

    assert rig.run(story) == [2, 2, 4]


@pytest.mark.parametrize(
    ("says", "asked"), [("", [0, 1, 3, 7, 15]), ("clock_off", [0, 1, 3, 7, 15]), ("unreachable", [*range(24)])]
)
def test_a_gap_that_the_device_knows_nothing_of_rests_as_long_again_as_it_is_old(says: str, asked: list[int]) -> None:
    rig, sink = Rig(), MemorySink()
    link = ProfileLink(rig, empty=True, says=says)
    hours: list[int] = []

    async def story() -> None:
        poll = backfill(rig, sink, link, Pacing())
        poll.points = poll.points[:1]
        for hour in range(24):
            await poll.cycle(rig.clock.now())
            hours.extend([hour] * len(link.asked))
            link.asked.clear()
            await rig.clock.sleep(3600)

    rig.run(story)
    assert hours == asked


def test_a_gap_without_rows_is_asked_for_once_a_day_at_least() -> None:
    pacing = Pacing()
    poll = Poller(Rig().clock, {}, (), MemorySink(), MemoryGaps(MemorySink(), START))
    empty, silent = Poll("M1", START), Poll("M1", START, findings=(Finding("unreachable", START),))
    for days in (2, 50):
        assert poll._rest(empty, timedelta(days=days)) == pacing.backfill_empty == timedelta(days=1)
        assert poll._rest(silent, timedelta(days=days)) == pacing.backfill_rest
    assert poll._rest(empty, timedelta(minutes=5)) == pacing.backfill_rest


def test_a_slot_whose_register_was_refused_is_asked_for_again() -> None:
    rig, sink = Rig(), MemorySink()

    class Flickering(ProfileLink):
        async def poll(self, point: MeterPoint, slot_end: datetime) -> Poll:
            exported = MeterRead(point.meter_id, 2, slot_end, 7)
            found = (Finding("unstable_value", self.rig.clock.now(), point.meter),)
            return Poll(point.meter, self.rig.clock.now(), reads=(exported,), findings=found)

    async def story() -> list[int]:
        poll = backfill(rig, sink, Flickering(rig, empty=True), Pacing())
        return [(await poll.cycle(rig.clock.now())).due for _ in range(2)]

    assert rig.run(story) == [2, 2]


def test_a_link_that_hangs_meets_the_deadline() -> None:
    rig, sink = Rig(), MemorySink()
    link = ProfileLink(rig, hang_s=1e6)
    report = rig.run(lambda: backfill(rig, sink, link, Pacing(deadline_s=5.0)).cycle(rig.clock.now()))
    assert report.failed == 2
    assert report.findings["deadline"] == 2


def test_a_cycle_gives_the_same_rows_whatever_order_the_points_have() -> None:
    def rows(reverse: bool) -> list[MeterRead]:
        rig, sink = Rig(), MemorySink()
        for number in range(9):
            rig.meter("dds238", number // 3 + 1, gateway=f"g{number % 3}")
        poll = poller(rig, sink, quarantine=Quarantine())
        poll.points = sorted(rig.points.values(), key=lambda p: p.meter_id, reverse=reverse)
        rig.run(lambda: poll.cycle(rig.clock.now()))
        return sorted(sink.reads, key=lambda r: (r.meter_id, r.channel))

    assert rows(False) == rows(True)
