"""The poller over a DLMS concentrator: a gap in what is stored fills itself from the meters' load profiles."""

from datetime import datetime

from ingest.poller import Poller
from ingest.records import Flag
from tests.ingest.dlms_rig import HOUR, START, DlmsRig, load
from tests.ingest.rig import MemoryGaps, MemorySink


def hourly(rig: DlmsRig, poller: Poller, hours: int, dark: range) -> None:
    """Cycle every hour; the concentrator's line is down and its first meter dead in the hours of ``dark``."""

    async def story() -> None:
        for hour in range(1, hours + 1):
            await rig.clock.sleep((START + hour * HOUR - rig.clock.now()).total_seconds() + 60)
            rig.network.set_down("c1", hour in dark)
            await poller.cycle(rig.clock.now())
            await rig.clock.sleep(400)
            await poller.cycle(rig.clock.now())

    rig.run(story)


def test_a_dark_night_leaves_no_gap_and_no_wrong_hour() -> None:
    rig, sink = DlmsRig(3), MemorySink()
    points = [rig.point(unit) for unit in (1, 2, 3)]
    poller = Poller(rig.clock, {"c1": rig.link}, points, sink, MemoryGaps(sink, START))
    hourly(rig, poller, 20, range(5, 14))
    wanted: dict[tuple[int, datetime], int] = {}
    for unit in (1, 2, 3):
        register_wh = unit * 10**6
        for hour in range(20):
            register_wh += load(START + hour * HOUR)
            wanted[unit, START + (hour + 1) * HOUR] = register_wh
    found = {(read.meter_id, read.end): read for read in sink.reads}
    assert set(found) == set(wanted)
    for key, read in found.items():
        late_wh = 0 if read.flags & Flag.BACKFILL else 60 * load(read.end) // 3600 + 2
        assert 0 <= read.register_wh - wanted[key] <= late_wh, key
    assert sum(bool(read.flags & Flag.BACKFILL) for read in sink.reads) == 3 * 9
    assert "unreachable" in sink.codes()
