"""Random components that are no energy: ids above them and the periods go in, tables in bill order come out."""

from dataclasses import dataclass
from typing import Any

from tests.properties.choices import Choices

Table = dict[str, Any]
ALWAYS = ("fixed", "percent", "minimum", "demand", "free_kwh")
MORE = ("pf_adjust", "kvarh", "percent", "credit_bank", "demand", "net_metering")
WHENS: tuple[Table, ...] = (
    {"attribute": "poor", "equals": "yes"},
    {"attribute": "poor", "differs": "yes"},
    {"attribute": "household", "at_least": "5"},
    {"attribute": "meters", "at_most": "2"},
    {"attribute": "household", "at_least": "3", "at_most": "6"},
)


@dataclass(frozen=True)
class Room:
    """What a component of a version may look at: its periods, the slots' minutes; ``rising``: more energy costs more.

    ``single``: energy has one price at all times and no series, so that it may be netted as a whole.
    """

    periods: list[str]
    minutes: int
    rising: bool = False
    single: bool = False
    netted: bool = False  # export may be netted: nothing is shared by days


def money(pick: Choices) -> str:
    """An amount."""
    return pick.decimal(0, 3000, 2)


def levies(pick: Choices, above: list[str], room: Room) -> list[Table]:
    """Up to five of them; each may act on those above it."""
    kinds = ALWAYS if room.rising else ALWAYS + MORE
    found: list[Table] = []
    for _ in range(pick.number(0, 5)):
        kind = pick.one(kinds)
        taken = [one["kind"] for one in found]
        if (kind == "net_metering" and (not room.netted or kind in taken)) or (kind == "credit_bank" and kind in taken):
            continue
        known = [*above, *(one["id"] for one in found)]
        one = levy(pick, f"{kind}{len(found)}", kind, known, room)
        if one.get("included") and any(other.get("included") for other in found):
            del one["included"]
        if not room.rising and pick.rarely(5):
            one["when"] = pick.one(WHENS)
        found.append(one)
    return found


def levy(pick: Choices, ident: str, kind: str, known: list[str], room: Room) -> Table:
    """One component of a kind."""
    spec: Table = {"id": ident, "kind": kind}
    simple = {"fixed": fixed, "free_kwh": free_kwh, "kvarh": kvarh, "demand": demand, "net_metering": net_metering}
    if kind in simple:
        return {**spec, **simple[kind](pick, room)}
    if pick.rarely(2) or kind == "credit_bank":
        spec["of"] = pick.some(known, 1, 3)
    if kind == "percent":
        spec["percent"] = pick.decimal(0 if room.rising else -500, 2500, 2)
        if not room.rising and not spec["percent"].startswith("-") and pick.rarely(4):
            spec["included"] = True
    if kind == "minimum":
        spec["amount"] = money(pick)
        if pick.rarely(2):
            spec["per"] = pick.one(("bill", "day", "phases"))
    if kind == "pf_adjust":
        spec["standard"] = pick.one(("0.90", "0.85", "0.80"))
    if kind == "credit_bank":
        spec |= expiry(pick)
        if pick.rarely(2):
            spec["payout_percent"] = pick.one(("100", "50", "33.3"))
    return spec


def expiry(pick: Choices) -> Table:
    """When what is banked is gone."""
    if pick.rarely(2):
        return {"expires_on": pick.one(("03-30", "01-01", "10-26", "07-01", "04-04"))}
    return {"expires_months": pick.number(1, 4)}


def net_metering(pick: Choices, room: Room) -> Table:
    """By period, or as a whole where all kWh have one price."""
    found = {"of": "energy", "by": "total" if room.single and pick.rarely(2) else "period", **expiry(pick)}
    if pick.rarely(2):
        found["payout"] = pick.decimal(1, 90, 3)
    return found


def kvarh(pick: Choices, room: Room) -> Table:
    """A price per kvarh above some of the kWh."""
    found: Table = {"price": pick.decimal(0, 90, 3), "free_percent": pick.one(("0", "50", "33.3333", "62.5"))}
    return found | in_periods(pick, room)


def in_periods(pick: Choices, room: Room) -> Table:
    """Some periods, now and then."""
    if "*" in room.periods or not pick.rarely(3):
        return {}
    return {"periods": pick.some(room.periods, 1, 2)}


def free_kwh(pick: Choices, room: Room) -> Table:
    """kWh without a price, perhaps for some only."""
    found: Table = {"of": "energy", "kwh": pick.decimal(0, 90, 1)}
    if not room.rising and pick.rarely(2):
        found["price"] = pick.decimal(0, 900, 3)
    if pick.rarely(2):
        found |= {"attribute": "poor", "equals": "yes"}
    return found


def fixed(pick: Choices, room: Room) -> Table:
    """An amount per something, perhaps by class."""
    spec: Table = {"per": pick.one(("bill", "day", "kva", "phases"))}
    if pick.rarely(2):
        return {**spec, "amount": money(pick)}
    tops = sorted(pick.some(range(1, 31), 1, 2))
    amounts = pick.rising(len(tops) + 1, 0, 3000, 2)
    rows = [{"up_to": str(top), "amount": amount} for top, amount in zip(tops, amounts, strict=False)]
    by = {"class_by": "kva"} if pick.rarely(2) else {}
    return {**spec, **by, "by_total": [*rows, {"amount": amounts[-1]}]}


def demand(pick: Choices, room: Room) -> Table:
    """A price per kW, perhaps by blocks or of a contract, of windows, with ratchet and floor."""
    spec: Table = {}
    if pick.rarely(2):
        spec["price"] = money(pick)
    else:
        spec["limits"] = pick.one((["2"], ["1.5", "3"]))
        spec["prices"] = [money(pick) for _ in range(len(spec["limits"]) + 1)]
    if pick.rarely(3):
        spec |= {"contract": "kva", "contract_percent": pick.one(("100", "33.33"))}
        if "limits" in spec and pick.rarely(2):
            spec |= {"limit_unit": "percent_of_contract", "limits": ["80", "105"][: len(spec["limits"])]}
    if pick.rarely(2):
        spec["window_min"] = pick.one((room.minutes, max(60, room.minutes), 2 * max(60, room.minutes)))
        if pick.rarely(2):
            spec["sliding"] = True
    spec |= in_periods(pick, room)
    if pick.rarely(3):
        spec["round_kw"] = pick.number(0, 3)
        spec["rounding_kw"] = pick.one(("half_up", "half_even", "down", "up"))
    if pick.rarely(2):
        spec["ratchet_percent"] = pick.one(("80", "62.5", "33.333"))
        if pick.rarely(2):
            spec["ratchet_months"] = pick.number(1, 4)
        if pick.rarely(3):
            spec["ratchet_season"] = pick.some(range(1, 13), 1, 6)
    if pick.rarely(3):
        spec["minimum_kw"] = pick.one(("1", "2.5"))
    return spec


def again(pick: Choices, old: Table, known: list[str], room: Room) -> Table:
    """The component with other figures, for whom it was."""
    new = levy(pick, old["id"], old["kind"], known or ["energy"], room)
    if not old.get("included"):
        new.pop("included", None)
    return new | ({"when": old["when"]} if "when" in old else {})


def fitted(spec: Table, known: list[str], periods: list[str], first: Table) -> Table:
    """The component without names that this version does not have; free kWh of a ``first`` series have a price."""
    fit = dict(spec)
    if fit["kind"] == "free_kwh" and "series" in first:
        fit.setdefault("price", "0.125")
    if isinstance(fit.get("of"), list):
        fit["of"] = [one for one in fit["of"] if one in known]
        if not fit["of"] and fit["kind"] == "credit_bank":
            fit["of"] = ["energy"]
        if not fit["of"]:
            del fit["of"]
    if "periods" in fit:
        fit["periods"] = [one for one in fit["periods"] if one in periods]
        if not fit["periods"]:
            del fit["periods"]
    return fit
