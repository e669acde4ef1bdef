"""A ladder's limits and one account's attributes go in, whole Wh come out: by season, days, kW, household and meters.

A limit that is no whole number of Wh after scaling is rounded half-up to the Wh.
"""

from collections.abc import Mapping

from tariff import money
from tariff.components.energy import BY_DAYS, Adder, Ladder, Limits
from tariff.errors import RatingError

WH_SCALE = 3  # kWh with three places are Wh
WHOLE_KWH: dict[str, money.Rounding] = {"kWh": "half_up", "kWh_up": "up", "kWh_down": "down"}
COEFFICIENT_DAYS = 30  # days that an unstretched limit stands for


def select(ladder: Ladder, month: int, period: str) -> tuple[str, ...]:
    """The limits in kWh of ``month`` (1 to 12) and ``period``: the first entry that matches both."""
    for limits in ladder.limits:
        if (not limits.months or month in limits.months) and limits.period in ("", period):
            return limits.values
    raise RatingError(f"no ladder limits for month {month} and period {period!r}")


def in_wh(
    ladder: Ladder,
    values: tuple[str, ...],
    *,
    days: tuple[int, int],
    attributes: Mapping[str, str],
    share: tuple[int, int] = (1, 1),
) -> tuple[int, ...]:
    """Limits in Wh. ``days`` is the exact number of days of the span as (numerator, denominator).

    ``share`` of the bill's days are those for which limits hold that are not stretched by days.
    """
    scale = max([WH_SCALE, *(money.scale_of(value) for value in values)])
    scaled = [money.scaled(value, scale) for value in values]
    up, down = _factor(ladder, days, attributes)
    below = down * 10 ** (scale - WH_SCALE)
    if ladder.round_limits in WHOLE_KWH:
        mode = WHOLE_KWH[ladder.round_limits]
        limits = [money.divide(value * up, below * 1000, mode) * 1000 for value in scaled]
    else:
        limits = [money.divide(value * up, below) for value in scaled]
    for adder in ladder.adders:
        for index in range(len(limits)):
            limits[index] += _extra(adder, index, attributes)
    if ladder.times:
        up, scale = money.exact(_number(attributes, ladder.times, "1"))
        limits = [money.divide(limit * up, 10**scale) for limit in limits]
    if ladder.unit not in BY_DAYS:
        limits = [money.divide(limit * share[0], share[1]) for limit in limits]
    if limits != sorted(limits):
        shown = ", ".join(money.text(limit, WH_SCALE) for limit in limits)
        raise RatingError(f"the ladder's limits fall for this account: {shown} kWh; correct its adders")
    return tuple(limits)


def _factor(ladder: Ladder, days: tuple[int, int], attributes: Mapping[str, str]) -> tuple[int, int]:
    if ladder.unit == "kWh_per_day":
        return days
    if ladder.unit == "kWh_per_30_days":
        if ladder.round_limits == "coefficient_0.1":
            return money.divide(days[0] * 10, days[1] * COEFFICIENT_DAYS), 10
        return days[0], days[1] * COEFFICIENT_DAYS
    if ladder.unit == "kWh_per_kw":
        value, scale = money.exact(_number(attributes, ladder.kw))
        return value, 10**scale
    return 1, 1


def _number(attributes: Mapping[str, str], name: str, default: str = "") -> str:
    value = attributes.get(name, default)
    if not money.is_decimal(value) or value.startswith("-"):
        raise RatingError(f"the account has no number for attribute {name!r} (it has {value!r})")
    return value


def _extra(adder: Adder, index: int, attributes: Mapping[str, str]) -> int:
    """Wh that ``adder`` puts on limit ``index`` for these attributes."""
    value = attributes.get(adder.attribute, "")
    if adder.equals and value != adder.equals:
        return 0
    size, low, high = (_scaled(text) for text in (value, adder.at_least, adder.at_most))
    if (adder.at_least and (size is None or low is None or size < low)) or not value:
        return 0
    if adder.at_most and (size is None or high is None or size > high):
        return 0
    kwh = adder.kwh[min(index, len(adder.kwh) - 1)]
    extra = money.divide(money.scaled(kwh, 9), 10**6)
    if adder.per == "above" and size is not None and low is not None:
        extra = money.divide(extra * (size - low + 10**9), 10**9)
    return int(extra)


def _scaled(text: str) -> int | None:
    return money.scaled(text, 9) if money.is_decimal(text) and money.scale_of(text) <= 9 else None


def tops(limits: tuple[Limits, ...]) -> int:
    """The largest number of limits in any entry."""
    return max((len(one.values) for one in limits), default=0)
