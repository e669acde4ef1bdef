"""Random whole tariffs for properties: what the book's page allows goes in by chance, TOML text and series come out."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from tests.cases.toml_text import document
from tests.properties import energies, levies
from tests.properties.choices import Choices, strategy

Table = dict[str, Any]
STARTS = ("2025-03-29", "2024-12-30", "2025-10-25", "2025-06-29", "2024-02-28", "2025-04-03")
SEARCHED = 3  # local days from a start in which bills lie
ZONES = (
    "UTC",
    "Asia/Shanghai",
    "Europe/London",
    "America/New_York",
    "Asia/Kolkata",
    "Africa/Cairo",
    "Asia/Kathmandu",
    "Pacific/Auckland",
    "Australia/Lord_Howe",  # half an hour of daylight saving: its days are no whole hours
)
SECOND_VERSIONS = (
    "2025-03-30",
    "2025-01-01T05:00",
    "2025-07-01",
    "2025-10-26T01:30",
    "2024-02-29T12:00",
    "2025-03-30T01:45",
)
DATES = ("03-29..04-01", "12-31..01-01", "2025-03-30", "10-26", "2024-12-01..2025-01-01", "06-30")
HOLIDAYS = ["2025-03-30", "2025-01-01", "2025-10-26", "2024-02-29", "2025-04-01"]
EDGES = tuple(f"{hour:02d}:{part}" for hour in range(24) for part in ("00", "00", "30", "15"))


@dataclass(frozen=True)
class Tariff:
    """A book's text and the values of its series by file and UTC start."""

    text: str
    minutes: int
    series: dict[str, dict[datetime, str]] = field(default_factory=dict, repr=False)

    def files(self, name: str) -> bytes:
        """The CSV of a series, as a book's loader asks for it."""
        return "".join(f"{at.isoformat()}Z,{value}\n" for at, value in self.series[name].items()).encode()


def tariffs(minutes: int = 60, *, rising: bool = False) -> st.SearchStrategy[Tariff]:
    """Tariffs for intervals of ``minutes``; ``rising`` ones cost more the more is used, so that money buys energy."""
    return strategy(tariff, minutes, rising=rising)


def tariff(pick: Choices, minutes: int = 60, *, rising: bool = False) -> Tariff:
    """One tariff."""
    table: Table = {
        "currency": "XXX",
        "zone": pick.one(ZONES if minutes < 60 else ZONES[:-1]),
        "decimals": pick.one((2, 2, 0, 3, 6)),
        "rounding": pick.one(("half_up", "half_up", "half_even", "down", "up")),
        "round_lines": pick.one(("line", "line", "component", "total")),
        "attributes": {"kva": "2.5", "phases": "3", "demand_history_kw": "1.5,4.25,2"},
    }
    if pick.rarely(3):
        table["total_decimals"] = pick.number(0, 2)
    later = [] if rising else sorted(pick.some(SECOND_VERSIONS, 0, 2))
    averaged = bool(later) and pick.rarely(5)
    if averaged:
        table["price_change"] = "average_per_day"
    shapes = [pick.one(energies.RISING if rising else energies.SHAPES) for _ in range(pick.number(1, 2))]
    gas = not rising and pick.rarely(8)
    first = version(pick, "2020-01-01", shapes, levies.Room([], minutes, rising, netted=not averaged))
    table["version"] = [first | gas_of(pick) if gas else first]
    for start in later:
        one = changed(pick, table["version"][-1], start, levies.Room([], minutes, netted=not averaged))
        table["version"].append(one | gas_of(pick) if gas else one)
    names = {one.get("series"): one for one in first["component"] if "series" in one}
    series = {name: values(pick, spec, table["zone"]) for name, spec in sorted(names.items())}
    return Tariff(document(table), minutes, series)


def gas_of(pick: Choices) -> Table:
    """A conversion of gas."""
    return {"gas": {"correction": pick.one(("1", "1.02264")), "calorific_mj": pick.one(("39.3", "38.1"))}}


def calendar(pick: Choices) -> Table:
    """Windows, holidays and a default period; empty for a tariff of one period."""
    if pick.rarely(3):
        return {}
    windows = [window(pick, pick.one(("peak", "flat", "sharp"))) for _ in range(pick.number(0, 4))]
    table: Table = {"default_period": "valley", "window": windows}
    if pick.rarely(2):
        table["holidays"] = HOLIDAYS
        turned = pick.one([None, 6, 7, "valley", *(one["period"] for one in windows)])
        if turned is not None:
            table["holiday_as"] = turned
    return table


def window(pick: Choices, period: str) -> Table:
    """One window: any of its tests may be there."""
    table: Table = {"period": period}
    if pick.rarely(2):
        table["from"], table["to"] = pick.one(EDGES), pick.one((*EDGES, "24:00", "24:00"))
    if pick.rarely(3):
        table["days"] = pick.some(range(1, 8), 1, 4)
    if pick.rarely(4):
        table["months"] = pick.some(range(1, 13), 1, 8)
    if pick.rarely(4):
        table["dates"] = pick.some(DATES, 1, 2)
    if pick.rarely(5):
        table["holidays"] = pick.rarely(2)
    return table


def periods_of(version: Table) -> list[str]:
    """The periods that a version's calendar may give."""
    return list(dict.fromkeys([version.get("default_period", "*"), *(w["period"] for w in version.get("window", []))]))


def version(pick: Choices, start: str, shapes: list[str], room: levies.Room) -> Table:
    """A version whose energy components have the given shapes, with what comes after energy."""
    table: Table = {"from": start, **calendar(pick)}
    names = periods_of(table)
    found = [
        energies.energy(pick, ident, shape, names, rising=room.rising)
        for ident, shape in zip(("energy", "rider"), shapes, strict=False)
    ]
    single = single_price(found[0])
    room = levies.Room(names, room.minutes, room.rising, single, room.netted and nettable(found[0]))
    after = levies.levies(pick, [one["id"] for one in found], room)
    known = [one["id"] for one in [*found, *after]]
    table["component"] = found + [levies.fitted(one, known, names, found[0]) for one in after]
    return table


def single_price(energy: Table) -> bool:
    """Whether all kWh stand under one period."""
    if "series" in energy:
        return "bands" not in energy
    classes = energy.get("ladder", {}).get("classes", [energy])
    return all(isinstance(one.get("prices"), list) for one in classes)


def nettable(energy: Table) -> bool:
    """Whether export may be netted by period: the classes of a class ladder name the same ones."""
    names = [one["prices"] for one in energy.get("ladder", {}).get("classes", [])]
    return len({frozenset(one) if isinstance(one, dict) else frozenset("*") for one in names}) < 2


def changed(pick: Choices, before: Table, start: str, room: levies.Room) -> Table:
    """A later version: other windows, other prices, and of the rest some kept, some changed, some gone."""
    table: Table = {"from": start, **calendar(pick), "component": []}
    names = periods_of(table)
    known: list[str] = []
    for old in before["component"]:
        if old["kind"] == "energy":
            table["component"].append(energies.again(pick, old, names))
        else:
            fate = pick.one(("same", "same", "other", "gone"))
            if fate == "gone" or (old["kind"] == "net_metering" and not nettable(table["component"][0])):
                continue
            single = single_price(table["component"][0])
            own = levies.Room(names, room.minutes, room.rising, single, room.netted)
            new = old if fate == "same" else levies.again(pick, old, known, own)
            if new.get("by") == "total" and not single:
                new = new | {"by": "period"}
            table["component"].append(levies.fitted(new, known, names, before["component"][0]))
        known.append(old["id"])
    return table


def values(pick: Choices, spec: Table, zone: str) -> dict[datetime, str]:
    """A pattern of prices or bands, repeated from local midnight on over all the days that tests bill."""
    bands = sorted(spec.get("bands", ()))
    pattern = [pick.one(bands) if bands else pick.decimal(-20_000, 90_000, 5) for _ in range(pick.number(1, 7))]
    return {at: pattern[place % len(pattern)] for place, at in enumerate(hours(zone))}


@lru_cache
def hours(zone: str) -> tuple[datetime, ...]:
    """UTC starts of hours, on the zone's hours, of the days that tests bill."""
    found: set[datetime] = set()
    for start in STARTS:
        first = datetime.fromisoformat(start).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).replace(tzinfo=None)
        found |= {first + timedelta(hours=hour) for hour in range((SEARCHED + 1) * 24)}
    return tuple(sorted(found))
