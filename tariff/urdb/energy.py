"""A rate's energy periods and tiers go in, the energy components of a book come out, or a refusal by field."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tariff.components.energy import ALLOCATIONS
from tariff.errors import ImportRefusedError
from tariff.urdb.fields import Item
from tariff.urdb.schedule import Schedule

FIELD = "energyratestructure"
UNITS = {"kWh": "kWh", "kWh daily": "kWh_per_day", "kWh/kW": "kWh_per_kw"}
Tier = Mapping[str, Any]
Limits = tuple[str, ...]


def components(rate: Item, schedule: Schedule, allocate: str) -> Iterator[dict[str, Any]]:
    """Energy, and what is paid for export where a tier has ``sell``."""
    structure: list[list[Tier]] = rate.raw(FIELD, [])
    used = {number for numbers in schedule.by_month(0) for number in numbers} if structure else set()
    if not structure:
        return
    periods = {number: structure[number] for number in sorted(used)}
    if any(not tiers for tiers in periods.values()):
        raise ImportRefusedError(FIELD, "a period has no tier")
    count = max(len(tiers) for tiers in periods.values())
    prices = {number: _prices(rate, tiers, count) for number, tiers in periods.items()}
    energy: dict[str, Any] = {"id": "energy", "kind": "energy", "prices": _by_name(prices, schedule)}
    if count > 1:
        energy["ladder"] = _ladder(rate, periods, schedule, allocate)
    yield energy
    yield from _export(rate, periods, schedule)


def _prices(rate: Item, tiers: Sequence[Tier], count: int) -> list[str]:
    """One price a tier; a period of fewer tiers repeats its last price, so that all have as many."""
    own = [rate.summed(FIELD, tier) for tier in tiers]
    return own + own[-1:] * (count - len(own))


def _by_name(prices: Mapping[int, list[str]], schedule: Schedule) -> Any:
    """A list where all periods cost the same, else a table of the book's periods."""
    if len(set(map(tuple, prices.values()))) == 1:
        return next(iter(prices.values()))
    return {name: prices[key[0]] for key, name in schedule.names.items()}


def _ladder(rate: Item, periods: Mapping[int, Sequence[Tier]], schedule: Schedule, allocate: str) -> dict[str, Any]:
    count = max(len(tiers) for tiers in periods.values())
    limits = {number: _limits(rate, tiers) for number, tiers in periods.items() if len(tiers) > 1}
    shared = any(len(numbers) > 1 for numbers in schedule.by_month(0))
    if allocate and allocate not in ALLOCATIONS:
        raise ImportRefusedError(FIELD, f"allocate {allocate!r} is not known", f"one of {', '.join(ALLOCATIONS)}")
    if shared and not allocate:
        hint = f"--allocate {' | '.join(ALLOCATIONS)}: ask the utility which it means"
        raise ImportRefusedError(FIELD, "tiers by time of use: who of the periods fills which tier is not said", hint)
    if allocate == "per_period" and any(key[1:] != (0, 0) for key in schedule.names):
        raise ImportRefusedError(FIELD, "a ladder per period beside demand periods of other hours: no rule")
    ladder: dict[str, Any] = {"mode": "graduated", "reset": "month", "limit_unit": _unit(periods)}
    ladder["allocate"] = allocate or "chronological"  # one period a month: all allocations say the same
    monthly = _by_month(limits, schedule, count)
    if monthly is not None:
        return ladder | _told(monthly)
    if allocate != "per_period":
        hint = "--allocate per_period, if each period has its own ladder"
        raise ImportRefusedError(FIELD, "periods of one month have tiers of different limits", hint)
    longest = max(limits.values(), key=len)
    table = {name: list(limits.get(key[0], longest)) for key, name in schedule.names.items()}
    if any(len(own) != count - 1 for own in table.values()):
        raise ImportRefusedError(FIELD, "periods of one month have different numbers of tiers: no rule")
    return ladder | {"limits": table}


def _limits(rate: Item, tiers: Sequence[Tier]) -> Limits:
    """The upper limits of all tiers but the last."""
    if any(tier.get("max") is None for tier in tiers[:-1]):
        raise ImportRefusedError(FIELD, "a tier below the last has no max")
    return tuple(rate.price(FIELD, tier["max"]) for tier in tiers[:-1])


def _unit(periods: Mapping[int, Sequence[Tier]]) -> str:
    units = {str(tier.get("unit") or "kWh") for tiers in periods.values() if len(tiers) > 1 for tier in tiers[:-1]}
    if len(units) != 1 or not units <= set(UNITS):
        raise ImportRefusedError(
            FIELD, f"limits in {' and '.join(sorted(units))}: no rule", f"known: {', '.join(UNITS)}"
        )
    return UNITS[units.pop()]


def _by_month(limits: Mapping[int, Limits], schedule: Schedule, count: int) -> list[Limits] | None:
    """The limits of each month, where its periods agree on them; None where they do not."""
    found: list[Limits | None] = []
    for numbers in schedule.by_month(0):
        own = {limits[number] for number in numbers if number in limits}
        if len(own) > 1:
            return None
        found.append(own.pop() if own else None)
    some = max((one for one in found if one), key=len)
    return [_filled(one or some, count) for one in found]


def _filled(limits: Limits, count: int) -> Limits:
    """As many limits as the longest ladder has; those above repeat a price, so where they lie changes nothing."""
    extra = [str(int(float(limits[-1])) + step) for step in range(1, count - len(limits))]
    return (*limits, *extra)


def _told(monthly: Sequence[Limits]) -> dict[str, Any]:
    groups: dict[Limits, list[int]] = {}
    for month, limits in enumerate(monthly, start=1):
        groups.setdefault(limits, []).append(month)
    if len(groups) == 1:
        return {"limits": list(monthly[0])}
    return {"limits_by_months": [{"months": months, "limits": list(own)} for own, months in groups.items()]}


def _export(rate: Item, periods: Mapping[int, Sequence[Tier]], schedule: Schedule) -> Iterator[dict[str, Any]]:
    """A credit for exported energy at each period's ``sell``."""
    sells = {number: {rate.price(FIELD, tier.get("sell") or 0) for tier in tiers} for number, tiers in periods.items()}
    if all(own == {"0"} for own in sells.values()):
        return
    if any(len(own) > 1 for own in sells.values()):
        rate.leave(FIELD, "sell: a price for export that differs by tier: no rule; imported energy is mapped")
        return
    prices = {number: list(own) for number, own in sells.items()}
    yield {
        "id": "export",
        "kind": "energy",
        "quantity": "export",
        "credit": True,
        "prices": _by_name(prices, schedule),
    }
