"""An overdue amount and two dates go in, the late fee comes out: per day, at another rate after the year's end."""

from dataclasses import dataclass
from datetime import date

from tariff import money


@dataclass(frozen=True, slots=True)
class LateFeeRule:
    """``daily`` and ``daily_next_year`` are shares of the amount per day ("0.002" = 0.2 %); ``minimum`` is currency.

    Days count from the one after the due date to the day of payment; those after 31 December of the due year bear
    ``daily_next_year``. ``grace_days`` are free if payment comes within them.
    """

    daily: str
    daily_next_year: str = ""
    minimum: str = "0"
    grace_days: int = 0
    decimals: int = 2
    rounding: money.Rounding = "half_up"


def late_fee(amount_micro: int, due: date, paid: date, rule: LateFeeRule) -> int:
    """Micro-units of the fee; nothing if paid by the due date or within the days of grace.

    >>> late_fee(100_000_000, date(2025, 12, 30), date(2026, 1, 2), LateFeeRule("0.002", "0.003", "1")) / 1e6
    1.0
    """
    days = (paid - due).days
    if days <= rule.grace_days or amount_micro <= 0:
        return 0
    same = min(days, (date(due.year, 12, 31) - due).days)
    scale = max(money.scale_of(rule.daily), money.scale_of(rule.daily_next_year or "0"))
    first = money.scaled(rule.daily, scale)
    later = money.scaled(rule.daily_next_year or rule.daily, scale)
    weight = same * first + (days - same) * later
    fee = money.to_micro(amount_micro * weight, 10 ** (scale + money.MICRO_SCALE), rule.decimals, rule.rounding)
    return max(int(fee), money.parse(rule.minimum))
