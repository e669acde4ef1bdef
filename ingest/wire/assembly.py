"""Frames of one message go in, whole APDUs come out: HDLC and M-Bus segments, blocks of a general block transfer.

A segment that is missing, repeated or out of turn loses its message only, by name; what waits is bounded.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ingest.wire import apdu, hdlc, mbus
from ingest.wire.axdr import Cursor, octets
from ingest.wire.sift import Piece

MAX_MESSAGE: Final = 65_536
"""Bytes of one message over all its segments."""
MAX_SENDERS: Final = 64
"""Senders whose messages are gathered side by side."""


class Unit(NamedTuple):
    """One message with where it began; ``broken``: a part of it was damaged."""

    offset: int
    payload: bytes
    raw: bytes
    broken: bool = False


@dataclass(slots=True)
class _Waiting:
    offset: int
    payload: bytearray
    raw: bytearray
    next: int = 1
    broken: bool = False

    def unit(self) -> Unit:
        return Unit(self.offset, bytes(self.payload), bytes(self.raw), self.broken)


@dataclass(slots=True)
class Segments:
    """Joins segments per sender."""

    _waiting: dict[bytes, _Waiting] = field(default_factory=dict)

    def hdlc(self, frame: hdlc.Frame, piece: Piece) -> tuple[list[Unit], list[Unit]]:
        """Messages that the frame completes, and those that it shows to be lost."""
        first = frame.information[:3] in (hdlc.LLC_RESPONSE, hdlc.LLC_REQUEST)
        payload = frame.information[3:] if first else frame.information
        return self._join(frame.destination + frame.source, piece, payload, first=first, last=not frame.segmented)

    def mbus(self, frame: mbus.Frame, piece: Piece) -> tuple[list[Unit], list[Unit]]:
        """The same for M-Bus, whose segments have numbers."""
        sender = bytes([frame.address]) + frame.payload[:2]
        known = self._waiting.get(sender)
        if known is not None and frame.number and frame.number + 1 != known.next:
            known.broken = True
        first = frame.number == 0
        return self._join(sender, piece, frame.payload[2:], first=first, last=frame.last)

    def broke(self) -> None:
        """A damaged frame passed by: it may have been a segment of any message under way."""
        for known in self._waiting.values():
            known.broken = True

    def close(self) -> list[Unit]:
        """What never became whole."""
        lost, self._waiting = [known.unit() for known in self._waiting.values()], {}
        return lost

    def _join(
        self, sender: bytes, piece: Piece, payload: bytes, *, first: bool, last: bool
    ) -> tuple[list[Unit], list[Unit]]:
        lost: list[Unit] = []
        known = self._waiting.pop(sender, None)
        if first and known is not None:
            lost.append(known.unit())
            known = None
        if known is None:
            known = _Waiting(piece.offset, bytearray(), bytearray())
        known.payload += payload
        known.raw += piece.raw
        known.next += 1
        if last:
            return [known.unit()], lost
        if len(known.payload) > MAX_MESSAGE or len(self._waiting) >= MAX_SENDERS:
            return [], [*lost, known.unit()]
        self._waiting[sender] = known
        return [], lost


class Block(NamedTuple):
    """One block of a general block transfer (IEC 62056-5-3, clause 9.3.10)."""

    number: int
    acknowledged: int
    last: bool
    streaming: bool
    window: int
    payload: bytes


def parse_block(raw: bytes) -> Block:
    """A block; WireRefusal when it is none."""
    cursor = Cursor(raw)
    cursor.byte()
    control, number, acknowledged = cursor.byte(), cursor.uint(2), cursor.uint(2)
    payload = cursor.octets()
    cursor.end()
    return Block(number, acknowledged, bool(control & 0x80), bool(control & 0x40), control & 0x3F, payload)


def block_bytes(block: Block) -> bytes:
    """The way back."""
    control = (0x80 if block.last else 0) | (0x40 if block.streaming else 0) | block.window
    head = bytes([apdu.GENERAL_BLOCK, control])
    return head + block.number.to_bytes(2, "big") + block.acknowledged.to_bytes(2, "big") + octets(block.payload)


@dataclass(slots=True)
class Blocks:
    """Joins the blocks of one general block transfer at a time; they count from 1."""

    _waiting: _Waiting | None = None

    def take(self, unit: Unit) -> tuple[list[Unit], list[Unit]]:
        """Messages that a block completes, and those that it shows to be lost; raises what ``parse_block`` raises."""
        block = parse_block(unit.payload)
        known, self._waiting, lost = self._waiting, None, list[Unit]()
        if known is not None and block.number == known.next - 1 and known.payload.endswith(block.payload):
            self._waiting = known  # the same block again
            return [], []
        if known is not None and block.number != known.next:
            lost.append(known.unit())
            known = None
        if known is None:
            if block.number != 1:
                return [], [*lost, unit]
            known = _Waiting(unit.offset, bytearray(), bytearray())
        known.payload += block.payload
        known.raw += unit.raw
        known.next = block.number + 1
        if block.last:
            return [known.unit()], lost
        if len(known.payload) > MAX_MESSAGE:
            return [], [*lost, known.unit()]
        self._waiting = known
        return [], lost

    def close(self) -> list[Unit]:
        """What never became whole."""
        known, self._waiting = self._waiting, None
        return [] if known is None else [known.unit()]
