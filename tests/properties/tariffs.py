"""Random whole tariffs for properties: what the book's page allows goes in by chance, TOML text and series come out."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from tests.cases.toml_text import document
from tests.properties import energies, levies

Table = dict[str, Any]
ZONES = (
    "Australia/Lord_Howe",  # half an hour of daylight saving: its days are no whole hours
    "Asia/Shanghai",
    "Europe/London",
    "America/New_York",
    "Asia/Kolkata",
    "UTC",
    "Africa/Cairo",
    "Asia/Kathmandu",
    "Pacific/Auckland",
)
SECOND_VERSIONS = (
    "2025-03-30",
    "2025-01-01T05:00",
    "2025-07-01",
    "2025-10-26T01:30",
    "2024-02-29T12:00",
    "2025-03-30T01:45",
)


@dataclass(frozen=True)
class Tariff:
    """A book's text and the values of its series by file and UTC start."""

    text: str
    minutes: int
    series: dict[str, dict[datetime, str]] = field(default_factory=dict, repr=False)

    def files(self, name: str) -> bytes:
        """The CSV of a series, as a book's loader asks for it."""
        return "".join(f"{at.isoformat()}Z,{value}\n" for at, value in self.series[name].items()).encode()


@st.composite
def tariffs(draw: st.DrawFn, minutes: int = 60, *, rising: bool = False) -> Tariff:
    """A tariff for intervals of ``minutes``; ``rising`` ones cost more the more is used, so that money buys energy."""
    table: Table = {
        "currency": "XXX",
        "zone": draw(st.sampled_from(ZONES if minutes < 60 else ZONES[1:])),
        "decimals": draw(st.sampled_from([2, 2, 0, 3, 6])),
        "rounding": draw(st.sampled_from(["half_up", "half_up", "half_even", "down", "up"])),
        "round_lines": draw(st.sampled_from(["line", "line", "component"])),
        "attributes": {"kva": "2.5", "phases": "3", "demand_history_kw": "1.5,4.25,2"},
    }
    if draw(st.integers(0, 2)) == 0:
        table["total_decimals"] = draw(st.integers(0, 2))
    shapes = draw(st.lists(st.sampled_from(energies.RISING if rising else energies.SHAPES), min_size=1, max_size=2))
    first = draw(versions("2020-01-01", shapes, minutes=minutes, rising=rising))
    table["version"] = [first]
    later = [] if rising else draw(st.lists(st.sampled_from(SECOND_VERSIONS), unique=True, max_size=2))
    for start in sorted(later):
        table["version"].append(draw(changed(table["version"][-1], start, minutes)))
    names = {one.get("series"): one for version in table["version"] for one in version["component"] if "series" in one}
    series = {name: draw(values(spec, table["zone"])) for name, spec in sorted(names.items())}
    return Tariff(document(table), minutes, series)


@st.composite
def calendars(draw: st.DrawFn) -> Table:
    """Windows, holidays and a default period; empty for a tariff of one period."""
    if draw(st.integers(0, 2)) == 0:
        return {}
    windows = [draw(window(name)) for name in draw(st.lists(st.sampled_from(["peak", "flat", "sharp"]), max_size=4))]
    table: Table = {"default_period": "valley", "window": windows}
    if draw(st.booleans()):
        table["holidays"] = ["2025-03-30", "2025-01-01", "2025-10-26", "2024-02-29", "2025-04-01"]
        periods = ["valley", *(one["period"] for one in windows)]
        turned: list[Any] = [None, 6, 7, *periods]
        if (holiday := draw(st.sampled_from(turned))) is not None:
            table["holiday_as"] = holiday
    return table


@st.composite
def window(draw: st.DrawFn, period: str) -> Table:
    """One window: any of its tests may be there."""
    table: Table = {"period": period}
    if draw(st.booleans()):
        edges = st.sampled_from([f"{hour:02d}:{part}" for hour in range(24) for part in ("00", "00", "30", "15")])
        table["from"], table["to"] = draw(edges), draw(st.one_of(edges, st.just("24:00")))
    if draw(st.integers(0, 2)) == 0:
        table["days"] = draw(st.lists(st.integers(1, 7), unique=True, min_size=1, max_size=4))
    if draw(st.integers(0, 3)) == 0:
        table["months"] = draw(st.lists(st.integers(1, 12), unique=True, min_size=1, max_size=8))
    if draw(st.integers(0, 3)) == 0:
        spans = ["03-29..04-01", "12-31..01-01", "2025-03-30", "10-26", "2024-12-01..2025-01-01", "06-30"]
        table["dates"] = draw(st.lists(st.sampled_from(spans), unique=True, min_size=1, max_size=2))
    if draw(st.integers(0, 4)) == 0:
        table["holidays"] = draw(st.booleans())
    return table


@st.composite
def versions(draw: st.DrawFn, start: str, shapes: list[str], *, minutes: int, rising: bool = False) -> Table:
    """A version whose energy components have the given shapes, with what comes after energy."""
    version: Table = {"from": start, **draw(calendars())}
    version["component"] = draw(components(version, shapes, minutes=minutes, rising=rising))
    return version


@st.composite
def components(draw: st.DrawFn, version: Table, shapes: list[str], *, minutes: int, rising: bool) -> list[Table]:
    """Energy first, then what acts on it."""
    names = list(dict.fromkeys([version.get("default_period", "*"), *(w["period"] for w in version.get("window", []))]))
    found = [
        draw(energies.energy(ident, shape, names, rising=rising))
        for ident, shape in zip(("energy", "rider"), shapes, strict=False)
    ]
    after = draw(levies.levies([one["id"] for one in found], names, minutes=minutes, rising=rising))
    known = [one["id"] for one in [*found, *after]]
    return found + [levies.fitted(one, known, names, found[0]) for one in after]


@st.composite
def changed(draw: st.DrawFn, before: Table, start: str, minutes: int) -> Table:
    """A later version: other windows, other prices, and of the rest some kept, some changed, some gone."""
    version: Table = {"from": start, **draw(calendars())}
    names = list(dict.fromkeys([version.get("default_period", "*"), *(w["period"] for w in version.get("window", []))]))
    version["component"] = []
    known: list[str] = []
    for old in before["component"]:
        if old["kind"] == "energy":
            version["component"].append(draw(energies.again(old, names)))
        else:
            fate = draw(st.sampled_from(["same", "same", "other", "gone"]))
            if fate == "gone":
                continue
            new = old if fate == "same" else draw(levies.again(old, known, names, minutes=minutes))
            version["component"].append(levies.fitted(new, known, names, before["component"][0]))
        known.append(old["id"])
    return version


@st.composite
def values(draw: st.DrawFn, spec: Table, zone: str) -> dict[datetime, str]:
    """A pattern of prices or bands, repeated from local midnight on over all the days that tests bill."""
    choices = st.sampled_from(sorted(spec["bands"])) if "bands" in spec else energies.decimal(-20_000, 90_000, 5)
    pattern = draw(st.lists(choices, min_size=1, max_size=7))
    return {at: pattern[place % len(pattern)] for place, at in enumerate(hours(zone))}


@lru_cache
def hours(zone: str) -> tuple[datetime, ...]:
    """UTC starts of hours, on the zone's hours, of the days that tests bill."""
    found: set[datetime] = set()
    for start in STARTS:
        first = datetime.fromisoformat(start).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).replace(tzinfo=None)
        found |= {first + timedelta(hours=hour) for hour in range(5 * 24)}
    return tuple(sorted(found))


STARTS = ("2025-03-29", "2024-12-30", "2025-10-25", "2025-06-29", "2024-02-28", "2025-04-03")
