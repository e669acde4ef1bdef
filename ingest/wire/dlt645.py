"""Bytes become one DL/T 645 frame and back: ``68 A0..A5 68 C L data+33H CS 16``, after up to four FE.

The checksum may equal the end byte, so a frame is measured by its length byte. The layout is the same in the editions
of 1997 and 2007; data identifiers have two bytes there, four here. From public implementations and captured frames;
the standard itself was not read. Nothing here raises on what a peer sent.
"""

from datetime import datetime
from enum import IntEnum, IntFlag
from typing import Final, NamedTuple

from ingest.errors import WireRefusal
from ingest.wire.checksums import sum8
from ingest.wire.seen import BAD, MORE, NONE, Seen

START: Final = 0x68
STOP: Final = 0x16
PREAMBLE: Final = b"\xfe\xfe\xfe\xfe"
WILDCARD: Final = "aaaaaaaaaaaa"
"""The address that any meter answers to: only for a line with one meter."""
STATUS_WORD_3: Final = "04000503"
_OFFSET: Final = 0x33
_SHIFT_IN: Final = bytes((value - _OFFSET) & 0xFF for value in range(256))
_SHIFT_OUT: Final = bytes((value + _OFFSET) & 0xFF for value in range(256))
MAX_DATA: Final = 200
"""Data bytes of a read answer (edition 2007: L <= 200); commands have at most 50."""


class Function(IntEnum):
    """Function codes, the lower five bits of the control byte."""

    SECURITY = 0x03
    BROADCAST_TIME = 0x08
    READ = 0x11
    READ_MORE = 0x12
    READ_ADDRESS = 0x13
    WRITE = 0x14
    WRITE_ADDRESS = 0x15
    FREEZE = 0x16
    CONTROL = 0x1C
    READ_1997 = 0x01


class Order(IntEnum):
    """N1 of function 1C: what the relay, the alarm or the keep-power state is told."""

    TRIP = 0x1A
    PERMIT = 0x1B
    CLOSE = 0x1C
    TRIP_RESTORE_DIRECT = 0x1D
    TRIP_RESTORE_PERMIT = 0x1E
    ALARM = 0x2A
    ALARM_OFF = 0x2B
    KEEP_POWER = 0x3A
    KEEP_POWER_OFF = 0x3B


class Fault(IntFlag):
    """The error byte of a refusal (D1, D4, DC)."""

    OTHER = 1
    NO_DATA = 2
    BAD_PASSWORD = 4
    NO_BAUD = 8
    TOO_MANY_ZONES = 16
    TOO_MANY_SLOTS = 32
    TOO_MANY_TARIFFS = 64


class Frame(NamedTuple):
    """One frame: ``address`` as printed on the meter (12 digits), control byte, data without the 33H."""

    address: str
    control: int
    data: bytes = b""

    @property
    def function(self) -> int:
        """The function code."""
        return self.control & 0x1F

    @property
    def answer(self) -> bool:
        """Whether the meter sent it."""
        return bool(self.control & 0x80)

    @property
    def refused(self) -> bool:
        """Whether it is the meter's no."""
        return bool(self.control & 0x40)

    @property
    def more(self) -> bool:
        """Whether the rest must be asked for."""
        return bool(self.control & 0x20)

    @property
    def identifier(self) -> str:
        """The data identifier as printed (DI3 first); "" where the frame has none."""
        size = 2 if self.function == Function.READ_1997 else 4
        has = self.function in (Function.READ, Function.READ_MORE, Function.WRITE, Function.READ_1997)
        return self.data[size - 1 :: -1].hex() if has and len(self.data) >= size and not self.refused else ""


def encode(frame: Frame, *, preamble: bytes = PREAMBLE) -> bytes:
    """The bytes of one frame; ValueError for an address that is not 12 digits or too much data.

    >>> encode(Frame("071801024091", 0x11, bytes.fromhex("00000100")), preamble=b"").hex()
    '6891400201180768110433333433a516'
    """
    raw = bytes.fromhex(frame.address)[::-1]
    if len(raw) != 6 or len(frame.data) > MAX_DATA:
        raise ValueError(f"address {frame.address!r} or {len(frame.data)} data bytes: 12 digits, at most {MAX_DATA}")
    body = b"\x68" + raw + bytes([START, frame.control, len(frame.data)]) + frame.data.translate(_SHIFT_OUT)
    return preamble + body + bytes([sum8(body), STOP])


def look(data: bytes | bytearray, at: int = 0) -> Seen[Frame]:
    """What stands at ``at``, which must be the first 68H (the FE before it belong to nobody)."""
    left = len(data) - at
    if left < 1 or data[at] != START or (left > 7 and data[at + 7] != START):
        return Seen(None, NONE, 0)
    if left < 10:
        return Seen(None, MORE, left)
    size = 12 + data[at + 9]
    if data[at + 9] > MAX_DATA:
        return Seen(None, NONE, 0)
    if left < size:
        return Seen(None, MORE, left)
    raw = bytes(data[at : at + size])
    if raw[-1] != STOP or sum8(raw[:-2]) != raw[-2]:
        return Seen(None, BAD, size)
    return Seen(Frame(raw[6:0:-1].hex(), raw[8], raw[10:-2].translate(_SHIFT_IN)), "", size)


def read_request(address: str, identifier: str) -> Frame:
    """Ask for one identifier, written DI3 first (``00010000``)."""
    return Frame(address, Function.READ, bytes.fromhex(identifier)[::-1])


def fault_of(frame: Frame) -> str:
    """A stable word for a meter's no: the lowest bit that is set, ``refused`` without any."""
    bits = Fault(frame.data[0] & 0x7F) if frame.data else Fault(0)
    return next((bit.name.lower() for bit in Fault if bit in bits and bit.name), "refused")


class Control(NamedTuple):
    """The data of function 1C: the order, until when it holds, and who gives it with which password."""

    order: int
    until: datetime  # the meter's local time
    password: str = "000000"  # six digits
    level: int = 2
    operator: str = "00000000"

    def frame(self, address: str) -> Frame:
        """The command; its expiry has seconds and a year of two digits."""
        head = bytes([self.level]) + bytes.fromhex(self.password)[::-1] + bytes.fromhex(self.operator)[::-1]
        return Frame(address, Function.CONTROL, head + bytes([self.order, 0]) + stamp(self.until))


def control_of(frame: Frame) -> Control:
    """What a command says; WireRefusal("bad_control") when it is none."""
    data = frame.data
    if frame.function != Function.CONTROL or frame.answer or len(data) != 16:
        raise WireRefusal("bad_control", f"control {frame.control:02x} with {len(data)} bytes")
    return Control(data[8], time_of(data[10:]), data[3:0:-1].hex(), data[0], data[7:3:-1].hex())


def stamp(at: datetime) -> bytes:
    """Six BCD bytes: second, minute, hour, day, month, year."""
    return bytes.fromhex(at.strftime("%S%M%H%d%m%y"))


def time_of(raw: bytes) -> datetime:
    """The inverse of ``stamp``; a year of two digits lies in this century.

    >>> time_of(bytes.fromhex("000000301299"))
    datetime.datetime(2099, 12, 30, 0, 0)
    """
    try:
        second, minute, hour, day, month, year = (int(f"{byte:02x}") for byte in raw)
        return datetime(2000 + year, month, day, hour, minute, second)
    except ValueError as error:
        raise WireRefusal("no_time", f"{raw.hex()}: {error}") from error


class StatusWord3(NamedTuple):
    """Status word 3 (04000503): what the relay does, what it was told, and who holds the credit."""

    relay_open: bool
    told_open: bool
    alarm: bool
    holds_credit: bool
    word: int

    @classmethod
    def of(cls, word: int) -> "StatusWord3":
        """Bit 4 the relay, bit 6 its order, bit 7 the alarm before a trip, bits 8 and 9 the meter's type."""
        return cls(bool(word & 0x10), bool(word & 0x40), bool(word & 0x80), bool(word & 0x300), word)


def bcd(raw: bytes, *, signed: bool = False) -> int | None:
    """A number in packed BCD, low byte first; None when the meter has none (all F); the sign is the top bit.

    >>> bcd(bytes.fromhex("860100")), bcd(bytes.fromhex("018080"), signed=True), bcd(b"\\xff\\xff")
    (186, -8001, None)
    """
    digits = raw[::-1]
    if raw and not raw.strip(b"\xff"):
        return None
    negative = signed and bool(digits) and bool(digits[0] & 0x80)
    text = (bytes([digits[0] & 0x7F]) + digits[1:] if negative else digits).hex()
    if not text.isdecimal():
        raise WireRefusal("bad_bcd", raw.hex())
    return -int(text) if negative else int(text)


def bcd_bytes(value: int, size: int, *, signed: bool = False) -> bytes:
    """The way back, for the simulated meter; ValueError when it does not fit."""
    raw = bytearray.fromhex(f"{abs(value):0{2 * size}d}")
    if len(raw) != size or (value < 0 and (not signed or raw[0] & 0x80)):
        raise ValueError(f"{value} does not fit {size} BCD bytes")
    if value < 0:
        raw[0] |= 0x80
    return bytes(raw[::-1])
