"""Positions in any of three datums go in, WGS84 degrees and metres between them come out.

Chinese map layers show positions in GCJ-02 or, on top of it, BD-09: 100 to 700 m beside where things are. Both are
undone by the published approximations, good to some metres inside China; outside of it they are WGS84.
"""

import math
from typing import Final

EARTH_M: Final = 6_371_000
_A, _EE = 6_378_245.0, 0.006693421622965943  # Krasovsky 1940, the ellipsoid of the shift
_SHIFTED: Final = (0.83, 55.83, 72.0, 137.85)  # latitudes and longitudes inside which it applies
_ROUNDS = 3  # of the inverse: each cuts the error by some 1,000


def metres(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """The way over the ground between two WGS84 positions.

    >>> round(metres(30.0, 120.0, 30.0, 120.001))
    96
    """
    north, other = math.radians(latitude), math.radians(other_latitude)
    half_north, half_east = (other - north) / 2, math.radians(other_longitude - longitude) / 2
    root = math.sin(half_north) ** 2 + math.cos(north) * math.cos(other) * math.sin(half_east) ** 2
    return 2 * EARTH_M * math.asin(math.sqrt(min(1.0, root)))


def wgs84(latitude: float, longitude: float, datum: str) -> tuple[float, float]:
    """A position of ``datum`` (WGS84, GCJ02 or BD09) in WGS84 degrees; KeyError for another datum."""
    if datum == "WGS84" or not _inside(latitude, longitude):
        return latitude, longitude
    if datum == "BD09":
        latitude, longitude = _from_bd09(latitude, longitude)
    elif datum != "GCJ02":
        raise KeyError(datum)
    north, east = latitude, longitude
    for _ in range(_ROUNDS):
        shown = gcj02(north, east)
        north, east = north + latitude - shown[0], east + longitude - shown[1]
    return north, east


def gcj02(latitude: float, longitude: float) -> tuple[float, float]:
    """A WGS84 position as a Chinese map layer shows it."""
    if not _inside(latitude, longitude):
        return latitude, longitude
    x, y = longitude - 105.0, latitude - 35.0
    radians = math.radians(latitude)
    magic = 1 - _EE * math.sin(radians) ** 2
    north = math.degrees(_north(x, y) * magic * math.sqrt(magic) / (_A * (1 - _EE)))
    east = math.degrees(_east(x, y) * math.sqrt(magic) / (_A * math.cos(radians)))
    return latitude + north, longitude + east


def _inside(latitude: float, longitude: float) -> bool:
    south, north, west, east = _SHIFTED
    return south <= latitude <= north and west <= longitude <= east


def _waves(value: float, *terms: tuple[float, float]) -> float:
    return sum(size * math.sin(value / period * math.pi) for size, period in terms) * 2 / 3


def _north(x: float, y: float) -> float:
    plain = -100.0 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * math.sqrt(abs(x))
    return plain + _waves(x, (20, 1 / 6), (20, 0.5)) + _waves(y, (20, 1), (40, 3), (160, 12), (320, 30))


def _east(x: float, y: float) -> float:
    plain = 300.0 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * math.sqrt(abs(x))
    return plain + _waves(x, (20, 1 / 6), (20, 0.5), (20, 1), (40, 3), (150, 12), (300, 30))


def _from_bd09(latitude: float, longitude: float) -> tuple[float, float]:
    x, y, turn = longitude - 0.0065, latitude - 0.006, math.pi * 3000 / 180
    away = math.hypot(x, y) - 0.00002 * math.sin(y * turn)
    angle = math.atan2(y, x) - 0.000003 * math.cos(x * turn)
    return away * math.sin(angle), away * math.cos(angle)
