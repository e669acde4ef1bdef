"""A-XDR: every tag against bytes of the standard, round trips, and bytes that must be refused."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import WireRefusal
from ingest.wire.axdr import MAX_DEPTH, NUMBERS, Compact, Cursor, Data, Shape, Tag, decode, encode, length, read

EXAMPLES = {
    "00": Data(Tag.NULL),
    "0102110511ff": Data(Tag.ARRAY, (Data(Tag.UNSIGNED, 5), Data(Tag.UNSIGNED, 255))),
    "02020f01160b": Data(Tag.STRUCTURE, (Data(Tag.INTEGER, 1), Data(Tag.ENUM, 11))),
    "0301": Data(Tag.BOOLEAN, True),
    "040ca5f0": Data(Tag.BIT_STRING, "101001011111"),
    "05fffffffe": Data(Tag.DOUBLE_LONG, -2),
    "06fffffffe": Data(Tag.DOUBLE_LONG_UNSIGNED, 4294967294),
    "09060100010800ff": Data(Tag.OCTET_STRING, bytes.fromhex("0100010800ff")),
    "0a034b464d": Data(Tag.VISIBLE_STRING, "KFM"),
    "0c03e59bbd": Data(Tag.UTF8_STRING, "\u56fd"),
    "0d7f": Data(Tag.BCD, 127),
    "0f80": Data(Tag.INTEGER, -128),
    "108000": Data(Tag.LONG, -32768),
    "11ff": Data(Tag.UNSIGNED, 255),
    "12ffff": Data(Tag.LONG_UNSIGNED, 65535),
    "13120400010002": Data(
        Tag.COMPACT_ARRAY,
        Compact(Shape(Tag.LONG_UNSIGNED), (Data(Tag.LONG_UNSIGNED, 1), Data(Tag.LONG_UNSIGNED, 2))),
    ),
    "14ffffffffffffffff": Data(Tag.LONG64, -1),
    "15ffffffffffffffff": Data(Tag.LONG64_UNSIGNED, 2**64 - 1),
    "161e": Data(Tag.ENUM, 30),
    "173fc00000": Data(Tag.FLOAT32, 1.5),
    "183ff8000000000000": Data(Tag.FLOAT64, 1.5),
    "1907e40115021000000000ffc4": Data(Tag.DATE_TIME, bytes.fromhex("07e40115021000000000ffc4")),
    "1a07e4011502": Data(Tag.DATE, bytes.fromhex("07e4011502")),
    "1b10000000": Data(Tag.TIME, bytes.fromhex("10000000")),
    "1cff": Data(Tag.DELTA_INTEGER, -1),
    "1dffff": Data(Tag.DELTA_LONG, -1),
    "1effffffff": Data(Tag.DELTA_DOUBLE_LONG, -1),
    "1fff": Data(Tag.DELTA_UNSIGNED, 255),
    "20ffff": Data(Tag.DELTA_LONG_UNSIGNED, 65535),
    "21ffffffff": Data(Tag.DELTA_DOUBLE_LONG_UNSIGNED, 2**32 - 1),
    "ff": Data(Tag.DONT_CARE),
}


def test_every_tag_has_an_example() -> None:
    assert {data.tag for data in EXAMPLES.values()} == set(Tag)


@pytest.mark.parametrize("raw", EXAMPLES)
def test_examples_decode_and_encode(raw: str) -> None:
    assert decode(bytes.fromhex(raw)) == EXAMPLES[raw]
    assert encode(EXAMPLES[raw]).hex() == raw


@pytest.mark.parametrize("raw", EXAMPLES)
def test_examples_are_read_to_the_byte(raw: str) -> None:
    """Every shorter prefix is truncated, every longer one has a remainder."""
    whole = bytes.fromhex(raw)
    for size in range(len(whole)):
        with pytest.raises(WireRefusal):
            decode(whole[:size])
    with pytest.raises(WireRefusal, match="trailing"):
        decode(whole + b"\x00")
    cursor = Cursor(whole + b"\x99")
    assert read(cursor) == EXAMPLES[raw] and cursor.left == 1


def test_a_compact_array_of_structures() -> None:
    shape = Shape(Tag.STRUCTURE, 0, (Shape(Tag.OCTET_STRING), Shape(Tag.ARRAY, 2, (Shape(Tag.UNSIGNED),))))
    row = Data(
        Tag.STRUCTURE,
        (Data(Tag.OCTET_STRING, b"ab"), Data(Tag.ARRAY, (Data(Tag.UNSIGNED, 1), Data(Tag.UNSIGNED, 2)))),
    )
    data = Data(Tag.COMPACT_ARRAY, Compact(shape, (row, row)))
    assert encode(data).hex() == "13" + "0202" + "09" + "01000211" + "0a" + "02616201020261620102"
    assert decode(encode(data)) == data
    assert data.plain == [[b"ab", [1, 2]], [b"ab", [1, 2]]]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("07", "unknown_tag"),
        ("0980", "bad_length"),
        ("0985ffffffffff", "bad_length"),
        ("0984ffffffff", "truncated"),
        ("0184ffffffff", "truncated"),
        ("0101" * (MAX_DEPTH + 1) + "00", "too_deep"),
        ("13000100", "bad_shape"),  # null elements have no bytes
        ("13130100", "bad_shape"),  # nested
        ("1301ffff01ffff000100", "bad_shape"),
        ("1301ffff01ffff01ffff110100", "too_many_values|truncated"),
    ],
)
def test_hostile_bytes_are_refused_by_name(raw: str, reason: str) -> None:
    with pytest.raises(WireRefusal) as refused:
        decode(bytes.fromhex(raw))
    assert refused.value.reason in (*reason.split("|"), "too_many_values")


@pytest.mark.parametrize(
    "data",
    [
        Data(Tag.UNSIGNED, 256),
        Data(Tag.UNSIGNED, "5"),
        Data(Tag.OCTET_STRING, "text"),
        Data(Tag.DATE, b"four"),
        Data(Tag.VISIBLE_STRING, "\u56fd"),
        Data(Tag.ARRAY, 5),
        Data(Tag.COMPACT_ARRAY, Compact(Shape(Tag.UNSIGNED), (Data(Tag.INTEGER, 1),))),
        Data(Tag.COMPACT_ARRAY, Compact(Shape(Tag.STRUCTURE, 0, (Shape(Tag.ENUM),)), (Data(Tag.STRUCTURE, ()),))),
    ],
)
def test_values_that_do_not_fit_their_tag_are_our_error(data: Data) -> None:
    with pytest.raises(ValueError, match=r"hold|wants"):
        encode(data)


def _numbers() -> st.SearchStrategy[Data]:
    options = []
    for tag, packing in NUMBERS.items():
        if tag in (Tag.FLOAT32, Tag.FLOAT64):
            options.append(st.floats(width=packing.size * 8, allow_nan=False).map(lambda v, t=tag: Data(t, v)))
        else:
            raw = st.binary(min_size=packing.size, max_size=packing.size)
            options.append(raw.map(lambda b, t=tag, p=packing: Data(t, p.unpack(b)[0])))
    return st.one_of(options)


SCALARS = st.one_of(
    _numbers(),
    st.sampled_from([Data(Tag.NULL), Data(Tag.DONT_CARE), Data(Tag.BOOLEAN, True), Data(Tag.BOOLEAN, False)]),
    st.text("01", max_size=40).map(lambda bits: Data(Tag.BIT_STRING, bits)),
    st.binary(max_size=200).map(lambda raw: Data(Tag.OCTET_STRING, raw)),
    st.binary(max_size=20).map(lambda raw: Data(Tag.VISIBLE_STRING, raw.decode("latin-1"))),
    st.binary(max_size=20).map(lambda raw: Data(Tag.UTF8_STRING, raw.decode("utf-8", "surrogateescape"))),
    st.binary(min_size=12, max_size=12).map(lambda raw: Data(Tag.DATE_TIME, raw)),
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.tuples(st.sampled_from([Tag.ARRAY, Tag.STRUCTURE]), st.lists(inner, max_size=5)).map(
        lambda pair: Data(pair[0], tuple(pair[1]))
    ),
    max_leaves=30,
)


@settings(max_examples=300, deadline=None)
@given(TREES)
def test_what_is_encoded_decodes_to_itself(data: Data) -> None:
    assert decode(encode(data)) == data


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=120))
def test_any_bytes_decode_or_are_refused_and_what_decodes_is_stable(raw: bytes) -> None:
    try:
        data = decode(raw)
    except WireRefusal:
        return
    again = encode(data)
    assert encode(decode(again)) == again


@given(TREES, st.data())
def test_a_flipped_byte_decodes_or_is_refused(data: Data, draw: st.DataObject) -> None:
    raw = bytearray(encode(data))
    raw[draw.draw(st.integers(0, len(raw) - 1))] = draw.draw(st.integers(0, 255))
    try:
        decode(bytes(raw))
    except WireRefusal as refusal:
        assert refusal.reason


@given(st.integers(0, 2**32 - 1))
def test_lengths_round_trip(count: int) -> None:
    cursor = Cursor(length(count))
    assert cursor.length() == count and cursor.left == 0


def test_float_bits_survive() -> None:
    raw = b"\x17" + struct.pack(">f", 230.1)
    assert encode(decode(raw)) == raw
