"""Decimal text of an energy goes in, integer base units come out, with a word for what was wrong.

One rule makes every file's total reproducible: a value is read exactly, scaled to Wh (varh, litres of gas), and rounded
ONCE, by itself, half to even. Values printed from 32-bit floats (``1.1339999`` for 1.134 kWh) so find back to the
meter's own number; no value depends on its neighbours, so repeats and pieces of a file give the same integers. How many
values were no whole unit is counted in the report.
"""

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal, Inexact, localcontext
from enum import IntEnum
from typing import Final

MISSING_WORDS: Final = frozenset({"", "null", "nan", "na", "n/a", "none", "-", "--", "?", "nil"})
MOST_WH: Final = 10**12  # a terawatt-hour in one slot is no meter

# A comma is a decimal comma when it is the only mark in the number; anything with two marks is refused, never guessed.
_NUMBER: Final = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d{1,3})?", re.ASCII)

EXPONENTS: Final = {
    "wh": 0,
    "kwh": 3,
    "mwh": 6,
    "gwh": 9,
    "varh": 0,
    "kvarh": 3,
    "mvarh": 6,
    "m3": 3,
    "l": 0,
}
"""Decimal places between a unit and the base unit of its channel (Wh, varh, 0.001 m3)."""


class Word(IntEnum):
    """What a value's text turned out to be."""

    WHOLE = 0
    ROUNDED = 1
    MISSING = 2
    BAD = 3
    TOO_LARGE = 4


_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)


def quantity(text: str, exponent: int) -> tuple[int, Word]:
    """Return the value in base units, scaled by 10**``exponent``, and what the text was.

    >>> quantity(" 0.047 ", 3), quantity("0,25", 3), quantity("1.1339999", 3)
    ((47, <Word.WHOLE: 0>), (250, <Word.WHOLE: 0>), (1134, <Word.ROUNDED: 1>))
    >>> quantity("Null", 3)[1], quantity("1,234.5", 3)[1]
    (<Word.MISSING: 2>, <Word.BAD: 3>)
    """
    text = text.strip()
    if text.lower() in MISSING_WORDS:
        return 0, Word.MISSING
    if len(text) > 40 or _NUMBER.fullmatch(text) is None:
        return 0, Word.BAD
    return scaled(Decimal(text.replace(",", ".")), exponent)


def scaled(value: Decimal, exponent: int) -> tuple[int, Word]:
    """Return ``value`` x 10**``exponent`` as the nearest integer, half to even, and whether it was whole."""
    if value and value.adjusted() + exponent >= len(str(MOST_WH)) - 1:
        return 0, Word.TOO_LARGE
    if value and value.adjusted() + exponent < -30:
        return 0, Word.ROUNDED
    with localcontext(_EXACT) as context:
        whole = value.scaleb(exponent).quantize(Decimal(1))
        return int(whole), Word.ROUNDED if context.flags[Inexact] else Word.WHOLE
