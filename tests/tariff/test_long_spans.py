"""Ladders whose span is longer than a bill, by every mode and allocation, against the naive reference."""

from datetime import datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np
import pytest

from tariff import book as books
from tariff import calendar, history, money, statement
from tariff.errors import BookError
from tests.cases.toml_text import document
from tests.exact.reference import Bill as Naive
from tests.exact.reference import Row

Table = dict[str, Any]
ZONE = "Europe/London"
OFF_PEAK = {"off": ["0.1", "0.22", "0.5"], "peak": ["0.3", "0.7", "1"]}
CLASSES = [
    {"up_to": "40", "limits": [], "prices": {"off": ["0.1"], "peak": ["0.3"]}},
    {"up_to": "90", "limits": ["20"], "prices": {"off": ["0.2", "0.25"], "peak": ["0.35", "0.5"]}},
    {"limits": ["60", "110"], "prices": OFF_PEAK},
]
SHAPES: dict[str, Table] = {
    "graduated": {"mode": "graduated", "limits": ["30", "80"]},
    "volume": {"mode": "volume", "limits": ["30", "80"]},
    "by_total": {"mode": "by_total", "classes": CLASSES},
}
STRETCHES: dict[str, Table] = {
    "plain": {},
    "per day": {"limit_unit": "kWh_per_day"},
    "per kW": {"limit_unit": "kWh_per_kw", "kw": "kva"},
    "days, adder, times": {
        "limit_unit": "kWh_per_30_days",
        "times": "meters",
        "adders": [{"attribute": "household", "at_least": "5", "kwh": "12.5"}],
    },
}
ATTRIBUTES = {"kva": "1.5", "meters": "2", "household": "6"}


def energy(shape: str, reset: str, allocate: str, stretch: str = "plain") -> Table:
    ladder = {**SHAPES[shape], "reset": reset, "allocate": allocate, **STRETCHES[stretch]}
    if stretch == "per day":
        ladder = scaled(ladder)
    spec: Table = {"id": "energy", "kind": "energy", "ladder": ladder}
    return spec if shape == "by_total" else {**spec, "prices": OFF_PEAK}


def scaled(ladder: Table) -> Table:
    """Limits of a day: a twentieth of those of the span."""
    found = dict(ladder)
    if "limits" in found:
        found["limits"] = [str(float(one) / 20) for one in found["limits"]]
    if "classes" in found:
        found["classes"] = [
            {
                **one,
                **({"up_to": str(float(one["up_to"]) / 20)} if "up_to" in one else {}),
                "limits": [str(float(limit) / 20) for limit in one["limits"]],
            }
            for one in found["classes"]
        ]
    return found


def text_of(*versions: tuple[str, Table]) -> str:
    window = [{"period": "peak", "from": "06:00", "to": "17:30"}]
    return document(
        {
            "currency": "XXX",
            "zone": ZONE,
            "version": [
                {"from": start, "default_period": "off", "window": window, "component": [spec]}
                for start, spec in versions
            ],
        }
    )


def load(seed: int, days: int = 75) -> list[Row]:
    """Half-hourly energy from 28 November on: some slots empty, some large, some below zero."""
    pick = Random(seed)
    at = calendar.to_utc(datetime(2024, 11, 28), ZONE)
    sizes = [0, 0, 0, pick.randint(0, 400), 25, -pick.randint(0, 60)]
    return [Row(at + timedelta(minutes=30 * slot), pick.choice(sizes)) for slot in range(days * 48)]


def agree(text: str, rows: list[Row], starts: tuple[str, ...]) -> list[int]:
    """Bill after bill equals the reference, which adds up everything since the span began; the totals."""
    book = books.load(text, "long")
    ends = np.array([row.start + timedelta(minutes=30) for row in rows], "datetime64[ms]")
    usage = statement.Usage(ends, np.array([row.wh for row in rows]), 30)
    edges = [calendar.to_utc(datetime.fromisoformat(start), ZONE) for start in starts]
    totals = []
    for start, end in pairwise(edges):
        carried = history.carried(book, start, usage, ATTRIBUTES, end=end)
        bill = statement.bill(book, "A", start, end, ends, usage.wh, minutes=30, carried=carried, attributes=ATTRIBUTES)
        known = [row for row in rows if row.start < end]
        naive = Naive(text, (start, end), known, minutes=30, attributes=ATTRIBUTES).run()
        assert Fraction(bill.total_micro, 10**6) == Fraction(naive.total), (start, end)
        totals.append(bill.total_micro)
    return totals


BILLS = ("2024-12-07", "2024-12-20T12:00", "2025-01-07", "2025-02-07")


@pytest.mark.parametrize("reset", ["month", "year"])
@pytest.mark.parametrize("allocate", ["chronological", "pro_rata", "per_period"])
@pytest.mark.parametrize("shape", SHAPES)
def test_what_came_before_the_bill_counts(shape: str, allocate: str, reset: str) -> None:
    agree(text_of(("2020-01-01", energy(shape, reset, allocate))), load(5), BILLS)


@pytest.mark.parametrize("stretch", STRETCHES)
@pytest.mark.parametrize("shape", SHAPES)
def test_limits_are_stretched_for_the_whole_span(shape: str, stretch: str) -> None:
    agree(text_of(("2020-01-01", energy(shape, "month", "chronological", stretch))), load(6), BILLS)


def test_a_class_of_a_year_is_picked_by_the_year() -> None:
    """35 kWh in December's bill, 15 in January's, the limit at 40: each bill holds its own part of the year."""
    ladder = {"mode": "volume", "reset": "year", "allocate": "chronological", "limits": ["40"]}
    text = text_of(("2020-01-01", {"id": "energy", "kind": "energy", "prices": ["1", "2"], "ladder": ladder}))
    rows = [Row(datetime(2025, 1, 10, 1), 35_000), Row(datetime(2025, 2, 10, 1), 15_000), Row(datetime(2025, 3, 10), 0)]
    totals = agree(text, rows, ("2025-01-01", "2025-02-01", "2025-03-01"))
    assert [money.format(total) for total in totals] == ["35.00", "30.00"]


def test_per_day_limits_of_a_month_count_the_month() -> None:
    """A bill from the 20th on sees the last days of January: its ladder still has 31 days of 1 kWh."""
    ladder = {"reset": "month", "allocate": "chronological", "limits": ["1"], "limit_unit": "kWh_per_day"}
    text = text_of(("2020-01-01", {"id": "energy", "kind": "energy", "prices": ["1", "2"], "ladder": ladder}))
    rows = [Row(datetime(2025, 1, 10, 1), 25_000), Row(datetime(2025, 1, 25, 1), 10_000), Row(datetime(2025, 2, 20), 0)]
    totals = agree(text, rows, ("2025-01-01", "2025-01-20", "2025-02-01"))
    assert [money.format(total) for total in totals] == ["25.00", "14.00"]


@pytest.mark.parametrize(
    "rules",
    [
        (("graduated", "month", "chronological"), ("volume", "month", "chronological")),
        (("graduated", "month", "chronological"), ("graduated", "year", "chronological")),
        (("volume", "year", "chronological"), ("graduated", "year", "per_period")),
        (("graduated", "year", "per_period"), ("by_total", "month", "chronological")),
    ],
)
def test_rules_that_alternate_count_each_others_energy(rules: tuple[tuple[str, str, str], ...]) -> None:
    """A, B, A inside a bill, and over bills: every ladder knows what came before it, whoever priced it."""
    one, other = (energy(*rule) for rule in rules)
    starts = ("2020-01-01", "2024-12-10", "2024-12-16", "2025-01-12", "2025-01-20T06:30")
    versions = [(start, (one, other)[place % 2]) for place, start in enumerate(starts)]
    agree(text_of(*versions), load(7), BILLS)


REFUSED = {
    'limits = { peak = ["30"], off = ["80"] }, allocate = "chronological"': "limits by period need a ladder for each",
    'mode = "volume", limits = { peak = ["3"], off = ["8"] }, allocate = "pro_rata"': "limits by period need a ladder",
    'mode = "by_total", classes = [{ up_to = "9", prices = ["1"] }, { prices = { peak = ["1"], off = ["2"] } }], '
    'allocate = "per_period"': "prices of the same periods in every class",
    'mode = "by_total", classes = [{ up_to = "9", prices = { peak = ["1", "2"], off = ["2", "3"] }, limits = ["4"] }, '
    '{ prices = { peak = ["1"], off = ["2"] } }]': "allocate",
    'mode = "by_total", adders = [{ attribute = "household", kwh = ["1", "2"] }], '
    'classes = [{ up_to = "9", prices = ["1", "2"], limits = ["4"] }, { prices = ["3"] }]': "one 'kwh' that is added",
}


@pytest.mark.parametrize("ladder", REFUSED)
def test_what_has_no_meaning_is_refused_with_its_line(ladder: str) -> None:
    prices = "" if "by_total" in ladder else 'prices = { peak = ["1", "2"], off = ["3", "4"] }\n'
    text = text_of(("2020-01-01", {"id": "energy", "kind": "energy"})).partition("component")[0]
    text += f'[[version.component]]\nid = "energy"\nkind = "energy"\n{prices}ladder = {{ reset = "month", {ladder} }}\n'
    with pytest.raises(BookError, match=REFUSED[ladder]) as caught:
        books.load(text, "refused")
    assert caught.value.line == text.splitlines().index(f'ladder = {{ reset = "month", {ladder} }}') + 1
