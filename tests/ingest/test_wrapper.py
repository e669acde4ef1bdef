"""The wrapper reader: whole, byte at a time, with trailing data, at its limits, and on garbage."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.wire.wrapper import HEADER, Frame, Reader, encode

FRAMES = [Frame(1, 16, b"\x62\x01"), Frame(7, 16, bytes(range(200))), Frame(0xFFFF, 16, b"\x00" * 3)]
STREAM = b"".join(encode(*frame) for frame in FRAMES)


def test_a_whole_stream_gives_its_frames() -> None:
    reader = Reader()
    assert reader.feed(STREAM) == FRAMES
    assert (reader.held, reader.refusal) == (0, None)


def test_byte_at_a_time_gives_the_same_frames() -> None:
    reader = Reader()
    assert [frame for byte in STREAM for frame in reader.feed(bytes([byte]))] == FRAMES
    assert reader.held == 0


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_any_cut_gives_the_same_frames(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    reader = Reader()
    pieces = [STREAM[a:b] for a, b in itertools.pairwise(edges)]
    assert [frame for piece in pieces for frame in reader.feed(piece)] == FRAMES


def test_trailing_bytes_wait_for_their_frame() -> None:
    reader = Reader()
    assert reader.feed(STREAM + encode(1, 16, b"abc")[:9]) == FRAMES
    assert reader.held == 9
    assert reader.feed(b"bc") == [Frame(1, 16, b"abc")]


def test_half_a_frame_followed_by_a_whole_one_is_refused_not_joined() -> None:
    """Without a checksum the second frame's head would pass for the first one's value."""
    first, second = encode(1, 16, bytes.fromhex("c401c10006000012d4")), encode(2, 16, bytes(20))
    reader = Reader()
    assert reader.feed(first[: len(first) // 2]) == []
    assert reader.feed(second) == []
    assert reader.refusal is not None and reader.refusal.reason == "not_a_frame"
    assert reader.feed(STREAM) == [] and reader.held == 0


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"\x00\x02", id="version"),
        pytest.param(HEADER.pack(1, 1, 17, 4), id="port"),
        pytest.param(HEADER.pack(1, 1, 16, 0), id="empty"),
        pytest.param(HEADER.pack(1, 1, 16, 101), id="too long"),
    ],
)
def test_what_cannot_be_a_frame_is_refused_at_once(head: bytes) -> None:
    reader = Reader(limit=100, ports={16})
    assert reader.feed(encode(3, 16, b"ok")) == [Frame(3, 16, b"ok")]
    assert reader.feed(head) == []
    assert reader.refusal is not None


def test_the_limit_itself_passes() -> None:
    reader = Reader(limit=100)
    assert len(reader.feed(encode(1, 1, bytes(100)))) == 1


@pytest.mark.parametrize("size", [0, 65536])
def test_encoding_refuses_what_the_length_cannot_say(size: int) -> None:
    with pytest.raises(ValueError, match="block transfer"):
        encode(1, 1, bytes(size))


@given(st.lists(st.binary(max_size=400), max_size=20))
def test_garbage_never_raises_and_is_never_hoarded(pieces: list[bytes]) -> None:
    reader = Reader(limit=64)
    for piece in pieces:
        reader.feed(piece)
        assert reader.held <= 64 + HEADER.size + len(piece)
