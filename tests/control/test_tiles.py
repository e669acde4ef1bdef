"""The board's tile as a function of the three machines and the age of the read."""

from datetime import timedelta
from typing import Any

import pytest

from control import tiles
from control.records import Action, Credit, Service
from ingest.records import RelayState
from tests.control.scenes import CNY, HOUR, NOW, POLICY, PROTECTED, hold, paid_and_dark, ready_to_cut, well_off

ON: dict[str, Any] = {"live_command": "c", "live_action": Action.CONNECT.value}
CUT: dict[str, Any] = {"live_command": "c", "live_action": Action.DISCONNECT.value}


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (well_off(), "active"),
        (well_off(accrued_micro=75 * CNY), "warning"),
        (ready_to_cut(), "grace"),
        (ready_to_cut(**CUT), "pending"),
        (ready_to_cut(service=Service.ARMED_FOR_DISCONNECT), "pending"),
        (paid_and_dark(), "disconnected"),
        (paid_and_dark(relay=RelayState.READY), "disconnected"),
        (paid_and_dark(relay=RelayState.UNKNOWN), "disconnected"),
        (paid_and_dark(**ON), "reconnecting"),
        (paid_and_dark(service=Service.ARMED_FOR_CONNECTION), "reconnecting"),
        (ready_to_cut(holds=(hold("protected"),)), "protected"),
        (ready_to_cut(holds=(hold("dispute"),)), "grace"),
        (ready_to_cut(read_end=None), "stale"),
        (ready_to_cut(read_end=NOW - 4 * HOUR), "grace"),
        (ready_to_cut(read_end=NOW - 4 * HOUR - timedelta(seconds=1)), "stale"),
    ],
)
def test_tiles(case: Any, expected: str) -> None:
    assert tiles.tile(case, POLICY) == expected


def test_the_protected_class_and_totality() -> None:
    assert tiles.tile(ready_to_cut(), PROTECTED) == "protected"
    seen = {
        tiles.tile_of(credit, service, relay, live_action=live, protected=protected, stale=stale)
        for credit in Credit
        for service in Service
        for relay in RelayState
        for live in ("", "connect", "disconnect")
        for protected in (False, True)
        for stale in (False, True)
    }
    assert seen == set(tiles.TILES)
