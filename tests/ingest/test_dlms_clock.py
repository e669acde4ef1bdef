"""Setting a meter's clock: a little off is set and read back, far off is a person's decision."""

import pytest

from tests.ingest.dlms_rig import DlmsRig


@pytest.mark.parametrize(
    ("skew_s", "said", "after_s"), [(0, "", 0), (2, "", 2), (90, "", 0), (-600, "", 0), (901, "drift", 901)]
)
def test_a_clock_is_set_within_the_limit(skew_s: int, said: str, after_s: int) -> None:
    rig = DlmsRig()
    rig.meter().skew_s = skew_s
    assert rig.run(lambda: rig.link.set_clock(rig.point())) == said
    assert abs(rig.meter().skew_s - after_s) <= 1


def test_a_dead_meter_says_why() -> None:
    rig = DlmsRig()
    rig.meter().faults.add("dead")
    assert rig.run(lambda: rig.link.set_clock(rig.point())) == "timeout"
