"""Bills after each other: what banks, ratchets and ladders bring along, made again from the reads alone."""

import tomllib
from datetime import date, datetime, timedelta
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np
from hypothesis import given, note
from hypothesis import strategies as st

from tariff import book as books
from tariff import calendar, statement
from tariff.late_fee import Due, LateFeeRule, Paid, fees
from tariff.model import Book
from tests.cases.toml_text import document
from tests.exact.fees import fee
from tests.exact.frame import Frame
from tests.exact.periods import period
from tests.exact.reference import Bill as Naive
from tests.exact.reference import Left, Row
from tests.properties import energies, levies, tariffs
from tests.properties.agreement import expected, printed
from tests.properties.budget import examples
from tests.properties.choices import Choices, strategy

Table = dict[str, Any]
HALF_DAY = 720
MONTHS = 7
ATTRIBUTES = {"demand_kw": "3.5", "household": "5", "poor": "no", "meters": "2"}
KEPT = ("net_metering", "credit_bank", "demand", "percent", "fixed")


def chained(pick: Choices) -> str:
    """A book of what bills leave to each other: in zones whose days are whole, for slots of half a day."""
    table: Table = {
        "currency": "XXX",
        "zone": pick.one(("UTC", "Asia/Shanghai", "Asia/Kolkata")),
        "round_lines": pick.one(("line", "component", "total")),
        "cycle_months": pick.one((1, 1, 2, 3)),
        "cycle_first": pick.number(1, 12),
        "cycle_day": pick.one((1, 1, 10)),
        "attributes": {"kva": "2.5", "phases": "3", "demand_history_kw": "1.5"},
    }
    shape = pick.one(("flat", "graduated", "pro_rata", "by_total"))
    first: Table = {"from": "2024-01-01", **tariffs.calendar(pick)}
    names = tariffs.periods_of(first)
    energy = energies.energy(pick, "energy", shape, names)
    sold = {"id": "sold", "kind": "energy", "quantity": "export", "credit": True, "prices": ["0.08"]}
    room = levies.Room(names, HALF_DAY, single=tariffs.single_price(energy), netted=tariffs.nettable(energy))
    rows = [energy, sold]
    for place, kind in enumerate(pick.some(KEPT, 2, 4)):
        if room.netted or kind != "net_metering":
            rows.append(levies.levy(pick, f"{kind}{place}", kind, [one["id"] for one in rows], room))
    gas = tariffs.gas_of(pick) if pick.rarely(4) else {}
    whole = first | {"component": rows} | gas
    table["version"] = [whole]
    if pick.rarely(3):  # for some whole bills without what banks and ratchets
        back = pick.one(("2024-04-01", "2024-05-10", "2024-06-01"))
        off = whole | {"from": "2024-03-01", "component": [energy, sold]}
        table["version"] += [off, whole | {"from": back}]
    elif pick.rarely(3):
        later = tariffs.changed(pick, whole, "2024-04-20", room)
        table["version"].append(later | tariffs.gas_of(pick) if gas else later)
    return document(table)


def reads(book: Book, seed: int) -> list[Row]:
    """Half days of some months, most of them empty, some feeding in much."""
    pick = Random(seed)
    at, step = calendar.to_utc(datetime(2024, 1, 1), book.zone), timedelta(minutes=HALF_DAY)
    busy = {pick.randrange(MONTHS * 60): pick.choice([500, 9000, pick.randint(0, 9000)]) for _ in range(70)}
    sold = {slot: pick.choice([0, 700, pick.randint(0, 20_000)]) for slot in busy}
    slots = (MONTHS + 4) * 62
    return [Row(at + step * slot, busy.get(slot, 0), sold.get(slot, 0)) for slot in range(slots)]


@examples(40)
@given(strategy(chained), st.integers(0, 10**6))
def test_what_bills_leave_to_each_other(text: str, seed: int) -> None:
    """The reference goes from bill to bill; the engine makes each again from the reads since whatever still counts."""
    note(text)
    book, table = books.load(text, "chain"), tomllib.loads(text)
    rows = reads(book, seed)
    step = timedelta(minutes=HALF_DAY)
    ends = np.array([row.start + step for row in rows], "datetime64[ms]")
    usage = statement.Usage(
        ends, np.array([row.wh for row in rows]), HALF_DAY, np.array([row.export_wh for row in rows])
    )
    begin, local = rows[0].start, datetime(2024, 1, 1, 12)
    left: Left = {}
    for _ in range(MONTHS // book.cycle_months):
        naive_span = period(local, table)
        span = (calendar.to_utc(naive_span[0], book.zone), calendar.to_utc(naive_span[1], book.zone))
        assert statement.period_of(book, calendar.to_utc(local, book.zone)) == span
        local = naive_span[1] + timedelta(hours=12)
        if span[0] < begin:
            continue
        frame = Frame(table, span, HALF_DAY, ATTRIBUTES)
        known = [row for row in rows if row.start < span[1] and (row.wh or row.export_wh)]
        naive = Naive.of(frame, known, left=left)
        result = naive.run()
        left = naive.left
        carried = statement.carried(book, span[0], usage, ATTRIBUTES)
        bill = statement.bill(
            book,
            "A",
            *span,
            ends,
            usage.wh,
            minutes=HALF_DAY,
            attributes=ATTRIBUTES,
            carried=carried,
            export_wh=usage.export_wh,
        )
        assert printed(bill) == expected(result), span
        assert Fraction(bill.total_micro, 10**6) == Fraction(result.total)


days = st.integers(0, 120).map(lambda day: date(2025, 11, 1) + timedelta(days=day))
micro = st.integers(-5_000_000, 90_000_000)
rules = st.builds(
    LateFeeRule,
    daily=st.sampled_from(["0.002", "0.0005", "0"]),
    daily_next_year=st.sampled_from(["", "0.003"]),
    minimum=st.sampled_from(["0", "1"]),
    grace_days=st.sampled_from([0, 3]),
)


@examples(200)
@given(
    st.lists(st.builds(Due, due=days, amount_micro=micro, rule=rules), max_size=3),
    st.lists(st.builds(Paid, at=days, amount_micro=st.integers(1, 90_000_000)), max_size=4),
    days,
)
def test_late_fees_are_those_of_each_day(bills: list[Due], payments: list[Paid], until: date) -> None:
    assert fees(bills, payments, until) == fee(
        [(one.due, one.amount_micro, vars_of(one.rule)) for one in bills],
        [(one.at, one.amount_micro) for one in payments],
        until,
    )


def vars_of(rule: LateFeeRule) -> Table:
    """The rule as a book writes it."""
    keys = ("daily", "daily_next_year", "minimum", "grace_days")
    return {key: getattr(rule, key) for key in keys}
