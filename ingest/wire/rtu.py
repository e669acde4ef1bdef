"""Bytes of a serial Modbus line go in, answers with a good checksum come out; noise around them is counted, not read.

An RTU answer carries no transaction id and no length: it is known by the request that it must answer. The reader
therefore looks for a frame of that function and length (or of an exception) anywhere in what came, checks its CRC, and
leaves the unit to the caller: another unit's answer is a frame too. Modbus over Serial Line V1.02, 2.5.1.
"""

import struct
from functools import lru_cache

from ingest.wire.modbus import Frame

MOST_HELD = 1024  # an RTU frame has at most 256 bytes; more than four of noise is no line
_SHORTEST = 5


def _table() -> tuple[int, ...]:
    """Remainders by byte of the reversed polynomial A001h."""
    found = []
    for value in range(256):
        rest = value
        for _ in range(8):
            rest = rest >> 1 ^ 0xA001 if rest & 1 else rest >> 1
        found.append(rest)
    return tuple(found)


_CRC = _table()


def crc(data: bytes) -> int:
    """CRC of a serial Modbus frame (initial value FFFFh; sent low byte first).

    >>> f"{crc(bytes.fromhex('010400000002')):04x}"
    'cb71'
    """
    value = 0xFFFF
    for byte in data:
        value = value >> 8 ^ _CRC[(value ^ byte) & 0xFF]
    return value


@lru_cache(maxsize=4096)
def request_adu(unit: int, pdu: bytes) -> bytes:
    """The bytes that ask ``unit`` for ``pdu``."""
    body = bytes([unit]) + pdu
    return body + struct.pack("<H", crc(body))


def answer_adu(unit: int, pdu: bytes) -> bytes:
    """The bytes with which ``unit`` answers."""
    body = bytes([unit]) + pdu
    return body + struct.pack("<H", crc(body))


def answer_length(pdu: bytes) -> int:
    """How many bytes a good answer to ``pdu`` has, address and CRC included."""
    function = pdu[0]
    if function in (3, 4):
        return 5 + 2 * int.from_bytes(pdu[3:5], "big")
    if function in (1, 2):
        return 5 + (int.from_bytes(pdu[3:5], "big") + 7) // 8
    return 8


class RtuReader:
    """Gathers what follows one request. ``noise`` counts bytes that were part of no frame."""

    def __init__(self) -> None:
        """Nothing is asked, nothing held."""
        self._held = bytearray()
        self.noise = 0

    def clear(self) -> int:
        """Forget what lies on the line; returns how many bytes that was."""
        lost = len(self._held)
        self._held.clear()
        return lost

    @property
    def half(self) -> bool:
        """Whether bytes came that were no frame yet."""
        return bool(self._held)

    def feed(self, data: bytes, pdu: bytes) -> list[Frame]:
        """Take bytes; return the frames of whatever unit that could answer ``pdu``: by length or as an exception."""
        self._held += data
        frames: list[Frame] = []
        while (found := self._next(pdu[0], answer_length(pdu))) is not None:
            start, length = found
            self.noise += start
            raw = bytes(self._held[start : start + length])
            del self._held[: start + length]
            frames.append(Frame(0, raw[0], raw[1:-2]))
        if len(self._held) > MOST_HELD:
            self.noise += len(self._held) - MOST_HELD
            del self._held[:-MOST_HELD]
        return frames

    def _next(self, function: int, whole: int) -> tuple[int, int] | None:
        """The first place where a frame with a good CRC begins, and its length."""
        held = self._held
        for start in range(len(held) - _SHORTEST + 1):
            says = held[start + 1]
            if says & 0x7F != function:
                continue
            length = _SHORTEST if says & 0x80 else self._length(start, whole)
            if start + length <= len(held) and not crc(bytes(held[start : start + length])):
                return start, length
        return None

    def _length(self, start: int, whole: int) -> int:
        """The length that the frame at ``start`` says of itself: reads carry a byte count, echoes do not."""
        return 5 + self._held[start + 2] if self._held[start + 1] in (1, 2, 3, 4) else whole


class RtuRequests:
    """The other side of the line, for simulated meters: splits what arrives into requests by function and CRC."""

    def __init__(self) -> None:
        """Start with silence."""
        self._held = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes, return the requests that are complete; what cannot begin one is skipped."""
        self._held += data
        frames: list[Frame] = []
        while len(self._held) >= 4:
            length = self._length()
            if length and len(self._held) < length:
                break
            if not length or crc(bytes(self._held[:length])):
                del self._held[0]
                continue
            raw = bytes(self._held[:length])
            del self._held[:length]
            frames.append(Frame(0, raw[0], raw[1:-2]))
        return frames

    def _length(self) -> int:
        """How long the request at the front is; 0: no known function."""
        function = self._held[1]
        if 1 <= function <= 6:
            return 8
        if function in (15, 16):
            return 9 + self._held[6] if len(self._held) > 6 else 9
        return 0
