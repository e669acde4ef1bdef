"""A dirty byte stream goes in, whole checked frames with their offsets come out, and what lay between them by name.

Frames of HDLC, M-Bus, DL/T 645, the DLMS wrapper and P1 are found by their own lengths and checks, in any mixture; a
byte that begins none is stepped over, so that glitches, cut frames and flags inside frames cost nothing but themselves.
The reader holds at most ``MAX_HELD`` bytes, however long the stream.
"""

import re
from typing import Final, NamedTuple, TypeAlias

from ingest.errors import WireRefusal
from ingest.wire import apdu, dlt645, hdlc, mbus, p1, qgdw376, wrapper
from ingest.wire.seen import BAD, MORE, NONE, Seen

MAX_HELD: Final = 65_536
"""Bytes of garbage or of one unfinished frame before they are given up as garbage."""
MAX_WRAPPED: Final = 8_192
"""Payload of a wrapper frame in a stream: it has no checksum, so that a length is believed only so far."""
_FILLER: Final = bytes((0x00, 0x09, 0x0A, 0x0D, 0x20, 0x7E, 0xFE, 0xFF))  # line noise, preambles, flags, line ends
_TAIL: Final = re.compile(rb"[\t\r\n -~]*(?:^|\n)![0-9A-Fa-f]{0,4}\s*", re.ASCII)

Content: TypeAlias = hdlc.Frame | mbus.Frame | dlt645.Frame | qgdw376.Frame | p1.Telegram | wrapper.Frame


class Piece(NamedTuple):
    """A frame at ``offset`` of the stream, or what stood there instead: ``refusal`` says which."""

    offset: int
    raw: bytes
    content: Content | None = None
    refusal: str = ""


class _Suspect(NamedTuple):
    start: int
    end: int
    refusal: str


class Sifter:
    """Takes a stream in pieces of any size; ``close`` says that it has ended."""

    def __init__(self) -> None:
        """Nothing is held."""
        self._held = bytearray()
        self._base = 0  # offset of the first held byte
        self._at = 0  # held bytes before it are looked through
        self._suspects: list[_Suspect] = []

    @property
    def held(self) -> int:
        """Bytes that wait for more."""
        return len(self._held)

    def feed(self, data: bytes) -> list[Piece]:
        """The pieces that ``data`` completes."""
        found: list[Piece] = []
        for at in range(0, len(data), MAX_HELD):
            self._held += data[at : at + MAX_HELD]
            found += self._scan(closed=False)
        return found

    def close(self) -> list[Piece]:
        """The pieces that the end of the stream completes or cuts."""
        found = self._scan(closed=True)
        found += self._flush(len(self._held))
        return found

    def _scan(self, *, closed: bool) -> list[Piece]:
        found: list[Piece] = []
        while self._at < len(self._held):
            at = self._at
            seen = self._look(at, closed=closed)
            if seen.frame is not None:
                found += self._flush(at)
                found.append(Piece(self._base, bytes(self._held[: seen.size]), seen.frame))
                self._drop(seen.size)
                continue
            if seen.miss == MORE and not closed and len(self._held) - at < MAX_HELD:
                break
            if seen.miss not in (MORE, NONE):
                self._suspect(at, at + seen.size, seen.miss)
            elif seen.miss == MORE and self._held[at] not in _FILLER[:-3]:
                self._suspect(at, at + seen.size, "truncated")
            self._at = self._next(at + 1)
            if self._at >= MAX_HELD:
                found += self._flush(self._at)
        return found

    def _next(self, at: int) -> int:
        """The next byte that could begin a frame."""
        found = _STARTS.search(self._held, at)
        return found.start() if found else len(self._held)

    def _drop(self, count: int) -> None:
        del self._held[:count]
        self._base += count
        self._at = 0

    def _suspect(self, start: int, end: int, refusal: str) -> None:
        if not self._suspects or start >= self._suspects[-1].end:
            self._suspects.append(_Suspect(start, end, refusal))

    def _flush(self, end: int) -> list[Piece]:
        """Give up the bytes before ``end``: failed frames by their names, the rest as garbage unless it is filler."""
        found: list[Piece] = []
        at = 0
        suspects, self._suspects = self._suspects, []
        for start, stop, refusal in suspects:
            cut = stop > end < len(self._held)
            found += self._garbage(at, start)
            at = min(stop, end)
            raw = bytes(self._held[start:at])
            if len(raw) > 1 or refusal != "truncated":
                found.append(Piece(self._base + start, raw, refusal=_renamed(raw, refusal, cut=cut)))
        found += self._garbage(at, end)
        self._drop(end)
        return found

    def _garbage(self, start: int, end: int) -> list[Piece]:
        raw = bytes(self._held[start:end])
        if not raw.strip(_FILLER):
            return []
        refusal = NONE
        if _TAIL.fullmatch(raw):
            refusal = "truncated"
        elif raw[0] == raw[-1] == hdlc.FLAG and len(raw) >= 9:
            refusal = BAD
        return [Piece(self._base + start, raw, refusal=refusal)]

    def _look(self, at: int, *, closed: bool) -> Seen[Content]:
        first = self._held[at]
        if first == hdlc.FLAG:
            return hdlc.look(self._held, at)
        if first == mbus.START:
            three: tuple[Seen[Content], ...] = (
                mbus.look(self._held, at),
                dlt645.look(self._held, at),
                qgdw376.look(self._held, at),
            )
            return min(three, key=_rank)  # the first of equals
        if first == 0x2F:
            return p1.look(self._held, at, closed=closed)
        if first == 0x00:
            return _wrapped(self._held, at)
        return Seen(None, NONE, 0)


_STARTS: Final = re.compile(rb"[\x00\x2f\x68\x7e]")


def _rank(seen: Seen[Content]) -> int:
    """Which of two readings of one place is the better one."""
    return 0 if seen.frame is not None else (MORE, BAD, NONE).index(seen.miss) + 1


def _renamed(raw: bytes, refusal: str, *, cut: bool) -> str:
    """A frame whose header was right, cut off by the next good one, is truncated rather than corrupted."""
    if cut and raw[:1] == b"\x7e" and refusal == BAD and len(raw) > 3 and hdlc.look(raw).miss == MORE:
        return "truncated"
    return refusal


_TAGS: Final = frozenset(
    {0x0F, 0x0E, 0xC2, 0xD8, 0xDB, 0xDC, 0xE0, 0x60, 0x61, 0x62, 0x63}
    | {0xC0, 0xC1, 0xC3, 0xC4, 0xC5, 0xC7, 0xC8, 0xC9, 0xCB, 0xCC, 0xCD, 0xCF, 0xD0, 0xD1, 0xD3, 0xD4, 0xD5, 0xD7}
)


def _wrapped(data: bytearray, at: int) -> Seen[wrapper.Frame]:
    """A wrapper frame: no checksum, so its payload must begin with a known tag and decode where it is not ciphered."""
    seen = bytes(data[at : at + 9])
    if seen[:2] != b"\x00\x01"[: len(seen)]:
        return Seen(None, NONE, 0)
    if len(seen) >= 8:
        _, source, destination, length = wrapper.HEADER.unpack_from(seen)
        if not 0 < length <= MAX_WRAPPED or not source or not destination or max(source, destination) > 0x3FFF:
            return Seen(None, NONE, 0)
    if len(seen) < 9:
        return Seen(None, MORE, len(seen))
    if seen[8] not in _TAGS:
        return Seen(None, NONE, 0)
    size = wrapper.HEADER.size + length
    if len(data) - at < size:
        return Seen(None, MORE, len(data) - at)
    payload = bytes(data[at + wrapper.HEADER.size : at + size])
    if payload[0] not in apdu.CIPHERED and payload[0] != 0xE0:
        try:
            apdu.decode(payload)
        except WireRefusal:
            return Seen(None, NONE, 0)
    return Seen(wrapper.Frame(source, destination, payload), "", size)
