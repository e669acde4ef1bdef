"""One HDLC connection over frames: SNRM and UA, I frames in windows, RR, segments, DISC (IEC 62056-46, clause 6.4).

Both sides in one table-free machine without I/O: ``HdlcLink`` takes bytes and gives back what is to be sent and the
payloads (LLC included) that are complete. The rules:
- Nothing but SNRM, DISC and their answers counts before both sides have agreed; the parameters are the smaller of both.
- An I frame counts only with the number that is expected; a repeated one is acknowledged again and dropped.
- What is longer than the other side's information field goes in segments; after a window, the poll bit asks for RR.
- A frame that does not check, or is for another address, is dropped: the time-out of whoever waits repairs it, by
  ``again``, which sends the unacknowledged frames once more (HDLC numbers make that safe, unlike an APDU's repetition).
"""

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from ingest.wire import hdlc
from ingest.wire.hdlc import Frame, Kind
from ingest.wire.sift import Sifter

DEFAULT_INFO: Final = 128
MOST_INFO: Final = 2030
_MODULUS: Final = 8
MAX_PAYLOAD: Final = 1 << 17
"""Bytes of one payload over all its segments."""


class Phase(Enum):
    """Where the connection is."""

    CLOSED = auto()
    CONNECTING = auto()
    OPEN = auto()
    CLOSING = auto()


@dataclass(frozen=True, slots=True)
class Limits:
    """Longest information field that a side sends and takes, and how many frames in a row."""

    send_info: int = DEFAULT_INFO
    take_info: int = DEFAULT_INFO
    send_window: int = 1
    take_window: int = 1

    def encoded(self) -> bytes:
        """The information field of SNRM or UA: our own sending and taking."""
        body = b"".join(
            bytes([tag, size]) + value.to_bytes(size, "big")
            for tag, size, value in (
                (5, 2, self.send_info),
                (6, 2, self.take_info),
                (7, 4, self.send_window),
                (8, 4, self.take_window),
            )
        )
        return b"\x81\x80" + bytes([len(body)]) + body


def limits_of(information: bytes) -> Limits:
    """What the other side said of itself; anything left out or senseless has its default (1 byte to 4 a value)."""
    values = {5: DEFAULT_INFO, 6: DEFAULT_INFO, 7: 1, 8: 1}
    if information[:2] == b"\x81\x80":
        at = 3
        while at + 2 <= len(information):
            tag, size = information[at], information[at + 1]
            value = int.from_bytes(information[at + 2 : at + 2 + size], "big")
            if tag in values and 0 < size <= 4 and value:
                values[tag] = value
            at += 2 + size
    info = (max(32, min(MOST_INFO, values[tag])) for tag in (5, 6))
    window = (max(1, min(7, values[tag])) for tag in (7, 8))
    return Limits(*info, *window)


def agreed(ours: Limits, theirs: Limits) -> Limits:
    """Our limits towards a side that said ``theirs``."""
    return Limits(
        min(ours.send_info, theirs.take_info),
        min(ours.take_info, theirs.send_info),
        min(ours.send_window, theirs.take_window),
        min(ours.take_window, theirs.send_window),
    )


@dataclass(slots=True)
class HdlcLink:
    """One side of one connection; ``client`` tells which. ``ours`` is what this side can do."""

    local: bytes
    remote: bytes
    client: bool
    ours: Limits = field(default_factory=lambda: Limits(MOST_INFO, MOST_INFO, 1, 1))
    phase: Phase = Phase.CLOSED
    limits: Limits = field(default_factory=Limits)
    dropped: int = 0
    _sifter: Sifter = field(default_factory=Sifter)
    _next_out: int = 0
    _next_in: int = 0
    _queue: list[tuple[bytes, bool]] = field(default_factory=list)
    _unacked: list[tuple[int, bytes, bool]] = field(default_factory=list)
    _taking: bytearray = field(default_factory=bytearray)

    @property
    def open(self) -> bool:
        """Whether both sides have agreed."""
        return self.phase is Phase.OPEN

    def connect(self) -> bytes:
        """SNRM with what we can do."""
        self._reset(Phase.CONNECTING)
        return self._frame(Kind.SNRM | 0x10, self.ours.encoded())

    def disconnect(self) -> bytes:
        """DISC."""
        self.phase = Phase.CLOSING
        return self._frame(Kind.DISC | 0x10)

    def send(self, payload: bytes) -> bytes:
        """A payload as its first window of I frames; the rest follows on the other side's RR."""
        size = self.limits.send_info
        pieces = [payload[at : at + size] for at in range(0, len(payload), size)] or [b""]
        self._queue += [(piece, at + 1 < len(pieces)) for at, piece in enumerate(pieces)]
        return self._window()

    def again(self) -> bytes:
        """After a time-out: what was not acknowledged once more, or the question where the other side stands.

        Half a frame that still waits for its rest is given up.
        """
        self.dropped += len(self._sifter.close())
        if self.phase is Phase.CONNECTING:
            return self.connect()
        if self._unacked:
            return b"".join(self._information(*item, last=item is self._unacked[-1]) for item in self._unacked)
        return self._frame(Kind.RR | 0x10 | self._next_in << 5)

    def receive(self, data: bytes) -> tuple[bytes, list[bytes]]:
        """Bytes to send, and the payloads that ``data`` completes."""
        out, payloads = bytearray(), list[bytes]()
        for piece in self._sifter.feed(data):
            frame = piece.content
            known = isinstance(frame, Frame) and frame.destination == self.local and frame.source == self.remote
            if not known or not isinstance(frame, Frame):
                self.dropped += 1
                continue
            reply, payload = self._take(frame)
            out += reply
            payloads += [] if payload is None else [payload]
        return bytes(out), payloads

    def _take(self, frame: Frame) -> tuple[bytes, bytes | None]:
        kind = frame.kind
        if kind is Kind.SNRM and not self.client:
            self._reset(Phase.OPEN)
            self.limits = agreed(self.ours, limits_of(frame.information))
            return self._frame(Kind.UA | 0x10, self.limits.encoded()), None
        if kind is Kind.DISC and not self.client:
            was, self.phase = self.phase, Phase.CLOSED
            return self._frame((Kind.DM if was is Phase.CLOSED else Kind.UA) | 0x10), None
        if kind is Kind.UA and self.phase is Phase.CONNECTING:
            self.limits = agreed(self.ours, limits_of(frame.information))
            self.phase = Phase.OPEN
            return b"", None
        if self.client and (kind is Kind.DM or (kind is Kind.UA and self.phase is Phase.CLOSING)):
            self.phase = Phase.CLOSED
            return b"", None
        if self.phase is not Phase.OPEN:
            self.dropped += 1
            return (b"" if self.client else self._frame(Kind.DM | 0x10)), None
        if kind is Kind.I:
            return self._take_information(frame)
        if kind is Kind.RR:
            return self._take_ready(frame), None
        self.dropped += 1
        return b"", None

    def _take_information(self, frame: Frame) -> tuple[bytes, bytes | None]:
        self._acknowledge(frame.received)
        if frame.sent != self._next_in:
            self.dropped += 1
            return (self._frame(Kind.RR | 0x10 | self._next_in << 5) if frame.final else b""), None
        self._next_in = (self._next_in + 1) % _MODULUS
        self._taking += frame.information
        if len(self._taking) > MAX_PAYLOAD:
            self._taking.clear()
            self.phase = Phase.CLOSED
            return b"", None
        if frame.segmented:
            return (self._frame(Kind.RR | 0x10 | self._next_in << 5) if frame.final else b""), None
        payload = bytes(self._taking)
        self._taking.clear()
        return b"", payload

    def _take_ready(self, frame: Frame) -> bytes:
        self._acknowledge(frame.received)
        if self._unacked:
            return self.again() if frame.final else b""
        return self._window()

    def _acknowledge(self, following: int) -> None:
        """Everything before ``following`` has arrived, when that lies inside what is under way."""
        numbers = [(number + 1) % _MODULUS for number, _, _ in self._unacked]
        if following in numbers:
            del self._unacked[: numbers.index(following) + 1]

    def _window(self) -> bytes:
        """As many frames as may be under way, the last of them with the poll bit."""
        room = self.limits.send_window - len(self._unacked)
        batch, self._queue = self._queue[: max(0, room)], self._queue[max(0, room) :]
        out = bytearray()
        for at, (piece, more) in enumerate(batch):
            self._unacked.append((self._next_out, piece, more))
            out += self._information(*self._unacked[-1], last=at + 1 == len(batch))
            self._next_out = (self._next_out + 1) % _MODULUS
        return bytes(out)

    def _information(self, number: int, piece: bytes, more: bool, *, last: bool) -> bytes:
        control = number << 1 | self._next_in << 5 | (0x10 if last else 0)
        return hdlc.encode(Frame(self.remote, self.local, control, piece, more))

    def _frame(self, control: int, information: bytes = b"") -> bytes:
        return hdlc.encode(Frame(self.remote, self.local, control, information))

    def _reset(self, phase: Phase) -> None:
        self.phase, self.limits = phase, Limits()
        self._next_out = self._next_in = 0
        self._queue.clear()
        self._unacked.clear()
        self._taking.clear()
