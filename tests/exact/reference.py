"""The text of a tariff book and rows of energy go in, the lines and total of a bill come out; for tests only.

One slot after the other, one watt-hour rule after the other, in whole numbers and Fractions: no arrays, no code shared
with the engine, so that the two can only agree by being right (or by sharing a misreading of the page that specifies
them).
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tests.exact import energy, gas
from tests.exact.energy import UNITS, Exact, Number
from tests.exact.frame import Frame
from tests.exact.kinds import KINDS, Entry
from tests.exact.numbers import rounded

Table = dict[str, Any]
Key = tuple[str, str, str, int | None]  # id, version, period, tier
Left = dict[str, dict[int, Fraction]]  # what bills leave to the next ones, by name and month since year 0


@dataclass(frozen=True)
class Row:
    """One slot: its start in UTC (naive) and what was counted in Wh (of gas: 0.001 m3) and varh."""

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
    energy: set[Key] = field(default_factory=set)
    covers: dict[Key, list[int]] = field(default_factory=dict)
    included: dict[Key, Fraction] = field(default_factory=dict)
    total: Decimal = Decimal(0)
    units: list[Number] = field(default_factory=list)  # of 10**-15
    charge: dict[Key, Fraction] = field(default_factory=dict)  # of energy lines, before rounding

    def mean(self, key: Key) -> Fraction:
        """What a kWh of an energy line costs: its price, where it has but one."""
        return self.charge[key] / self.quantity[key]

    @property
    def running(self) -> list[Fraction]:
        """The exact energy charge after each row."""
        return [Fraction(one) / UNITS for one in self.units]


@dataclass
class Part:
    """The versions that write a component alike, the days of theirs that have gone by and that there are."""

    versions: list[int]
    label: str
    days: Fraction
    whole_days: Fraction
    held: Mapping[str, str]  # the account's attributes


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
        book = tomllib.loads(text)
        minutes = minutes or (rows[1].start - rows[0].start) // timedelta(minutes=1)
        inside = [row for row in rows if span[0] <= row.start < span[1]]
        highest = rounded(Fraction(max((row.wh for row in inside), default=0) * 60, minutes * 1000), 6)
        largest = str(Decimal(highest.numerator) / Decimal(highest.denominator))
        given = {"demand_kw": largest, **book.get("attributes", {}), **(attributes or {})}
        self._of(Frame(book, span, minutes, given, series), rows, carried, {})

    @classmethod
    def of(cls, frame: Frame, rows: list[Row], *, left: Left | None = None) -> "Bill":
        """A bill of a frame that others share, after earlier bills ``left`` something."""
        bill = cls.__new__(cls)
        bill._of(frame, rows, 0, left or {})
        return bill

    def _of(self, frame: Frame, rows: list[Row], carried: int, left: Left) -> None:
        self.frame, self.carried, self.minutes = frame, carried, frame.minutes
        self.before = left
        known = {row.start: row for row in rows}
        self.rows = gas.converted([known.get(start) or Row(start, 0) for start in frame.starts], frame)
        before = sorted((row for row in rows if row.start < frame.span[0]), key=lambda row: row.start)
        self.history = gas.converted(before, frame)
        self.decimals = frame.book.get("decimals", 2)
        self.mode = frame.book.get("rounding", "half_up")
        self.once = frame.book.get("round_lines", "line") == "total"
        self.days = frame.days
        first = frame.local[0]
        self.month = first.year * 12 + first.month - 1
        end = frame.clock.local(frame.span[1])
        begun = {one.date() for one in frame.local} | ({end.date()} if (end.hour, end.minute) == (0, 0) else set())
        self.begins = {f"{day:%m-%d}" for day in begun - {first.date()}}

    def run(self, count: int | None = None) -> Result:
        """All lines in bill order, as if the period ended after ``count`` rows."""
        taken = len(self.rows) if count is None else count
        self.taken, self.closing = self.rows[:taken], taken == len(self.rows)
        self.left: Left = {name: dict(lots) for name, lots in self.before.items()}
        self.seen: dict[str, list[tuple[int, str]]] = {}
        result = Result(units=[0] * taken)
        for ident in self.frame.idents():
            if self.frame.kind(ident) == "energy":
                self._energy(ident, taken, result)
            else:
                self._other(ident, result)
        if self.once:
            self._round_once(result)
        total = sum(result.lines.values(), Fraction(0))
        if self.frame.book.get("total_decimals") is not None:
            total = rounded(total, self.frame.book["total_decimals"], self.mode)
        result.total = Decimal(total.numerator) / Decimal(total.denominator)
        return result

    def line(self, amount: Fraction) -> Fraction:
        """An amount as a line prints it; exact where only the total is rounded."""
        return amount if self.once else rounded(amount, self.decimals, self.mode)

    def entry(self, amount: Fraction, **more: Any) -> Entry:
        """A line of another kind of component."""
        return Entry(amount, **more)

    def energies(self) -> list[str]:
        """Ids of the energy components."""
        return [ident for ident in self.frame.idents() if self.frame.kind(ident) == "energy"]

    def exact(self, ident: str, count: int) -> Exact:
        """The energy component ``ident`` after ``count`` rows."""
        return energy.exact(self.frame, ident, self, count)

    def group(self, ident: str, label: int) -> list[int]:
        """The versions in force whose energy stands on lines of version ``label``."""
        return [index for index in self.frame.used if self.frame.label_of(ident)[index] == label]

    def _energy(self, ident: str, taken: int, result: Result) -> None:
        exact = self.exact(ident, taken)
        self.seen[ident] = list(exact.order)
        result.units = [one + more for one, more in zip(result.units, exact.running, strict=True)]
        total = printed = Fraction(0)
        last = len(exact.order)
        order = {place: (place[0], exact.order.get(place[:2], last), place[2]) for place in exact.amount}
        for place in sorted(exact.amount, key=order.__getitem__):
            version, period, tier = place
            key = (ident, self.frame.versions[version]["from"], period, tier)
            result.energy.add(key)
            result.quantity[key] = Fraction(exact.wh[place]) / 1000
            result.price[key] = exact.price[place]
            result.covers[key] = self.group(ident, version)
            amount = result.charge[key] = Fraction(exact.amount[place]) / UNITS
            if self.frame.book.get("round_lines", "line") != "component":
                result.lines[key] = self.line(amount)
                continue
            total += amount
            result.lines[key] = self.line(total) - printed
            printed += result.lines[key]

    def parts(self, ident: str) -> list[tuple[Table, Part]]:
        """Neighbouring versions that write the component alike are one; others bear their days."""
        frame = self.frame
        groups: list[list[int]] = []
        for index in frame.used:
            if frame.spec(ident, index) is None:
                continue
            if groups and frame.alike(ident, groups[-1][-1], index):
                groups[-1].append(index)
            else:
                groups.append([index])
        found = []
        for versions in groups:
            spec, version = frame.spec(ident, versions[0]), frame.versions[versions[0]]
            assert spec is not None
            days = frame.days_of(len(self.taken), versions)
            whole = frame.days_of(len(self.rows), versions)
            found.append((spec, Part(versions, version["from"], days, whole, version["held"])))
        changes = frame.book.get("price_change") == "average_per_day"
        return [(spec, part) for spec, part in found if part.days or changes]

    def _other(self, ident: str, result: Result) -> None:
        for spec, part in self.parts(ident):
            for entry in KINDS[spec["kind"]](self, spec, part, result):
                label, versions = entry.of or (part.label, part.versions)
                key = (ident, label, entry.period, entry.tier)
                result.lines[key] = self.line(entry.amount)
                result.covers[key] = versions
                if entry.included:
                    result.included[key] = self.line(entry.included)
                if entry.quantity is not None:
                    result.quantity[key] = entry.quantity

    def _round_once(self, result: Result) -> None:
        """Lines whose sum is the exact total, rounded once, wherever one stops."""
        exact = printed = Fraction(0)
        for key in result.lines:
            exact += result.lines[key]
            result.lines[key] = rounded(exact, self.decimals, self.mode) - printed
            printed += result.lines[key]
        result.included = {key: rounded(one, self.decimals, self.mode) for key, one in result.included.items()}

    def base(self, spec: Table, part: Part, result: Result) -> Fraction:
        """The rounded lines that a component acts on: of each, the share of its days that lies in the part."""
        total = Fraction(0)
        for key, amount in result.lines.items():
            if spec.get("of") and key[0] not in spec["of"]:
                continue
            covers = result.covers[key]
            inside = [index for index in covers if index in part.versions]
            days = self.frame.days_of(len(self.taken), covers)
            if not inside:
                continue
            if inside == covers or not days:
                total += amount
                continue
            share = amount * self.frame.days_of(len(self.taken), inside) / days
            total += share if self.once else rounded(share, 6)
        return total
