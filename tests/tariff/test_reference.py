"""The engine agrees with the naive exact reference on random books, energies, splits and orders."""

from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tariff import book as books
from tariff import calendar, money, rating, statement
from tariff.model import Book
from tariff.records import Bill
from tests.exact.reference import Bill as Naive
from tests.exact.reference import Key, Row
from tests.tariff.books import texts

SETTINGS = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
STARTS = ("2025-03-29", "2024-12-31", "2025-10-25", "2025-06-10")


@st.composite
def loads(draw: st.DrawFn) -> tuple[str, int, list[int], list[int]]:
    """A local start, slot length, and energies of a few days with imports, exports and zeros."""
    minutes = draw(st.sampled_from([60, 60, 30]))
    count = draw(st.integers(1, 30))
    wh = draw(st.lists(st.integers(0, 9000), min_size=count, max_size=count))
    export = draw(st.lists(st.sampled_from([0, 0, 1, 700, 5000]), min_size=count, max_size=count))
    return draw(st.sampled_from(STARTS)), minutes, wh, export


def span(book: Book, start: str, minutes: int, count: int) -> tuple[datetime, datetime, list[datetime]]:
    """UTC start and end of whole local days that hold ``count`` slots, and every slot's start."""
    first = datetime.fromisoformat(start)
    days = 1 + count * minutes // 1440 + 1
    begin, end = calendar.to_utc(first, book.zone), calendar.to_utc(first + timedelta(days=days), book.zone)
    slots = (end - begin) // timedelta(minutes=minutes)
    return begin, end, [begin + timedelta(minutes=minutes * slot) for slot in range(slots)]


def spread(values: list[int], slots: int) -> list[int]:
    """``values`` spread over ``slots``: where they fall is fixed, some days stay empty."""
    step = max(1, slots // len(values))
    found = [0] * slots
    for place, value in enumerate(values):
        found[place * step] = value
    return found


def both(
    text: str, load: tuple[str, int, list[int], list[int]], attributes: dict[str, str], carried: int
) -> tuple[Bill, Naive]:
    """The engine's bill and the naive rater of the same slots."""
    start, minutes, wh, export = load
    book = books.load(text, "random")
    begin, end, slots = span(book, start, minutes, len(wh))
    wh, export = spread(wh, len(slots)), spread(export, len(slots))
    ends = np.array([at + timedelta(minutes=minutes) for at in slots], "datetime64[ms]")
    bill = statement.bill(
        book,
        "A",
        begin,
        end,
        ends,
        np.array(wh),
        minutes=minutes,
        attributes=attributes,
        carried=carried,
        export_wh=np.array(export),
    )
    rows = [Row(at, one, other) for at, one, other in zip(slots, wh, export, strict=True)]
    return bill, Naive(text, (begin, end), rows, attributes=attributes, carried=carried)


def amounts(bill: Bill) -> dict[Key, Decimal]:
    """The bill's lines by key, without the printed rounding."""
    found = {}
    for line in bill.lines:
        if line.id != "rounding":
            found[(line.id, line.version, line.period, line.tier)] = Decimal(money.format(line.amount_micro, 0))
    return found


def check(text: str, load: tuple[str, int, list[int], list[int]], household: str, carried: int) -> None:
    bill, naive = both(text, load, {"household": household}, carried)
    expected = naive.run()
    got = amounts(bill)
    wanted = {key: value for key, value in expected.lines.items() if value}
    assert {key: value for key, value in got.items() if value} == wanted
    assert Decimal(money.format(bill.total_micro, 0)) == expected.total


@SETTINGS
@given(texts(), loads(), st.sampled_from(["2", "6"]), st.sampled_from([0, 0, 20_000]))
def test_bills_agree(text: str, load: tuple[str, int, list[int], list[int]], household: str, carried: int) -> None:
    check(text, load, household, carried)


LATE = """
currency = "XXX"
zone = "Asia/Shanghai"

[[version]]
from = "2020-01-01"
default_period = "valley"
window = [{ period = "peak", days = [7] }]

[[version.component]]
id = "energy"
kind = "energy"
prices = { valley = ["1", "2"], peak = ["4", "8"] }
ladder = { limits = ["3"], reset = "day", allocate = "per_period" }
"""


def test_a_ladder_that_first_counts_on_a_later_day_starts_from_zero_there() -> None:
    """Saturday's 20 kWh stay on Saturday's ladder: Sunday's peak has none before it."""
    check(LATE, ("2025-03-29", 60, [0, 0, 0, 5000], [0, 0, 0, 0]), "2", 20_000)


@settings(SETTINGS, max_examples=80)
@given(texts(whole=True), loads(), st.sampled_from(["2", "6"]))
def test_bills_of_class_ladders_and_shared_tiers_agree(
    text: str, load: tuple[str, int, list[int], list[int]], household: str
) -> None:
    check(text, load, household, 0)


@settings(SETTINGS, max_examples=60)
@given(texts(), loads())
def test_running_charge_agrees(text: str, load: tuple[str, int, list[int], list[int]]) -> None:
    start, minutes, wh, export = load
    book = books.load(text, "random")
    begin, end, slots = span(book, start, minutes, len(wh))
    wh, export = spread(wh, len(slots)), spread(export, len(slots))
    plan = rating.compile(book, begin, end, minutes)
    _, exact = rating.advance(plan, plan.zero(1), 0, np.array([wh]), np.array([export]))
    rows = [Row(at, one, other) for at, one, other in zip(slots, wh, export, strict=True)]
    expected = Naive(text, (begin, end), rows).run().running
    assert [Fraction(int(one), 10**plan.scale) for one in exact[0]] == expected
