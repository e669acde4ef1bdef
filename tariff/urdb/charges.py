"""A rate's fixed and minimum charges go in, the last components of a book come out."""

from collections.abc import Iterator
from typing import Any

from tariff.urdb.fields import Item

PER = {"$/month": "bill", "$/day": "day"}
YEARLY = "an amount of a year: no rule that is exact; divide it as the utility does"


def components(rate: Item) -> Iterator[dict[str, Any]]:
    """What is paid by the month or day, and the least of a bill, which stands last."""
    for field, unit in (("fixedchargefirstmeter", "fixedchargeunits"), ("fixedmonthlycharge", "")):
        per = _per(rate, field, unit)
        if per:
            ident = "fixed" if field == "fixedchargefirstmeter" else "fixed_monthly"
            yield {"id": ident, "kind": "fixed", "amount": rate.price(field, rate.raw(field)), "per": per}
    per = _per(rate, "mincharge", "minchargeunits")
    if per:
        yield {"id": "minimum", "kind": "minimum", "amount": rate.price("mincharge", rate.raw("mincharge")), "per": per}


def _per(rate: Item, field: str, unit: str) -> str:
    """Of what the amount of ``field`` is, or "" if there is none or no rule for it."""
    value = rate.raw(field)
    if not value:
        return ""
    said = rate.raw(unit, "$/month") if unit else "$/month"
    if said not in PER:
        rate.leave(field, YEARLY if said == "$/year" else f"in {said}: no rule")
        return ""
    return PER[said]
