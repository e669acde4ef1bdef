"""The Q/GDW 376.1 codec: frames that others captured, the layouts by hand, any stream byte at a time, and back."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import WireRefusal
from ingest.wire import dlt645
from ingest.wire import qgdw376_items as items
from ingest.wire import qgdw376_orders as orders
from ingest.wire.qgdw376 import (
    MAX_USER,
    Address,
    Afn,
    Frame,
    Reader,
    Tag,
    address_of,
    encode,
    look,
    sequence,
    whole,
)
from ingest.wire.qgdw376_items import Unit
from ingest.wire.qgdw376_orders import Order

# Frames that stand in public programs and their notes (docs/howto/dial-in.md names them); none was made by this code.
LOGIN = "683200320068C9000234120002710000010085 16"
CAPTURED = {
    LOGIN: ("020004660", 0xC9, Afn.LINK, 1),
    "683200320068C9000234120002710000040088 16": ("020004660", 0xC9, Afn.LINK, 3),
    "6832003200680B00023412000061000001 00B516": ("020004660", 0x0B, Afn.CONFIRM, 1),
    "685200520068A0000234120400E00000010011000027521307057616": ("020004660", 0xA0, Afn.CONFIRM, 1),
    "683200320068C90521B2A10002790000010 0BE16": ("210541394", 0xC9, Afn.LINK, 1),
    "683200320068C95507070000027100000100A016": ("075500007", 0xC9, Afn.LINK, 1),
    "683200320068C93412010000027D000001009016": ("123400001", 0xC9, Afn.LINK, 1),
    "6832003200680B00509A3900006200000100 9116": ("500014746", 0x0B, Afn.CONFIRM, 1),
    "683200320068C903440400000272000004008C16": ("440300004", 0xC9, Afn.LINK, 3),
}
RESET = (
    "688A008A00684100023412040 1F00000010000000000000000000000000000000000002853130705 1916",
    "688A008A006841034407000201F10000020000000000000000000000000000000000C137581017 00FC16",
)
FORWARD = (
    "68E200E200684B000234120410E0000001001F6BBC0A1000686110013012156811043333343 37B16"
    "00000000000000000000000000000000 001351232105A116"
)
FORWARDED = "68AE00AE0068A8000234120410E0000001001F140068611001301215689108333334 33AB3933334916 4F00 000650232105AE16"
DAILY = "6839013901684B02438B07140D6F0201011425121102010414251211 0401011425121104010414251211"
DAILY += "080101142512110801041425121110010114251211100104142512112001011425121120010414251211E916"
ASK_129 = "6832003200687B01581128020C6002010110 8F16"


def raw(text: str) -> bytes:
    return bytes.fromhex(text.replace(" ", ""))


def taken(text: str) -> Frame:
    """A frame that must be right to its last byte, there and back."""
    seen = look(raw(text))
    assert seen.frame is not None and seen.size == len(raw(text))
    assert encode(seen.frame) == raw(text)
    return seen.frame


def test_captured_frames_say_what_their_owners_say() -> None:
    for text, (name, control, afn, fn) in CAPTURED.items():
        frame = taken(text)
        assert (frame.address.name, frame.control, frame.afn) == (name, control, afn)
        assert items.units(frame) == (Unit(0, fn),)
        assert frame.up == (control > 0x7F) and frame.starts == (control == 0xC9)
    confirmed = taken("685200520068A0000234120400E00000010011000027521307057616")
    assert confirmed.events == b"\x11\x00" and confirmed.tag == Tag(0, 7, 13, 52, 27, 5)
    assert confirmed.address.msa == 2 and confirmed.number == 0 and not confirmed.wants_confirmation


def test_captured_orders_carry_their_password_and_time_tag() -> None:
    first, second = (taken(text) for text in RESET)
    assert first.password == second.password == bytes(16)
    assert (first.tag, second.tag) == (Tag(0, 7, 13, 53, 28, 5), Tag(193, 17, 10, 58, 37, 0))
    assert first.wants_confirmation and items.points(second.body) == ((0, 2),)


def test_a_captured_meter_read_through_a_terminal() -> None:
    ask, answer = taken(FORWARD), taken(FORWARDED)
    (asked,) = orders.asked(ask)
    inner = asked.data[6:]
    assert asked.data == items.forward(inner, port=31, wait_s=60)
    request = dlt645.look(inner).frame
    assert request is not None and (request.address, request.identifier) == ("151230011061", "00010000")
    (given_back,) = items.units(answer)
    meter = dlt645.look(items.forwarded(given_back)).frame
    assert meter is not None and meter.address == request.address and meter.data[4:].hex() == "78060000"
    assert answer.events == b"\x4f\x00"


def test_captured_reads_name_points_and_items() -> None:
    assert orders.asked(taken(ASK_129)) == (Unit(2, 129),)
    daily = orders.asked(taken(DAILY))
    assert [unit.pn for unit in daily] == [2, 2, 3, 3, 4, 4, 5, 5, 6, 6]
    assert {unit.fn for unit in daily} == {161, 163} and {unit.data.hex() for unit in daily} == {"251211"}


def up(afn: int, *units: Unit, control: int = 0x88) -> Frame:
    body = b"".join(items.identifier(unit.pn, unit.fn) + unit.data for unit in units)
    return Frame(control, address_of("020004660", 1), afn, sequence(3), body)


def test_registers_with_rates_by_hand() -> None:
    # 09:05 on 1 July 2026; four rates; 123456.7890, 100000.0000, none, 23456.7890 and 0 kWh
    body = "0509010726 04 9078563412 0000000010 EEEEEEEEEE 9078563402 0000000000"
    found = items.registers(Unit(1, 129, raw(body)))
    assert found.at == datetime(2026, 7, 1, 9, 5)
    assert found.total_wh == 123_456_789 and found.rates_wh == (100_000_000, None, 23_456_789, 0)
    frozen = items.registers(Unit(1, 161, raw("300626 0500010726 00 9078563412")))
    assert frozen.day == datetime(2026, 6, 30) and frozen.at == datetime(2026, 7, 1, 0, 5)
    assert frozen.total_wh == 123_456_789 and frozen.rates_wh == ()
    whole_frame = up(Afn.CLASS1, Unit(1, 129, raw(body)), Unit(2, 129, raw("0509010726 00 0100000000")))
    assert [unit.pn for unit in items.units(whole_frame)] == [1, 2]
    both = raw("0509010726 00 9078563412 00000000 00000000 00000000")
    assert items.registers(items.units(up(Afn.CLASS1, Unit(1, 33, both)))[0]).total_wh == 123_456_789


def test_load_by_hand() -> None:
    powers = "458701 000000 000000 458781" + "000000" * 4  # 1.8745 kW in all, -1.8745 kW in phase C
    volts = "0122 9821 EEEE"
    body = "0509010726" + powers + "0010" * 4 + volts + "234501 000000 EEEEEE 000000" + "000000" * 4
    unit = items.units(up(Afn.CLASS1, Unit(1, 25, raw(body))))[0]
    assert items.load(unit) == items.Load(datetime(2026, 7, 1, 9, 5), 1874, (2201, 2198, None), (14_523, 0, None))


def test_control_states_by_hand() -> None:
    two = raw("05 05 010000 02 0000 010000 00 0000")  # groups 1 and 3, purchase control on group 1
    (state,) = items.units(up(Afn.CLASS1, Unit(0, 5, two)))
    assert items.control_state(state) == items.ControlState(True, False, True, frozenset({1}))
    (found,) = items.units(up(Afn.CLASS1, Unit(0, 6, raw("02 01 01 0000 00 00 00 04 00 00"))))
    tripped = items.outputs(found)
    assert tripped.remote == {2} and tripped.alarm and tripped.purchase == {3}
    assert [n for n in range(1, 9) if tripped.tripped(n)] == [2, 3]


def test_single_denials_by_hand() -> None:
    (unit,) = items.units(up(Afn.CONFIRM, Unit(0, 3, raw("05 00000103 00 00000203 02"))))
    assert items.denials(unit) == {(0, 25): 0, (0, 26): 2}


def test_orders_are_one_unit_each() -> None:
    assert orders.unit(0, Order.KEEP_POWER, orders.keep_power(4)).hex() == "0000010304"
    assert orders.unit(1, Order.PURCHASE).hex() == "01018001"
    assert orders.unit(3, Order.TRIP, orders.trip(alarm_min=5, half_hours=2)).hex() == "0401010052"
    with pytest.raises(ValueError, match="half hours"):
        orders.keep_power(49)
    with pytest.raises(ValueError, match="minutes"):
        orders.trip(alarm_min=16)
    with pytest.raises(ValueError, match="p0 F0"):
        items.identifier(0, 0)


def test_what_cannot_be_is_refused_with_a_word() -> None:
    bad = {
        "unknown_list": up(Afn.CLASS1, Unit(1, 200, b"\x01")),
        "truncated": up(Afn.CLASS1, Unit(1, 25, bytes(66))),
        "bad_count": up(Afn.CLASS1, Unit(1, 129, raw("0509010726 FF 00"))),
        "bad_unit": Frame(0x88, address_of("020004660"), 0x0C, 0x61, b"\x01\x00\x01\x00"),
        "no_time": up(Afn.CLASS1, Unit(1, 129, raw("6199010726 00 0000000000"))),
        "bad_bcd": up(Afn.CLASS1, Unit(1, 129, raw("0509010726 00 0A00000000"))),
    }
    for reason, frame in bad.items():
        with pytest.raises(WireRefusal) as refused:
            [items.registers(unit) for unit in items.units(frame)]
        assert refused.value.reason == reason


def test_addresses_are_written_and_read() -> None:
    assert address_of("020004660", 2) == Address("0200", 4660, 2)
    assert Address.of(b"\x00\x02\x34\x12\x05") == Address("0200", 4660, 2, group=True)
    for bad in ("", "020000000", "020065535", "02000466", "0200466a0", "zzzz00001"):
        with pytest.raises(ValueError, match="terminal"):
            address_of(bad)


names = st.builds(Address, st.from_regex(r"[0-9]{4}", fullmatch=True), st.integers(0, 65535), st.integers(0, 127))
tags = st.builds(
    Tag, st.integers(0, 255), st.integers(1, 31), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59),
    st.integers(0, 255),
)  # fmt: skip
frames = st.builds(
    lambda address, afn, number, body, events, tag, confirm: Frame(
        0xA8 if events else 0x88, address, afn, sequence(number, confirm=confirm, tag=tag is not None), body,
        events=events, tag=tag,
    ),
    names, st.sampled_from([0, 2, 0x0C, 0x0D, 0x0E, 0x10]), st.integers(0, 15), st.binary(max_size=200),
    st.sampled_from([b"", b"\x16\x68"]), st.none() | tags, st.booleans(),
)  # fmt: skip


@given(frames)
def test_any_frame_there_and_back(frame: Frame) -> None:
    assert look(encode(frame)).frame == frame
    down = frame._replace(control=0x41, password=bytes(range(16)) if frame.afn == 0x10 else b"", events=b"")
    assert look(encode(down)).frame == down


@given(st.lists(st.tuples(st.binary(max_size=40), frames), max_size=4), st.integers(1, 50))
def test_a_stream_in_any_pieces_gives_every_frame_between_noise(parts: list[tuple[bytes, Frame]], step: int) -> None:
    """Noise without a 68 in it costs nothing; pieces of any size, one byte among them, give the same."""
    noise = [part.replace(b"\x68", b"\x00") for part, _ in parts]
    stream = b"".join(before + encode(frame) for before, (_, frame) in zip(noise, parts, strict=True))
    for size in (1, step):
        reader = Reader()
        found = [frame for at in range(0, len(stream), size) for frame in reader.feed(stream[at : at + size])]
        assert found == [frame for _, frame in parts]
        assert reader.held == 0 and reader.dropped == sum(map(len, noise))


def test_a_lost_beginning_costs_only_its_own_frame() -> None:
    good = raw(LOGIN)
    for cut in range(1, len(good)):
        reader = Reader()
        assert [frame.address.name for frame in reader.feed(good[cut:] + good + good)][-2:] == ["020004660"] * 2
        broken = bytearray(good)
        broken[cut] ^= 0x10
        reader = Reader()
        found = reader.feed(bytes(broken) + good * 3 + bytes(MAX_USER))
        assert len(found) >= 3 - (cut < 6)


def test_endless_input_holds_little() -> None:
    for piece in (b"\x68", b"\x00", raw("680240024068") + b"\x11" * 7, b"\x68\x32\x00\x32\x00\x68\xc9"):
        reader = Reader()
        for _ in range(1000):
            assert reader.feed(piece * 5) == []
            assert reader.held <= MAX_USER + 8
    assert look(b"").miss == "not_a_frame"


def test_a_message_in_several_frames_is_put_together() -> None:
    def part(number: int, flags: int, text: bytes) -> Frame:
        return Frame(0x88, address_of("020004660"), 0x0C, flags | number, text)

    parts = [part(15, 0x40, b"a"), part(0, 0x00, b"b"), part(1, 0x20, b"c")]
    one = whole(parts)
    assert one.body == b"abc" and one.number == 15 and one.first and one.last
    for missing in (parts[:2], parts[1:], [parts[0], parts[2]], []):
        with pytest.raises(WireRefusal, match="half_frame"):
            whole(missing)


def test_times_of_a_terminal_there_and_back() -> None:
    at = datetime(2026, 7, 1, 9, 5, 7)
    assert items.clock_of(items.clock_bytes(at)) == at and items.clock_bytes(at)[4] >> 5 == at.isoweekday()
    assert items.minute_of(items.minute_bytes(at)) == at.replace(second=0)
    assert items.minute_of(b"\xee" * 5) is None and items.minute_of(b"\xff" * 5) is None
    assert items.day_bytes(at).hex() == "010726"
    with pytest.raises(WireRefusal, match="no_time"):
        items.clock_of(b"\x00" * 5)


def test_lengths_out_of_bounds_are_refused() -> None:
    with pytest.raises(ValueError, match="at most"):
        encode(Frame(0x88, address_of("020004660"), 0x0C, 0x60, bytes(MAX_USER)))
    with pytest.raises(ValueError, match="PW of"):
        encode(Frame(0x41, address_of("020004660"), 5, 0x60, b"", password=b"123"))
    with pytest.raises(ValueError, match="fit no address"):
        Address("0200", 70_000).raw()
