"""Orders to terminals and their read-back, trips with fences, daily freezes, clocks and doubtful registers."""

from datetime import timedelta

import pytest

from ingest.errors import ProfileError
from ingest.records import Channel, DriveResult, Flag, RelayState
from ingest.wire.qgdw376_orders import Order
from tests.ingest.terminal_rig import HOUR, NAME, START, TerminalRig

SWITCHING = "qgdw376_switching"


@pytest.mark.parametrize(
    ("order", "undone", "shown"),
    [
        (Order.KEEP_POWER, Order.KEEP_POWER_OFF, lambda terminal: terminal.kept),
        (Order.ALARM, Order.ALARM_OFF, lambda terminal: terminal.alarm),
        (Order.PURCHASE, Order.PURCHASE_OFF, lambda terminal: 1 in terminal.purchase),
    ],
)
def test_an_order_counts_when_the_terminal_shows_it(order: Order, undone: Order, shown: object) -> None:
    rig = TerminalRig()
    assert callable(shown)

    async def story() -> None:
        await rig.dial()
        until = rig.clock.now() + HOUR
        assert await rig.link.tell(rig.point(), order, until, cuts_by_itself=True) == "" and shown(rig.terminal)
        assert await rig.link.tell(rig.point(), undone, until) == "" and not shown(rig.terminal)
        rig.terminal.faults.add("lying_state")
        assert await rig.link.tell(rig.point(), order, until, cuts_by_itself=True) == "not_in_force"
        assert rig.terminal.orders == [order, undone, order]

    rig.run(story)


def test_keep_power_ends_after_its_half_hours_and_refuses_a_trip_meanwhile() -> None:
    rig = TerminalRig(model=SWITCHING)

    async def story() -> None:
        await rig.dial()
        until = rig.clock.now() + HOUR
        assert await rig.link.tell(rig.point(), Order.KEEP_POWER, until, half_hours=1) == ""
        outcome = await rig.link.drive(rig.point(), rig.order())
        assert (outcome.result, outcome.reason) == (DriveResult.REFUSED, "keep_power")
        await rig.clock.sleep(1801)
        assert not rig.terminal.kept
        assert (await rig.link.drive(rig.point(), rig.order(fence=2))).result is DriveResult.ACKNOWLEDGED

    rig.run(story)


def test_a_terminal_that_holds_the_credit_itself_is_not_tripped_from_here() -> None:
    rig = TerminalRig(model=SWITCHING)

    async def story() -> None:
        await rig.dial()
        rig.terminal.purchase.add(1)
        outcome = await rig.link.drive(rig.point(), rig.order())
        assert (outcome.result, outcome.reason) == (DriveResult.REFUSED, "holds_credit")

    rig.run(story)


def test_purchase_control_needs_a_persons_word() -> None:
    rig = TerminalRig(model=SWITCHING)

    async def story() -> None:
        await rig.dial()
        until = rig.clock.now() + HOUR
        assert await rig.link.tell(rig.point(), Order.PURCHASE, until) == "cuts_by_itself"
        assert rig.terminal.orders == []
        assert await rig.link.tell(rig.point(), Order.PURCHASE, until, cuts_by_itself=True) == ""
        assert rig.terminal.purchase == {1}

    rig.run(story)


def test_reasons_why_an_order_does_not_leave() -> None:
    rig = TerminalRig(model=SWITCHING)

    async def story() -> None:
        until = rig.clock.now() + HOUR
        point = rig.point()
        assert await rig.link.tell(point, Order.ALARM, until) == "unreachable"
        await rig.dial()
        assert await rig.link.tell(point, Order.TRIP, until) == "not_here"
        assert await rig.link.tell(rig.point(secret="none"), Order.ALARM, until) == "no_secret"
        rig.secrets["short"], rig.secrets["odd"] = b"0011", b"zz"
        assert await rig.link.tell(rig.point(secret="short"), Order.ALARM, until) == "bad_secret"
        assert await rig.link.tell(rig.point(secret="odd"), Order.ALARM, until) == "bad_secret"
        rig.secrets["other"] = b"ff" * 16
        assert await rig.link.tell(rig.point(secret="other"), Order.ALARM, until) == "device_denied"
        assert await rig.link.tell(point, Order.ALARM, rig.clock.now() + timedelta(seconds=30)) == "unreachable"
        rig.terminal.skew_s = 600
        assert await rig.link.tell(point, Order.ALARM, until) == "bad_time"
        wrong = await rig.link.drive(rig.point(serial="020004660-9"), rig.order())
        assert (wrong.result, wrong.reason) == (DriveResult.REFUSED, "wrong_unit")
        assert rig.terminal.orders == [] and not rig.terminal.alarm

    rig.run(story)


def test_a_late_order_is_void_at_the_terminal() -> None:
    """The order is held back on the way for longer than its time tag allows: nothing is tripped."""
    rig = TerminalRig(model=SWITCHING, timeout_s=1.0)

    async def story() -> None:
        await rig.dial()
        deliver = rig.streams[0].ask

        def held(data: bytes) -> list[bytes]:
            if data[12] == 0x05:  # AFN
                rig.terminal.skew_s += 121  # as if the terminal saw it two minutes later
            return deliver(data)

        rig.streams[0].ask = held  # type: ignore[method-assign]
        outcome = await rig.link.drive(rig.point(), rig.order(minutes=2))
        assert (outcome.result, outcome.reason) == (DriveResult.UNKNOWN, "timeout")
        assert rig.meter().relay is RelayState.CLOSED and rig.terminal.orders == []

    rig.run(story)


def test_trip_and_permission_with_fences_and_a_person_at_the_breaker() -> None:
    rig = TerminalRig(model=SWITCHING)

    async def story() -> None:
        await rig.dial()
        point = rig.point()
        assert (await rig.link.drive(point, rig.order(fence=2))).reason == ""
        assert (await rig.link.relay(point)).state is RelayState.OPEN
        assert (await rig.link.drive(point, rig.order("connect", fence=1))).result is DriveResult.FENCED
        done = await rig.link.drive(point, rig.order("connect", fence=3))
        assert (done.result, done.reason) == (DriveResult.ACKNOWLEDGED, "")
        report = await rig.link.relay(point)
        assert (report.state, report.power_w) == (RelayState.READY, 0)
        assert rig.terminal.press()
        report = await rig.link.relay(point)
        assert (report.state, report.power_w) == (RelayState.CLOSED, 1200)
        assert rig.terminal.orders == [Order.TRIP, Order.PERMIT]

    rig.run(story)


def test_a_terminal_that_only_says_yes_is_not_believed() -> None:
    rig = TerminalRig(model=SWITCHING)

    async def story() -> None:
        await rig.dial()
        rig.terminal.faults.add("lying_state")
        outcome = await rig.link.drive(rig.point(), rig.order())
        assert (outcome.result, outcome.reason) == (DriveResult.ACKNOWLEDGED, "read_back closed")

    rig.run(story)


def test_an_answer_lost_after_the_order_left_is_unknown_and_the_repetition_trips_once() -> None:
    rig = TerminalRig(model=SWITCHING)

    async def story() -> None:
        await rig.dial()
        arrived = rig.streams[0].ask

        def lossy(data: bytes) -> list[bytes]:
            answers = arrived(data)
            return [] if data[12] == 0x05 else answers

        rig.streams[0].ask = lossy  # type: ignore[method-assign]
        assert (await rig.link.drive(rig.point(), rig.order())).result is DriveResult.UNKNOWN
        rig.streams[0].ask = arrived  # type: ignore[method-assign]
        again = await rig.link.drive(rig.point(), rig.order())
        assert (again.result, again.reason) == (DriveResult.ACKNOWLEDGED, "already")
        assert rig.terminal.orders == [Order.TRIP]

    rig.run(story)


def test_daily_freezes_fill_gaps_at_local_midnights() -> None:
    rig = TerminalRig()

    async def story() -> None:
        await rig.clock.sleep(3 * 86_400)
        await rig.dial()
        poll = await rig.link.profile(rig.point(), START, rig.clock.now())
        assert [finding.code for finding in poll.findings] == []
        stored = dict(rig.meter().profile)
        assert [(read.end, read.register_wh) for read in poll.reads] == [
            (end, stored[end]) for end in (START.replace(hour=16) + timedelta(days=n) for n in range(3))
        ]
        assert {read.flags for read in poll.reads} == {int(Flag.BACKFILL)}
        empty = await rig.link.profile(rig.point(), START, START + HOUR)
        assert empty.reads == () and empty.serial == f"{NAME}-1"

    rig.run(story)


def test_a_clock_that_is_off_flags_the_reads_and_their_times_are_put_right() -> None:
    rig = TerminalRig()
    rig.terminal.skew_s = 1800

    async def story() -> None:
        await rig.dial()
        poll = await rig.link.poll(rig.point(), START)
        assert [finding.code for finding in poll.findings] == ["clock_off"]
        assert all(read.flags == Flag.CLOCK for read in poll.reads) and 1798 <= (poll.offset_s or 0) <= 1801
        await rig.clock.sleep(1500)
        late = await rig.link.poll(rig.point(), START)
        assert all(read.flags & Flag.UNCERTAIN for read in late.reads)
        early = await rig.link.poll(rig.point(), START + HOUR)
        assert early.reads == () and early.findings[-1].code == "stale_value"

    rig.run(story)


def test_a_register_that_cannot_be_is_suspect_and_one_that_changes_is_refused() -> None:
    rig = TerminalRig()

    async def story() -> None:
        await rig.dial()
        await rig.link.poll(rig.point(), START)
        rig.meter().register_mwh += 10**11
        poll = await rig.link.poll(rig.point(), START)
        (read,) = (read for read in poll.reads if read.channel == Channel.IMPORT)
        assert read.flags & Flag.SUSPECT and "too_fast" in {finding.code for finding in poll.findings}
        shown = iter([5 * 10**11, 4 * 10**11])
        answered = rig.streams[0].ask

        def jumping(data: bytes) -> list[bytes]:
            if data[12] == 0x0C and data[17] == 0x10 and data[16] == 0x01:
                rig.meter().register_mwh = next(shown)
            return answered(data)

        rig.streams[0].ask = jumping  # type: ignore[method-assign]
        poll = await rig.link.poll(rig.point(), START)
        assert Channel.IMPORT not in {read.channel for read in poll.reads}
        assert "unstable_value" in {finding.code for finding in poll.findings}

    rig.run(story)


def test_without_a_terminal_the_meter_is_unreachable_and_a_wrong_model_is_our_error() -> None:
    rig = TerminalRig()

    async def story() -> None:
        poll = await rig.link.poll(rig.point(), START)
        assert [finding.code for finding in poll.findings] == ["unreachable"] and not poll.serial
        assert (await rig.link.profile(rig.point(), START, START)).findings[0].code == "unreachable"
        assert (await rig.link.relay(rig.point())).source == "unreachable"
        assert (await rig.link.drive(rig.point(), rig.order())).result is DriveResult.UNREACHABLE
        with pytest.raises(ProfileError, match="sdm630"):
            await rig.link.poll(rig.point(model="sdm630"), START)
        swapped = rig.point(serial="020004660-7")
        await rig.dial()
        poll = await rig.link.poll(swapped, START)
        assert poll.reads == () and poll.findings[0].code == "wrong_unit"

    rig.run(story)
