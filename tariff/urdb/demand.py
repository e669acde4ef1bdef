"""A rate's demand structures go in, the demand components of a book come out."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from tariff.urdb.fields import Item
from tariff.urdb.schedule import MONTHS, Schedule

TOU, FLAT = "demandratestructure", "flatdemandstructure"
PLACES = {TOU: 1, FLAT: 2}
IDS = {TOU: "demand_tou", FLAT: "demand"}
UNIT_FIELDS = {TOU: ("demandrateunit", "demandunits"), FLAT: ("flatdemandunit", "demandunits")}
KW = "kW"
Tier = Mapping[str, Any]


def components(rate: Item, schedule: Schedule) -> Iterator[dict[str, Any]]:
    """One component for each demand period that costs anything."""
    found = list(_priced_periods(rate))
    present = all(number in month for field, number, _ in found for month in schedule.by_month(PLACES[field]))
    percent = _ratchet(rate, present) if found else ""
    window = rate.raw("demandwindow") if found else None
    for field, number, tiers in found:
        periods = schedule.periods(PLACES[field], number)
        made = _component(rate, field, number, tiers)
        made |= {"periods": periods} if periods else {}
        made |= {"window_min": int(window)} if window else {}
        yield made | ({"ratchet_percent": percent, **_lookback(rate)} if percent else {})


def _priced_periods(rate: Item) -> Iterator[tuple[str, int, Sequence[Tier]]]:
    """Structure, number and tiers of the periods that cost anything and are priced per kW."""
    for field in (FLAT, TOU):
        structure: Sequence[Sequence[Tier]] = rate.raw(field, [])
        numbers = [number for number, tiers in enumerate(structure) if _priced(rate, field, tiers)]
        unit = next((rate.raw(one) for one in UNIT_FIELDS[field] if rate.raw(one)), KW)
        if numbers and unit != KW:
            rate.leave(field, f"priced in {unit}: no rule; a book prices kW")
            continue
        for number in numbers:
            yield field, number, structure[number]


def _priced(rate: Item, field: str, tiers: Sequence[Tier]) -> bool:
    return any(rate.summed(field, tier) not in ("0", "-0") for tier in tiers)


def _component(rate: Item, field: str, number: int, tiers: Sequence[Tier]) -> dict[str, Any]:
    ident = IDS[field] if len(rate.raw(field)) == 1 else f"{IDS[field]}_{number}"
    prices = [rate.summed(field, tier) for tier in tiers]
    if len(prices) == 1:
        return {"id": ident, "kind": "demand", "price": prices[0]}
    limits = [rate.price(field, tier.get("max")) for tier in tiers[:-1]]
    return {"id": ident, "kind": "demand", "prices": prices, "limits": limits}


def _ratchet(rate: Item, present: bool) -> str:
    """Percent of earlier demand that is billed at least: of lookback, or of the ratchet if it is one for all months.

    A price that does not hold in every month (not ``present``) would be billed for the ratchet in the others too.
    """
    months = [rate.price("demandratchetpercentage", one) for one in rate.raw("demandratchetpercentage", [])]
    share, field = rate.raw("lookbackpercent"), "lookbackpercent"
    if not share and set(months) - {"0"}:
        share, field = months[0], "demandratchetpercentage"
    if not share:
        return ""
    if field == "demandratchetpercentage" and len(set(months)) > 1:
        rate.leave(field, "a ratchet that differs by month: no rule")
        return ""
    if not present:
        rate.leave(field, "a ratchet beside demand prices of some months only: no rule")
        return ""
    return _percent(rate, field, share)


def _lookback(rate: Item) -> dict[str, Any]:
    """How many months the ratchet looks back, and which months it looks at."""
    if not rate.raw("lookbackpercent"):
        return {}
    months = [month for month, counts in enumerate(rate.raw("lookbackmonths", []), start=1) if counts]
    found: dict[str, Any] = {"ratchet_months": int(rate.raw("lookbackrange"))} if rate.raw("lookbackrange") else {}
    return found | ({"ratchet_season": months} if 0 < len(months) < MONTHS else {})


def _percent(rate: Item, field: str, share: Any) -> str:
    return rate.price(field, Decimal(rate.price(field, share)) * 100)
