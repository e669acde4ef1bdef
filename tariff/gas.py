"""Cumulative gas volume goes in, cumulative energy comes out: m3 x correction x calorific value / 3.6.

Round the cumulative energy, never an interval: the energy of an interval is the difference of two rounded cumulatives,
so that intervals add up to what the register says.
"""

from tariff import money

MJ_PER_KWH = (36, 1)  # 3.6 MJ, scaled
VOLUME_SCALE = 3  # registers count 0.001 m3


def to_wh(litres: int, *, correction: str, calorific_mj: str, rounding: money.Rounding = "half_up") -> int:
    """Wh of ``litres`` (0.001 m3) at a volume ``correction`` and a calorific value in MJ per m3.

    >>> to_wh(2000, correction="1.02264", calorific_mj="39.3")
    22328
    """
    (factor, factor_scale), (value, value_scale) = money.exact(correction), money.exact(calorific_mj)
    numerator = litres * factor * value * 10 ** MJ_PER_KWH[1]
    # litres / 1000 m3, MJ / 3.6 kWh, 1000 Wh a kWh: the thousands cancel
    return int(money.divide(numerator, 10 ** (factor_scale + value_scale) * MJ_PER_KWH[0], rounding))
