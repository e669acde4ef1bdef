"""Relay orders through the DLMS link: fence, expiry, clock, identity, control modes, read-back."""

import asyncio
from dataclasses import replace

import pytest

from ingest.drivers.dlms_generic import DRIVER
from ingest.records import DriveOutcome, DriveResult, RelayState
from sim.concentrator import SECRET
from sim.logicaldevice import Firmware
from tests.ingest.dlms_rig import DlmsRig


def test_an_outcome_is_the_devices_not_the_links() -> None:
    """The whole life of a drive in one place: open, read back, fence, expiry, close."""
    rig = DlmsRig()

    async def main() -> list[DriveOutcome]:
        late = rig.order("connect", fence=3)
        found = [await rig.link.drive(rig.point(), rig.order("disconnect", fence=1))]
        assert (await rig.link.relay(rig.point())).state is RelayState.OPEN
        found.append(await rig.link.drive(rig.point(), rig.order("disconnect", fence=1)))
        found.append(await rig.link.drive(rig.point(), rig.order("connect", fence=2)))
        assert (await rig.link.relay(rig.point())).state is RelayState.CLOSED
        await rig.clock.sleep(46 * 60)
        found.append(await rig.link.drive(rig.point(), late))
        return found

    results = [outcome.result for outcome in rig.run(main)]
    assert results == [DriveResult.ACKNOWLEDGED, DriveResult.FENCED, DriveResult.ACKNOWLEDGED, DriveResult.EXPIRED]
    assert [state for _, state, _ in rig.meter().relay_changes] == [RelayState.OPEN, RelayState.CLOSED]
    assert rig.fences.raised == [("D1", 1), ("D1", 2)]


@pytest.mark.parametrize("mode", [1, 3, 5, 6])
def test_where_reconnecting_only_arms_a_person_closes(mode: int) -> None:
    rig = DlmsRig(firmware=Firmware(DRIVER, SECRET, control_mode=mode))

    async def main() -> tuple[RelayState, RelayState]:
        await rig.link.drive(rig.point(), rig.order("disconnect", fence=1))
        armed = await rig.link.drive(rig.point(), rig.order("arm", fence=2))
        assert (armed.result, armed.reason) == (DriveResult.ACKNOWLEDGED, "")
        ready = (await rig.link.relay(rig.point())).state
        assert rig.device.press(1)
        return ready, (await rig.link.relay(rig.point())).state

    assert rig.run(main) == (RelayState.READY, RelayState.CLOSED)


@pytest.mark.parametrize(
    ("prepare", "action", "result", "reason"),
    [
        (lambda rig: setattr(rig.meter(), "skew_s", 121), "disconnect", "refused", "bad_time"),
        (lambda rig: setattr(rig.meter(), "skew_s", -600), "connect", "acknowledged", ""),
        (lambda rig: setattr(rig.meter(), "skew_s", 119), "disconnect", "acknowledged", ""),
        (lambda rig: setattr(rig.meter(), "serial", "1"), "disconnect", "refused", "wrong_unit"),
        (lambda rig: setattr(rig.meter(), "keep_power", True), "disconnect", "refused", "temporary_failure"),
        (lambda rig: rig.secrets.clear(), "disconnect", "refused", "no_secret"),
        (lambda rig: rig.secrets.update(lls=b"x"), "connect", "refused", "bad_auth"),
        (lambda rig: rig.meter().faults.add("dead"), "connect", "unreachable", "timeout"),
        (lambda rig: rig.network.set_down("c1", True), "connect", "unreachable", "unreachable"),
        (lambda rig: None, "arm", "refused", "no_arm"),
        (lambda rig: None, "limit", "refused", "unknown_action"),
        (lambda rig: rig.meter().faults.add("stuck_relay"), "disconnect", "acknowledged", "read_back closed"),
    ],
)
def test_a_drive_says_why(prepare: object, action: str, result: str, reason: str) -> None:
    rig = DlmsRig()
    assert callable(prepare)
    prepare(rig)
    outcome = rig.run(lambda: rig.link.drive(rig.point(), rig.order(action)))
    assert (outcome.result.value, outcome.reason) == (result, reason)
    if result != "acknowledged":
        assert rig.meter().relay_changes == []


def test_a_lost_acknowledgement_is_unknown_and_nothing_is_sent_twice() -> None:
    rig = DlmsRig()
    session, switched = rig.device.session, []

    def deaf() -> object:
        real = session()
        feed = real.feed

        def lossy(data: bytes) -> list[bytes]:
            answers = feed(data)
            if data[8:10] == b"\xc3\x01":
                switched.append(data)
                return []
            return answers

        real.feed = lossy  # type: ignore[method-assign]
        return real

    rig.device.session = deaf  # type: ignore[method-assign, assignment]
    outcome = rig.run(lambda: rig.link.drive(rig.point(), rig.order()))
    assert (outcome.result, len(switched)) == (DriveResult.UNKNOWN, 1)
    assert rig.meter().relay is RelayState.OPEN
    assert rig.fences.fences == {"D1": 1}


def test_a_connection_that_died_since_the_last_visit_costs_an_order_nothing() -> None:
    """The peer resets on the first bytes, as after a restart: the order goes out on a fresh connection."""
    rig = DlmsRig()

    async def main() -> DriveOutcome:
        await rig.link.relay(rig.point())
        stream = rig.network._streams[-1]
        write = stream.write

        async def reset(data: bytes) -> None:
            stream.write = write  # type: ignore[method-assign]
            raise ConnectionResetError("reset by peer")

        stream.write = reset  # type: ignore[method-assign]
        return await rig.link.drive(rig.point(), rig.order())

    assert rig.run(main).result is DriveResult.ACKNOWLEDGED
    assert rig.meter().relay is RelayState.OPEN


def test_a_connection_that_ends_while_the_fence_is_committed_leaves_nothing_sent() -> None:
    rig = DlmsRig()
    raise_to = rig.fences.raise_to

    async def slow(meter: str, fence: int) -> None:
        await raise_to(meter, fence)
        rig.network.set_down("c1", True)
        await asyncio.sleep(1)

    rig.fences.raise_to = slow  # type: ignore[method-assign]
    outcome = rig.run(lambda: rig.link.drive(rig.point(), rig.order()))
    assert (outcome.result, outcome.reason) == (DriveResult.UNREACHABLE, "unreachable")
    assert rig.meter().relay_changes == []


def test_a_driver_without_verified_read_back_is_read_only() -> None:
    driver = replace(DRIVER, disconnect_verified=False)
    rig = DlmsRig(drivers={"dlms_generic": driver})
    outcome = rig.run(lambda: rig.link.drive(rig.point(), rig.order()))
    assert (outcome.result, outcome.reason) == (DriveResult.REFUSED, "read_only")
