"""Random energy components: a shape's name and the calendar's periods go in, the component's table comes out."""

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

Table = dict[str, Any]
SHAPES = ("flat", "graduated", "graduated", "graduated", "volume", "by_total", "pro_rata", "series", "banded")
RISING = ("flat", "graduated", "graduated", "volume", "by_total", "pro_rata")
RESETS = st.sampled_from(["bill", "day", "month", "year"])


def decimal(low: int, high: int, places: int) -> st.SearchStrategy[str]:
    """Decimal text of a random integer at ``places``."""

    def text(value: int) -> str:
        digits = str(abs(value)).rjust(places + 1, "0")
        return ("-" if value < 0 else "") + digits[:-places] + "." + digits[-places:] if places else str(value)

    return st.integers(low, high).map(text)


@st.composite
def energy(draw: st.DrawFn, ident: str, shape: str, periods: list[str], *, rising: bool = False) -> Table:
    """One component of a shape."""
    spec: Table = {"id": ident, "kind": "energy"}
    if not rising and draw(st.integers(0, 2)) == 0:
        spec["quantity"] = draw(st.sampled_from(["import", "export", "net"]))
    if not rising and draw(st.integers(0, 5)) == 0:
        spec["credit"] = True
    if shape in ("volume", "by_total", "pro_rata") and spec.get("quantity") == "net":
        spec["quantity"] = "import"
    count = 1 if shape in ("flat", "series", "banded") else draw(st.integers(2, 4))
    if shape == "series":
        return {**spec, "series": f"{ident}.csv", "series_minutes": 60}
    if shape == "banded":
        bands = {name: draw(decimal(-100, 900, 3)) for name in ("low", "high")}
        return {**spec, "series": f"{ident}.csv", "series_minutes": 60, "bands": bands}
    if shape == "by_total":
        reset = draw(RESETS)
        classes = draw(class_list(count, periods, rising=rising))
        return {**spec, "ladder": {"mode": "by_total", "reset": reset, "allocate": "chronological", "classes": classes}}
    spec["prices"] = draw(prices(periods, count, rising=rising))
    if count > 1:
        spec["ladder"] = draw(ladder(shape, count, timed=isinstance(spec["prices"], dict), spec=spec))
    return spec


@st.composite
def prices(draw: st.DrawFn, periods: list[str], count: int, *, rising: bool) -> Any:
    """A list for all periods, or a table."""
    places = draw(st.sampled_from([0, 2, 3, 5, 8]))
    price = decimal(1 if rising else -(10**places) // 4, 2 * 10**places, places)
    row = st.lists(price, min_size=count, max_size=count)
    if rising:
        row = row.map(lambda found: sorted(found, key=float))
    if "*" in periods or draw(st.integers(0, 3)) == 0:
        return draw(row)
    found = {period: draw(row) for period in periods}
    if draw(st.integers(0, 3)) == 0:
        found["*"] = found.pop(periods[0])
    return found


def limits(low: int = 1) -> Any:
    """Strategies of rising limits in kWh by their number."""
    step = st.integers(low * 10, 150)

    def rise(steps: list[int]) -> list[str]:
        found, total = [], 0
        for one in steps:
            total += one
            found.append(f"{total // 10}.{total % 10}" if total % 10 else str(total // 10))
        return found

    return lambda count: st.lists(step, min_size=count, max_size=count).map(rise)


@st.composite
def ladder(draw: st.DrawFn, shape: str, count: int, *, timed: bool, spec: Table) -> Table:
    """A graduated ladder, a volume ladder, or tiers shared pro rata."""
    found: Table = {"reset": draw(RESETS), "mode": "volume" if shape == "volume" else "graduated"}
    found["allocate"] = "pro_rata" if shape == "pro_rata" else "chronological"
    if shape == "graduated" and timed and draw(st.booleans()):
        found["allocate"] = "per_period"
    rise = limits()(count - 1)
    seasonal = shape == "graduated" or found["reset"] in ("day", "month")
    if seasonal and draw(st.integers(0, 3)) == 0:
        halves = ([1, 2, 3, 10, 11, 12], [4, 5, 6, 7, 8, 9])
        found["limits_by_months"] = [{"months": half, "limits": draw(rise)} for half in halves]
    elif found["allocate"] == "per_period" and draw(st.booleans()):
        found["limits"] = {period: draw(rise) for period in spec["prices"]}
    else:
        found["limits"] = draw(rise)
    found.update(draw(stretches()))
    return found


@st.composite
def stretches(draw: st.DrawFn) -> Table:
    """Units, rounding, adders and multiplication of limits."""
    found: Table = {}
    if draw(st.integers(0, 2)) == 0:
        found["limit_unit"] = draw(st.sampled_from(["kWh_per_day", "kWh_per_kw", "kWh_per_30_days"]))
        if found["limit_unit"] == "kWh_per_kw" and draw(st.booleans()):
            found["kw"] = "kva"
        if draw(st.booleans()):
            found["round_limits"] = draw(st.sampled_from(["none", "kWh", "coefficient_0.1"]))
    if draw(st.integers(0, 2)) == 0:
        found["adders"] = draw(st.lists(adder(), min_size=1, max_size=2))
    if draw(st.integers(0, 4)) == 0:
        found["times"] = draw(st.sampled_from(["meters", "nobody"]))
    return found


rising_kwh = st.lists(decimal(0, 90, 1), min_size=1, max_size=3).map(lambda found: sorted(found, key=float))


@st.composite
def adder(draw: st.DrawFn) -> Table:
    """kWh for a household's size or for a word."""
    kwh = draw(st.one_of(decimal(0, 90, 1), rising_kwh))
    if draw(st.integers(0, 2)) == 0:
        return {"attribute": "poor", "equals": "yes", "kwh": kwh}
    found: Table = {"attribute": "household", "kwh": kwh}
    kind = draw(st.sampled_from(["least", "most", "both", "above"]))
    if kind != "most":
        found["at_least"] = draw(st.sampled_from(["3", "5"]))
    if kind in ("most", "both"):
        found["at_most"] = draw(st.sampled_from(["5", "6"]))
    if kind == "above":
        found["per"] = "above"
    return found


@st.composite
def class_list(draw: st.DrawFn, count: int, periods: list[str], *, rising: bool) -> list[Table]:
    """Classes by total: each with a price, a ladder of its own, or a ladder whose top tier prices all."""
    tops = draw(limits(3)(count - 1))
    found: list[Table] = []
    for place in range(count):
        tiers = 1 if rising else draw(st.integers(1, 2))
        one: Table = {"prices": draw(prices(periods, tiers, rising=rising))}
        if tiers > 1:
            one["volume"] = draw(st.booleans())
            below = Decimal(tops[place - 1]) if place and one["volume"] else Decimal(0)
            one["limits"] = [str(below + Decimal("2.5"))]  # inside the class, which is at least 3 kWh wide
        if place < count - 1:
            one["up_to"] = tops[place]
        found.append(one)
    if rising:
        rows = sorted(draw(st.lists(decimal(1, 400, 2), min_size=count, max_size=count)), key=float)
        for one, price in zip(found, rows, strict=True):
            one["prices"] = [price]
    return found


@st.composite
def again(draw: st.DrawFn, old: Table, periods: list[str]) -> Table:
    """The component under later prices; ladders of periods that are named otherwise become one ladder."""
    new = draw(other(old, periods))
    ladders = [one.get("ladder", {}) for one in (old, new)]
    if all(one.get("allocate") == "per_period" for one in ladders) and set(old["prices"]) != set(new["prices"]):
        limits_of = ladders[1].get("limits")
        plain = {"limits": next(iter(limits_of.values()))} if isinstance(limits_of, dict) else {}
        new = new | {"ladder": ladders[1] | plain | {"allocate": "chronological"}}
    return new


@st.composite
def other(draw: st.DrawFn, old: Table, periods: list[str]) -> Table:
    """The component as a later version writes it: a rule that looks at whole spans stays, others may change."""
    ident, ladder_of = old["id"], old.get("ladder", {})
    if "series" in old:
        return old
    whole = ladder_of.get("mode") in ("volume", "by_total") or ladder_of.get("allocate") == "pro_rata"
    if not whole and draw(st.booleans()):
        return draw(energy(ident, draw(st.sampled_from(["flat", "graduated"])), periods))
    if ladder_of.get("mode") == "by_total":
        return old | {"ladder": ladder_of | {"classes": [draw(repriced(one, periods)) for one in ladder_of["classes"]]}}
    count = len(tiers_of(old["prices"]))
    new = old | {"prices": draw(prices(periods, count, rising=False))}
    if not isinstance(new["prices"], dict) and ladder_of.get("allocate") == "per_period":
        new["prices"] = dict.fromkeys(periods, new["prices"])
    if ladder_of:
        kept = {key: ladder_of[key] for key in ("reset", "mode", "allocate")}
        new["ladder"] = kept | {"limits": draw(limits()(count - 1))} | draw(stretches())
    return new


@st.composite
def repriced(draw: st.DrawFn, one: Table, periods: list[str]) -> Table:
    """A class with other prices."""
    return one | {"prices": draw(prices(periods, len(tiers_of(one["prices"])), rising=False))}


def tiers_of(found: Any) -> list[str]:
    """The tiers of any period."""
    row = next(iter(found.values())) if isinstance(found, dict) else found
    return [row] if isinstance(row, str) else list(row)
