"""Bytes become one Q/GDW 376.1 frame and back: ``68 L L 68 C A1 A2 A3 AFN SEQ units [PW] [EC] [Tp] CS 16``.

A terminal speaks it to its master station. Lengths, control byte, address, sequence byte, message authentication code,
event counters and time tag are taken apart here, data units in ``ingest.wire.qgdw376_items``. From captured frames and
public implementations (named in docs/howto/dial-in.md); the standard itself was not read. Nothing raises on bytes.
"""

import re
from datetime import datetime
from enum import IntEnum
from typing import Final, NamedTuple

from ingest.errors import WireRefusal
from ingest.wire.checksums import sum8
from ingest.wire.seen import BAD, MORE, NONE, Seen

START: Final = 0x68
STOP: Final = 0x16
PROTOCOL: Final = 2
"""The lower two bits of the length field: 2 is Q/GDW 376.1, 1 its forerunner of 2005 with the same frame."""
MAX_USER: Final = 4_096
"""User data bytes of a frame that is believed; the field could say 16,383, terminals buffer 1,024 to 2,048."""
LEAST_USER: Final = 8
PASSWORD: Final = 16
GUARDED: Final = frozenset({0x01, 0x04, 0x05, 0x06, 0x0F, 0x10})
"""Functions whose orders to a terminal carry the message authentication code (PW)."""


class Afn(IntEnum):
    """Application functions."""

    CONFIRM = 0x00
    RESET = 0x01
    LINK = 0x02
    SET = 0x04
    CONTROL = 0x05
    QUERY = 0x0A
    CLASS1 = 0x0C
    CLASS2 = 0x0D
    EVENTS = 0x0E
    FORWARD = 0x10


class Control(IntEnum):
    """The control bytes that we send and that the simulated terminal sends."""

    TAKEN = 0x00  # master confirms data that a terminal sent of its own accord
    SEND = 0x41  # master, starts, wants a confirmation (reset; used for writes and orders)
    ASK_1 = 0x4A
    ASK_2 = 0x4B
    CONFIRM = 0x0B  # master answers a terminal that started (link state)
    TERMINAL_STARTS = 0xC9  # terminal, starts, link test: login, heartbeat
    TERMINAL_SENDS = 0xC4  # terminal, starts, user data without being asked
    TERMINAL_CONFIRMS = 0x80
    TERMINAL_ANSWERS = 0x88
    NO_DATA = 0x89


class Address(NamedTuple):
    """A terminal: administrative region (four digits of BCD), number in it, and whose station it talks to.

    ``msa`` is the master station's address (0 in frames that a terminal starts); ``group`` marks a group address.
    """

    region: str
    number: int
    msa: int = 0
    group: bool = False

    @property
    def name(self) -> str:
        """The terminal as it is written: region, then the number in five digits.

        >>> Address("0200", 0x1234).name
        '020004660'
        """
        return f"{self.region}{self.number:05d}"

    def raw(self) -> bytes:
        """The five bytes on the wire; ValueError for what does not fit them."""
        region = bytes.fromhex(self.region)[::-1]
        if len(region) != 2 or not 0 <= self.number <= 0xFFFF or not 0 <= self.msa <= 127:
            raise ValueError(f"region {self.region!r}, number {self.number}, station {self.msa} fit no address")
        return region + self.number.to_bytes(2, "little") + bytes([self.msa << 1 | self.group])

    @classmethod
    def of(cls, raw: bytes) -> "Address":
        """From five bytes.

        >>> Address.of(bytes.fromhex("0002341204"))
        Address(region='0200', number=4660, msa=2, group=False)
        """
        return cls(raw[1::-1].hex(), int.from_bytes(raw[2:4], "little"), raw[4] >> 1, bool(raw[4] & 1))


def address_of(name: str, msa: int = 0) -> Address:
    """The address that ``name`` writes; ValueError when it is none.

    >>> address_of("020004660", 2).raw().hex()
    '0002341204'
    """
    if not re.fullmatch(r"[0-9a-f]{4}[0-9]{5}", name) or not 0 < int(name[4:]) < 0xFFFF:
        raise ValueError(f"{name!r} is no terminal: four digits of the region, then the number 00001 to 65534")
    return Address(name[:4], int(name[4:]), msa)


class Tag(NamedTuple):
    """The time tag Tp: the starter's frame counter, when it was sent (day to second, local), minutes it may travel.

    ``delay_min`` 0: it may take as long as it likes. A terminal drops an order that is older than its tag allows.
    """

    counter: int
    day: int
    hour: int
    minute: int
    second: int
    delay_min: int = 0

    def raw(self) -> bytes:
        """Six bytes: counter, second, minute, hour, day (BCD), delay."""
        when = f"{self.second:02d}{self.minute:02d}{self.hour:02d}{self.day:02d}"
        return bytes([self.counter]) + bytes.fromhex(when) + bytes([self.delay_min])

    @classmethod
    def of(cls, raw: bytes) -> "Tag | None":
        """From six bytes; None when they hold no time."""
        digits = raw[1:5].hex()
        if len(raw) != 6 or not digits.isdecimal():
            return None
        second, minute, hour, day = (int(digits[at : at + 2]) for at in range(0, 8, 2))
        return cls(raw[0], day, hour, minute, second, raw[5])

    @classmethod
    def at(cls, counter: int, local: datetime, delay_min: int = 0) -> "Tag":
        """For a frame that leaves at ``local``, on the terminal's own clock."""
        return cls(counter & 0xFF, local.day, local.hour, local.minute, local.second, min(delay_min, 255))


class Frame(NamedTuple):
    """One frame; ``body`` holds the data units, ``events`` the two event counters (EC) of an answer that has them."""

    control: int
    address: Address
    afn: int
    seq: int
    body: bytes = b""
    password: bytes = b""
    events: bytes = b""
    tag: Tag | None = None
    protocol: int = PROTOCOL

    @property
    def up(self) -> bool:
        """Whether the terminal sent it."""
        return bool(self.control & 0x80)

    @property
    def starts(self) -> bool:
        """Whether its sender began the exchange (PRM)."""
        return bool(self.control & 0x40)

    @property
    def first(self) -> bool:
        """Whether it is the first frame of a message (FIR)."""
        return bool(self.seq & 0x40)

    @property
    def last(self) -> bool:
        """Whether it is the last frame of a message (FIN)."""
        return bool(self.seq & 0x20)

    @property
    def wants_confirmation(self) -> bool:
        """Whether its sender waits for a confirmation (CON)."""
        return bool(self.seq & 0x10)

    @property
    def number(self) -> int:
        """The lower four bits of the starter's frame counter (PSEQ, or RSEQ in an answer)."""
        return self.seq & 0x0F


def sequence(number: int, *, confirm: bool = False, tag: bool = False) -> int:
    """SEQ of a message in a single frame."""
    return 0x60 | (0x10 if confirm else 0) | (0x80 if tag else 0) | (number & 0x0F)


def encode(frame: Frame) -> bytes:
    """The bytes of one frame; ValueError for what does not fit. SEQ's TpV bit follows ``tag``, ACD follows ``events``.

    >>> encode(Frame(0x0B, address_of("020004660"), 0, 0x61, bytes.fromhex("00000100"))).hex()
    '6832003200680b0002341200006100000100b516'
    """
    if len(frame.password) not in (0, PASSWORD) or len(frame.events) not in (0, 2):
        raise ValueError(f"PW of {len(frame.password)} and EC of {len(frame.events)} bytes: 16 and 2, or none")
    seq = (frame.seq & 0x7F) | (0x80 if frame.tag is not None else 0)
    control = frame.control | (0x20 if frame.events else 0)
    tail = frame.password + frame.events + (frame.tag.raw() if frame.tag is not None else b"")
    user = bytes([control]) + frame.address.raw() + bytes([frame.afn, seq]) + frame.body + tail
    if len(user) > MAX_USER:
        raise ValueError(f"{len(user)} user data bytes, at most {MAX_USER}")
    length = (len(user) << 2 | frame.protocol).to_bytes(2, "little")
    return b"\x68" + length + length + b"\x68" + user + bytes([sum8(user), STOP])


def look(data: bytes | bytearray, at: int = 0) -> Seen[Frame]:
    """What stands at ``at``."""
    head = bytes(data[at : at + 6])
    twice = head[3:5] == head[1:3][: len(head[3:5])]
    if not head or head[0] != START or not twice or (len(head) == 6 and head[5] != START):
        return Seen(None, NONE, 0)
    if len(head) < 6:
        return Seen(None, MORE, len(head))
    length = int.from_bytes(head[1:3], "little")
    user_size = length >> 2
    if length & 3 not in (1, 2) or not LEAST_USER <= user_size <= MAX_USER:
        return Seen(None, NONE, 0)
    size = user_size + 8
    raw = bytes(data[at : at + size])
    if len(raw) < size:
        return Seen(None, MORE, len(raw))
    user = raw[6:-2]
    if raw[-1] != STOP or sum8(user) != raw[-2]:
        return Seen(None, BAD, size)
    frame = _taken_apart(user, length & 3)
    return Seen(frame, "", size) if frame is not None else Seen(None, BAD, size)


def _taken_apart(user: bytes, protocol: int) -> Frame | None:
    """User data as a frame; None when the parts that its bits promise are not there."""
    control, afn, seq, rest = user[0], user[6], user[7], user[8:]
    tag, events, password = None, b"", b""
    if seq & 0x80:
        tag, rest = Tag.of(rest[-6:]) if len(rest) >= 6 else None, rest[:-6]
        if tag is None:
            return None
    if control & 0xA0 == 0xA0 and not control & 0x40:  # an answer with ACD
        if len(rest) < 2:
            return None
        events, rest = rest[-2:], rest[:-2]
    if not control & 0x80 and afn in GUARDED:
        if len(rest) < PASSWORD:
            return None
        password, rest = rest[-PASSWORD:], rest[:-PASSWORD]
    return Frame(control, Address.of(user[1:6]), afn, seq, rest, password, events, tag, protocol)


class Reader:
    """Takes a stream in pieces of any size, gives whole frames; what is no frame is counted in ``dropped`` and skipped.

    It holds at most one frame's bytes, however long the stream.
    """

    def __init__(self) -> None:
        """Nothing is held."""
        self._held = bytearray()
        self.dropped = 0

    @property
    def held(self) -> int:
        """Bytes that wait for more."""
        return len(self._held)

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that ``data`` completes."""
        found: list[Frame] = []
        for start in range(0, len(data), MAX_USER):
            self._held += data[start : start + MAX_USER]
            found += self._scan()
        return found

    def _scan(self) -> list[Frame]:
        found: list[Frame] = []
        at = 0
        while (at := self._held.find(START, at)) >= 0:
            seen = look(self._held, at)
            if seen.miss == MORE:
                break
            if seen.frame is None:
                at += 1
                continue
            found.append(seen.frame)
            self.dropped += at
            del self._held[: at + seen.size]
            at = 0
        end = at if at >= 0 else len(self._held)
        self.dropped += end
        del self._held[:end]
        return found


def whole(frames: list[Frame]) -> Frame:
    """The frames of one message as one; WireRefusal("half_frame") when one of them is missing.

    Further frames follow the first in their numbers; the units of all make the message's.
    """
    good = bool(frames) and frames[0].first and frames[-1].last
    numbers = [frame.number for frame in frames]
    if not good or numbers != [(numbers[0] + step) & 0x0F for step in range(len(frames))]:
        raise WireRefusal("half_frame", f"frames {numbers} of a message")
    return frames[-1]._replace(body=b"".join(frame.body for frame in frames), seq=frames[0].seq | 0x20)
