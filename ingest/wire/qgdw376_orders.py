"""What a master station wants of a terminal becomes data units, and back: reads, and the orders of AFN 05.

The numbers of the orders as three public implementations agree on them (named in docs/howto/dial-in.md).
"""

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Final

from ingest.errors import WireRefusal
from ingest.wire.qgdw376 import Afn, Frame
from ingest.wire.qgdw376_items import Unit, identifier, points

MOST_HALF_HOURS: Final = 48
"""Longest keep-power order: a day; 0 is until it is lifted."""


class Order(IntEnum):
    """Orders of AFN 05 that prewatt gives, by item; ``pn`` is a control round, a group, or the terminal (p0)."""

    TRIP = 1
    PERMIT = 2
    PURCHASE = 16
    PURCHASE_OFF = 24
    KEEP_POWER = 25
    ALARM = 26
    KEEP_POWER_OFF = 33
    ALARM_OFF = 34


def unit(pn: int, fn: int, data: bytes = b"") -> bytes:
    """One unit as it goes into a frame's body."""
    return identifier(pn, fn) + data


def keep_power(half_hours: int = 0) -> bytes:
    """The byte of F25: how long, in half hours; 0 until it is lifted."""
    if not 0 <= half_hours <= MOST_HALF_HOURS:
        raise ValueError(f"{half_hours} half hours: 0 to {MOST_HALF_HOURS}")
    return bytes([half_hours])


def trip(*, alarm_min: int = 0, half_hours: int = 0) -> bytes:
    """The byte of F1: minutes of warning before, half hours until it ends by itself (0: never)."""
    if not 0 <= alarm_min <= 15 or not 0 <= half_hours <= 15:
        raise ValueError(f"{alarm_min} minutes and {half_hours} half hours: each 0 to 15")
    return bytes([alarm_min << 4 | half_hours])


_SIZES: Final[Mapping[tuple[int, int], int]] = {
    (Afn.CONFIRM, 1): 0,
    (Afn.CONFIRM, 2): 0,
    (Afn.CLASS2, 161): 3,
    (Afn.CLASS2, 163): 3,
    (Afn.CONTROL, Order.TRIP): 1,
    (Afn.CONTROL, Order.PERMIT): 0,
    (Afn.CONTROL, Order.PURCHASE): 0,
    (Afn.CONTROL, Order.PURCHASE_OFF): 0,
    (Afn.CONTROL, Order.KEEP_POWER): 1,
    (Afn.CONTROL, Order.ALARM): 0,
    (Afn.CONTROL, Order.KEEP_POWER_OFF): 0,
    (Afn.CONTROL, Order.ALARM_OFF): 0,
}
_TO_THE_END: Final[Mapping[tuple[int, int], Callable[[bytes], int]]] = {
    (Afn.CONFIRM, 3): len,
    (Afn.FORWARD, 1): lambda data: 6 + int.from_bytes(data[4:6], "little") if len(data) >= 6 else 6,
}


def asked(frame: Frame) -> tuple[Unit, ...]:
    """The units of a frame that a master sent; WireRefusal for one whose layout is not known or that is cut."""
    found: list[Unit] = []
    rest = frame.body
    while rest:
        named, rest = points(rest), rest[4:]
        for pn, fn in named:
            place = (frame.afn, fn)
            if place in _TO_THE_END:
                size = _TO_THE_END[place](rest)
            elif frame.afn == Afn.CLASS1:
                size = 0
            elif place in _SIZES:
                size = _SIZES[place]
            else:
                raise WireRefusal("unknown_list", f"AFN {frame.afn:02X} F{fn} from a master")
            if size > len(rest):
                raise WireRefusal("truncated", f"AFN {frame.afn:02X} F{fn}: {len(rest)} bytes where {size} belong")
            found.append(Unit(pn, fn, rest[:size]))
            rest = rest[size:]
    return tuple(found)
