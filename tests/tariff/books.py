"""Random tariff books as TOML text, for properties; every book is valid and most rules meet each other somewhere."""

from typing import Any

from hypothesis import strategies as st

from tests.cases.toml_text import document

ZONES = ("Asia/Shanghai", "Europe/London", "America/New_York", "Asia/Kolkata", "UTC")


def decimal(low: int, high: int, places: int) -> st.SearchStrategy[str]:
    """Decimal text of a random scaled integer."""

    def text(value: int) -> str:
        digits = str(abs(value)).rjust(places + 1, "0")
        return ("-" if value < 0 else "") + digits[:-places] + "." + digits[-places:] if places else str(value)

    return st.integers(low, high).map(text)


@st.composite
def ladders(draw: st.DrawFn, tiers: int, *, periods: bool, whole: bool) -> dict[str, Any]:
    """A ladder of ``tiers`` tiers with limits that rise from a few kWh."""
    steps = draw(st.lists(st.integers(1, 40), min_size=tiers - 1, max_size=tiers - 1))
    limits, total = [], 0
    for step in steps:
        total += step
        limits.append(str(total))
    ladder: dict[str, Any] = {"mode": "graduated", "reset": draw(st.sampled_from(["bill", "day", "month", "year"]))}
    choices = ["chronological"] + (["per_period"] if periods else []) + (["pro_rata"] if whole else [])
    ladder["allocate"] = draw(st.sampled_from(choices))
    if whole and draw(st.booleans()):
        ladder.update(mode="volume", allocate="chronological")
    if ladder["mode"] == "graduated" and draw(st.booleans()):
        summer = {"months": [4, 5, 6, 7, 8, 9], "limits": limits}
        winter = {"months": [1, 2, 3, 10, 11, 12], "limits": [str(int(limit) + 3) for limit in limits]}
        ladder["limits_by_months"] = [summer, winter]
        if ladder["allocate"] == "pro_rata":
            ladder["limits_by_months"] = [{"months": list(range(1, 13)), "limits": limits}]
    else:
        ladder["limits"] = limits
    if draw(st.booleans()):
        ladder["adders"] = [{"attribute": "household", "at_least": "5", "kwh": ["7"]}]
    return ladder


@st.composite
def energies(draw: st.DrawFn, ident: str, periods: list[str], *, whole: bool) -> dict[str, Any]:
    """One energy component over ``periods``."""
    tiers = draw(st.integers(1, 4))
    timed = bool(periods) and draw(st.booleans())
    places = draw(st.sampled_from([0, 2, 3, 5, 8]))
    price = decimal(-(10**places) // 4, 10**places, places)
    row = st.lists(price, min_size=tiers, max_size=tiers)
    component: dict[str, Any] = {"id": ident, "kind": "energy"}
    component["prices"] = {period: draw(row) for period in periods} if timed else draw(row)
    if draw(st.booleans()):
        component["quantity"] = draw(st.sampled_from(["import", "export", "net"]))
    if draw(st.integers(0, 4)) == 0:
        component["credit"] = True
    if tiers > 1:
        component["ladder"] = draw(
            ladders(tiers, periods=timed, whole=whole and component.get("quantity", "import") == "import")
        )
    return component


@st.composite
def versions(draw: st.DrawFn, start: str, *, whole: bool) -> dict[str, Any]:
    """One version with up to three windows and up to five components."""
    version: dict[str, Any] = {"from": start}
    periods: list[str] = []
    if draw(st.booleans()):
        windows = []
        for name in draw(st.lists(st.sampled_from(["peak", "flat", "sharp"]), unique=True, max_size=3)):
            window: dict[str, Any] = {"period": name}
            if draw(st.booleans()):
                hours = draw(st.tuples(st.integers(0, 23), st.integers(0, 23)))
                window["from"], window["to"] = (f"{hour:02d}:00" for hour in hours)
            if draw(st.booleans()):
                window["days"] = draw(st.lists(st.integers(1, 7), unique=True, min_size=1, max_size=4))
            windows.append(window)
        version["default_period"] = "valley"
        version["window"] = windows
        periods = ["valley", *(window["period"] for window in windows)]
        if draw(st.booleans()):
            version["holidays"] = ["2025-03-30", "2025-01-01", "2025-10-26"]
            version["holiday_as"] = draw(st.sampled_from([7, "valley"]))
    names = ["energy", "rider"][: draw(st.integers(1, 2))]
    components = [draw(energies(name, periods, whole=whole)) for name in names]
    if draw(st.booleans()):
        components.append({"id": "fee", "kind": "fixed", "amount": draw(decimal(0, 3000, 2)), "per": draw(PER)})
    if draw(st.booleans()):
        components.append({"id": "floor", "kind": "minimum", "amount": draw(decimal(0, 3000, 2))})
    if draw(st.booleans()):
        components.append({"id": "levy", "kind": "percent", "percent": draw(decimal(-500, 2500, 2)), "of": ["energy"]})
    if draw(st.booleans()):
        components.append({"id": "tax", "kind": "percent", "percent": draw(decimal(0, 2000, 2))})
    version["component"] = components
    return version


PER = st.sampled_from(["bill", "day", "kva"])


@st.composite
def texts(draw: st.DrawFn, *, whole: bool = False) -> str:
    """The text of a book, often with a price change inside the days that the tests bill."""
    table: dict[str, Any] = {
        "currency": "XXX",
        "zone": draw(st.sampled_from(ZONES)),
        "decimals": draw(st.sampled_from([0, 2, 2, 3, 6])),
        "rounding": draw(st.sampled_from(["half_up", "half_up", "half_even", "down", "up"])),
        "round_lines": draw(st.sampled_from(["line", "line", "component"])),
        "attributes": {"kva": "2.5"},
    }
    if draw(st.booleans()):
        table["total_decimals"] = draw(st.integers(0, 2))
    table["version"] = [draw(versions("2020-01-01", whole=whole))]
    if not whole and draw(st.booleans()):
        table["version"].append(draw(versions(draw(st.sampled_from(["2025-03-30", "2025-01-01T05:00"])), whole=False)))
    return document(table)
