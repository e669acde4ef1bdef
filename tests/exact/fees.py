"""Bills, payments and a day go in, each bill's late fee comes out: day after day, what was unpaid on it."""

from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from tests.exact.numbers import rounded

Due = tuple[date, int, dict[str, Any]]  # day, micro-units, the rule as a book writes it


def fee(bills: list[Due], payments: list[tuple[date, int]], until: date) -> list[int]:
    """Micro-units of each bill's fee: a payment settles the oldest bill first; each part paid is rounded to cents."""
    ordered = sorted((one for one in payments if one[0] <= until), key=lambda one: one[0])
    purse = [amount for _, amount in ordered]
    found = []
    for due, amount, rule in bills:
        parts: list[tuple[int, date]] = []
        owed = max(amount, 0)
        for place, (at, _) in enumerate(ordered):
            part = min(owed, purse[place])
            purse[place] -= part
            owed -= part
            parts += [(part, at)] if part else []
        parts += [(owed, until)] if owed else []
        late = [(part, at) for part, at in parts if (at - due).days > rule["grace_days"]]
        total = sum((rounded(Fraction(part, 10**6) * weight(due, at, rule), 2) for part, at in late), Fraction(0))
        found.append(int(max(total, Fraction(rule["minimum"])) * 10**6) if late else 0)
    return found


def weight(due: date, paid: date, rule: dict[str, Any]) -> Fraction:
    """The sum of the daily shares from the day after ``due`` to the day of payment."""
    total, day = Fraction(0), due
    while day < paid:
        day += timedelta(days=1)
        daily = rule["daily"] if day.year == due.year else rule["daily_next_year"] or rule["daily"]
        total += Fraction(daily)
    return total
