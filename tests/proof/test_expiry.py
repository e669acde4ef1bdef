"""What holds somebody on has an owner and an end: it counts from its start to its end, and not one second longer."""

from datetime import timedelta
from pathlib import Path

import pytest

from control import assemble, guards
from control.records import Hold, SafetyLock
from tests.control.rig import NOW, Rig, residential

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize("kind", ["dispute", "medical", "weather", "emergency", "remedy", "keep_power"])
@pytest.mark.parametrize("whom", ["A1", ""])
def test_a_hold_counts_from_its_start_to_its_end(tmp_path: Path, kind: str, whom: str) -> None:
    rig = Rig(tmp_path)
    rig.put(Hold("h", whom, kind, "office", NOW, NOW + timedelta(hours=1)))

    def held(seconds: int) -> bool:
        rig.clock.at = NOW + timedelta(seconds=seconds)
        case = rig.store.read(lambda reader: assemble.case(reader, "A1", rig.world()))
        assert case is not None
        return not guards.g5(case, residential(), False).value

    assert [held(seconds) for seconds in (-1, 0, 3599, 3600)] == [False, True, True, False]


def test_a_safety_lock_that_has_ended_keeps_nobody_dark(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.put(SafetyLock("l", "A1", "crew", "crew 7", NOW - SECOND, NOW + SECOND))
    case = rig.store.read(lambda reader: assemble.case(reader, "A1", rig.world()))
    rig.clock.at = NOW + SECOND
    after = rig.store.read(lambda reader: assemble.case(reader, "A1", rig.world()))
    assert case is not None and after is not None
    assert [guards.reconnect(one)[0].value for one in (case, after)] == [False, True]
