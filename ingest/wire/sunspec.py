"""Words of a SunSpec device go in, its model chain, serial number and a meter's values in base units come out.

Covers model 1 (common) and the AC meters 201 to 204 (integers with scale factors) and 211 to 214 (floats). Offsets
count from the model's ID register. SunSpec Device Information Model Specification 1.1; models 1, 203 and 213.
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from ingest.model import Quantity

BASES = (40_000, 50_000, 0)
MARK = b"SunS"
COMMON, END = 1, 0xFFFF
INTEGER_METERS, FLOAT_METERS = (201, 202, 203, 204), (211, 212, 213, 214)
METERS = INTEGER_METERS + FLOAT_METERS
LONGEST_CHAIN = 40
SERIAL = slice(2 * 50, 2 * 66)
COMMON_WORDS = 66
_NO_INT16, _NO_SCALE, _NO_ACCUMULATOR = -0x8000, -0x8000, 0
_INTEGERS = {  # quantity: offset, struct format, offset of its scale factor
    Quantity.VOLTAGE: (8, ">h", 15),
    Quantity.POWER: (18, ">h", 22),
    Quantity.EXPORT: (38, ">I", 54),
    Quantity.IMPORT: (46, ">I", 54),
}
_FLOATS = {Quantity.VOLTAGE: 12, Quantity.POWER: 28, Quantity.EXPORT: 60, Quantity.IMPORT: 68}


@dataclass(frozen=True, slots=True)
class Model:
    """One model of the chain: its number, the address of its ID register, and how many words follow the header."""

    number: int
    address: int
    length: int

    @property
    def after(self) -> int:
        """The address of the next model's ID register."""
        return self.address + 2 + self.length


@dataclass(frozen=True, slots=True)
class Place:
    """Where a device keeps its common model and its meter model."""

    common: Model
    meter: Model


def words_of(number: int) -> int:
    """How many words of a meter model hold all that is read here, header included."""
    return 55 if number in INTEGER_METERS else 70


def header(data: bytes) -> tuple[int, int] | None:
    """ID and length from the first words of a model; None when they are not there."""
    found: tuple[int, int] | None = struct.unpack(">HH", data[:4]) if len(data) >= 4 else None
    return found


def holds(model: Model, data: bytes) -> bool:
    """Whether ``data``, read at the model's address, still begins with its header."""
    return header(data) == (model.number, model.length)


def serial(common: bytes) -> str:
    """The serial number in a common model's words; "" when it has none."""
    return common[SERIAL].split(b"\0", 1)[0].decode("ascii", "replace").strip()


def values(number: int, data: bytes) -> Mapping[Quantity, int | None]:
    """The values of a meter model's words, None where it says "not implemented"; never raises.

    >>> values(203, bytes(110))[Quantity.IMPORT] is None
    True
    """
    if number in INTEGER_METERS:
        return {quantity: _integer(data, *where) for quantity, where in _INTEGERS.items()}
    return {quantity: _float(data, at) for quantity, at in _FLOATS.items()}


def meter_values(data: bytes) -> Mapping[Quantity, int | None]:
    """The values of the first meter model in words that begin with a model's header; none where there is no such."""
    at = 0
    while (head := header(data[at:])) is not None and head[0] not in (0, END):
        if head[0] in METERS:
            return values(head[0], data[at:])
        at += 2 * (2 + head[1])
    return {}


def _integer(data: bytes, at: int, kind: str, scale_at: int) -> int | None:
    if len(data) < 2 * max(at + struct.calcsize(kind) // 2, scale_at + 1):
        return None
    raw: int = struct.unpack_from(kind, data, 2 * at)[0]
    scale: int = struct.unpack_from(">h", data, 2 * scale_at)[0]
    missing = _NO_INT16 if kind == ">h" else _NO_ACCUMULATOR
    if raw == missing or scale == _NO_SCALE or not -10 <= scale <= 10:
        return None
    return round(raw * (Fraction(10**scale) if scale >= 0 else Fraction(1, 10**-scale)))


def _float(data: bytes, at: int) -> int | None:
    if len(data) < 2 * at + 4:
        return None
    raw = struct.unpack_from(">f", data, 2 * at)[0]
    return round(Fraction(raw)) if math.isfinite(raw) else None
