"""Setting a meter's clock: a little off is set and read back, far off is a person's decision."""

import pytest

from tests.ingest.dlms_rig import START, DlmsRig


@pytest.mark.parametrize(
    ("skew_s", "said", "after_s"), [(0, "", 0), (2, "", 2), (90, "", 0), (-600, "", 0), (901, "drift", 901)]
)
def test_a_clock_is_set_within_the_limit(skew_s: int, said: str, after_s: int) -> None:
    rig = DlmsRig()
    rig.meter().skew_s = skew_s
    assert rig.run(lambda: rig.link.set_clock(rig.point())) == said
    assert abs(rig.meter().skew_s - after_s) <= 1


@pytest.mark.parametrize(("skew_s", "limit_s", "after_s"), [(90, 900, 0), (90, 60, 90), (90, 0, 90), (8, 900, 8)])
def test_a_visit_sets_a_clock_only_where_it_may_and_behind_its_reads(skew_s: int, limit_s: int, after_s: int) -> None:
    rig = DlmsRig(clock_limit_s=limit_s)
    rig.meter().skew_s = skew_s
    poll = rig.run(lambda: rig.link.poll(rig.point(), START))
    assert len(poll.reads) >= 1 and abs(rig.meter().skew_s - after_s) <= 1
    assert [finding.code for finding in poll.findings] == (["clock_set"] if after_s != skew_s else [])
    assert all(abs((read.offset_s or 0) - skew_s) <= 1 for read in poll.reads)  # what stamped them was the old clock


def test_a_dead_meter_says_why() -> None:
    rig = DlmsRig()
    rig.meter().faults.add("dead")
    assert rig.run(lambda: rig.link.set_clock(rig.point())) == "timeout"
