"""Bytes at a flag become one HDLC frame of format type 3, and a frame becomes bytes (IEC 62056-46, clause 6.4).

The reader trusts the length field, not the flags: pushed frames carry 7E inside, unstuffed. A frame is taken only with
a good header check and a good frame check; asynchronous stuffing (7D) is tried where the plain reading does not check.
"""

from enum import IntEnum
from typing import Final, NamedTuple

from ingest.wire.checksums import FCS_GOOD, fcs16, fcs_bytes
from ingest.wire.seen import BAD, MORE, NONE, Seen

FLAG: Final = 0x7E
ESCAPE: Final = 0x7D
MAX_LENGTH: Final = 0x7FF
"""The length field has 11 bits: everything between the flags."""
_FORMAT: Final = 0xA0  # format type 3 in the upper four bits
_SEGMENTED: Final = 0x08
LLC_REQUEST: Final = b"\xe6\xe6\x00"
LLC_RESPONSE: Final = b"\xe6\xe7\x00"


class Kind(IntEnum):
    """Control fields that are commands or answers of their own, without the poll/final bit."""

    RR = 0x01
    RNR = 0x05
    UI = 0x03
    DM = 0x0F
    DISC = 0x43
    UA = 0x63
    SNRM = 0x83
    FRMR = 0x87
    I = 0x00  # noqa: E741  (the standard's name)


class Frame(NamedTuple):
    """One frame: addresses as they are on the wire (1, 2 or 4 bytes), control byte, information field."""

    destination: bytes
    source: bytes
    control: int
    information: bytes = b""
    segmented: bool = False

    @property
    def kind(self) -> Kind | None:
        """What the control field is; None for one that IEC 62056-46 does not know."""
        if not self.control & 0x01:
            return Kind.I
        plain = self.control & ~0x10
        if plain & 0x0F in (Kind.RR, Kind.RNR):
            return Kind(plain & 0x0F)
        return Kind(plain) if plain in Kind.__members__.values() else None

    @property
    def final(self) -> bool:
        """The poll/final bit."""
        return bool(self.control & 0x10)

    @property
    def sent(self) -> int:
        """N(S) of an I frame."""
        return self.control >> 1 & 0x07

    @property
    def received(self) -> int:
        """N(R): the number of the frame that the sender expects next."""
        return self.control >> 5


def address(logical: int, physical: int | None = None, *, size: int = 0) -> bytes:
    """An address field: logical (upper) and physical (lower) part in 1, 2 or 4 bytes, the least that fit.

    >>> address(16).hex(), address(1, 17).hex(), address(1, 0x3fff).hex()
    ('21', '0223', '0002feff')
    """
    if physical is None:
        if not 0 <= logical <= 0x7F or size not in (0, 1):
            raise ValueError(f"address {logical} does not fit one byte: give a physical part too")
        return bytes([logical << 1 | 1])
    if not (0 <= logical <= 0x3FFF and 0 <= physical <= 0x3FFF):
        raise ValueError(f"address {logical}/{physical} is above 16383")
    if size == 4 or max(logical, physical) > 0x7F:
        high, low = ((part >> 7 << 9) | (part & 0x7F) << 1 for part in (logical, physical))
        return high.to_bytes(2, "big") + (low | 1).to_bytes(2, "big")
    return bytes([logical << 1, physical << 1 | 1])


def address_parts(raw: bytes) -> tuple[int, int | None]:
    """The logical and physical part of an address field; the physical one is None in one byte.

    >>> address_parts(bytes.fromhex("0002feff")), address_parts(bytes.fromhex("0223"))
    ((1, 16383), (1, 17))
    """
    half = len(raw) // 2
    parts = [0, 0]
    for at, byte in enumerate(raw):
        parts[at >= half] = parts[at >= half] << 7 | byte >> 1
    return (parts[1], None) if len(raw) == 1 else (parts[0], parts[1])


def encode(frame: Frame) -> bytes:
    """The bytes of one frame with both flags; ValueError when it is longer than its length field can say."""
    head = frame.destination + frame.source + bytes([frame.control])
    length = 2 + len(head) + 2 + (len(frame.information) + 2 if frame.information else 0)
    if length > MAX_LENGTH:
        raise ValueError(f"an HDLC frame of {length} bytes, the most is {MAX_LENGTH}: use segments")
    form = (_FORMAT | (_SEGMENTED if frame.segmented else 0)) << 8 | length
    raw = form.to_bytes(2, "big") + head
    raw += fcs_bytes(raw)
    if frame.information:
        raw += frame.information
        raw += fcs_bytes(raw)
    return b"\x7e" + raw + b"\x7e"


def look(data: bytes | bytearray, at: int = 0) -> Seen[Frame]:
    """What stands at ``at`` of ``data``, which must be a flag to be anything."""
    left = len(data) - at
    if left < 3:
        maybe = left == 0 or (data[at] == FLAG and (left == 1 or data[at + 1] & 0xF0 == _FORMAT))
        return Seen(None, MORE if maybe else NONE, left)
    if data[at] != FLAG or data[at + 1] & 0xF0 != _FORMAT:
        return Seen(None, NONE, 0)
    length = (data[at + 1] & 0x07) << 8 | data[at + 2]
    if length < 7:
        return Seen(None, NONE, 0)
    size = length + 2
    header = _header_good(data, at)
    if left < size:
        if header is False:
            return Seen(None, BAD, left)
        return Seen(None, MORE, left)
    raw = bytes(data[at + 1 : at + 1 + length])
    if data[at + size - 1] == FLAG and fcs16(raw) == FCS_GOOD:
        frame = _parse(raw)
        return Seen(frame, "" if frame else BAD, size)
    return _stuffed(data, at, length) or Seen(None, BAD, size)


def _header_good(data: bytes | bytearray, at: int) -> bool | None:
    """Whether the header check is right; None while it is not whole, or where no two addresses stand."""
    head = _header_size(data, at + 1)
    if head is None or len(data) < at + 1 + head + 2:
        return None
    return fcs16(bytes(data[at + 1 : at + 3 + head])) == FCS_GOOD


def _header_size(data: bytes | bytearray, at: int) -> int | None:
    """Bytes from the format field at ``at`` to the control field, both included; None when they are not (all) there."""
    end = at + 2
    for _ in range(2):
        start = end
        while end < len(data) and not data[end] & 1:
            end += 1
        end += 1
        if end > len(data) or end - start not in (1, 2, 4):
            return None
    return end + 1 - at if end < len(data) else None


def _parse(raw: bytes) -> Frame | None:
    """The frame between the flags, whose FCS is good; None when its header check is not, or it has no addresses."""
    head = _header_size(raw, 0)
    if head is None or len(raw) < head + 2:
        return None
    split = 2
    while not raw[split] & 1:
        split += 1
    split += 1
    information = b""
    if len(raw) > head + 2:
        if fcs16(raw[: head + 2]) != FCS_GOOD or len(raw) < head + 4:
            return None
        information = raw[head + 2 : -2]
    segmented = bool(raw[0] & _SEGMENTED)
    return Frame(raw[2:split], raw[split : head - 1], raw[head - 1], information, segmented)


def _stuffed(data: bytes | bytearray, at: int, length: int) -> Seen[Frame] | None:
    """The frame up to the next flag with 7D xx undone, or None when that gives none."""
    end = data.find(b"\x7e", at + 1, at + 2 + 2 * length)
    if end < 0 or ESCAPE not in data[at + 1 : end]:
        return None
    plain = bytearray()
    escaped = False
    for byte in data[at + 1 : end]:
        if byte == ESCAPE and not escaped:
            escaped = True
            continue
        plain.append(byte ^ 0x20 if escaped else byte)
        escaped = False
    raw = bytes(plain)
    if len(raw) != length or fcs16(raw) != FCS_GOOD:
        return None
    frame = _parse(raw)
    return None if frame is None else Seen(frame, "", end + 1 - at)
