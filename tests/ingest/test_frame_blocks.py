"""A ciphered push in blocks of a general block transfer, each in an HDLC frame of its own, as some meters send it."""

from itertools import pairwise

import pytest

from ingest.frames import FrameReader
from ingest.pushes import profiles
from ingest.wire import ciphering, hdlc
from ingest.wire.assembly import Block, block_bytes
from ingest.wire.sift import Sifter

KNOWN = profiles()
KEYS = ciphering.Keys(bytes(range(16)), bytes(range(0xD0, 0xE0)))
TITLE = b"PWT\x00\x00\x00\x00\x01"


def plain(name: str) -> bytes:
    """The APDU inside a profile's example."""
    raw = bytes.fromhex(KNOWN[name].examples[0].frame)
    (piece,) = Sifter().feed(raw)
    return piece.content.information[3:] if isinstance(piece.content, hdlc.Frame) else raw


def frames(apdu: bytes, *sizes: int) -> list[bytes]:
    """``apdu`` as blocks of these sizes and the rest, each with its LLC in one unnumbered HDLC frame."""
    ends = [0, *(sum(sizes[: n + 1]) for n in range(len(sizes))), len(apdu)]
    pieces = [apdu[start:end] for start, end in pairwise(ends)]
    blocks = [Block(n, 0, n == len(pieces), True, 1, piece) for n, piece in enumerate(pieces, 1)]
    to, by = hdlc.address(1), hdlc.address(1)
    return [hdlc.encode(hdlc.Frame(to, by, 0x13, hdlc.LLC_REQUEST + block_bytes(block))) for block in blocks]


SEALED = ciphering.general(ciphering.seal(plain("kamstrup"), KEYS, title=TITLE, counter=9))


def found(data: bytes, step: int = 0) -> list[tuple[str, str]]:
    reader = FrameReader(KNOWN, keys=KEYS)
    pieces = [data[at : at + step] for at in range(0, len(data), step)] if step else [data]
    return [(f.reason, f.profile) for piece in pieces for f in reader.feed(piece)] + [
        (f.reason, f.profile) for f in reader.close()
    ]


@pytest.mark.parametrize("step", [0, 1, 7])
def test_two_blocks_in_two_frames_are_one_ciphered_push(step: int) -> None:
    assert found(b"".join(frames(SEALED, 120)), step) == [("", "kamstrup")]
    assert found(b"".join(frames(SEALED, 60, 60)), step) == [("", "kamstrup")]


def test_a_block_that_is_missing_repeated_or_bent_costs_its_own_message_only() -> None:
    one, two, three = frames(SEALED, 60, 60)
    whole = one + two + three
    assert found(one + one + two + two + three) == [("", "kamstrup")]
    assert found(one + three + whole)[-1] == ("", "kamstrup")
    assert {reason for reason, _ in found(one + three + whole)} == {"truncated", ""}
    bent = two[:40] + bytes([two[40] ^ 1]) + two[41:]
    reasons = [reason for reason, _ in found(one + bent + three + whole)]
    assert reasons[-1] == "" and "bad_checksum" in reasons and reasons.count("") == 1
