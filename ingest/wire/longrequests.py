"""A long SET or ACTION goes in, blocks that fit the meter come out, and what the meter says of each; and the way back.

IEC 62056-5-3, 9.3: set-request-with-first-datablock and -with-datablock, action-request-with-first-pblock and -pblock.
Bytes raise only ``WireRefusal``.
"""

from typing import Final, NamedTuple

from ingest.errors import WireRefusal
from ingest.wire import apdu
from ingest.wire.axdr import Cursor, octets
from ingest.wire.cosem import Name, obis_text

FIRST: Final = {apdu.SET: 2, apdu.ACTION: 4}
LATER: Final = {apdu.SET: 3, apdu.ACTION: 6}
TAKEN: Final = {apdu.SET_ANSWER: 2, apdu.ACTION_ANSWER: 4}
SET_LAST: Final = 3
HEAD: Final = 24
"""Bytes of a block's APDU in front of its raw data, at most."""
MAX_REQUEST: Final = 1 << 20
"""Bytes that a meter gathers of one request."""


class Block(NamedTuple):
    """One block of a long request; ``name`` only with the first, ``tag`` SET or ACTION."""

    tag: int
    invoke: int
    name: Name | None
    last: bool
    number: int
    raw: bytes


class Taken(NamedTuple):
    """The meter took a block; ``result`` with the last of a SET (an ACTION ends with its usual answer)."""

    tag: int
    invoke: int
    number: int
    result: int | None = None


def split(tag: int, invoke: int, name: Name, raw: bytes, size: int) -> list[Block]:
    """``raw`` in blocks whose APDUs have at most ``size`` bytes; ValueError when nothing fits into one."""
    room = size - HEAD
    if room < 1:
        raise ValueError(f"blocks of {size} bytes hold nothing: {HEAD} are their head")
    starts = range(0, max(1, len(raw)), room)
    return [
        Block(tag, invoke, None if start else name, start + room >= len(raw), number, raw[start : start + room])
        for number, start in enumerate(starts, 1)
    ]


def encode(block: Block) -> bytes:
    """One block as an APDU."""
    choice = FIRST if block.name is not None else LATER
    head = bytes([block.tag, choice[block.tag], block.invoke])
    if block.name is not None:
        head += block.name.pack() + (b"\x00" if block.tag == apdu.SET else b"")  # a SET may have selective access
    return head + bytes([block.last]) + block.number.to_bytes(4, "big") + octets(block.raw)


def decode(raw: bytes) -> Block | None:
    """The block of a long request that ``raw`` is (the meter's side), None when it is anything else."""
    if len(raw) < 3 or raw[0] not in FIRST or raw[1] not in (FIRST[raw[0]], LATER[raw[0]]):
        return None
    cursor = Cursor(raw, 3)
    name = None
    if raw[1] == FIRST[raw[0]]:
        name = Name(cursor.uint(2), obis_text(cursor.take(6)), cursor.byte())
        if raw[0] == apdu.SET and cursor.byte():
            raise WireRefusal("bad_access", "a long SET of a part of an attribute")
    block = Block(raw[0], raw[2], name, cursor.byte() != 0, cursor.uint(4), cursor.octets())
    cursor.end()
    return block


def encode_taken(taken: Taken) -> bytes:
    """What the meter says of a block."""
    if taken.result is not None:
        return bytes([taken.tag, SET_LAST, taken.invoke, taken.result]) + taken.number.to_bytes(4, "big")
    return bytes([taken.tag, TAKEN[taken.tag], taken.invoke]) + taken.number.to_bytes(4, "big")


def decode_taken(raw: bytes) -> Taken | None:
    """What ``raw`` says of a block, None when it is another answer."""
    if len(raw) < 3 or raw[0] not in TAKEN:
        return None
    last = raw[0] == apdu.SET_ANSWER and raw[1] == SET_LAST
    if raw[1] != TAKEN[raw[0]] and not last:
        return None
    cursor = Cursor(raw, 3)
    result = cursor.byte() if last else None
    taken = Taken(raw[0], raw[2], cursor.uint(4), result)
    cursor.end()
    return taken


class Gathered:
    """The meter's side: blocks of one long request at a time, joined."""

    def __init__(self) -> None:
        """Nothing under way."""
        self._name: Name | None = None
        self._raw = bytearray()
        self._number = 0

    def take(self, block: Block) -> tuple[Name, bytes] | None:
        """The request that ``block`` completes; None while more is to come; WireRefusal loses what was gathered."""
        if block.name is not None and block.number == 1:
            self._name, self._raw, self._number = block.name, bytearray(), 0
        if self._name is None or block.number != self._number + 1 or len(self._raw) > MAX_REQUEST:
            self._name = None
            raise WireRefusal("block_lost", f"block {block.number} after {self._number}")
        self._number = block.number
        self._raw += block.raw
        if not block.last:
            return None
        name, self._name = self._name, None
        return name, bytes(self._raw)
