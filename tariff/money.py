"""Decimal text to exact scaled integers and back, with the four roundings that tariffs name; works on ints and arrays.

A *scaled* integer ``x`` at scale ``s`` means x / 10**s. Money in records is scaled at 6 (micro-units).
"""

import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from tariff.records import MICRO

__all__ = ["MICRO", "MICRO_SCALE", "ROUNDINGS", "Rounding", "divide", "format", "parse", "scale_of", "scaled", "text"]

MICRO_SCALE = 6
Rounding = Literal["half_up", "half_even", "down", "up"]
ROUNDINGS: tuple[Rounding, ...] = ("half_up", "half_even", "down", "up")
_DECIMAL = re.compile(r"[+-]?\d+(\.\d+)?\Z")
_WIDEST = 1 << 62


def is_decimal(value: object) -> bool:
    """Whether ``value`` is text that spells a plain decimal number (no exponent, no spaces)."""
    return isinstance(value, str) and _DECIMAL.match(value) is not None


def scale_of(value: str) -> int:
    """Decimal places that ``value`` needs, trailing zeros not counted."""
    _, _, digits = value.partition(".")
    return len(digits.rstrip("0"))


def scaled(value: str, scale: int) -> int:
    """The integer of ``value`` at ``scale``; ValueError if it is no decimal or needs more places.

    >>> scaled("0.589", 3), scaled("-0.10", 2)
    (589, -10)
    """
    if not is_decimal(value) or scale_of(value) > scale:
        raise ValueError(f"{value!r} is not a decimal with at most {scale} places")
    whole, _, digits = value.partition(".")
    sign = -1 if whole.startswith("-") else 1
    return sign * int(whole.lstrip("+-") + digits[:scale].ljust(scale, "0"))


def text(value: int, scale: int, places: int | None = None) -> str:
    """The decimal spelling of a scaled integer, trailing zeros cut down to ``places`` (default: none kept).

    >>> text(26130000, 6, 2), text(-5, 1), text(1000, 3)
    ('26.13', '-0.5', '1')
    """
    digits = str(abs(value)).rjust(scale + 1, "0")
    whole, fraction = digits[: len(digits) - scale], digits[len(digits) - scale :]
    fraction = fraction.rstrip("0").ljust(places or 0, "0")
    return ("-" if value < 0 else "") + whole + ("." + fraction if fraction else "")


def parse(value: str) -> int:
    """Micro-units of a decimal string of currency; ValueError on anything else."""
    return scaled(value, MICRO_SCALE)


def format(micro: int, decimals: int = 2) -> str:
    """Decimal string of micro-units, with at least ``decimals`` places and never a digit dropped."""
    return text(micro, MICRO_SCALE, decimals)


def divide(numerator: Any, denominator: Any, mode: Rounding = "half_up") -> Any:
    """Quotient of integers (or integer arrays of one shape) rounded by ``mode``; exact, ``denominator`` positive.

    half_up is away from zero on a tie, down is towards zero, up is away from zero.

    >>> [divide(x, 10, "half_up") for x in (25, -25, 24)]
    [3, -3, 2]
    >>> [divide(x, 10, "half_even") for x in (25, 35)]
    [2, 4]
    """
    if isinstance(numerator, np.ndarray):
        sign: Any = np.where(numerator < 0, -1, 1)
        if numerator.dtype == object:
            sign = sign.astype(object)
    else:
        sign = -1 if numerator < 0 else 1
    size = abs(numerator)
    return sign * _MODES[mode](size, denominator)


def _half_up(size: Any, by: Any) -> Any:
    whole = size // by
    return whole + ((size - whole * by) * 2 >= by)


def _half_even(size: Any, by: Any) -> Any:
    whole = size // by
    rest = (size - whole * by) * 2
    return whole + ((rest > by) | ((rest == by) & (whole % 2 == 1)))


def _down(size: Any, by: Any) -> Any:
    return size // by


def _up(size: Any, by: Any) -> Any:
    return -(-size // by)


_MODES: dict[Rounding, Callable[[Any, Any], Any]] = {
    "half_up": _half_up,
    "half_even": _half_even,
    "down": _down,
    "up": _up,
}


def to_micro(numerator: Any, denominator: int, decimals: int, mode: Rounding = "half_up") -> Any:
    """Micro-units of numerator / denominator (currency), rounded once at ``decimals`` places (at most 6)."""
    return divide(wide(numerator, 10**decimals) * 10**decimals, denominator, mode) * 10 ** (MICRO_SCALE - decimals)


def fraction(value: Any) -> Fraction:
    """A Fraction of Python's own integers: one of numpy's (``Fraction(array[0])``) would overflow at 64 bits.

    >>> fraction(np.int64(2**62)) * 4
    Fraction(18446744073709551616, 1)
    """
    return value if isinstance(value, Fraction) else Fraction(int(value))


def fractions(values: Any, denominator: int) -> Any:
    """Exact quotients of an array by ``denominator``, as an array of Fractions."""
    found = np.empty(len(values), object)
    for row, value in enumerate(values):
        found[row] = fraction(value) / denominator
    return found


def nearest(values: Any, decimals: int, mode: Rounding = "half_up") -> Any:
    """Exact micro-units (an array of integers or Fractions) rounded once at ``decimals`` places of the currency."""
    step = 10 ** (MICRO_SCALE - decimals)
    found = [fraction(value) for value in values]
    whole = [divide(value.numerator, value.denominator * step, mode) * step for value in found]
    return np.array(whole, object)


def wide(values: Any, factor: int) -> Any:
    """``values`` as they are if ``values * factor`` fits 62 bits, else as an array of Python integers (no overflow)."""
    if not isinstance(values, np.ndarray) or values.dtype == object or values.size == 0:
        return values
    if int(np.abs(values).max()) * abs(factor) < _WIDEST:
        return values
    return values.astype(object)


def exact(value: str) -> tuple[int, int]:
    """``value`` as (integer, scale) with the fewest places that hold it; ValueError if it is no decimal."""
    scale = scale_of(value)
    return scaled(value, scale), scale


def plain(value: Decimal) -> str:
    """A Decimal without exponent, for text that ``scaled`` reads again."""
    return f"{value:f}"
