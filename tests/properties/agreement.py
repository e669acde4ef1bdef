"""A random tariff and reads go through the engine and through the naive reference; whatever differs is an error."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from random import Random

import numpy as np

from tariff import book as books
from tariff import calendar, money, rating, statement
from tariff.model import Book
from tariff.records import Bill as EngineBill
from tests.exact.reference import Bill as Naive
from tests.exact.reference import Key, Result, Row
from tests.properties.tariffs import STARTS, Tariff

Lines = dict[Key, Fraction]


@dataclass(frozen=True)
class Load:
    """Energy of one account in the slots of some local days from ``start`` on; slots that are not named are empty."""

    start: str
    days: int
    minutes: int
    rows: tuple[tuple[int, int, int, int], ...]  # slot, Wh, export Wh, varh
    attributes: tuple[tuple[str, str], ...] = ()

    def span(self, zone: str) -> tuple[datetime, datetime]:
        """The bill's span in UTC."""
        first = datetime.fromisoformat(self.start)
        return calendar.to_utc(first, zone), calendar.to_utc(first + timedelta(days=self.days), zone)


def load(seed: int, minutes: int) -> Load:
    """A few busy slots among empty ones, near a turn of month, year or clock; the same for the same seed."""
    pick = Random(seed)
    days = pick.randint(1, {60: 3, 30: 2, 15: 1}[minutes])
    rows: dict[int, tuple[int, int, int]] = {}
    for _ in range(pick.randint(1, 24)):
        wh = pick.choice([pick.randint(0, 9000), pick.choice([0, 500, 1000, 2500, 5000, 10_000])])
        rows[pick.randrange(days * 1440 // minutes)] = (wh, pick.choice([0, 0, 1, 700, 5000]), pick.randint(0, 4000))
    known = {"household": ["2", "5", "7"], "poor": ["yes", "no"], "meters": ["1", "2", "3"]}
    attributes = {name: pick.choice(choices) for name, choices in known.items()}
    if pick.random() < 0.25:
        attributes["demand_kw"] = pick.choice(["3.5", "0.25"])
    if pick.random() < 0.25:
        attributes["demand_register_kw"] = pick.choice(["3.125", "0.4"])
    busy = tuple((slot, *rows[slot]) for slot in sorted(rows))
    return Load(pick.choice(STARTS), days, minutes, busy, tuple(attributes.items()))


class Case:
    """One tariff and one load, ready for both."""

    def __init__(self, tariff: Tariff, load: Load) -> None:
        """Read the book; place the load on the slots of its span."""
        self.tariff, self.load, self.minutes = tariff, load, load.minutes
        self.book: Book = books.load(tariff.text, "random", series=tariff.files)
        self.start, self.end = load.span(self.book.zone)
        self.step = timedelta(minutes=load.minutes)
        self.slots = (self.end - self.start) // self.step
        self.attributes = dict(load.attributes)
        counts = np.zeros((3, self.slots), np.int64)
        for slot, wh, export, varh in load.rows:
            if slot < self.slots:
                counts[:, slot] = wh, export, varh
        self.wh, self.export, self.varh = counts
        self.rows = [
            Row(self.start + self.step * slot, *(int(one) for one in counts[:, slot])) for slot in range(self.slots)
        ]
        self.ends = np.array([row.start + self.step for row in self.rows], "datetime64[ms]")

    def naive(self) -> Naive:
        """The reference of this bill."""
        return Naive(
            self.tariff.text,
            (self.start, self.end),
            self.rows,
            attributes=self.attributes,
            series=self.tariff.series,
            minutes=self.minutes,
        )

    def bill(self) -> EngineBill:
        """The engine's bill."""
        return statement.bill(
            self.book,
            "A",
            self.start,
            self.end,
            self.ends,
            self.wh,
            minutes=self.minutes,
            attributes=self.attributes,
            export_wh=self.export,
            reactive_varh=self.varh,
        )

    def accrued(self, slots: int) -> Fraction:
        """The engine's amount so far after some slots."""
        micro = statement.accrued(
            self.book,
            self.start,
            self.start + self.step * slots,
            self.end,
            self.ends,
            self.wh,
            minutes=self.minutes,
            attributes=self.attributes,
            export_wh=self.export,
            reactive_varh=self.varh,
        )
        return Fraction(micro, 10**6)

    def plan(self) -> rating.Plan:
        """The compiled plan, as a bill has it."""
        usage = statement.Usage(self.ends, self.wh, self.minutes, self.export, self.varh)
        attributes = statement.with_demand(self.book, usage, (self.start, self.end), self.attributes)
        return rating.compile(self.book, self.start, self.end, self.minutes, attributes)


def printed(bill: EngineBill) -> Lines:
    """The engine's lines by key, without the printed rounding and without empty ones."""
    found: Lines = {}
    for line in bill.lines:
        if line.id == "rounding":
            continue
        key = (line.id, line.version, line.period, line.tier)
        assert key not in found, f"two lines {key}"
        found[key] = Fraction(line.amount_micro, 10**6)
    return {key: amount for key, amount in found.items() if amount}


def expected(result: Result) -> Lines:
    """The reference's lines that are not empty."""
    return {key: amount for key, amount in result.lines.items() if amount}


def quantities(bill: EngineBill, result: Result) -> None:
    """Quantities of energy and kW are what the reference counted."""
    for line in bill.lines:
        key = (line.id, line.version, line.period, line.tier)
        if line.unit in ("kWh", "kW") and key in result.quantity:
            wanted = result.quantity[key]
            assert abs(Fraction(line.quantity) - wanted) <= Fraction(1, 2 * 10**9), key
            if (wanted * 10**6).denominator == 1:
                assert Fraction(line.quantity) == wanted, key


def check_bill(case: Case) -> tuple[EngineBill, Naive, Result]:
    """Lines, quantities and total are equal."""
    bill, naive = case.bill(), case.naive()
    result = naive.run()
    assert printed(bill) == expected(result)
    quantities(bill, result)
    assert Decimal(money.format(bill.total_micro, 0)) == result.total
    rounding = [line.amount_micro for line in bill.lines if line.id == "rounding"]
    assert sum(line.amount_micro for line in bill.lines) == bill.total_micro
    assert len(rounding) == (sum(expected(result).values(), Fraction(0)) != Fraction(result.total))
    return bill, naive, result
