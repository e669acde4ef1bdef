"""Cumulative gas volume goes in, cumulative energy comes out: m3 x correction x calorific value / 3.6.

Round the cumulative energy, never an interval: the energy of an interval is the difference of two rounded cumulatives,
so that intervals add up to what the register says.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tariff import money
from tariff.calendar import Calendar
from tariff.model import Book, Gas

Ints = NDArray[Any]

MJ_PER_KWH = (36, 1)  # 3.6 MJ, scaled
VOLUME_SCALE = 3  # registers count 0.001 m3


def to_wh(litres: int, *, correction: str, calorific_mj: str, rounding: money.Rounding = "half_up") -> int:
    """Wh of ``litres`` (0.001 m3) at a volume ``correction`` and a calorific value in MJ per m3.

    >>> to_wh(2000, correction="1.02264", calorific_mj="39.3")
    22328
    """
    up, down = _ratio(Gas(correction, calorific_mj))
    return int(money.divide(litres * up, down, rounding))


def _ratio(rule: Gas) -> tuple[int, int]:
    """Wh for one litre as a fraction: litres / 1000 m3, MJ / 3.6 kWh, 1000 Wh a kWh, so the thousands cancel."""
    (factor, factor_scale), (value, value_scale) = money.exact(rule.correction), money.exact(rule.calorific_mj)
    return factor * value * 10 ** MJ_PER_KWH[1], 10 ** (factor_scale + value_scale) * MJ_PER_KWH[0]


def is_gas(book: Book) -> bool:
    """Whether the book's meters count 0.001 m3."""
    return any(version.gas is not None for version in book.versions)


def energies(book: Book, calendar: Calendar, litres: Ints) -> Ints:
    """Wh [n, k] of what was counted in the calendar's first k slots; as it is where the book is not one of gas.

    The cumulative since a bill's or version's start is rounded to the Wh; slots are its differences. It goes on where
    only an attribute of the account changes.
    """
    if not is_gas(book):
        return litres
    found = np.zeros_like(litres)
    written = {one.origin: index for index, one in reversed(list(enumerate(book.versions))) if one.origin}
    first = np.array([written.get(one.origin, index) for index, one in enumerate(book.versions)])
    version = first[calendar.version[: litres.shape[1]]]
    for index in np.unique(version).tolist():
        rule = book.versions[index].gas
        own = np.flatnonzero(version == index)
        if rule is None or not own.size:
            continue
        up, down = _ratio(rule)
        total = money.divide(money.wide(np.cumsum(litres[:, own], axis=1), 2 * up) * up, down)
        found[:, own] = np.diff(total, axis=1, prepend=0)
    return found
