"""What differs between two books, by key, and what the same year costs on both."""

import tomllib
from datetime import datetime

from tariff import book as books
from tariff import money
from tariff.difference import changes, held, version_at, year_by_rows
from tests.tariff.months import shipped


def table(name: str) -> dict[str, object]:
    return tomllib.loads(books.shipped_text(name))


def told(before: dict[str, object], after: dict[str, object]) -> list[tuple[str, str, str]]:
    return [(one.key, one.before, one.after) for one in changes(before, after)]


def test_a_book_does_not_differ_from_itself() -> None:
    for name in books.shipped():
        assert changes(table(name), table(name)) == ()


def test_prices_are_told_one_by_one_and_versions_and_components_by_name() -> None:
    one = {
        "version": [{"from": "2024", "component": [{"id": "energy", "prices": ["1", "2"]}, {"id": "vat", "of": ["a"]}]}]
    }
    two = {
        "version": [{"from": "2024", "component": [{"id": "fee"}, {"id": "energy", "prices": ["1", "3"]}]}],
        "name": "x",
    }
    assert told(one, two) == [
        ("version[2024].component[energy].prices[1]", '"2"', '"3"'),
        ("version[2024].component[vat]", '{id = "vat", of = ["a"]}', ""),
        ("version[2024].component[fee]", "", '{id = "fee"}'),
        ("name", "", '"x"'),
    ]


def test_order_of_components_is_a_change() -> None:
    one = {"component": [{"id": "a"}, {"id": "b"}]}
    two = {"component": [{"id": "b"}, {"id": "a"}]}
    assert told(one, two) == [("component (order)", "a, b", "b, a")]


def test_the_version_in_force() -> None:
    book = shipped("vietnam-residential")
    assert version_at(book, datetime(2024, 10, 10)).label == "2023-11-09"
    assert version_at(book, datetime(2024, 10, 11)).label == "2024-10-11"
    assert version_at(book, datetime(2020, 1, 1)).label == "2023-11-09"


def test_two_versions_cost_what_was_published() -> None:
    """200 kWh of Vietnam: 19250 dong more without VAT, every month, whatever the year."""
    book = shipped("vietnam-residential")
    before, after = (year_by_rows(held(book, version), 2030, 200_000) for version in book.versions)
    assert [money.format(new - old) for old, new in zip(before, after, strict=True)] == ["20790.00"] * 12


def test_an_annual_ladder_goes_on_through_the_year_of_the_comparison() -> None:
    """500 kWh a month: 2760 are gone in June, 4800 in October."""
    months = year_by_rows(shipped("zhejiang-residential-plain"), 2025, 500_000)
    assert money.format(sum(months)) == money.format((2760 * 538 + 2040 * 588 + 1200 * 838) * 1000)
    assert months[0] == 269_000_000
    assert months[11] == 419_000_000


def test_seasons_are_seen_by_month() -> None:
    months = year_by_rows(shipped("guangzhou-residential"), 2025, 600_000)
    assert {money.format(months[month]) for month in (4, 5, 6, 7, 8, 9)} == {"370.40"}
    assert {money.format(months[month]) for month in (0, 1, 2, 3, 10, 11)} == {"423.40"}


def test_a_bill_of_two_months_has_the_tiers_of_two() -> None:
    """Taipower, 330 kWh a month: 735 in other months and 800 in summer, billed in pairs from January."""
    pairs = year_by_rows(shipped("taipower-residential-2015"), 2016, 330_000, 2)
    assert {money.format(pairs[0]), money.format(pairs[5])} == {"1470.00"}
    assert money.format(pairs[3]) == "1600.00"
    assert len(pairs) == 6
