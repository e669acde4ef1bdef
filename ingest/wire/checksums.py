"""Bytes go in, the check numbers of the wire formats come out: FCS-16 of HDLC, CRC-16 of P1, the sum of DL/T 645."""

import binascii
from typing import Final

FCS_GOOD: Final = 0x0F47  # what a frame with its own FCS behind it gives (ISO/IEC 13239, residue F0B8 inverted)
_REVERSED: Final = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))
_ARC: Final = tuple(
    # CRC-16/ARC, polynomial 8005 reflected (DSMR P1 companion standard 5.0.2, clause 5.2)
    (lambda value: [value := value >> 1 ^ (0xA001 if value & 1 else 0) for _ in range(8)][-1])(start)
    for start in range(256)
)


def fcs16(data: bytes) -> int:
    """FCS-16 as ISO/IEC 13239 counts it (CRC-16/X-25); on the wire its low byte comes first.

    >>> f"{fcs16(b'123456789'):04x}"
    '906e'
    """
    value = binascii.crc_hqx(data.translate(_REVERSED), 0xFFFF) ^ 0xFFFF
    return _REVERSED[value & 0xFF] << 8 | _REVERSED[value >> 8]


def fcs_bytes(data: bytes) -> bytes:
    """The two bytes that a sender puts behind ``data``."""
    return fcs16(data).to_bytes(2, "little")


def crc16(data: bytes) -> int:
    """CRC-16/ARC, from ``/`` to ``!`` of a P1 telegram, both included.

    >>> f"{crc16(b'123456789'):04x}"
    'bb3d'
    """
    value = 0
    for byte in data:
        value = value >> 8 ^ _ARC[(value ^ byte) & 0xFF]
    return value


def sum8(data: bytes) -> int:
    """The sum of all bytes, modulo 256 (M-Bus, DL/T 645).

    >>> sum8(bytes.fromhex("6891400201180768110433333433"))
    165
    """
    return sum(data) & 0xFF
