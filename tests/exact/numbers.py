"""A Fraction and a rounding's name go in, the rounded Fraction comes out: integers only, the remainder is compared."""

from collections.abc import Sequence
from fractions import Fraction


def rounded(value: Fraction, places: int, mode: str = "half_up") -> Fraction:
    """``value`` at ``places`` decimals; half_up and up go away from zero, down goes towards it."""
    size = abs(value) * 10**places
    whole, rest = divmod(size.numerator, size.denominator)
    twice = 2 * rest
    more = {
        "half_up": twice >= size.denominator,
        "half_even": twice > size.denominator or (twice == size.denominator and whole % 2 == 1),
        "down": False,
        "up": rest > 0,
    }[mode]
    found = Fraction(whole + more, 10**places)
    return -found if value < 0 else found


def split(begin: int, end: int, limits: Sequence[int]) -> list[int]:
    """How much of the way from ``begin`` to ``end`` (either way) lies in each tier; a limit belongs below it."""
    parts = []
    for tier in range(len(limits) + 1):
        ends = []
        for at in (begin, end):
            at = at if tier == len(limits) else min(at, limits[tier])
            ends.append(max(at, limits[tier - 1]) if tier else at)
        parts.append(ends[1] - ends[0])
    return parts
