"""A ladder's table, a month, a period, days and an account's attributes go in, limits in whole Wh come out."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from tests.exact.numbers import rounded

Table = dict[str, Any]


def limits(ladder: Table, month: int, period: str, days: Fraction, attributes: Mapping[str, str]) -> list[int]:
    """The limits that hold in ``month`` and ``period`` where the span has ``days``: scaled, added to, multiplied."""
    kwh = [Fraction(one) for one in chosen(ladder, month, period)]
    wh = [to_wh(one * factor(ladder, days, attributes), ladder) for one in kwh]
    for adder in ladder.get("adders", []):
        wh = [one + extra(adder, place, attributes) for place, one in enumerate(wh)]
    if ladder.get("times"):
        count = Fraction(attributes.get(ladder["times"], "1"))
        wh = [int(rounded(one * count, 0)) for one in wh]
    return wh


def chosen(ladder: Table, month: int, period: str) -> list[str]:
    """The first list that speaks of the month and the period."""
    if ladder.get("mode") == "by_total":
        return by_total(ladder)[1]
    plain = ladder.get("limits")
    if isinstance(plain, dict) and period in plain:
        return list(plain[period])
    if isinstance(plain, list):
        return plain
    return next(list(one["limits"]) for one in ladder["limits_by_months"] if month in one["months"])


def factor(ladder: Table, days: Fraction, attributes: Mapping[str, str]) -> Fraction:
    """What a limit is multiplied by: days, thirty-days, kW, or one."""
    unit = ladder.get("limit_unit", "kWh")
    if unit == "kWh_per_day":
        return days
    if unit == "kWh_per_30_days":
        share = days / 30
        return rounded(share, 1) if ladder.get("round_limits") == "coefficient_0.1" else share
    if unit == "kWh_per_kw":
        return Fraction(attributes[ladder.get("kw", "demand_kw")])
    return Fraction(1)


def to_wh(kwh: Fraction, ladder: Table) -> int:
    """Whole Wh, or whole kWh where the ladder says so; halves go up unless it says which way."""
    way = {"kWh": "half_up", "kWh_up": "up", "kWh_down": "down"}.get(ladder.get("round_limits", ""))
    if way:
        return int(rounded(kwh, 0, way)) * 1000
    return int(rounded(kwh * 1000, 0))


def extra(adder: Table, place: int, attributes: Mapping[str, str]) -> int:
    """Wh that an adder puts on limit ``place``."""
    value = attributes.get(adder["attribute"], "")
    if not value or ("equals" in adder and value != adder["equals"]):
        return 0
    least, most = adder.get("at_least"), adder.get("at_most")
    if least is not None and Fraction(value) < Fraction(least):
        return 0
    if most is not None and Fraction(value) > Fraction(most):
        return 0
    kwh = adder["kwh"] if isinstance(adder["kwh"], list) else [adder["kwh"]]
    wh = rounded(Fraction(kwh[min(place, len(kwh) - 1)]) * 1000, 0)
    if adder.get("per") == "above" and least is not None:
        wh = rounded(wh * (Fraction(value) - Fraction(least) + 1), 0)
    return int(wh)


def by_total(ladder: Table) -> tuple[list[Table], list[str]]:
    """The classes of a by-total ladder and the totals that divide them."""
    return ladder["classes"], [one["up_to"] for one in ladder["classes"][:-1]]
