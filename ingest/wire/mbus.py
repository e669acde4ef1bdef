"""Bytes at a start character become one M-Bus long frame (EN 13757-2), and joined frames one DLMS APDU.

Austrian and other meters push DLMS over M-Bus: CI 00 to 1F is the segment number, bit 4 set on the last one, behind it
two transport addresses (EN 13757-1). A frame holds at most 250 bytes of data, so an APDU takes several.
"""

from typing import Final, NamedTuple

from ingest.wire.checksums import sum8
from ingest.wire.seen import BAD, MORE, NONE, Seen

START: Final = 0x68
STOP: Final = 0x16
_LAST: Final = 0x10


class Frame(NamedTuple):
    """One long frame: control, address, control information and what follows it."""

    control: int
    address: int
    information: int
    payload: bytes

    @property
    def number(self) -> int:
        """The segment's number, from 0."""
        return self.information & 0x0F

    @property
    def last(self) -> bool:
        """Whether the APDU ends here."""
        return bool(self.information & _LAST)

    @property
    def dlms(self) -> bool:
        """Whether it carries a DLMS segment behind two transport addresses."""
        return self.information <= 0x1F and len(self.payload) > 2


def encode(frame: Frame) -> bytes:
    """The bytes of one long frame; ValueError above 252 bytes of payload."""
    body = bytes([frame.control, frame.address, frame.information]) + frame.payload
    if len(body) > 0xFF:
        raise ValueError(f"an M-Bus frame of {len(body)} bytes, the most is 255: use segments")
    return bytes([START, len(body), len(body), START]) + body + bytes([sum8(body), STOP])


def look(data: bytes | bytearray, at: int = 0) -> Seen[Frame]:
    """What stands at ``at``: a long frame has its length twice between two start characters."""
    seen = bytes(data[at : at + 4])
    if seen[:1] != b"\x68" or (len(seen) > 2 and seen[1] != seen[2]) or (len(seen) > 3 and seen[3] != START):
        return Seen(None, NONE, 0)
    if len(seen) < 4 or len(data) - at < 6 + seen[1]:
        short = len(seen) > 1 and seen[1] < 3
        return Seen(None, NONE if short else MORE, len(data) - at)
    size = 6 + seen[1]
    if seen[1] < 3:
        return Seen(None, NONE, 0)
    body = bytes(data[at + 4 : at + 4 + seen[1]])
    if data[at + size - 2] != sum8(body) or data[at + size - 1] != STOP:
        return Seen(None, BAD, size)
    return Seen(Frame(body[0], body[1], body[2], body[3:]), "", size)
