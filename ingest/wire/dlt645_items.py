"""A DL/T 645 data identifier goes in, what its bytes mean comes out: quantity, OBIS code, digits, unit.

Identifiers are written DI3 first. The formats of edition 2007 (annex A) as public tables give them, and the few of
edition 1997 that captured frames carry. ``readings`` decodes a whole answer, data blocks (FF) item by item.
"""

from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from ingest.errors import WireRefusal
from ingest.wire.dlt645 import Frame, bcd


class Item(NamedTuple):
    """One number: its OBIS code, its bytes, the power of ten to ``unit`` (a base unit), whether it has a sign."""

    obis: str
    size: int
    exponent: int
    unit: str
    signed: bool = False
    stamped: bool = False  # five bytes of time follow (demand)


class Reading(NamedTuple):
    """One number of an answer in its base unit; ``at`` is the meter's local time where it has its own."""

    identifier: str
    obis: str
    value: Decimal | None
    unit: str
    at: datetime | None = None


# DI2 of energies and demands: C of the OBIS code. Phases stand at 15H, 29H and 3DH and the nine after each.
_ENERGY: Final = {0: 15, 1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 7, 8: 8, 9: 9, 10: 10}
_SIGNED: Final = (0, 3, 4)
_ACTIVE: Final = (1, 2, 15)
_APPARENT: Final = (9, 10)
# DI2 of variables: (C in phase 1, C over all phases, bytes, exponent, unit, signed)
_VARIABLES: Final = {
    0x01: (32, 0, 2, -1, "V", False),
    0x02: (31, 0, 3, -3, "A", True),
    0x03: (21, 1, 3, -1, "W", True),
    0x04: (23, 3, 3, -1, "var", True),
    0x05: (29, 9, 3, -1, "VA", True),
    0x06: (33, 13, 2, -3, "", True),
}
_SPECIAL: Final = {
    "02800001": Item("1.0.91.7.0.255", 3, -3, "A", True),
    "02800002": Item("1.0.14.7.0.255", 2, -2, "Hz"),
    "02800003": Item("1.0.15.24.0.255", 3, -1, "W", True),
    "02800007": Item("0.0.96.9.0.255", 2, -1, "degC", True),
    "02800008": Item("0.0.96.6.3.255", 2, -2, "V"),
    "00900100": Item("", 4, 1, "Wh"),
    "00900101": Item("", 4, 1, "Wh"),
    "00900200": Item("", 4, -2, "CNY"),
    "00900201": Item("", 4, -2, "CNY"),
    "9010": Item("1.0.1.8.0.255", 4, 1, "Wh"),
    "9020": Item("1.0.2.8.0.255", 4, 1, "Wh"),
    "b611": Item("1.0.32.7.0.255", 2, 0, "V"),
    "b612": Item("1.0.52.7.0.255", 2, 0, "V"),
    "b613": Item("1.0.72.7.0.255", 2, 0, "V"),
    "b621": Item("1.0.31.7.0.255", 2, -2, "A"),
    "b622": Item("1.0.51.7.0.255", 2, -2, "A"),
    "b623": Item("1.0.71.7.0.255", 2, -2, "A"),
    "b630": Item("1.0.1.7.0.255", 3, -1, "W"),
}
NAMES: Final = {
    "00900100": "remaining_energy",
    "00900101": "overdrawn_energy",
    "00900200": "remaining_credit",
    "00900201": "overdrawn_credit",
    "04000101": "date",
    "04000102": "time",
    "0400010c": "clock",
    "04000401": "address",
    "04000402": "meter_number",
    "04000403": "asset_number",
    "0400040b": "meter_model",
    "0400040d": "protocol_version",
    **{f"0400050{n}": f"status_word_{n}" for n in range(1, 8)},
}
_TEXTS: Final = ("04000403", "0400040b", "0400040d", "04000404", "04000405", "04000406")


def item_of(identifier: str) -> Item | None:
    """What one identifier holds, None for one that is not known (or not a number).

    >>> item_of("00010200")
    Item(obis='1.0.1.8.2.255', size=4, exponent=1, unit='Wh', signed=False, stamped=False)
    >>> item_of("02010300").obis
    '1.0.72.7.0.255'
    """
    if identifier in _SPECIAL:
        return _SPECIAL[identifier]
    if len(identifier) != 8:
        return None
    di3, di2, di1, di0 = bytes.fromhex(identifier)
    if di3 in (0, 1):
        return _energy(di3, di2, di1, di0)
    if di3 == 2 and di2 in _VARIABLES and di0 == 0 and di1 <= 3:
        phase, total, size, exponent, unit, signed = _VARIABLES[di2]
        c = phase + 20 * (di1 - 1) if di1 else total
        return Item(f"1.0.{c}.7.0.255", size, exponent, unit, signed) if c else None
    return None


def _energy(di3: int, di2: int, di1: int, di0: int) -> Item | None:
    """Energies (4 bytes, 0.01 kWh) and demands (3 bytes, 0.0001 kW, then the time)."""
    phase, place = 0, di2
    for number, start in enumerate((0x15, 0x29, 0x3D), 1):
        if start <= di2 < start + 10:
            phase, place = number, di2 - start + 1
    if place not in _ENERGY or di1 > 0x3F or di0 > 0x0C:
        return None
    c = _ENERGY[place]
    kind = "Wh" if c in _ACTIVE else "VAh" if c in _APPARENT else "varh"
    obis = f"1.0.{c + 20 * phase}.{8 if di3 == 0 else 6}.{di1}.{255 if di0 == 0 else di0}"
    if di3 == 0:
        return Item(obis, 4, 1, kind, place in _SIGNED)
    return Item(obis, 3, -1, kind.removesuffix("h"), place in _SIGNED, stamped=True)


def readings(frame: Frame) -> tuple[Reading, ...]:
    """The numbers of an answer to a read; WireRefusal("unknown_list") for an identifier that is not known."""
    identifier = frame.identifier
    data = frame.data[len(identifier) // 2 :]
    parts = _parts(identifier)
    if not parts:
        raise WireRefusal("unknown_list", f"data identifier {identifier}")
    found: list[Reading] = []
    at = 0
    for part in parts:
        item = item_of(part)
        if item is None or at >= len(data):
            break
        size = item.size + (5 if item.stamped else 0)
        if at + size > len(data):
            raise WireRefusal("truncated", f"{identifier}: {len(data) - at} bytes where {size} belong")
        raw = data[at : at + size]
        number = bcd(raw[: item.size], signed=item.signed)
        value = None if number is None else Decimal(number).scaleb(item.exponent)
        found.append(Reading(part, item.obis, value, item.unit, _demand_time(raw[item.size :])))
        at += size
    if not found:
        raise WireRefusal("truncated", f"{identifier} without a value")
    if at != len(data):
        raise WireRefusal("unknown_list", f"{identifier}: {len(data)} bytes, {at} of them known")
    return tuple(found)


def _parts(identifier: str) -> tuple[str, ...]:
    """An identifier, or those that a data block (DI1 = FF) holds one after the other."""
    if item_of(identifier) is not None:
        return (identifier,)
    if len(identifier) != 8 or identifier[4:6] != "ff":
        return ()
    head, tail = identifier[:4], identifier[6:]
    first = 1 if head in ("0201", "0202", "0207") else 0
    last = 3 if identifier.startswith("02") else 0x3F
    return tuple(part for n in range(first, last + 1) if item_of(part := f"{head}{n:02x}{tail}") is not None)


def _demand_time(raw: bytes) -> datetime | None:
    """YYMMDDhhmm, low byte first; None where it is not a time (a demand that never was)."""
    try:
        minute, hour, day, month, year = (int(f"{byte:02x}") for byte in raw)
        return datetime(2000 + year, month, day, hour, minute)
    except ValueError:
        return None


def text_of(identifier: str, data: bytes) -> str:
    """What is no number: status words in hex, texts as text, numbers of the meter as digits.

    Edition 2007 writes the date with its weekday, and everything low byte first.
    """
    digits = data[::-1]
    if identifier in _TEXTS:
        return digits.decode("latin-1").strip("\x00 ")
    if identifier == "04000101" and len(data) == 4:
        return f"20{digits[0]:02x}-{digits[1]:02x}-{digits[2]:02x}"
    if identifier == "04000102" and len(data) == 3:
        return f"{digits[0]:02x}:{digits[1]:02x}:{digits[2]:02x}"
    return digits.hex()
