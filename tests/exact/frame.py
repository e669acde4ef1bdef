"""A book's table, a span and one account's attributes go in: what holds in each slot comes out, for any energies.

An attribute may be dated (``household@2025-03-30``, ``demand_register_kw@2025-03``): a version of the book is cut where
one changes that a component names, and components whose ``when`` does not hold are left out of it.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from tests.exact.clock import Clock

Table = dict[str, Any]
Span = tuple[datetime, datetime]
ACTING = ("percent", "minimum", "pf_adjust", "free_kwh", "net_metering", "credit_bank")  # on lines above them
UNSAID = {"demand": ("demand_register_kw", "demand_history_kw")}  # attributes that a kind reads without naming them


class Frame:
    """The slots of one bill for all accounts that share its book and attributes."""

    def __init__(
        self,
        book: Table,
        span: Span,
        minutes: int,
        attributes: Mapping[str, str] | None = None,
        series: Mapping[str, Mapping[datetime, str]] | None = None,
    ) -> None:
        """``series`` maps a file's name to its value by UTC slot start."""
        self.book, self.span, self.minutes, self.series = book, span, minutes, series or {}
        self.versions = cut(book, span, {**book.get("attributes", {}), **(attributes or {})})
        self.clock = Clock(book["zone"], self.versions)
        count = (span[1] - span[0]) // timedelta(minutes=minutes)
        self.starts = [span[0] + timedelta(minutes=minutes * slot) for slot in range(count)]
        self.local = [self.clock.local(start) for start in self.starts]
        self.version = [self.clock.version(start) for start in self.starts]
        self.period = [self.clock.period(start) for start in self.starts]
        self.shares = [self.clock.share(start, minutes) for start in self.starts]
        self.used = sorted(set(self.version))
        self.kept: dict[Any, Any] = {}  # what components have found out about the slots
        self.days = self.days_of(count)

    @property
    def averaged(self) -> bool:
        """Whether the bill's energy is shared by days over versions of the book, as if each had held throughout."""
        origins = {self.versions[index]["origin"] for index in self.used}
        return self.book.get("price_change") == "average_per_day" and len(origins) > 1

    def days_of(self, count: int, versions: list[int] | None = None) -> Fraction:
        """Days that the first ``count`` slots make, or those of them that lie in ``versions``."""
        key = ("days", count, None if versions is None else tuple(versions))
        if key not in self.kept:
            inside = [slot for slot in range(count) if versions is None or self.version[slot] in versions]
            self.kept[key] = self.days_in(inside)
        found: Fraction = self.kept[key]
        return found

    def days_in(self, slots: list[int]) -> Fraction:
        """Days that some slots make."""
        lengths: dict[int, int] = {}
        for slot in slots:
            minutes, day = self.shares[slot]
            lengths[day] = lengths.get(day, 0) + minutes
        return sum((Fraction(total, day) for day, total in lengths.items()), Fraction(0))

    def spec(self, ident: str, version: int) -> Table | None:
        """The component as a version writes it."""
        return next((one for one in self.versions[version]["component"] if one["id"] == ident), None)

    def alike(self, ident: str, one: int, other: int) -> bool:
        """Whether two versions write the component alike and the attributes that it names are the same."""
        spec = self.spec(ident, one)
        if spec != self.spec(ident, other):
            return False
        names = named({key: one for key, one in spec.items() if key != "when"}) if spec is not None else ()
        held = [self.versions[index]["held"] for index in (one, other)]
        return all(held[0].get(name) == held[1].get(name) for name in names)

    def label_of(self, ident: str) -> list[int]:
        """For each version the one under which the lines of an energy component stand.

        It is the version of the book, cut where the component or one that acts on lines is another.
        """
        key = ("label", ident)
        if key not in self.kept:
            found: list[int] = []
            for index, version in enumerate(self.versions):
                before = self.versions[index - 1] if index else {"origin": None, "component": []}
                acting = [one["id"] for one in (*version["component"], *before["component"]) if one["kind"] in ACTING]
                same = before["origin"] == version["origin"] and all(
                    self.alike(one, index - 1, index) for one in (ident, *acting)
                )
                found.append(found[-1] if same else index)
            self.kept[key] = found
        labels: list[int] = self.kept[key]
        return labels

    def idents(self) -> list[str]:
        """Ids of the components of the versions in force, in the order in which the book first writes them."""
        return list(dict.fromkeys(one["id"] for index in self.used for one in self.versions[index]["component"]))

    def kind(self, ident: str) -> str:
        """The component's kind."""
        specs = (self.spec(ident, index) for index in self.used)
        return next(str(spec["kind"]) for spec in specs if spec is not None)


def cut(book: Table, span: Span, given: Mapping[str, str]) -> list[Table]:
    """The book's versions for an account: cut at its changes inside the span, without what is not for it."""
    clock = Clock(book["zone"], book["version"])
    first, until = clock.local(span[0]), clock.local(span[1])
    dates = [name.split("@") for name in given if "@" in name]
    components = [one for version in book["version"] for one in version["component"]] if dates else []
    known = {name for one in components for name in named(one)}
    cuts = sorted({datetime.fromisoformat(at) for name, at in dates if name in known and len(at) > 7})
    found: list[Table] = []
    for place, version in enumerate(book["version"]):
        begin = clock.begins[place]
        end = min([*clock.begins[place + 1 : place + 2], until])
        for at in (begin, *(one for one in cuts if max(begin, first) < one < end)):
            held = attributes_at(given, first, at)
            label = version["from"] if at == begin else f"{version['from']}@{at.date().isoformat()}"
            components = [one for one in version["component"] if holds(one.get("when"), held)]
            found.append(
                {**version, "from": label, "begin": at, "origin": place, "held": held, "component": components}
            )
    return found


def attributes_at(given: Mapping[str, str], first: datetime, at: datetime) -> dict[str, str]:
    """Attributes in force at ``at`` in a bill that begins at ``first``."""
    held = {name: value for name, value in given.items() if "@" not in name}
    for name in sorted(given, key=lambda name: name.partition("@")[2]):
        plain, _, since = name.partition("@")
        if len(since) > 7 and datetime.fromisoformat(since) <= max(at, first):
            held[plain] = given[name]
    for name, value in given.items():
        if name.endswith(f"@{first:%Y-%m}"):
            held[name.partition("@")[0]] = value
    return held


def holds(when: Table | None, held: Mapping[str, str]) -> bool:
    """Whether the account is one that a component is for."""
    if when is None:
        return True
    value = held.get(when["attribute"], "")
    number = Fraction(value) if value.replace(".", "", 1).isdigit() else None
    tests = {
        "equals": value == when.get("equals"),
        "differs": value != when.get("differs"),
        "at_least": number is not None and number >= Fraction(when.get("at_least", "0")),
        "at_most": number is not None and number <= Fraction(when.get("at_most", "0")),
    }
    return all(passed for name, passed in tests.items() if name in when)


def named(spec: Table) -> frozenset[str]:
    """Every word of a component: among them are the attributes that it reads."""
    ladder = spec.get("ladder", {})
    unsaid = ("demand_kw",) if ladder.get("limit_unit") == "kWh_per_kw" and "kw" not in ladder else ()
    return frozenset([*words(spec), *UNSAID.get(spec["kind"], ()), *unsaid])


def words(item: Any) -> Iterator[str]:
    """Every text inside tables and lists."""
    if isinstance(item, str):
        yield item
    elif isinstance(item, dict):
        for one in item.values():
            yield from words(one)
    elif isinstance(item, list):
        for one in item:
            yield from words(one)
