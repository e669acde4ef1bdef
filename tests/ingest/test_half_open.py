"""A peer that is gone without a word: every link notices by its time-out, comes back on a connection of its own, and
stores no value of another time.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from ingest.records import Channel, Poll
from tests.ingest.dlms_rig import DlmsRig
from tests.ingest.dlt645_rig import Dlt645Rig
from tests.ingest.rig import Rig

HOURS, SHARE = 60, 0.06
HOUR = timedelta(hours=1)


def modbus(model: str) -> tuple[Any, Any, Any, Any]:
    rig = Rig()
    point = rig.meter(model)
    return rig, rig.links["g1"], point, rig.meters["M1"]


def dlms() -> tuple[Any, Any, Any, Any]:
    rig = DlmsRig()
    return rig, rig.link, rig.point(), rig.meter()


def dlt645() -> tuple[Any, Any, Any, Any]:
    rig = Dlt645Rig()
    return rig, rig.link, rig.point(), rig.unit().meter


WAYS: dict[str, Callable[[], tuple[Any, Any, Any, Any]]] = {
    "modbus": lambda: modbus("dds238"),
    "modbus_floats": lambda: modbus("sdm120"),
    "dlms": dlms,
    "dlt645": dlt645,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_gone_peer_costs_its_poll_and_no_wrong_value(way: str) -> None:
    rig, link, point, metal = WAYS[way]()

    async def story() -> list[tuple[Poll, int]]:
        polls = []
        for _ in range(HOURS):
            slot = rig.clock.now()
            metal.advance(slot)
            shown = metal.register_wh
            polls.append((await link.poll(point, slot), shown))
            await rig.clock.sleep((slot + HOUR - rig.clock.now()).total_seconds())
        return polls

    rig.faults.half_open = SHARE
    polls = rig.run(story)
    reads = [(read, shown) for poll, shown in polls for read in poll.reads if read.channel == Channel.IMPORT]
    assert rig.faults.counts["half_open"] >= 3 and len(reads) > HOURS // 2
    assert all(abs(read.register_wh - shown) <= 20 for read, shown in reads)
    assert {finding.code for poll, _ in polls for finding in poll.findings} <= {"timeout", "unreachable"}
