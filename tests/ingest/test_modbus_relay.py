"""The Modbus link on virtual time: a relay moves only when it may, and only evidence says that it did."""

from datetime import timedelta

import pytest

from ingest.records import Drive, DriveResult, RelayState
from tests.ingest.rig import START, Rig

SLOT = START


def order(action: str, fence: int, *, minutes: int = 30, command: str = "C1") -> Drive:
    return Drive(command, "M1", action, fence, START + timedelta(minutes=minutes))


@pytest.mark.parametrize("model", ["dds238", "lx47le"])
def test_a_drive_moves_the_relay_and_the_read_back_says_so(model: str) -> None:
    rig = Rig()
    point = rig.meter(model)

    async def story() -> list[object]:
        link = rig.links["g1"]
        off = await link.drive(point, order("disconnect", 1))
        dark = await link.relay(point)
        on = await link.drive(point, order("connect", 2))
        return [off.result, dark.state, dark.power_w, dark.source, on.result, (await link.relay(point)).state]

    assert rig.run(story) == [
        DriveResult.ACKNOWLEDGED,
        RelayState.OPEN,
        0,
        "read_back",
        DriveResult.ACKNOWLEDGED,
        RelayState.CLOSED,
    ]
    assert rig.fences.raised == [("M1", 1), ("M1", 2)]


def test_an_out_fenced_an_expired_and_a_repeated_order_are_dropped() -> None:
    rig = Rig()
    point = rig.meter("dds238")
    rig.fences.fences["M1"] = 5

    async def story() -> list[DriveResult]:
        link = rig.links["g1"]
        results = [
            await link.drive(point, order("disconnect", 4)),
            await link.drive(point, order("disconnect", 6, minutes=0)),
            await link.drive(point, order("disconnect", 6)),
        ]
        rig.meters["M1"].switch(RelayState.CLOSED, rig.clock.now(), "crew")
        results.append(await link.drive(point, order("disconnect", 6)))  # the crew's closing stands
        return [outcome.result for outcome in results]

    assert rig.run(story) == [
        DriveResult.FENCED,
        DriveResult.EXPIRED,
        DriveResult.ACKNOWLEDGED,
        DriveResult.FENCED,
    ]
    assert [state for _, state, _ in rig.meters["M1"].relay_changes] == [RelayState.OPEN, RelayState.CLOSED]


def test_an_order_that_expires_while_its_fence_is_committed_is_not_sent() -> None:
    rig = Rig()
    point = rig.meter("dds238")
    commit = rig.fences.raise_to

    async def slow(meter: str, fence: int) -> None:
        await rig.clock.sleep(120)
        await commit(meter, fence)

    rig.fences.raise_to = slow  # type: ignore[method-assign]
    outcome = rig.run(lambda: rig.links["g1"].drive(point, order("disconnect", 1, minutes=1)))
    assert outcome.result is DriveResult.EXPIRED
    assert rig.meters["M1"].relay is RelayState.CLOSED


def test_a_stuck_relay_may_be_driven_again_under_the_same_fence() -> None:
    rig = Rig()
    point = rig.meter("dds238")
    rig.meters["M1"].relay = RelayState.OPEN
    rig.meters["M1"].faults.add("stuck_relay")

    async def story() -> list[str]:
        link = rig.links["g1"]
        first = await link.drive(point, order("connect", 3))
        rig.meters["M1"].faults.clear()
        second = await link.drive(point, order("connect", 3))
        return [first.result, first.reason, second.result, second.reason]

    assert rig.run(story) == ["acknowledged", "read_back open", "acknowledged", ""]
    assert rig.meters["M1"].relay is RelayState.CLOSED


def test_a_lost_acknowledgement_is_unknown_and_the_repetition_finds_the_work_done() -> None:
    rig = Rig()
    point = rig.meter("dds238")

    async def story() -> list[str]:
        link = rig.links["g1"]
        task = rig.loop.create_task(link.drive(point, order("disconnect", 1)))
        while not rig.fences.raised:
            await rig.clock.sleep(0.001)
        rig.faults.lost_answer = 1.0
        first = await task
        rig.faults.lost_answer = 0.0
        second = await link.drive(point, order("disconnect", 1))
        return [first.result, first.reason, second.result, second.reason]

    assert rig.run(story) == ["unknown", "timeout", "acknowledged", "already"]
    assert len(rig.meters["M1"].relay_changes) == 1


@pytest.mark.parametrize(
    ("model", "fault", "result", "reason"),
    [
        ("dds238", "wrong_unit", DriveResult.REFUSED, "wrong_unit"),
        ("dds238", "dead", DriveResult.UNREACHABLE, "timeout"),
        ("lx47le", "locked", DriveResult.REFUSED, "locked"),
        ("sdm630", "", DriveResult.REFUSED, "read_only"),
        ("em115", "", DriveResult.REFUSED, "read_only"),
    ],
)
def test_a_relay_that_must_not_move_does_not(model: str, fault: str, result: DriveResult, reason: str) -> None:
    rig = Rig()
    point = rig.meter(model)
    rig.meter(model, 2)
    rig.meters["M1"].faults |= {fault} - {""}
    outcome = rig.run(lambda: rig.links["g1"].drive(point, order("disconnect", 1)))
    assert (outcome.result, outcome.reason) == (result, reason)
    assert [m.relay_changes for m in rig.meters.values()] == [[], []]
    assert rig.fences.raised == []


def test_the_device_s_own_no_is_a_refusal() -> None:
    rig = Rig()
    point = rig.meter("dds238")
    rig.meters["M1"].keep_power = True
    outcome = rig.run(lambda: rig.links["g1"].drive(point, order("disconnect", 1)))
    assert (outcome.result, outcome.reason) == (DriveResult.REFUSED, "exception_illegal_value")


def test_an_unreachable_gateway_leaves_the_fence_alone() -> None:
    rig = Rig()
    point = rig.meter("dds238")
    rig.faults.down.add("g1")
    outcome = rig.run(lambda: rig.links["g1"].drive(point, order("disconnect", 1)))
    assert outcome.result is DriveResult.UNREACHABLE
    assert rig.fences.raised == []


def test_nothing_is_known_of_a_silent_relay() -> None:
    rig = Rig()
    point = rig.meter("dds238")
    rig.meters["M1"].faults.add("dead")
    report = rig.run(lambda: rig.links["g1"].relay(point))
    assert report.state is RelayState.UNKNOWN
    assert report.source == "timeout"
