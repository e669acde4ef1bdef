"""The text of a tariff book and rows of energy go in, the lines and total of a bill come out; for tests only.

One slot after the other, one watt-hour rule after the other, in Fractions: no arrays, no code shared with the engine,
so that the two can only agree by being right (or by sharing a misreading of the page that specifies them).
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tests.exact.clock import Clock
from tests.exact.energy import Energy, Exact
from tests.exact.kinds import KINDS
from tests.exact.numbers import rounded

Table = dict[str, Any]
Key = tuple[str, str, str, int | None]  # id, version, period, tier


@dataclass(frozen=True)
class Row:
    """One slot: its start in UTC (naive) and what was counted in Wh and varh."""

    start: datetime
    wh: int
    export_wh: int = 0
    varh: int = 0


@dataclass
class Result:
    """Rounded lines in bill order, what they are made of, their total, and the exact energy charge after each row."""

    lines: dict[Key, Fraction] = field(default_factory=dict)
    quantity: dict[Key, Fraction] = field(default_factory=dict)
    price: dict[Key, str] = field(default_factory=dict)
    exact: dict[Key, Fraction] = field(default_factory=dict)
    covers: dict[Key, list[int]] = field(default_factory=dict)
    total: Decimal = Decimal(0)
    running: list[Fraction] = field(default_factory=list)


@dataclass
class Part:
    """The versions that write a component alike, and the days of theirs that have gone by and that there are."""

    versions: list[int]
    labels: list[str]
    days: Fraction
    whole_days: Fraction


class Bill:
    """The naive rater of one bill; rows before its span are history, on which ladders go on."""

    def __init__(
        self,
        text: str,
        span: tuple[datetime, datetime],
        rows: list[Row],
        *,
        attributes: Mapping[str, str] | None = None,
        carried: int = 0,
        series: Mapping[str, Mapping[datetime, str]] | None = None,
        minutes: int = 0,
    ) -> None:
        """``series`` maps a file's name to its value by UTC slot start; ``carried`` is Wh on every open ladder."""
        self.book = tomllib.loads(text)
        self.clock = Clock(self.book)
        self.span, self.carried, self.series = span, carried, series or {}
        self.minutes = minutes or (rows[1].start - rows[0].start) // timedelta(minutes=1)
        known = {row.start: row for row in rows}
        count = (span[1] - span[0]) // timedelta(minutes=self.minutes)
        starts = [span[0] + timedelta(minutes=self.minutes * slot) for slot in range(count)]
        self.rows = [known.get(start, Row(start, 0)) for start in starts]
        self.history = sorted((row for row in rows if row.start < span[0]), key=lambda row: row.start)
        self.taken = self.rows
        self.attributes = {**self.book.get("attributes", {}), **(attributes or {})}
        self.attributes.setdefault("demand_kw", self._largest())
        self.decimals = self.book.get("decimals", 2)
        self.mode = self.book.get("rounding", "half_up")
        self.days = self.days_of(self.rows)
        self.used = sorted({self.clock.version(row.start) for row in self.rows})

    def _largest(self) -> str:
        highest = rounded(Fraction(max(row.wh for row in self.rows) * 60, self.minutes * 1000), 6)
        return str(Decimal(highest.numerator) / Decimal(highest.denominator))

    def days_of(self, rows: list[Row], versions: list[int] | None = None) -> Fraction:
        """Days that the rows of some versions make: a day of 23 hours is as long as any other."""
        lengths: dict[int, int] = {}
        for row in rows:
            if versions is None or self.clock.version(row.start) in versions:
                minutes = self.clock.day_minutes(self.clock.local(row.start).date())
                lengths[minutes] = lengths.get(minutes, 0) + self.minutes
        return sum((Fraction(total, minutes) for minutes, total in lengths.items()), Fraction(0))

    def run(self, count: int | None = None) -> Result:
        """All lines in bill order, as if the period ended after ``count`` rows."""
        taken = len(self.rows) if count is None else count
        self.taken = self.rows[:taken]
        result = Result(running=[Fraction(0)] * taken)
        for ident in self.idents():
            if self._kind(ident) == "energy":
                self._energy(ident, taken, result)
            else:
                self._other(ident, result)
        total = sum(result.lines.values(), Fraction(0))
        if self.book.get("total_decimals") is not None:
            total = rounded(total, self.book["total_decimals"], self.mode)
        result.total = Decimal(total.numerator) / Decimal(total.denominator)
        return result

    def idents(self) -> list[str]:
        """Ids of the components of the versions in force, in the order in which the book first writes them."""
        return list(dict.fromkeys(one["id"] for index in self.used for one in self.clock.versions[index]["component"]))

    def _kind(self, ident: str) -> str:
        specs = [one for index in self.used for one in self.clock.versions[index]["component"] if one["id"] == ident]
        return str(specs[0]["kind"])

    def energies(self) -> list[str]:
        """Ids of the energy components."""
        return [ident for ident in self.idents() if self._kind(ident) == "energy"]

    def exact(self, ident: str, count: int) -> Exact:
        """The energy component ``ident`` after ``count`` rows."""
        return Energy(self, ident).exact(count)

    def _energy(self, ident: str, taken: int, result: Result) -> None:
        exact = self.exact(ident, taken)
        result.running = [one + more for one, more in zip(result.running, exact.running, strict=True)]
        total = printed = Fraction(0)
        periods = list(dict.fromkeys([*exact.periods, *(period for _, period, _ in exact.amount)]))
        for place in sorted(exact.amount, key=lambda place: (place[0], periods.index(place[1]), place[2])):
            version, period, tier = place
            key = (ident, self.clock.versions[version]["from"], period, tier)
            result.exact[key] = exact.amount[place]
            result.quantity[key] = exact.wh[place] / 1000
            result.price[key] = exact.price[place]
            result.covers[key] = [version]
            if self.book.get("round_lines", "line") == "line":
                result.lines[key] = rounded(exact.amount[place], self.decimals, self.mode)
                continue
            total += exact.amount[place]
            result.lines[key] = rounded(total, self.decimals, self.mode) - printed
            printed += result.lines[key]

    def parts(self, ident: str) -> list[tuple[Table, Part]]:
        """Neighbouring versions that write the component alike are one; others bear their days."""
        groups: list[tuple[Table, list[int]]] = []
        for index in self.used:
            spec = next((one for one in self.clock.versions[index]["component"] if one["id"] == ident), None)
            if spec is None:
                continue
            if groups and groups[-1][0] == spec:
                groups[-1][1].append(index)
            else:
                groups.append((spec, [index]))
        found = []
        for spec, versions in groups:
            labels = [self.clock.versions[index]["from"] for index in versions]
            days = self.days_of(self.taken, versions)
            found.append((spec, Part(versions, labels, days, self.days_of(self.rows, versions))))
        return [(spec, part) for spec, part in found if part.days]

    def _other(self, ident: str, result: Result) -> None:
        for spec, part in self.parts(ident):
            for tier, quantity, amount in KINDS[spec["kind"]](self, spec, part, result):
                key = (ident, part.labels[0], "", tier)
                result.lines[key] = rounded(amount, self.decimals, self.mode)
                result.covers[key] = part.versions
                if quantity is not None:
                    result.quantity[key] = quantity

    def base(self, spec: Table, part: Part, result: Result) -> Fraction:
        """The rounded lines that a component acts on: of each, the share of its days that lies in the part."""
        total = Fraction(0)
        for key, amount in result.lines.items():
            if spec.get("of") and key[0] not in spec["of"]:
                continue
            inside = [index for index in result.covers[key] if index in part.versions]
            if inside == result.covers[key]:
                total += amount
            elif inside:
                total += rounded(
                    amount * self.days_of(self.taken, inside) / self.days_of(self.taken, result.covers[key]), 6
                )
        return total
