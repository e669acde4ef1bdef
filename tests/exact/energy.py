"""One energy component and a bill's rows go in, the exact charge and the Wh of each of its lines come out.

Row after row: what the row counts, where its ladder stands, which tiers it fills. Class ladders and shared tiers look
at the whole span first. Nothing is rounded here but limits. Charges are counted in 10**-15 of the currency: Wh times a
price of at most twelve decimals per kWh.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tests.exact import ladders
from tests.exact.frame import Frame
from tests.exact.numbers import split

if TYPE_CHECKING:
    from tests.exact.reference import Bill, Row

Table = dict[str, Any]
Place = tuple[int, str, int]  # version, period, tier
Number = int | Fraction
Gone = dict[tuple[str, str, Hashable, str], int]  # Wh by quantity, reset, its span, and period
UNITS = 10**15


@dataclass
class Exact:
    """Units and Wh by line, the price of each line, and the units after every row."""

    amount: dict[Place, Number] = field(default_factory=dict)
    wh: dict[Place, Number] = field(default_factory=dict)
    price: dict[Place, str] = field(default_factory=dict)
    running: list[Number] = field(default_factory=list)
    order: dict[tuple[int, str], int] = field(default_factory=dict)  # of periods in a version, by their first slot

    def add(self, place: Place, wh: Number, price: str, sign: int) -> Number:
        """Put ``wh`` on a line; its charge."""
        charge = sign * units(price) * wh
        self.amount[place] = self.amount.get(place, 0) + charge
        self.wh[place] = self.wh.get(place, 0) + wh
        if wh or place not in self.price:
            self.price[place] = price
        return charge

    def put(self, other: "Exact", share: Fraction) -> None:
        """Add a share of other lines."""
        for place, amount in other.amount.items():
            self.amount[place] = self.amount.get(place, 0) + amount * share
            self.wh[place] = self.wh.get(place, 0) + other.wh[place] * share
            if other.wh[place] or place not in self.price:
                self.price[place] = other.price[place]
        self.order.update({key: place for key, place in other.order.items() if key not in self.order})


def units(price: str) -> int:
    """A price per kWh as a whole number of 10**-12."""
    scaled = Fraction(price) * 10**12
    assert scaled.denominator == 1
    return int(scaled)


@dataclass(frozen=True)
class Slot:
    """What a slot is to the component: its version (and the one that its line names), period and prices by tier."""

    spec: Table
    version: int
    label: int
    period: str
    prices: tuple[str, ...]
    limits: tuple[int, ...]


class Energy:
    """The component ``ident`` in the slots of a frame; ``version``: as if that one had held throughout."""

    def __init__(self, frame: Frame, ident: str, version: int | None = None) -> None:
        """Find the component in each version, and what each slot is to it."""
        self.frame, self.ident = frame, ident
        self.specs = [frame.spec(ident, index) for index in range(len(frame.versions))]
        self.version = frame.version if version is None else [version] * len(frame.starts)
        self.period = (
            frame.period if version is None else [frame.clock.period(start, version) for start in frame.starts]
        )
        self.known: dict[Hashable, tuple[int, ...]] = {}
        self.slots = [self._slot(slot) for slot in range(len(frame.starts))]
        self.order = self._ordered()
        asked = [
            (one.get("quantity", "import"), one["ladder"]["reset"]) for one in self.specs if one and "ladder" in one
        ]
        self.asked = dict.fromkeys(asked)

    def _ordered(self) -> dict[tuple[int, str], int]:
        """The place of each version's periods in the bill: by the first slot that their rule counts, priced or not."""
        found: dict[tuple[int, str], int] = {}
        for kind in dict.fromkeys(shape(slot.spec) for slot in self.slots if slot is not None):
            alike = [index for index, spec in enumerate(self.specs) if spec is not None and shape(spec) == kind]
            last = max(set(alike) & set(self.version))
            counted_as: list[list[str]] = []
            named_as: list[tuple[int, str]] = []
            for slot, period in zip(self.slots, self.period, strict=True):
                if slot is None or slot.version > last or (slot.version not in alike and kind[-1] is None):
                    continue
                own = slot if slot.version in alike else self._lent(slot, period, alike[0])
                counted_as.append(names(own, period))
            for slot, period in zip(self.slots, self.period, strict=True):
                if slot is not None and slot.version in alike:
                    named_as += [(slot.label, name) for name in names(slot, period)]
            periods = list(dict.fromkeys(name for each in zip(*counted_as, strict=True) for name in each))
            found |= {key: periods.index(key[1]) for key in named_as}
        return found

    def _slot(self, place: int) -> Slot | None:
        spec = self.specs[self.version[place]]
        if spec is None:
            return None
        version = self.version[place]
        label = self.frame.label_of(self.ident)[version]
        if "series" in spec:
            value = self._series(self.frame.starts[place], spec)
            period, price = (value, spec["bands"][value]) if "bands" in spec else ("*", value)
            return Slot(spec, version, label, period, (price,), ())
        classes = spec.get("ladder", {}).get("classes")
        prices = classes[0]["prices"] if classes else spec["prices"]
        period = named(self.period[place], prices)
        if classes:
            return Slot(spec, version, label, period, (), self._limits(place, spec, ""))
        limits = self._limits(place, spec, period) if "ladder" in spec else ()
        return Slot(spec, version, label, period, tuple(tiers(prices, period)), limits)

    def _limits(self, place: int, spec: Table, period: str) -> tuple[int, ...]:
        local, ladder = self.frame.local[place], spec["ladder"]
        days = self._days(local, ladder["reset"])
        key = (self.version[place], local.month, period, days)
        if key not in self.known:
            held = self.frame.versions[self.version[place]]["held"]
            self.known[key] = tuple(ladders.limits(ladder, local.month, period, days, held))
        return self.known[key]

    def _days(self, local: datetime, reset: str) -> Fraction:
        """Days of a ladder's whole span, of which the bill may hold a part only."""
        if reset in ("bill", "day"):
            return self.frame.days if reset == "bill" else Fraction(1)
        first = date(local.year, local.month if reset == "month" else 1, 1)
        after = date(
            first.year + (reset == "year" or first.month == 12), first.month % 12 + 1 if reset == "month" else 1, 1
        )
        return Fraction((after - first).days)

    def _series(self, at: datetime, spec: Table) -> str:
        """The value that holds for the whole of the slot."""
        values = self.frame.series[spec["series"]]
        for back in range(0, spec.get("series_minutes", 30), 5):
            start = at - timedelta(minutes=back)
            if start in values:
                assert back + self.frame.minutes <= spec.get("series_minutes", 30)
                return values[start]
        raise AssertionError(f"no value at {at}")

    def span(self, at: datetime, reset: str) -> Hashable:
        """What a ladder counts together: it restarts where this changes."""
        if reset == "bill":
            return at >= self.frame.span[0]
        local = self.frame.clock.local(at)
        return {"day": local.date(), "month": (local.year, local.month), "year": local.year}[reset]

    def exact(self, bill: "Bill", count: int) -> Exact:
        """The lines after the first ``count`` rows of the bill."""
        found = Exact(order=self.order)
        gone: Gone = defaultdict(int)
        for row in bill.history:
            version = self.frame.clock.version(row.start)
            if self.specs[version] is not None:
                self._count(row, self.frame.clock.period(row.start, version), gone)
        total: Number = 0
        before = dict(gone)
        for row, slot, period in zip(bill.rows[:count], self.slots, self.period, strict=False):
            if slot is not None and (row.wh or row.export_wh):
                if not whole(slot.spec):
                    total += self._row(found, bill, row, slot, gone)
                self._count(row, period, gone)
            found.running.append(total)
        if any(slot is not None and whole(slot.spec) for slot in self.slots):
            self._spans(found, bill, before, count)
        return found

    def _count(self, row: "Row", period: str, gone: Gone) -> None:
        for quantity, reset in self.asked:
            gone[quantity, reset, self.span(row.start, reset), period] += counted(row, quantity)

    def _row(self, found: Exact, bill: "Bill", row: "Row", slot: Slot, gone: Gone) -> Number:
        spec = slot.spec
        wh, sign = counted(row, spec.get("quantity", "import")), -1 if spec.get("credit") else 1
        if "ladder" not in spec:
            return found.add((slot.label, slot.period, 0), wh, slot.prices[0], sign)
        before = self._before(bill, row.start, slot, gone)
        parts = split(before, before + wh, slot.limits)
        return sum(
            found.add((slot.label, slot.period, tier), part, slot.prices[tier], sign)
            for tier, part in enumerate(parts)
            if part
        )

    def _before(self, bill: "Bill", at: datetime, slot: Slot, gone: Gone) -> int:
        """Where the ladder stands: everything that its span has counted so far, of this period where it has its own."""
        spec = slot.spec
        reset, prices = spec["ladder"]["reset"], self.prices(spec)
        here = self.span(at, reset)
        own = spec["ladder"].get("allocate") == "per_period"
        total = 0
        if reset != "bill" and here == self.span(bill.rows[0].start, reset):
            total += bill.carried
        for (*what, period), wh in gone.items():
            if what == [spec.get("quantity", "import"), reset, here]:
                total += wh if not own or named(period, prices) == slot.period else 0
        return total

    @staticmethod
    def prices(spec: Table) -> Any:
        """The prices whose names tell the ladders of periods apart: of a class ladder those of its first class."""
        classes = spec["ladder"].get("classes")
        return classes[0]["prices"] if classes else spec["prices"]

    def _spans(self, found: Exact, bill: "Bill", before: Gone, count: int) -> None:
        """Class ladders and shared tiers: each span by its total, with what it had before the bill."""
        kinds = list(dict.fromkeys(shape(slot.spec) for slot in self.slots if slot is not None and whole(slot.spec)))
        for kind in kinds:
            alike = [index for index, spec in enumerate(self.specs) if spec is not None and shape(spec) == kind]
            members: dict[Hashable, list[tuple[Row, Slot, str]]] = {}
            for row, slot, period in zip(bill.rows[:count], self.slots, self.period, strict=False):
                if slot is None or not (row.wh or row.export_wh) or slot.version > max(set(alike) & set(self.version)):
                    continue
                rule = slot if slot.version in alike else self._lent(slot, period, alike[0])
                key = (self.span(row.start, rule.spec["ladder"]["reset"]), rule.period if per_period(rule.spec) else "")
                members.setdefault(key, []).append((row, rule, period))
            for rows in members.values():
                self._span(found, bill, before, rows)

    def _lent(self, slot: Slot, period: str, version: int) -> Slot:
        """A slot of another rule, as the ladder of ``version`` counts it."""
        spec = self.specs[version]
        assert spec is not None
        return replace(slot, spec=spec, period=named(period, self.prices(spec)), label=-1)

    def _span(self, found: Exact, bill: "Bill", before: Gone, members: list[tuple["Row", Slot, str]]) -> None:
        first = self._before(bill, members[0][0].start, members[0][1], before)
        energies = [counted(row, slot.spec.get("quantity", "import")) for row, slot, _ in members]
        total, position = first + sum(energies), first
        for (_, slot, period), wh in zip(members, energies, strict=True):
            if slot.label >= 0:
                sign = -1 if slot.spec.get("credit") else 1
                for label, tier, part, price in self._parts(slot, period, (first, total, position, wh)):
                    found.add((slot.label, label, tier), part, price, sign)
            position += wh

    def _parts(self, slot: Slot, period: str, at: tuple[int, int, int, int]) -> Iterator[tuple[str, int, Number, str]]:
        """(period, tier, Wh, price) of a row: by the class of the span's total, or shared as the span's tiers are."""
        first, total, position, wh = at
        ladder, label, prices, limits = slot.spec["ladder"], slot.period, slot.prices, slot.limits
        volume = ladder.get("mode") == "volume"
        if ladder.get("mode") == "by_total":
            one = ladder["classes"][sum(total > top for top in slot.limits)]
            label = named(period, one["prices"])
            prices, limits = tuple(tiers(one["prices"], label)), self._class_limits(slot, one)
            volume = one.get("volume", False)
        if volume:
            tier = sum(total > limit for limit in limits)
            yield label, tier, wh, prices[tier]
            return
        parts: list[Number] = list(split(position, position + wh, limits))
        if ladder.get("allocate") == "pro_rata":
            shared = split(first, total, limits)
            parts = [Fraction(wh * part, total - first) if total != first else Fraction(0) for part in shared]
        for tier, part in enumerate(parts):
            yield label, tier, part, prices[tier]

    def _class_limits(self, slot: Slot, one: Table) -> tuple[int, ...]:
        """The limits inside a class, stretched as the ladder's are."""
        key = ("class", slot.version, slot.limits, tuple(one.get("limits", [])))
        if key not in self.known:
            place = next(place for place, other in enumerate(self.slots) if other is not None and other == slot)
            days = self._days(self.frame.local[place], slot.spec["ladder"]["reset"])
            inner = {**slot.spec["ladder"], "mode": "graduated", "limits": one.get("limits", [])}
            held = self.frame.versions[slot.version]["held"]
            self.known[key] = tuple(ladders.limits(inner, 1, "", days, held))
        return self.known[key]


def shape(spec: Table) -> tuple[Any, ...]:
    """What rules must share for one ladder to run through them."""
    ladder = spec.get("ladder", {})
    counts = spec.get("quantity", "import"), "series" in spec, "bands" in spec
    classes = len(ladder.get("classes", ())) if ladder else None
    return (*counts, *(ladder.get(key) for key in ("mode", "reset", "allocate")), classes)


def names(slot: Slot, period: str) -> list[str]:
    """The period on whose lines a slot's energy stands: one for each class of a class ladder."""
    classes = slot.spec.get("ladder", {}).get("classes")
    return [named(period, one["prices"]) for one in classes] if classes else [slot.period]


def per_period(spec: Table) -> bool:
    """Whether each period has a ladder of its own."""
    return bool(spec["ladder"].get("allocate") == "per_period")


def averaged(frame: Frame, ident: str, bill: "Bill", count: int) -> Exact:
    """Each version as if it had held throughout, by its share of the bill's days."""
    found = Exact(running=[0] * count)
    for version in frame.used:
        key = ("energy", ident, version)
        if key not in frame.kept:
            frame.kept[key] = Energy(frame, ident, version)
        share = frame.days_of(len(frame.starts), [version]) / frame.days
        found.put(frame.kept[key].exact(bill, count), share)
    return found


def exact(frame: Frame, ident: str, bill: "Bill", count: int) -> Exact:
    """The energy component's lines after some rows of a bill."""
    if frame.averaged:
        return averaged(frame, ident, bill, count)
    if ("energy", ident) not in frame.kept:
        frame.kept["energy", ident] = Energy(frame, ident)
    energy: Energy = frame.kept["energy", ident]
    return energy.exact(bill, count)


def whole(spec: Table) -> bool:
    """Whether what a row costs depends on what comes after it in the span."""
    ladder = spec.get("ladder", {})
    return ladder.get("mode") in ("volume", "by_total") or ladder.get("allocate") == "pro_rata"


def counted(row: "Row", quantity: str) -> int:
    """What a component of a quantity counts in a row, in Wh."""
    if quantity == "import":
        return row.wh
    return row.export_wh if quantity == "export" else row.wh - row.export_wh


def named(period: str, prices: Any) -> str:
    """The period under which the prices name it."""
    return period if isinstance(prices, dict) and period in prices else "*"


def tiers(prices: Any, label: str) -> list[str]:
    """The prices of a period, one per tier."""
    found = prices[label] if isinstance(prices, dict) else prices
    return [found] if isinstance(found, str) else list(found)
