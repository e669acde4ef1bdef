"""The text of a tariff book and rows of energy go in, the lines and total of a bill come out; for tests only.

One slot after the other, one watt-hour rule after the other, in Fractions and Decimals: no arrays, no code shared with
the engine, so that the two can only agree by being right (or by sharing a misreading of the page that specifies them).
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_UP, Decimal, localcontext
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

Table = dict[str, Any]
MODES = {"half_up": ROUND_HALF_UP, "half_even": ROUND_HALF_EVEN, "down": ROUND_DOWN, "up": ROUND_UP}
Key = tuple[str, str, str, int | None]  # id, version, period, tier


@dataclass(frozen=True)
class Row:
    """One slot: its start in UTC (naive) and what was counted in Wh."""

    start: datetime
    wh: int
    export_wh: int = 0


@dataclass
class Result:
    """Rounded lines in bill order, their total, and the exact running energy charge after each row."""

    lines: dict[Key, Decimal] = field(default_factory=dict)
    total: Decimal = Decimal(0)
    running: list[Fraction] = field(default_factory=list)


def rounded(value: Fraction, decimals: int, mode: str) -> Decimal:
    """``value`` at ``decimals`` places, exactly."""
    with localcontext() as context:
        context.prec = 400
        # 60 digits beyond the last place are enough unless the value sits within 1e-60 of a tie without being one;
        # the remainder of the division is compared instead of guessed.
        scaled = value * 10**decimals
        whole, rest = divmod(abs(scaled.numerator), scaled.denominator)
        digits = Decimal(whole) + (Decimal(rest) / Decimal(scaled.denominator) if rest else Decimal(0))
        sign = -1 if value < 0 else 1
        return sign * digits.quantize(Decimal(1), rounding=MODES[mode]) / Decimal(10) ** decimals


class Bill:
    """The naive rater of one bill."""

    def __init__(
        self,
        text: str,
        span: tuple[datetime, datetime],
        rows: list[Row],
        *,
        attributes: Mapping[str, str] | None = None,
        carried: int = 0,
        series: Mapping[str, Mapping[datetime, str]] | None = None,
    ) -> None:
        """``series`` maps a file's name to its value by UTC slot start; ``carried`` is Wh on every open ladder."""
        self.book = tomllib.loads(text)
        self.span, self.rows, self.carried = span, sorted(rows, key=lambda row: row.start), carried
        self.attributes = {**self.book.get("attributes", {}), **(attributes or {})}
        self.zone = ZoneInfo(self.book["zone"])
        self.series = series or {}
        self.decimals = self.book.get("decimals", 2)
        self.mode = self.book.get("rounding", "half_up")
        self.busy = [place for place, row in enumerate(self.rows) if row.wh or row.export_wh]
        self.seen: dict[Any, Any] = {}  # answers that are asked for once a slot and ladder step

    def local(self, at: datetime) -> datetime:
        """Wall clock of the book at a UTC instant."""
        if at not in self.seen:
            self.seen[at] = at.replace(tzinfo=UTC).astimezone(self.zone).replace(tzinfo=None)
        found: datetime = self.seen[at]
        return found

    def version(self, at: datetime) -> Table:
        """The version in force at a UTC instant."""
        local = self.local(at)
        if ("version", at) not in self.seen:
            begun = [one for one in self.book["version"] if datetime.fromisoformat(one["from"]) <= local]
            self.seen["version", at] = begun[-1]
        found: Table = self.seen["version", at]
        return found

    def period(self, at: datetime) -> str:
        """The calendar's period at a UTC instant."""
        version, local = self.version(at), self.local(at)
        day = local.isoweekday()
        holiday = local.date().isoformat() in version.get("holidays", [])
        turned = version.get("holiday_as", "")
        if holiday and isinstance(turned, int):
            day = turned
        if holiday and isinstance(turned, str) and turned:
            return turned
        for window in version.get("window", []):
            if self._within(window, local, day):
                return str(window["period"])
        return str(version.get("default_period", "*"))

    def _within(self, window: Table, local: datetime, day: int) -> bool:
        if window.get("months") and local.month not in window["months"]:
            return False
        if window.get("days") and day not in window["days"]:
            return False
        clock = local.strftime("%H:%M")
        begin, end = window.get("from", "00:00"), window.get("to", "00:00")
        if begin == end or (begin, end) == ("00:00", "24:00"):
            return True
        return begin <= clock < end if begin < end else clock >= begin or clock < end

    def run(self) -> Result:
        """All lines in bill order."""
        result = Result(running=[Fraction(0)] * len(self.rows))
        versions = []
        for row in self.rows:
            if self.version(row.start) not in versions:
                versions.append(self.version(row.start))
        ids = list(dict.fromkeys(one["id"] for version in versions for one in version["component"]))
        for ident in ids:
            kind = next(c["kind"] for v in versions for c in v["component"] if c["id"] == ident)
            if kind == "energy":
                self._energy(ident, result)
            else:
                self._other(ident, versions, result)
        result.total = sum(result.lines.values(), Decimal(0))
        if self.book.get("total_decimals") is not None:
            result.total = rounded(Fraction(result.total), self.book["total_decimals"], self.mode)
        return result

    # energy -----------------------------------------------------------------------------------------------------------

    def _energy(self, ident: str, result: Result) -> None:
        exact: dict[Key, Fraction] = {}
        for number, (row, spec, version) in enumerate(self._rated(ident)):
            if spec is None:
                result.running[number] += sum(exact.values(), Fraction(0))
                continue
            for key, amount in self._slot(ident, number, row, spec, version["from"]):
                exact[key] = exact.get(key, Fraction(0)) + amount
            result.running[number] += sum(exact.values(), Fraction(0))
        spec = next(one for _, one, _ in self._rated(ident) if one is not None)
        if (
            spec.get("ladder", {}).get("mode") in ("volume", "by_total")
            or spec.get("ladder", {}).get("allocate") == "pro_rata"
        ):
            exact = self._whole(ident)
        total, printed = Fraction(0), Decimal(0)
        for key in exact:
            if self.book.get("round_lines", "line") == "line":
                result.lines[key] = rounded(exact[key], self.decimals, self.mode)
                continue
            total += exact[key]
            result.lines[key] = rounded(total, self.decimals, self.mode) - printed
            printed += result.lines[key]

    def _rated(self, ident: str) -> list[tuple[Row, Table | None, Table]]:
        if ("rated", ident) not in self.seen:
            found = []
            for row in self.rows:
                version = self.version(row.start)
                found.append((row, next((c for c in version["component"] if c["id"] == ident), None), version))
            self.seen["rated", ident] = found
        rated: list[tuple[Row, Table | None, Table]] = self.seen["rated", ident]
        return rated

    def _quantity(self, row: Row, spec: Table) -> int:
        return {"import": row.wh, "export": row.export_wh, "net": row.wh - row.export_wh}[
            spec.get("quantity", "import")
        ]

    def _label(self, row: Row, spec: Table) -> str:
        if "series" in spec:
            return self.series[spec["series"]][row.start] if "bands" in spec else "*"
        prices = spec.get("prices", {})
        period = self.period(row.start)
        return period if isinstance(prices, dict) and period in prices else "*"

    def _prices(self, row: Row, spec: Table) -> list[Fraction]:
        label = self._label(row, spec)
        if "series" in spec:
            text = spec["bands"][label] if "bands" in spec else self.series[spec["series"]][row.start]
            return [Fraction(text)]
        prices = spec["prices"]
        tiers = prices[label] if isinstance(prices, dict) else prices
        sign = -1 if spec.get("credit") else 1
        return [sign * Fraction(price) for price in ([tiers] if isinstance(tiers, str) else tiers)]

    def _span_of(self, at: datetime, reset: str) -> Any:
        local = self.local(at)
        return {"bill": 0, "day": local.date(), "month": (local.year, local.month), "year": local.year}[reset]

    def _limits(self, row: Row, ladder: Table) -> list[Fraction]:
        limits = ladder.get("limits")
        if limits is None:
            month = self.local(row.start).month
            limits = next(one["limits"] for one in ladder["limits_by_months"] if month in one["months"])
        wh = [Fraction(one) * 1000 for one in limits]
        for adder in ladder.get("adders", []):
            size = self.attributes.get(adder["attribute"])
            if size is not None and Fraction(size) >= Fraction(adder["at_least"]):
                extra = adder["kwh"] if isinstance(adder["kwh"], list) else [adder["kwh"]]
                wh = [one + Fraction(extra[min(i, len(extra) - 1)]) * 1000 for i, one in enumerate(wh)]
        return wh

    def _before(self, ident: str, number: int, spec: Table) -> int:
        """Where the ladder stands before row ``number``: everything since it restarted, summed from the start."""
        ladder = spec["ladder"]
        rows = self._rated(ident)
        here = self._span_of(rows[number][0].start, ladder["reset"])
        first = self._span_of(rows[0][0].start, ladder["reset"])
        per_period = ladder.get("allocate") == "per_period"
        label = self._label(rows[number][0], spec)
        total = self.carried if here == first and ladder["reset"] != "bill" else 0
        for place in (one for one in self.busy if one < number):
            row, other, _ = rows[place]
            wh = self._quantity(row, spec)
            if not wh or other is None or self._span_of(row.start, ladder["reset"]) != here:
                continue
            if not per_period or self._label(row, other) == label:
                total += wh
        return total

    def _slot(self, ident: str, number: int, row: Row, spec: Table, version: str) -> list[tuple[Key, Fraction]]:
        wh = self._quantity(row, spec)
        label, prices = (
            self._label(row, spec),
            self._prices(row, spec) if "classes" not in spec.get("ladder", {}) else [],
        )
        ladder = spec.get("ladder")
        if ladder is None:
            return [((ident, version, label, 0), prices[0] * wh / 1000)]
        if ladder.get("mode", "graduated") != "graduated" or ladder.get("allocate") == "pro_rata":
            return []
        before = self._before(ident, number, spec)
        parts = split(Fraction(before), Fraction(before + wh), self._limits(row, ladder))
        return [((ident, version, label, tier), prices[tier] * part / 1000) for tier, part in enumerate(parts)]

    def _whole(self, ident: str) -> dict[Key, Fraction]:
        """Class ladders and pro-rata sharing: each span by its total."""
        spans: dict[Any, list[tuple[Row, Table, str]]] = {}
        for row, spec, version in self._rated(ident):
            if spec is not None:
                spans.setdefault(self._span_of(row.start, spec["ladder"]["reset"]), []).append(
                    (row, spec, version["from"])
                )
        exact: dict[Key, Fraction] = {}
        for members in spans.values():
            total = sum(self._quantity(row, spec) for row, spec, _ in members)
            for row, spec, version in members:
                wh, ladder, label = self._quantity(row, spec), spec["ladder"], self._label(row, spec)
                limits = self._limits(row, ladder)
                prices = self._prices(row, spec)
                if ladder["mode"] == "volume":
                    tier = sum(total > limit for limit in limits)
                    shares = [Fraction(wh) if one == tier else Fraction(0) for one in range(len(prices))]
                else:
                    whole = split(Fraction(0), Fraction(total), limits)
                    shares = [Fraction(wh) * part / total if total else Fraction(0) for part in whole]
                for tier, share in enumerate(shares):
                    key = (ident, version, label, tier)
                    exact[key] = exact.get(key, Fraction(0)) + share * prices[tier] / 1000
        return exact

    # everything else --------------------------------------------------------------------------------------------------

    def _other(self, ident: str, versions: list[Table], result: Result) -> None:
        """Neighbouring versions that write the component alike are one line; others bear their days."""
        groups: list[tuple[Table, list[Table]]] = []
        for version in versions:
            spec = next((c for c in version["component"] if c["id"] == ident), None)
            if spec is None:
                continue
            if groups and groups[-1][0] == spec:
                groups[-1][1].append(version)
            else:
                groups.append((spec, [version]))
        length: dict[date, int] = {}
        for row in self.rows:
            at = self.local(row.start).date()
            length[at] = length.get(at, 0) + 1
        days: dict[str, Fraction] = {}
        for row in self.rows:
            label = self.version(row.start)["from"]
            days[label] = days.get(label, Fraction(0)) + Fraction(1, length[self.local(row.start).date()])
        for spec, members in groups:
            own = sum((days[one["from"]] for one in members), Fraction(0))
            labels = {one["from"] for one in members}
            base = sum(
                (amount for key, amount in result.lines.items() if key[1] in labels and self._counts(key[0], spec)),
                Decimal(0),
            )
            amount = self._amount(spec, own / len(length), own, Fraction(base))
            result.lines[(ident, members[0]["from"], "", None)] = rounded(amount, self.decimals, self.mode)

    def _counts(self, ident: str, spec: Table) -> bool:
        return not spec.get("of") or ident in spec["of"]

    def _amount(self, spec: Table, share: Fraction, days: Fraction, base: Fraction) -> Fraction:
        if spec["kind"] == "percent":
            return base * Fraction(spec["percent"]) / 100
        if spec["kind"] == "minimum":
            least = Fraction(rounded(Fraction(spec["amount"]) * share, self.decimals, self.mode))
            return max(least - base, Fraction(0))
        per = spec.get("per", "bill")
        if per == "day":
            return Fraction(spec["amount"]) * days
        units = Fraction(1) if per == "bill" else Fraction(self.attributes[per])
        return Fraction(spec["amount"]) * units * share


def split(begin: Fraction, end: Fraction, limits: list[Fraction]) -> list[Fraction]:
    """How much of the way from ``begin`` to ``end`` (either way) lies in each tier; a limit belongs below it."""
    parts = []
    for tier in range(len(limits) + 1):
        low = limits[tier - 1] if tier else None
        high = limits[tier] if tier < len(limits) else None

        def inside(at: Fraction, low: Fraction | None = low, high: Fraction | None = high) -> Fraction:
            at = at if high is None else min(at, high)
            return at if low is None else max(at, low)

        parts.append(inside(end) - inside(begin))
    return parts


def slots(start: datetime, count: int, minutes: int) -> list[datetime]:
    """Starts of ``count`` slots."""
    return [start + timedelta(minutes=minutes * index) for index in range(count)]
