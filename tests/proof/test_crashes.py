"""The process dies between two steps: after the restart nothing is lost and nothing is sent a second time."""

from pathlib import Path

import pytest

from control.records import Action, CommandState
from ingest.records import Drive, RelayState
from tests.control.rig import Crash, Rig
from tests.control.test_dispatch import order


@pytest.mark.parametrize("action", list(Action))
def test_a_crash_while_the_answer_is_awaited_sends_nothing_twice(tmp_path: Path, action: Action) -> None:
    """The order was carried out and the process died before it heard so: it is read back, and never sent again."""
    rig = Rig(tmp_path)
    order(rig, action)

    def die(drive: Drive) -> None:
        raise Crash(drive.command)

    rig.link.after_drive = die
    with pytest.raises(Crash):
        rig.dispatch()
    rig.reopen()
    rig.link.after_drive = None
    rig.clock.forward(130)
    rig.dispatch(turns=5, pause_s=60)
    assert len(rig.link.drives) == 1
    assert rig.command().state is CommandState.VERIFIED
    assert rig.meter.relay is (RelayState.OPEN if action is Action.DISCONNECT else RelayState.CLOSED)
