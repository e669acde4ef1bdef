"""SMPP 3.4 PDUs as bytes go in, records come out, and back: bind, submit, delivery receipts, enquire, unbind.

Pure: a ``Reader`` is fed whatever arrives, one byte or many, and gives whole PDUs; what cannot be one raises
``SmppError``, and the connection is then useless. A message is one SMS (``control/text.py`` sees to it): GSM 7-bit
text goes one character an octet under data coding 0, everything else as UCS-2 under 8. Numbers of clauses are those of
the Short Message Peer-to-Peer Protocol Specification v3.4, issue 1.2.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from control.text import BASIC, EXTENDED, septets

MOST_BYTES: Final = 4096  # of one PDU: ours and receipts stay far below
HEAD: Final = struct.Struct(">IIII")  # 3.2: length, command id, status, sequence number
RESPONSE: Final = 0x8000_0000
NACK, BIND_TRANSCEIVER, SUBMIT_SM, DELIVER_SM = 0x8000_0000, 0x09, 0x04, 0x05  # 5.1.2.1
UNBIND, ENQUIRE_LINK = 0x06, 0x15
KNOWN: Final = frozenset({BIND_TRANSCEIVER, SUBMIT_SM, DELIVER_SM, UNBIND, ENQUIRE_LINK})
RECEIPT: Final = 0x04  # 5.2.12: esm_class of a delivery receipt
GSM, UCS2 = 0, 8  # 5.2.19
ESCAPE: Final = 0x1B
EXTENSION: Final = dict(zip(EXTENDED, (0x0A, 0x14, 0x28, 0x29, 0x2F, 0x3C, 0x3D, 0x3E, 0x40, 0x65), strict=True))
INTERNATIONAL, ALPHANUMERIC, UNKNOWN_TYPE, ISDN, NO_PLAN = 1, 5, 0, 1, 0  # 5.2.5, 5.2.6
PERMANENT: Final = frozenset({0x0B, 0x0A, 0x33, 0x34, 0x48, 0x49, 0x50, 0x51, 0x01})  # 5.1.3: this message never goes
ENDED: Final = {"DELIVRD": "delivered", "ACCEPTD": "pending", "ENROUTE": "pending", "UNKNOWN": "pending"}  # appendix B
RECEIPT_ID, STATE = re.compile(rb"\bid:(\S+)"), re.compile(rb"\bstat:([A-Z]+)")


class SmppError(Exception):
    """What came is no SMPP 3.4."""


@dataclass(frozen=True, slots=True)
class Pdu:
    """One PDU: command id (with the response bit), status, sequence number, body."""

    command: int
    status: int
    sequence: int
    body: bytes = b""

    def encode(self) -> bytes:
        """As it stands on the wire."""
        return HEAD.pack(HEAD.size + len(self.body), self.command, self.status, self.sequence) + self.body

    def answer(self, body: bytes = b"", status: int = 0) -> "Pdu":
        """The response to this request."""
        return Pdu(self.command | RESPONSE, status, self.sequence, body)


class Reader:
    """Takes bytes as they come, gives whole PDUs."""

    def __init__(self) -> None:
        """Nothing was read."""
        self._kept = bytearray()

    def feed(self, data: bytes) -> Iterator[Pdu]:
        """PDUs that ``data`` completes; SmppError for a length that cannot be."""
        self._kept += data
        while len(self._kept) >= HEAD.size:
            length, command, status, sequence = HEAD.unpack_from(self._kept)
            if not HEAD.size <= length <= MOST_BYTES:
                raise SmppError(f"a PDU of {length} bytes")
            if len(self._kept) < length:
                return
            body = bytes(self._kept[HEAD.size : length])
            del self._kept[:length]
            yield Pdu(command, status, sequence, body)


@dataclass(frozen=True, slots=True)
class Message:
    """What submit_sm and deliver_sm carry (4.4.1, 4.6.1)."""

    source: str
    destination: str
    coding: int
    data: bytes
    esm_class: int = 0
    receipt: bool = True

    def encode(self) -> bytes:
        """The body; numbers with + or digits alone are international, other senders are names."""
        ends = b"".join(bytes(_plan(one)) + _text(one.removeprefix("+")) for one in (self.source, self.destination))
        flags = bytes((self.esm_class, 0, 0)) + b"\0\0" + bytes((int(self.receipt), 0, self.coding, 0))
        return b"\0" + ends + flags + bytes((len(self.data),)) + self.data

    @classmethod
    def decode(cls, body: bytes) -> "Message":
        """Back from a body; SmppError where it ends too soon."""
        try:
            _, at = _take(body, 0)
            source, at = _take(body, at + 2)
            destination, at = _take(body, at + 2)
            esm_class = body[at]
            _, at = _take(body, at + 3)
            _, at = _take(body, at)
            wanted, coding, length = body[at], body[at + 2], body[at + 4]
        except IndexError:
            raise SmppError("a message that ends too soon") from None
        data = body[at + 5 : at + 5 + length]
        if len(data) < length:
            raise SmppError("a message that ends too soon")
        return cls(source, destination, coding, data, esm_class, bool(wanted))


def bind(system_id: str, password: str, system_type: str = "") -> bytes:
    """Body of bind_transceiver (4.1.5), interface version 3.4."""
    return _text(system_id) + _text(password) + _text(system_type) + b"\x34\0\0\0"


def bound_as(body: bytes) -> tuple[str, str]:
    """System id and password of a bind: for the other side."""
    name, at = _take(body, 0)
    return name, _take(body, at)[0]


def text_of(body: bytes) -> str:
    """The one C-octet string of a response: a message id, a system id."""
    return _take(body, 0)[0] if body else ""


def said(text: str) -> tuple[int, bytes]:
    """Data coding and octets of one SMS.

    >>> said("a€"), said("电")
    ((0, b'a\\x1be'), (8, b'u5'))
    """
    if septets(text) is None:
        return UCS2, text.encode("utf-16-be")
    out = bytearray()
    for letter in text:
        if letter in EXTENSION:
            out += bytes((ESCAPE, EXTENSION[letter]))
        else:
            place = BASIC.index(letter)
            out.append(place + (place >= ESCAPE))  # the escape itself stands between the letters
    return GSM, bytes(out)


def receipt_of(message: Message) -> tuple[str, str] | None:
    """Message id and delivered, failed or pending of a delivery receipt (appendix B); None for an ordinary message."""
    if not message.esm_class & RECEIPT:
        return None
    found, state = RECEIPT_ID.search(message.data), STATE.search(message.data)
    if found is None or state is None:
        return None
    return found.group(1).decode("ascii", "replace"), ENDED.get(state.group(1).decode("ascii"), "failed")


def _plan(address: str) -> tuple[int, int]:
    plain = address.removeprefix("+")
    if plain.isdigit():
        return (INTERNATIONAL, ISDN) if address.startswith("+") else (UNKNOWN_TYPE, ISDN)
    return ALPHANUMERIC, NO_PLAN


def _text(text: str) -> bytes:
    return text.encode("ascii", "replace").replace(b"\0", b"") + b"\0"


def _take(body: bytes, at: int) -> tuple[str, int]:
    """A C-octet string, and where it ends."""
    end = body.find(b"\0", at)
    if end < 0:
        raise SmppError("a text without an end")
    return body[at:end].decode("ascii", "replace"), end + 1
