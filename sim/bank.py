"""A dump of registers goes in, a device comes out that answers with them as the meter did, holes included."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ingest.errors import ProfileError
from ingest.wire.modbus import Frame, TcpFramer, adu
from ingest.wire.rtu import RtuRequests, answer_adu

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
SCHEMA = "prewatt.meters.dump/1"
Bank = dict[tuple[int, int], int]
"""Registers by (function, address)."""


class RegisterBank:
    """``sim.ports.Device``: units by number, each a bank of registers that may be changed while it is served."""

    def __init__(self, units: Mapping[int, Bank], framing: str = "tcp") -> None:
        """Units that are not there stay silent; ``framing`` is tcp or rtu."""
        self.units = dict(units)
        self.framing = framing

    def session(self) -> "BankSession":
        """One client's connection."""
        return BankSession(self)

    def answer(self, frame: Frame) -> bytes:
        """The answer to one request, b"" from a unit that is not there."""
        bank = self.units.get(frame.unit)
        if bank is None:
            return b""
        pdu = _read(bank, frame.pdu)
        return adu(frame.tid, frame.unit, pdu) if self.framing == "tcp" else answer_adu(frame.unit, pdu)


class BankSession:
    """``sim.ports.Session`` over a bank."""

    def __init__(self, bank: RegisterBank) -> None:
        """Begin at a frame boundary."""
        self._bank = bank
        self._framer = TcpFramer() if bank.framing == "tcp" else RtuRequests()

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes, return the writes that answer them."""
        return [answer for frame in self._framer.feed(data) if (answer := self._bank.answer(frame))]


def _read(bank: Bank, pdu: bytes) -> bytes:
    function = pdu[0]
    if function not in (3, 4) or len(pdu) != 5 or not any(kind == function for kind, _ in bank):
        return bytes([function | 0x80, ILLEGAL_FUNCTION])
    address, count = struct.unpack(">HH", pdu[1:])
    if not 1 <= count <= 125:
        return bytes([function | 0x80, ILLEGAL_VALUE])
    words = [bank.get((function, at)) for at in range(address, address + count)]
    if None in words:
        return bytes([function | 0x80, ILLEGAL_ADDRESS])
    return bytes([function, 2 * count]) + struct.pack(f">{count}H", *words)


def load(path: Path) -> dict[int, Bank]:
    """The units of a dump file (``prewatt meters dump``); ProfileError names the file and what is wrong."""
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
        if data["schema"] != SCHEMA:
            raise ValueError(f"schema {data['schema']!r}, not {SCHEMA!r}")
        return {int(unit["unit"]): _bank(unit["registers"]) for unit in data["units"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ProfileError(f"{path}: no dump of registers ({error!r}); make one with prewatt meters dump") from error


def _bank(registers: Mapping[str, Mapping[str, str]]) -> Bank:
    """Runs of registers in hex, by function and first address."""
    bank: Bank = {}
    for function, runs in registers.items():
        for start, text in runs.items():
            raw = bytes.fromhex(text)
            bank.update(
                {(int(function), int(start) + at): raw[2 * at] << 8 | raw[2 * at + 1] for at in range(len(raw) // 2)}
            )
    return bank


def runs(words: Mapping[int, int]) -> dict[str, str]:
    """Registers by address as runs in hex, by first address.

    >>> runs({0: 1, 1: 2, 5: 0xFFFF})
    {'0': '00010002', '5': 'ffff'}
    """
    found: dict[str, str] = {}
    start, before = "", -2
    for at in sorted(words):
        if at != before + 1:
            start = str(at)
            found[start] = ""
        found[start] += f"{words[at]:04x}"
        before = at
    return found
