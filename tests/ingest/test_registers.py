"""Register decoding against hand-made bytes, its inverse, and the read planner against a slow reference."""

import struct
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.model import Encoding, Quantity, Register, WordOrder
from ingest.wire.registers import Block, decode, encode, plan_reads, step

LOW = WordOrder.LOW_FIRST


def register(encoding: Encoding, scale: Fraction = Fraction(1), words: WordOrder = WordOrder.HIGH_FIRST) -> Register:
    return Register(Quantity.IMPORT, 3, 0, encoding, scale, words)


@pytest.mark.parametrize(
    ("encoding", "scale", "words", "data", "value"),
    [
        (Encoding.FLOAT32, Fraction(1), WordOrder.HIGH_FIRST, "43663334", 230),
        (Encoding.FLOAT32, Fraction(1000), WordOrder.HIGH_FIRST, "42f6e979", 123_456),
        (Encoding.FLOAT32, Fraction(1000), LOW, "e97942f6", 123_456),
        (Encoding.INT32, Fraction(100), LOW, "e2400001", 12_345_600),
        (Encoding.INT32, Fraction(1, 10), WordOrder.HIGH_FIRST, "fffffff1", -2),  # -1.5 rounds half to even
        (Encoding.UINT32, Fraction(10), WordOrder.HIGH_FIRST, "00001788", 60_240),
        (Encoding.INT16, Fraction(1), WordOrder.HIGH_FIRST, "ff38", -200),
        (Encoding.UINT16, Fraction(1, 10), WordOrder.HIGH_FIRST, "0902", 231),
        (Encoding.INT64, Fraction(1), WordOrder.HIGH_FIRST, "000000000012d687", 1_234_567),
        (Encoding.UINT64, Fraction(10), LOW, "d431000000000000", 543_210),
    ],
)
def test_decodes_what_the_meter_wrote(
    encoding: Encoding, scale: Fraction, words: WordOrder, data: str, value: int
) -> None:
    assert decode(register(encoding, scale, words), bytes.fromhex(data)) == value


def test_not_available_is_no_value() -> None:
    nothing = Register(Quantity.IMPORT, 3, 0, Encoding.UINT32, not_available=(0xFFFF_FFFF,))
    assert decode(nothing, b"\xff" * 4) is None
    assert decode(nothing, b"\xff\xff\xff\xfe") == 0xFFFF_FFFE
    for special in ("nan", "inf", "-inf"):
        assert decode(register(Encoding.FLOAT32), struct.pack(">f", float(special))) is None


@given(st.sampled_from(list(Encoding)), st.binary(max_size=12))
def test_never_raises_and_a_wrong_length_is_no_value(encoding: Encoding, data: bytes) -> None:
    value = decode(register(encoding), data)
    assert value is None or len(data) == 2 * register(encoding).count


@given(
    st.sampled_from([e for e in Encoding if e is not Encoding.FLOAT32]),
    st.sampled_from([Fraction(1), Fraction(10), Fraction(1, 10), Fraction(100)]),
    st.sampled_from(list(WordOrder)),
    st.integers(0, 30_000),
)
def test_a_coarse_register_shows_the_value_rounded_down(
    encoding: Encoding, scale: Fraction, words: WordOrder, value: int
) -> None:
    one = register(encoding, scale, words)
    if value / scale >= 1 << (16 * one.count - 1):
        return
    shown = decode(one, encode(one, value))
    assert shown == value - value % step(one)


@given(st.integers(0, 8_000_000))
def test_a_float_of_kwh_shows_every_wh_up_to_8_mwh(value: int) -> None:
    one = register(Encoding.FLOAT32, Fraction(1000))
    assert decode(one, encode(one, value)) == value


REGISTERS = st.lists(
    st.builds(
        Register,
        st.just(Quantity.POWER),
        st.sampled_from([3, 4]),
        st.integers(0, 60),
        st.sampled_from([Encoding.UINT16, Encoding.FLOAT32, Encoding.INT64]),
    ),
    max_size=12,
)


@given(REGISTERS, st.integers(4, 40), st.integers(0, 20))
def test_the_plan_covers_each_register_once_within_the_limits(wanted: list[Register], most: int, gap: int) -> None:
    blocks = plan_reads(wanted, most=most, gap=gap)
    assert sorted((r.function, r.address, r.count) for b in blocks for r in b.registers) == sorted(
        (r.function, r.address, r.count) for r in wanted
    )
    for block in blocks:
        assert block.count <= most
        used = {at for r in block.registers for at in range(r.address, r.address + r.count)}
        assert min(used) == block.address
        assert max(used) == block.address + block.count - 1
        hole = longest = 0
        for at in range(block.address, block.address + block.count):
            hole = 0 if at in used else hole + 1
            longest = max(longest, hole)
        assert longest <= gap


@given(
    st.lists(
        st.builds(
            Register,
            st.sampled_from(list(Quantity)),
            st.just(3),
            st.integers(0, 12),
            st.sampled_from(list(Encoding)),
            st.sampled_from([Fraction(1), Fraction(10), Fraction(1, 10), Fraction(3, 1000)]),
            st.sampled_from(list(WordOrder)),
            st.sampled_from([(), (0xFFFF,), (0x8000, 0), (0x4366_3334, 0x8000_0000)]),
        ).filter(lambda register: all(pattern >> (16 * register.count) == 0 for pattern in register.not_available)),
        min_size=1,
        max_size=5,
    ),
    st.data(),
)
def test_reading_a_block_at_once_gives_what_each_register_says(wanted: list[Register], data: st.DataObject) -> None:
    for block in plan_reads(wanted, most=60, gap=20):
        words = st.sampled_from([b"\0\0", b"\xff\xff", b"\x80\0", b"\x43\x66", b"\x33\x34", b"\x7f\xc0"])
        whole = b"".join(data.draw(st.lists(words, min_size=block.count, max_size=block.count)))
        cut = data.draw(st.integers(0, 2 * block.count))
        for raw in (whole, whole[:cut]):
            assert block.reader()(raw) == [block.value(register, raw) for register in block.registers]


def test_a_block_hands_each_register_its_own_bytes() -> None:
    one = Register(Quantity.POWER, 3, 10, Encoding.UINT16)
    two = Register(Quantity.IMPORT, 3, 13, Encoding.UINT32)
    block = Block(3, 10, 5, (one, two))
    data = bytes.fromhex("0001 aaaa bbbb 0000 0002".replace(" ", ""))
    assert block.value(one, data) == 1
    assert block.value(two, data) == 2
    assert block.value(two, data[:-1]) is None
