"""Books that the engine once priced wrongly, beside the naive exact reference; random ones are in tests/properties."""

from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from tariff import book as books
from tariff import calendar, money, statement
from tariff.errors import RatingError
from tariff.model import Book
from tariff.records import Bill
from tests.exact.reference import Bill as Naive
from tests.exact.reference import Key, Row

Values = tuple[str, int, list[int], list[int]]  # local start, minutes of a slot, import and export


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


def both(text: str, load: Values, attributes: dict[str, str], carried: int) -> tuple[Bill, Naive]:
    """The engine's bill and the naive rater of the same slots."""
    start, minutes, wh, export = load
    book = books.load(text, "example")
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


def check(text: str, load: Values, household: str, carried: int) -> None:
    """Lines and total of both are equal."""
    bill, naive = both(text, load, {"household": household}, carried)
    expected = naive.run()
    wanted = {key: value for key, value in expected.lines.items() if value}
    assert {key: value for key, value in amounts(bill).items() if value} == wanted
    assert Decimal(money.format(bill.total_micro, 0)) == expected.total


HEAD = 'currency = "XXX"\nzone = "{zone}"\n[[version]]\nfrom = "2020-01-01"\n'
LADDER = """
default_period = "valley"
window = [{ period = "peak", days = [7] }]

[[version.component]]
id = "energy"
kind = "energy"
prices = { valley = ["1", "2"], peak = ["4", "8"] }
"""
ALL_DAY = [500] * 24


def test_a_ladder_that_first_counts_on_a_later_day_starts_from_zero_there() -> None:
    """Saturday's 20 kWh stay on Saturday's ladder: Sunday's peak has none before it."""
    text = HEAD.format(zone="Asia/Shanghai") + LADDER
    text += 'ladder = { limits = ["3"], reset = "day", allocate = "per_period" }\n'
    check(text, ("2025-03-29", 60, [0, 0, 0, 5000], [0, 0, 0, 0]), "2", 20_000)


@pytest.mark.parametrize("reset", ["bill", "day", "month", "year"])
def test_limits_per_day_count_whole_days_though_a_period_has_hours_of_them(reset: str) -> None:
    """A peak of twelve hours once halved its own limits."""
    text = HEAD.format(zone="UTC") + LADDER.replace("days = [7]", 'from = "06:00", to = "18:00"')
    text += f'ladder = {{ limits = ["3"], limit_unit = "kWh_per_day", reset = "{reset}", allocate = "per_period" }}\n'
    check(text, ("2025-03-29", 60, ALL_DAY, ALL_DAY), "2", 0)


TAXED = """
[[version.component]]
id = "energy"
kind = "energy"
prices = ["1"]
[[version.component]]
id = "standing"
kind = "fixed"
amount = "9.99"
[[version.component]]
id = "vat"
kind = "percent"
percent = "{vat}"
"""


def test_a_fee_that_goes_on_is_taxed_where_the_tax_changes() -> None:
    """The fee is one line over both versions and once escaped both rates of tax."""
    text = HEAD.format(zone="UTC") + TAXED.format(vat="5") + '[[version]]\nfrom = "2025-03-30"\n'
    text += TAXED.format(vat="20")
    check(text, ("2025-03-29", 60, [1000] * 60, [0] * 60), "2", 0)


def test_a_price_that_begins_in_the_hour_that_comes_twice_stays() -> None:
    text = HEAD.format(zone="Europe/London") + TAXED.format(vat="5")
    text += '[[version]]\nfrom = "2025-10-26T01:30"\n' + TAXED.format(vat="5").replace('"1"', '"3"')
    check(text, ("2025-10-25", 15, [10] * 190, [0] * 190), "2", 0)


def test_limits_that_adders_make_fall_are_refused() -> None:
    text = HEAD.format(zone="UTC") + '[[version.component]]\nid = "energy"\nkind = "energy"\nprices = ["1", "2", "3"]\n'
    adder = '{ attribute = "household", at_least = "5", kwh = ["9", "0"] }'
    text += f'ladder = {{ limits = ["3", "6"], reset = "bill", adders = [{adder}] }}\n'
    check(text, ("2025-03-29", 60, ALL_DAY, ALL_DAY), "2", 0)
    with pytest.raises(RatingError, match="limits fall for this account: 12, 6 kWh"):
        check(text, ("2025-03-29", 60, ALL_DAY, ALL_DAY), "6", 0)


def test_a_ladder_per_kw_goes_on_though_the_account_has_no_such_attribute() -> None:
    """Where a month's ladder stands at a bill's start does not ask how long its tiers are."""
    text = HEAD.format(zone="UTC") + '[[version.component]]\nid = "energy"\nkind = "energy"\nprices = ["1", "2"]\n'
    text += 'ladder = { limits = ["3"], reset = "month", limit_unit = "kWh_per_kw" }\n'
    ends = np.datetime64("2025-03-01", "h") + np.arange(1, 49)
    usage = statement.Usage(ends, np.full(48, 500), 60)
    assert statement.carried(books.load(text, "kw"), datetime(2025, 3, 2), usage) == {"energy": 12_000}
