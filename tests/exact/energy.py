"""One energy component and the rows of a bill go in, the exact charge and the Wh of each of its lines come out.

Row after row: what the row counts, where its ladder stands, which tiers it fills. Class ladders and shared tiers look
at the whole span first. Nothing is rounded here but limits.
"""

from calendar import isleap, monthrange
from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tests.exact import ladders
from tests.exact.numbers import split

if TYPE_CHECKING:
    from tests.exact.reference import Bill, Row

Table = dict[str, Any]
Place = tuple[int, str, int]  # version, period, tier


@dataclass
class Exact:
    """Currency and Wh by line, the price of each line, and the charge after every row."""

    amount: dict[Place, Fraction] = field(default_factory=dict)
    wh: dict[Place, Fraction] = field(default_factory=dict)
    price: dict[Place, str] = field(default_factory=dict)
    running: list[Fraction] = field(default_factory=list)
    periods: list[str] = field(default_factory=list)  # in order of their first slot

    def add(self, place: Place, wh: Fraction, price: str, sign: int) -> Fraction:
        """Put ``wh`` on a line; its charge."""
        charge = sign * Fraction(price) * wh / 1000
        self.amount[place] = self.amount.get(place, Fraction(0)) + charge
        self.wh[place] = self.wh.get(place, Fraction(0)) + wh
        if wh or place not in self.price:
            self.price[place] = price
        return charge


class Energy:
    """The component ``ident`` on the rows of ``bill``."""

    def __init__(self, bill: "Bill", ident: str) -> None:
        """Find the component in each version."""
        self.bill, self.ident = bill, ident
        self.known: dict[Hashable, list[int]] = {}
        self.specs = [
            next((one for one in version["component"] if one["id"] == ident), None) for version in bill.clock.versions
        ]

    def exact(self, count: int) -> Exact:
        """The lines after the first ``count`` rows of the bill."""
        found = Exact()
        gone: dict[tuple[str, str, Hashable, str], int] = defaultdict(int)
        total = Fraction(0)
        for row in [*self.bill.history, *self.bill.rows[:count]]:
            version = self.bill.clock.version(row.start)
            spec = self.specs[version]
            inside = row.start >= self.bill.span[0]
            if spec is not None and inside:
                self._see(found, row, spec)
            if spec is not None and inside and not whole(spec) and counted(row, spec):
                total += self._row(found, row, version, spec, gone)
            if inside:
                found.running.append(total)
            if spec is not None and (row.wh or row.export_wh):
                period = self.bill.clock.period(row.start)
                for quantity in ("import", "export", "net"):
                    for reset in ("bill", "day", "month", "year"):
                        gone[quantity, reset, self._span(row, reset), period] += counted(row, {"quantity": quantity})
        if any(spec is not None and whole(spec) for spec in self.specs):
            self._spans(found, count)
        return found

    def _see(self, found: Exact, row: "Row", spec: Table) -> None:
        """Note the row's period, used or not: lines stand in the order of the periods' first slots."""
        classes = spec.get("ladder", {}).get("classes")
        if "series" in spec:
            label = self._series(row, spec) if "bands" in spec else "*"
        else:
            label = self._label(row, classes[0]["prices"] if classes else spec["prices"])
        if label not in found.periods:
            found.periods.append(label)

    def _span(self, row: "Row", reset: str) -> Hashable:
        """What a ladder counts together: it restarts where this changes."""
        local = self.bill.clock.local(row.start)
        names = {
            "bill": row.start >= self.bill.span[0],
            "day": local.date(),
            "month": (local.year, local.month),
            "year": local.year,
        }
        return names[reset]

    def _row(self, found: Exact, row: "Row", version: int, spec: Table, gone: dict[Any, int]) -> Fraction:
        wh, sign = Fraction(counted(row, spec)), -1 if spec.get("credit") else 1
        if "series" in spec:
            value = self._series(row, spec)
            if "bands" in spec:
                return found.add((version, value, 0), wh, spec["bands"][value], sign)
            return found.add((version, "*", 0), wh, value, sign)
        label = self._label(row, spec["prices"])
        prices = tiers(spec["prices"], label)
        ladder = spec.get("ladder")
        if ladder is None:
            return found.add((version, label, 0), wh, prices[0], sign)
        before = Fraction(self._before(row, spec, label, gone))
        parts = split(before, before + wh, self._limits(row, ladder, label))
        charges = [
            found.add((version, label, tier), part, prices[tier], sign) for tier, part in enumerate(parts) if part
        ]
        return sum(charges, Fraction(0))

    def _before(self, row: "Row", spec: Table, label: str, gone: dict[Any, int]) -> int:
        """Where the ladder stands: everything that its span has counted so far, of this period where it has its own."""
        ladder = spec["ladder"]
        here = self._span(row, ladder["reset"])
        own = ladder.get("allocate") == "per_period"
        total = 0
        if ladder["reset"] != "bill" and here == self._span(self.bill.rows[0], ladder["reset"]):
            total += self.bill.carried
        for (quantity, reset, span, period), wh in gone.items():
            if (quantity, reset, span) != (spec.get("quantity", "import"), ladder["reset"], here):
                continue
            if not own or named(period, spec["prices"]) == label:
                total += wh
        return total

    def _limits(self, row: "Row", ladder: Table, label: str) -> list[int]:
        month, reset = self.bill.clock.local(row.start).month, ladder["reset"]
        span = self._span(row, reset)
        key = (id(ladder), month, label, span)
        if key not in self.known:
            self.known[key] = ladders.limits(ladder, month, label, self._days(reset, span), self.bill.attributes)
        return self.known[key]

    def _days(self, reset: str, span: Hashable) -> Fraction:
        """Days by which a limit per day is multiplied: of the bill, or of the whole span of a ladder that goes on."""
        if reset == "bill":
            return self.bill.days_of(self.bill.rows)
        if reset == "day":
            return Fraction(1)
        if isinstance(span, tuple):
            return Fraction(monthrange(*span)[1])
        return Fraction(365 + isleap(int(str(span))))

    def _label(self, row: "Row", prices: Any) -> str:
        return named(self.bill.clock.period(row.start), prices)

    def _series(self, row: "Row", spec: Table) -> str:
        """The value that holds for the whole of the row."""
        values = self.bill.series[spec["series"]]
        for back in range(0, spec.get("series_minutes", 30), 5):
            start = row.start - timedelta(minutes=back)
            if start in values:
                assert back + self.bill.minutes <= spec.get("series_minutes", 30)
                return values[start]
        raise AssertionError(f"no value at {row.start}")

    def _spans(self, found: Exact, count: int) -> None:
        """Class ladders and shared tiers: each span by its total."""
        ruled: dict[Hashable, tuple[Table, list[Row]]] = {}
        for row in self.bill.rows[:count]:
            spec = self.specs[self.bill.clock.version(row.start)]
            if spec is not None and whole(spec):
                ruled.setdefault((self._place(row, spec), kind_of(spec)), (spec, []))[1].append(row)
        for (place, kind), (first, priced) in ruled.items():
            position = Fraction(self._earlier(place, first))
            rows = [row for row in self.bill.rows[:count] if row.start <= priced[-1].start]
            members = [(row, self.specs[self.bill.clock.version(row.start)]) for row in rows]
            same = [(row, spec) for row, spec in members if spec is not None and self._place(row, first) == place]
            bounds = position, position + sum(counted(row, first) for row, _ in same)
            for row, spec in same:
                wh = Fraction(counted(row, first))
                if whole(spec) and kind_of(spec) == kind:
                    self._priced(found, row, spec, bounds, position)
                position += wh

    def _priced(
        self, found: Exact, row: "Row", spec: Table, bounds: tuple[Fraction, Fraction], position: Fraction
    ) -> None:
        version, wh, ladder = self.bill.clock.version(row.start), Fraction(counted(row, spec)), spec["ladder"]
        if ladder.get("mode") == "by_total":
            self._class(found, row, version, spec, (bounds, position, wh))
            return
        label, sign = self._label(row, spec["prices"]), -1 if spec.get("credit") else 1
        prices = tiers(spec["prices"], label)
        for tier, part in enumerate(self._shares(row, ladder, label, bounds, wh)):
            found.add((version, label, tier), part, prices[tier], sign)

    def _place(self, row: "Row", spec: Table) -> Hashable:
        """Which rows are counted together: those of one span, and of one period where each has its own ladder."""
        ladder = spec["ladder"]
        prices = spec.get("prices") or ladder["classes"][0]["prices"]
        own = self._label(row, prices) if ladder.get("allocate") == "per_period" else ""
        return self._span(row, ladder["reset"]), own

    def _earlier(self, place: Hashable, spec: Table) -> int:
        """Wh of the span that came before the bill: they pick the class and the tier, and are not priced again."""
        reset = spec["ladder"]["reset"]
        if reset == "bill":
            return 0
        total = self.bill.carried if self._place(self.bill.rows[0], spec) == place else 0
        for row in self.bill.history:
            if self.specs[self.bill.clock.version(row.start)] is not None and self._place(row, spec) == place:
                total += counted(row, spec)
        return total

    def _shares(
        self, row: "Row", ladder: Table, label: str, bounds: tuple[Fraction, Fraction], wh: Fraction
    ) -> list[Fraction]:
        limits = self._limits(row, ladder, label)
        begin, end = bounds
        if ladder.get("mode") == "volume":
            tier = sum(end > limit for limit in limits)
            return [wh if one == tier else Fraction(0) for one in range(len(limits) + 1)]
        return shared(begin, end, wh, limits)

    def _class(
        self,
        found: Exact,
        row: "Row",
        version: int,
        spec: Table,
        at: tuple[tuple[Fraction, Fraction], Fraction, Fraction],
    ) -> None:
        """The class of the span's total prices the row: by its own tiers from the span's start, or all at one price."""
        (begin, total), position, wh = at
        ladder, sign = spec["ladder"], -1 if spec.get("credit") else 1
        classes, _ = ladders.by_total(ladder)
        tops = self._limits(row, ladder, "")
        one = classes[sum(total > top for top in tops)]
        label = self._label(row, one["prices"])
        prices = tiers(one["prices"], label)
        plain = {**ladder, "mode": "graduated", "limits": one.get("limits", [])}
        days = self._days(ladder["reset"], self._span(row, ladder["reset"]))
        limits = ladders.limits(plain, 1, "", days, self.bill.attributes)
        if one.get("volume"):
            tier = sum(total > limit for limit in limits)
            found.add((version, label, tier), wh, prices[tier], sign)
            return
        parts = split(position, position + wh, limits)
        if ladder.get("allocate") == "pro_rata":
            parts = shared(begin, total, wh, limits)
        for tier, part in enumerate(parts):
            found.add((version, label, tier), part, prices[tier], sign)


def shared(begin: Fraction, end: Fraction, wh: Fraction, limits: list[int]) -> list[Fraction]:
    """``wh`` over the tiers in the shares in which all from ``begin`` to ``end`` lies in them."""
    return [wh * part / (end - begin) if end != begin else Fraction(0) for part in split(begin, end, limits)]


def whole(spec: Table) -> bool:
    """Whether what a row costs depends on what comes after it in the span."""
    ladder = spec.get("ladder", {})
    return ladder.get("mode") in ("volume", "by_total") or ladder.get("allocate") == "pro_rata"


def kind_of(spec: Table) -> Hashable:
    """What tells one rule for whole spans from another."""
    return tuple(spec["ladder"].get(key) for key in ("mode", "reset", "allocate")), spec.get("quantity")


def counted(row: "Row", spec: Table) -> int:
    """What the component counts in a row, in Wh."""
    found = {"import": row.wh, "export": row.export_wh, "net": row.wh - row.export_wh}
    return found[spec.get("quantity", "import")]


def named(period: str, prices: Any) -> str:
    """The period under which the prices name it."""
    return period if isinstance(prices, dict) and period in prices else "*"


def tiers(prices: Any, label: str) -> list[str]:
    """The prices of a period, one per tier."""
    found = prices[label] if isinstance(prices, dict) else prices
    return [found] if isinstance(found, str) else list(found)
