"""A curve of Q/GDW 376.1 (class 2) goes in, its times and values come out; and the way back for a simulated terminal.

A curve is the time of its first point, its density, how many points, and the points: power (F81 to F84), voltages (F89
to F91), currents (F92 to F94), energy of each step (F97 import, F99 export), registers (F101 import, F103 export).
Heads, densities and number formats as public decoders agree on them (named in docs/howto/dial-in.md).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from ingest.errors import WireRefusal
from ingest.wire.dlt645 import bcd_bytes
from ingest.wire.qgdw376_items import CURVE_HEAD, CURVES, Unit, minute_bytes, minute_of, number_of

MINUTES: Final[Mapping[int, int]] = {1: 15, 2: 30, 3: 60, 254: 5, 255: 1}
"""Minutes between two points by density."""
KINDS: Final[Mapping[int, tuple[str, int, str]]] = {
    81: ("1.0.1.7.0.255", -1, "W"),
    82: ("1.0.21.7.0.255", -1, "W"),
    83: ("1.0.41.7.0.255", -1, "W"),
    84: ("1.0.61.7.0.255", -1, "W"),
    89: ("1.0.32.7.0.255", -1, "V"),
    90: ("1.0.52.7.0.255", -1, "V"),
    91: ("1.0.72.7.0.255", -1, "V"),
    92: ("1.0.31.7.0.255", -3, "A"),
    93: ("1.0.51.7.0.255", -3, "A"),
    94: ("1.0.71.7.0.255", -3, "A"),
    97: ("1.0.1.29.0.255", -1, "Wh"),
    99: ("1.0.2.29.0.255", -1, "Wh"),
    101: ("1.0.1.8.0.255", 1, "Wh"),
    103: ("1.0.2.8.0.255", 1, "Wh"),
}
"""By item: what it holds, the power of ten of its last digit in the base unit, that unit."""


class Point(NamedTuple):
    """One point: its time on the terminal's wall clock, its value in the base unit (None: the terminal has none)."""

    at: datetime
    value: Decimal | None


def curve(unit: Unit) -> tuple[Point, ...]:
    """The points of one unit; WireRefusal for a density or a time that is none.

    >>> curve(Unit(1, 101, bytes.fromhex("00090107260301" + "56341200")))[0].value
    Decimal('1.23456E+6')
    """
    data, each, (_, exponent, _) = unit.data, CURVES[unit.fn], KINDS[unit.fn]
    start, step = minute_of(data[:5]), MINUTES.get(data[5])
    if start is None or step is None:
        raise WireRefusal("no_time", f"F{unit.fn}: a curve from {data[:5].hex()} with density {data[5]}")
    signed = unit.fn in (81, 82, 83, 84, 92, 93, 94)
    found = []
    for number in range(data[CURVE_HEAD - 1]):
        raw = data[CURVE_HEAD + number * each : CURVE_HEAD + (number + 1) * each]
        value = number_of(raw, signed=signed)
        scaled = None if value is None else Decimal(value).scaleb(exponent)
        found.append(Point(start + timedelta(minutes=number * step), scaled))
    return tuple(found)


def curve_bytes(fn: int, start: datetime, density: int, values: Sequence[int | None]) -> bytes:
    """The way back; ``values`` in units of the last digit."""
    each = CURVES[fn]
    points = b"".join(b"\xee" * each if value is None else bcd_bytes(value, each) for value in values)
    return minute_bytes(start) + bytes([density, len(values)]) + points
