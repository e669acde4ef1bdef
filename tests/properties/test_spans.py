"""Ladders over several bills, vending, and processes: what one bill alone does not show."""

import hashlib
import os
import subprocess
import sys
import tomllib
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from tariff import book as books
from tariff import calendar, rating, statement
from tariff.plan import MAX_SLOT_WH
from tariff.vend import vend
from tests.exact.frame import Frame
from tests.exact.reference import Bill as Naive
from tests.exact.reference import Row
from tests.properties.budget import examples
from tests.properties.tariffs import Tariff, tariffs

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[2]
LADDERS = """currency = "XXX"
zone = "{zone}"
[[version]]
from = "2020-01-01"
default_period = "off"
window = [{{ period = "peak", from = "06:00", to = "17:30" }}]
[[version.component]]
id = "energy"
kind = "energy"
prices = {{ off = ["0.1", "0.22", "0.5"], peak = ["0.3", "0.7", "1"] }}
ladder = {{ limits = ["9.5", "30"], reset = "{reset}", allocate = "{allocate}" }}
"""


@examples(6)
@given(
    st.sampled_from(["Asia/Shanghai", "America/New_York", "Asia/Kathmandu"]),
    st.sampled_from(["day", "month", "year"]),
    st.sampled_from(["chronological", "per_period"]),
    st.integers(0, 10**6),
)
def test_ladders_go_on_over_bills(zone: str, reset: str, allocate: str, seed: int) -> None:
    """Bills of two and a half days around New Year: the reference adds up everything since the ladder restarted."""
    text = LADDERS.format(zone=zone, reset=reset, allocate=allocate)
    book, pick = books.load(text, "ladders"), Random(seed)
    at = calendar.to_utc(datetime(2024, 12, 1), zone)
    rows = [Row(at + timedelta(hours=hour), pick.choice([0, 0, pick.randint(0, 3000)])) for hour in range(44 * 24)]
    ends = np.array([row.start + timedelta(hours=1) for row in rows], "datetime64[ms]")
    usage = statement.Usage(ends, np.array([row.wh for row in rows]), 60)
    for number in range(3):
        start = calendar.to_utc(datetime(2024, 12, 28), zone) + timedelta(hours=60 * number)
        end = start + timedelta(hours=60)
        carried = statement.carried(book, start, usage)
        bill = statement.bill(book, "A", start, end, ends, usage.wh, minutes=60, carried=carried)
        known = [row for row in rows if row.start < end]
        assert Fraction(bill.total_micro, 10**6) == Fraction(Naive(text, (start, end), known, minutes=60).run().total)


@examples(15)
@given(tariffs(60, rising=True), st.integers(1, 60_000_000), st.integers(0, 40_000), st.booleans())
def test_money_buys_what_the_reference_says_it_pays_for(tariff: Tariff, paid: int, bought: int, first: bool) -> None:
    """The energy sold costs at most the money, and one Wh more costs more; by the reference's bills."""
    note(tariff.text)
    book = books.load(tariff.text, "sold")
    at = calendar.to_utc(datetime(2025, 6, 10, 12), book.zone)
    attributes = {"household": "5", "poor": "no", "meters": "2", "demand_kw": "3.5", "demand_register_kw": "2"}
    sale = vend(book, at, paid, bought_wh=bought, first=first, attributes=attributes)
    start, end = statement.period_of(book, at)

    frame = Frame(tomllib.loads(tariff.text), (start, end), 60, attributes)

    def total(wh: int) -> Fraction:
        return Fraction(Naive.of(frame, [Row(at, wh)]).run().total)

    before = total(bought) - (total(0) if first else 0)
    if sale.wh:
        assert Fraction(sale.cost_micro, 10**6) == total(bought + sale.wh) - before
    assert sale.cost_micro <= paid
    assert sale.cost_micro + sale.change_micro == paid
    if bought + sale.wh < MAX_SLOT_WH:  # more is not sold at once
        assert total(bought + sale.wh + 1) - before > Fraction(paid, 10**6)


def compiled() -> str:
    """A hash of what the shipped books compile to and charge for a week."""
    digest = hashlib.sha256()
    for name in books.shipped():
        book = books.load(books.shipped_text(name), name)
        if any(getattr(spec, "series_file", "") for version in book.versions for spec in version.components):
            continue
        start = max(book.versions[-1].start, datetime(2025, 6, 1)) + timedelta(days=1)
        attributes = {"demand_kw": "3", "household": "5", "sanctioned_kw": "2", "contract_kva": "10", "kva": "5"}
        plan = rating.compile(book, start, start + timedelta(days=7), 60, attributes)
        wh = np.random.default_rng(7).integers(0, 4000, (3, plan.slots))
        _, exact = rating.advance(plan, plan.zero(3), 0, wh)
        digest.update(repr((book.hash, plan.lines, [stream.key for stream in plan.streams])).encode())
        digest.update(repr(exact.tolist()).encode())
    return digest.hexdigest()


def test_compiling_is_the_same_in_every_process() -> None:
    command = [sys.executable, "-c", "from tests.properties.test_spans import compiled; print(compiled())"]
    environment = {**os.environ, "PYTHONHASHSEED": "4711"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == compiled()
