"""DL/T 645: the codec against its own encoder, the relay by the meter's firmware rules, refusals by their names."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import WireRefusal
from ingest.records import DriveOutcome, DriveResult, Flag, RelayState
from ingest.wire import dlt645
from ingest.wire.dlt645 import Frame, Order
from ingest.wire.dlt645_items import item_of, readings
from ingest.wire.sift import Sifter
from sim.dlt645 import Dlt645Meter
from tests.ingest.dlt645_rig import HOUR, START, Dlt645Rig

ADDRESS = "202607140001"


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 255), st.binary(max_size=200), st.integers(0, 10**12 - 1))
def test_a_frame_comes_back_as_it_left(control: int, data: bytes, number: int) -> None:
    frame = Frame(f"{number:012d}", control, data)
    (piece,) = Sifter().feed(dlt645.encode(frame))
    assert piece.content == frame
    raw = dlt645.encode(frame, preamble=b"")
    here = Sifter()
    found = [piece.content for byte in raw for piece in here.feed(bytes([byte]))]
    assert found == [frame] and here.close() == []


def test_a_checksum_that_equals_the_end_byte_ends_nothing() -> None:
    frames = (Frame(ADDRESS, 0x91, bytes([n])) for n in range(256))
    trap = next(f for f in frames if dlt645.encode(f)[-2] == dlt645.STOP)
    assert [p.content for p in Sifter().feed(dlt645.encode(trap) + dlt645.encode(trap))] == [trap, trap]


@given(st.integers(-(10**6) + 1, 10**6 - 1), st.integers(3, 4))
def test_signed_numbers_come_back(value: int, size: int) -> None:
    if abs(value) < 8 * 10 ** (2 * size - 1):
        assert dlt645.bcd(dlt645.bcd_bytes(value, size, signed=True), signed=True) == value


def test_blocks_and_demands_are_taken_apart() -> None:
    block = Frame(ADDRESS, 0x91, bytes.fromhex("00ff0100" + "56341200" + "11000000" + "45341200"))
    assert [(r.identifier, r.obis, r.value) for r in readings(block)] == [
        ("00010000", "1.0.1.8.0.255", Decimal(1_234_560)),
        ("00010100", "1.0.1.8.1.255", Decimal(110)),
        ("00010200", "1.0.1.8.2.255", Decimal(1_234_450)),
    ]
    volts = Frame(ADDRESS, 0x91, bytes.fromhex("00ff0102" + "0123" + "ffff" + "9822"))
    assert [r.value for r in readings(volts)] == [Decimal("230.1"), None, Decimal("229.8")]
    demand = Frame(ADDRESS, 0x91, bytes.fromhex("00000101" + "563412" + "3018140726"))
    (reading,) = readings(demand)
    assert (reading.value, reading.at) == (Decimal("12345.6"), datetime(2026, 7, 14, 18, 30))
    assert item_of("00150000") is not None and item_of("02ff0000") is None


@pytest.mark.parametrize("data", ["00000100aa341200", "00000100563412", "0000010056341200aa", "99999999", "00ff0100"])
def test_what_is_no_number_is_refused(data: str) -> None:
    with pytest.raises(WireRefusal):
        readings(Frame(ADDRESS, 0x91, bytes.fromhex(data)))


def drive(rig: Dlt645Rig) -> DriveOutcome:
    return rig.run(lambda: rig.link.drive(rig.point(), rig.order()))


def relay(unit: Dlt645Meter) -> RelayState:
    return unit.meter.relay


def test_trip_and_close_with_their_read_back() -> None:
    rig = Dlt645Rig()

    async def story() -> None:
        out = await rig.link.drive(rig.point(), rig.order("disconnect", 1))
        assert (out.result, out.reason) == (DriveResult.ACKNOWLEDGED, "")
        assert (await rig.link.relay(rig.point())).state is RelayState.OPEN
        assert (await rig.link.drive(rig.point(), rig.order("disconnect", 1))).result is DriveResult.FENCED
        out = await rig.link.drive(rig.point(), rig.order("connect", 2))
        assert (out.result, rig.unit().meter.relay) == (DriveResult.ACKNOWLEDGED, RelayState.CLOSED)
        assert rig.unit().meter.valid_until is not None

    rig.run(story)


def test_arm_permits_and_a_person_closes() -> None:
    rig = Dlt645Rig()

    async def story() -> None:
        await rig.link.drive(rig.point(), rig.order("disconnect", 1))
        out = await rig.link.drive(rig.point(), rig.order("arm", 2))
        assert out.result is DriveResult.ACKNOWLEDGED
        assert rig.unit().permitted and rig.unit().meter.relay is RelayState.OPEN
        assert rig.unit().press(rig.clock.now())

    rig.run(story)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"meter_type": 1}, "holds_credit"),
        ({"meter_type": 2}, "holds_credit"),
        ({"password": "999999"}, "bad_password"),
    ],
)
def test_a_meter_that_says_no_is_a_refusal(change: dict[str, int | str], reason: str) -> None:
    rig = Dlt645Rig()
    for name, value in change.items():
        setattr(rig.unit(), name, value)

    async def story() -> None:
        for fence, action in enumerate(("disconnect", "connect"), 1):
            out = await rig.link.drive(rig.point(), rig.order(action, fence))
            assert (out.result, out.reason) == (DriveResult.REFUSED, reason)

    rig.run(story)
    assert rig.unit().meter.relay_changes == []


def test_keep_power_refuses_a_trip_until_it_is_taken_off() -> None:
    rig = Dlt645Rig()
    until = START + HOUR

    async def story() -> None:
        assert await rig.link.tell(rig.point(), Order.KEEP_POWER, until) == ""
        out = await rig.link.drive(rig.point(), rig.order())
        assert (out.result, out.reason) == (DriveResult.REFUSED, "other")
        assert await rig.link.tell(rig.point(), Order.KEEP_POWER_OFF, until) == ""
        assert await rig.link.tell(rig.point(), Order.ALARM, until) == "" and rig.unit().meter.alarm
        assert await rig.link.tell(rig.point(), Order.TRIP, until) == "not_here"
        out = await rig.link.drive(rig.point(), rig.order("disconnect", 2))
        assert out.result is DriveResult.ACKNOWLEDGED

    rig.run(story)


@pytest.mark.parametrize("secret", [None, b"", b"12345", b"abcdef"])
def test_without_a_password_nothing_is_sent(secret: bytes | None) -> None:
    rig = Dlt645Rig()
    rig.secrets = {} if secret is None else {"meter": secret}
    rig.link._secrets = rig.secrets.get
    out = drive(rig)
    assert (out.result, out.reason) == (DriveResult.REFUSED, "no_secret" if secret is None else "bad_secret")


def test_a_clock_that_is_off_refuses_a_trip_and_moves_the_expiry_of_a_close() -> None:
    rig = Dlt645Rig()
    rig.unit().meter.skew_s = 7200

    async def story() -> None:
        out = await rig.link.drive(rig.point(), rig.order())
        assert (out.result, out.reason) == (DriveResult.REFUSED, "bad_time")
        out = await rig.link.drive(rig.point(), rig.order("connect", 2))
        assert out.result is DriveResult.ACKNOWLEDGED
        poll = await rig.link.poll(rig.point(), START)
        assert poll.offset_s in (7199, 7200) and poll.reads[0].flags & Flag.CLOCK

    rig.run(story)


def test_an_order_that_arrives_after_its_expiry_does_nothing() -> None:
    rig = Dlt645Rig()
    unit = rig.unit()
    control = dlt645.Control(Order.TRIP, datetime(2026, 7, 1, 16, 59), unit.password)
    assert unit.order(control, START) is dlt645.Fault.OTHER  # 17:00 on the meter's wall
    assert unit.order(control._replace(until=datetime(2026, 7, 1, 17, 1)), START) == 0


def test_the_firmware_waits_restores_and_needs_voltage() -> None:
    unit = Dlt645Rig().unit()
    control = dlt645.Control(Order.TRIP_RESTORE_DIRECT, datetime(2026, 7, 2), unit.password)
    unit.trip_delay_s, unit.restore_s = 60, 600
    assert unit.order(control, START) == 0
    assert unit.status_word() & 0xD0 == 0xC0  # told, alarm, still closed
    unit.advance(START + timedelta(seconds=61))
    assert unit.status_word() & 0xD0 == 0x50
    unit.advance(START + timedelta(seconds=661))
    assert unit.status_word() & 0xD0 == 0
    unit.voltage_v = 164  # below 0.75 x 220 V
    unit.trip_delay_s = 0
    assert unit.order(control._replace(order=Order.TRIP), START + HOUR) == 0
    assert relay(unit) is RelayState.CLOSED and unit.status_word() & 0x40
    unit.voltage_v = 165
    unit.advance(START + 2 * HOUR)
    assert relay(unit) is RelayState.OPEN


def test_a_stuck_or_lying_relay_shows_in_the_read_back() -> None:
    rig = Dlt645Rig()
    rig.unit().meter.faults.add("stuck_relay")
    out = drive(rig)
    assert (out.result, out.reason) == (DriveResult.ACKNOWLEDGED, "read_back closed")


def test_a_signed_meter_needs_its_signer() -> None:
    from dataclasses import replace

    from ingest.drivers import drivers
    from ingest.model import Dlt645Driver

    plain = drivers()["dlt645_2007"]
    assert isinstance(plain, Dlt645Driver)
    known = {"dlt645_2007": replace(plain, signed=True)}
    out = drive(Dlt645Rig(drivers=known))
    assert (out.result, out.reason) == (DriveResult.REFUSED, "no_signer")

    class Desk:
        def sign(self, address: str, order: bytes) -> bytes | None:
            return bytes.fromhex("02") + b"\x56\x34\x12" + bytes(4) + order if address == ADDRESS else None

    rig = Dlt645Rig(drivers=known, signer=Desk())
    assert drive(rig).result is DriveResult.ACKNOWLEDGED
    assert rig.unit().meter.relay is RelayState.OPEN


def test_one_meter_alone_may_be_found_by_the_wildcard_but_not_switched() -> None:
    rig = Dlt645Rig()

    async def story() -> None:
        poll = await rig.link.poll(rig.point(serial=""), START)
        assert poll.serial == ADDRESS and poll.reads
        out = await rig.link.drive(rig.point(serial=""), rig.order())
        assert (out.result, out.reason) == (DriveResult.REFUSED, "no_address")

    rig.run(story)
    crowd = Dlt645Rig(units=2)
    assert crowd.run(lambda: crowd.link.poll(crowd.point(serial=""), START)).reads == ()


def test_an_old_answer_is_never_taken_for_a_new_one() -> None:
    rig = Dlt645Rig(units=2)

    async def story() -> None:
        assert (await rig.link.poll(rig.point(2), START)).reads
        rig.unit(1).meter.faults.add("stale")
        poll = await rig.link.poll(rig.point(1), START)
        assert poll.reads == () and poll.findings[0].code == "timeout"
        assert rig.link.dropped["stale_answer"] >= 1

    rig.run(story)
