"""Choices, a shape's name and the calendar's periods go in, the table of a random energy component comes out."""

from decimal import Decimal
from typing import Any

from tests.properties.choices import Choices

Table = dict[str, Any]
SHAPES = ("flat", "graduated", "graduated", "graduated", "volume", "by_total", "pro_rata", "series", "banded")
RISING = ("flat", "graduated", "graduated", "volume", "by_total", "pro_rata")
FIXED = ("flat", "graduated", "volume", "by_total", "pro_rata")
RESETS = ("bill", "day", "month", "year")
UNITS = ("kWh_per_day", "kWh_per_kw", "kWh_per_30_days")
ROUNDINGS = ("none", "kWh", "coefficient_0.1", "kWh_up", "kWh_down")


def energy(pick: Choices, ident: str, shape: str, periods: list[str], *, rising: bool = False) -> Table:
    """One component of a shape."""
    spec: Table = {"id": ident, "kind": "energy"}
    if not rising and pick.rarely(3):
        spec["quantity"] = pick.one(("import", "export", "net"))
    if not rising and pick.rarely(6):
        spec["credit"] = True
    if shape in ("volume", "by_total", "pro_rata") and spec.get("quantity") == "net":
        spec["quantity"] = "import"
    if shape in ("series", "banded"):
        spec = {**spec, "series": f"{ident}.csv", "series_minutes": 60}
        bands = {name: pick.decimal(-100, 900, 3) for name in ("low", "high")} if shape == "banded" else None
        return spec if bands is None else {**spec, "bands": bands}
    count = 1 if shape == "flat" else pick.number(2, 4)
    if shape == "by_total":
        ladder: Table = {"mode": "by_total", "reset": pick.one(RESETS), "allocate": "chronological"}
        ladder["classes"] = class_list(pick, count, periods, rising=rising)
        return {**spec, "ladder": ladder | ({} if rising else stretches(pick, classes=True))}
    spec["prices"] = prices(pick, periods, count, rising=rising)
    if count > 1:
        spec["ladder"] = ladder_of(pick, shape, count, spec)
    return spec


def prices(pick: Choices, periods: list[str], count: int, *, rising: bool) -> Any:
    """A list for all periods, or a table."""
    places = pick.one((2, 0, 3, 5, 8))
    low, high = 1 if rising else -(10**places) // 4, 2 * 10**places

    def row() -> list[str]:
        found = [pick.decimal(low, high, places) for _ in range(count)]
        return sorted(found, key=float) if rising else found

    if "*" in periods or pick.rarely(4):
        return row()
    found = {period: row() for period in periods}
    if pick.rarely(4):
        found["*"] = found.pop(periods[0])
    return found


def limits(pick: Choices, count: int, low: int = 1) -> list[str]:
    """Rising limits in kWh, a few Wh to a few kWh apart."""
    found, total = [], 0
    for _ in range(count):
        total += pick.number(low * 10, 150)
        found.append(f"{total // 10}.{total % 10}" if total % 10 else str(total // 10))
    return found


def ladder_of(pick: Choices, shape: str, count: int, spec: Table) -> Table:
    """A graduated ladder, a volume ladder, or tiers shared pro rata."""
    found: Table = {"reset": pick.one(RESETS), "mode": "volume" if shape == "volume" else "graduated"}
    found["allocate"] = "pro_rata" if shape == "pro_rata" else "chronological"
    timed = isinstance(spec["prices"], dict)
    if shape in ("graduated", "volume") and timed and pick.rarely(2):
        found["allocate"] = "per_period"
    seasonal = shape == "graduated" or found["reset"] in ("day", "month")
    if seasonal and pick.rarely(4):
        halves = ([1, 2, 3, 10, 11, 12], [4, 5, 6, 7, 8, 9])
        found["limits_by_months"] = [{"months": half, "limits": limits(pick, count - 1)} for half in halves]
    elif found["allocate"] == "per_period" and pick.rarely(2):
        found["limits"] = {period: limits(pick, count - 1) for period in spec["prices"]}
    else:
        found["limits"] = limits(pick, count - 1)
    return found | stretches(pick)


def stretches(pick: Choices, *, classes: bool = False) -> Table:
    """Units, rounding, adders and multiplication of limits; of class ladders those that leave classes apart."""
    found: Table = {}
    if pick.rarely(3):
        found["limit_unit"] = pick.one(UNITS)
        if found["limit_unit"] == "kWh_per_kw" and pick.rarely(2):
            found["kw"] = "kva"
        if pick.rarely(2) and not classes:
            found["round_limits"] = pick.one(ROUNDINGS)
    if pick.rarely(3):
        found["adders"] = [adder(pick, single=classes) for _ in range(pick.number(1, 2))]
    if pick.rarely(5):
        found["times"] = pick.one(("meters", "nobody"))
    return found


def adder(pick: Choices, *, single: bool = False) -> Table:
    """kWh for a household's size or for a word; the same for each limit where they must not cross."""
    kwh = pick.decimal(0, 90, 1) if single or pick.rarely(2) else pick.rising(pick.number(1, 3), 0, 90, 1)
    if pick.rarely(3):
        return {"attribute": "poor", "equals": "yes", "kwh": kwh}
    found: Table = {"attribute": "household", "kwh": kwh}
    kind = pick.one(("least", "most", "both", "above"))
    if kind != "most":
        found["at_least"] = pick.one(("3", "5"))
    if kind in ("most", "both"):
        found["at_most"] = pick.one(("5", "6"))
    if kind == "above":
        found["per"] = "above"
    return found


def class_list(pick: Choices, count: int, periods: list[str], *, rising: bool) -> list[Table]:
    """Classes by total: each with a price, a ladder of its own, or a ladder whose top tier prices all."""
    tops = limits(pick, count - 1, 3)
    found: list[Table] = []
    for place in range(count):
        tiers = 1 if rising else pick.number(1, 2)
        one: Table = {"prices": prices(pick, periods, tiers, rising=rising)}
        if tiers > 1:
            one["volume"] = pick.rarely(2)
            below = Decimal(tops[place - 1]) if place and one["volume"] else Decimal(0)
            one["limits"] = [str(below + Decimal("2.5"))]  # inside the class, which is at least 3 kWh wide
        if place < count - 1:
            one["up_to"] = tops[place]
        found.append(one)
    if rising:
        for one, price in zip(found, pick.rising(count, 1, 400, 2), strict=True):
            one["prices"] = [price]
    return found


def again(pick: Choices, old: Table, periods: list[str]) -> Table:
    """The component under later prices; ladders of periods that are named otherwise become one ladder."""
    new = other(pick, old, periods)
    ladders = [one.get("ladder", {}) for one in (old, new)]
    if all(one.get("allocate") == "per_period" for one in ladders) and set(old["prices"]) != set(new["prices"]):
        limits_of = ladders[1].get("limits")
        plain = {"limits": next(iter(limits_of.values()))} if isinstance(limits_of, dict) else {}
        new = new | {"ladder": ladders[1] | plain | {"allocate": "chronological"}}
    return new


def other(pick: Choices, old: Table, periods: list[str]) -> Table:
    """The component as a later version writes it: other prices and limits, or another rule altogether."""
    if "series" in old:
        return old
    if pick.rarely(3):
        return energy(pick, old["id"], pick.one(FIXED), periods)
    ladder = old.get("ladder", {})
    if ladder.get("mode") == "by_total":
        classes = [
            one | {"prices": prices(pick, periods, len(tiers_of(one["prices"])), rising=False)}
            for one in ladder["classes"]
        ]
        return old | {"ladder": ladder | {"classes": classes}}
    count = len(tiers_of(old["prices"]))
    new = old | {"prices": prices(pick, periods, count, rising=False)}
    if not isinstance(new["prices"], dict) and ladder.get("allocate") == "per_period":
        new["prices"] = dict.fromkeys(periods, new["prices"])
    if ladder:
        kept = {key: ladder[key] for key in ("reset", "mode", "allocate")}
        new["ladder"] = kept | {"limits": limits(pick, count - 1)} | stretches(pick)
    return new


def tiers_of(found: Any) -> list[str]:
    """The tiers of any period."""
    row = next(iter(found.values())) if isinstance(found, dict) else found
    return [row] if isinstance(row, str) else list(row)
