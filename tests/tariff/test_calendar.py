"""Rows of the calendar on days of 23 and 25 hours, leap days, holidays, windows past midnight and half-hour zones."""

from datetime import datetime, timedelta

import pytest

from tariff import book as books
from tariff import calendar
from tariff.errors import RatingError
from tariff.model import Book
from tests.cases.toml_text import document


def make(zone: str, **version: object) -> Book:
    table = {"currency": "XXX", "zone": zone, "version": [{"from": "2020-01-01", **version}]}
    component = {"id": "energy", "kind": "energy", "prices": ["0.1"]}
    table["version"][0].setdefault("component", [component])  # type: ignore[index]
    return books.load(document(table), "made")


def local_days(book: Book, first: str, days: int, minutes: int = 60) -> calendar.Calendar:
    begin = datetime.fromisoformat(first)
    start, end = (calendar.to_utc(at, book.zone) for at in (begin, begin + timedelta(days=days)))
    return calendar.build(book, start, end, minutes)


@pytest.mark.parametrize(
    ("zone", "day", "slots"),
    [
        ("Europe/London", "2025-03-30", 23),
        ("Europe/London", "2025-10-26", 25),
        ("America/New_York", "2025-03-09", 23),
        ("Asia/Shanghai", "2025-03-30", 24),
        ("Australia/Lord_Howe", "2025-04-06", 49),
    ],
)
def test_days_of_other_lengths_are_just_rows(zone: str, day: str, slots: int) -> None:
    minutes = 30 if slots == 49 else 60
    rows = local_days(make(zone), day, 1, minutes)
    assert rows.slots == slots
    assert len(set(rows.day.tolist())) == 1
    assert int(rows.elapsed[-1]) == rows.day_units


def test_each_day_weighs_the_same_whatever_its_length() -> None:
    rows = local_days(make("Europe/London"), "2025-03-28", 5)
    assert int(rows.elapsed[-1]) == 5 * rows.day_units
    assert rows.slots == 5 * 24 - 1


def test_the_hour_that_comes_twice_keeps_its_period() -> None:
    book = make(
        "Europe/London",
        default_period="day",
        window=[{"period": "night", "from": "00:00", "to": "02:00"}],
        component=[{"id": "energy", "kind": "energy", "prices": {"day": "1", "night": "2"}}],
    )
    rows = local_days(book, "2025-10-26", 1)
    assert [rows.periods[index] for index in rows.period[:5]] == ["night", "night", "night", "day", "day"]


def test_windows_wrap_midnight_and_the_first_match_wins() -> None:
    windows = [
        {"period": "event", "dates": ["2025-07-04"], "from": "23:00", "to": "24:00"},
        {"period": "night", "from": "22:00", "to": "06:00"},
        {"period": "weekend", "days": [6, 7]},
    ]
    prices = {"day": "1", "event": "2", "night": "3", "weekend": "4"}
    component = [{"id": "energy", "kind": "energy", "prices": prices}]
    rows = local_days(make("UTC", default_period="day", window=windows, component=component), "2025-07-04", 2)
    names = [rows.periods[index] for index in rows.period]
    assert names[:6] == ["night"] * 6
    assert names[6:22] == ["day"] * 16
    assert names[22:24] == ["night", "event"]
    assert names[30] == "weekend"
    assert names[46] == "night"


def test_seasons_by_date_wrap_the_year() -> None:
    windows = [{"period": "winter", "dates": ["11-15..03-14"]}]
    component = [{"id": "energy", "kind": "energy", "prices": {"winter": "1", "*": "2"}}]
    book = make("UTC", default_period="*", window=windows, component=component)
    rows = local_days(book, "2024-02-28", 17)
    assert [rows.periods[p] for p in rows.period[::24]] == ["winter"] * 16 + ["*"]


def test_holidays_count_as_a_weekday_or_a_period() -> None:
    windows = [{"period": "weekend", "days": [7]}]
    component = [{"id": "energy", "kind": "energy", "prices": {"weekend": "1", "*": "2"}}]
    shared = {"window": windows, "component": component, "holidays": ["2025-10-01"]}
    for turned in (7, "weekend"):
        rows = local_days(make("UTC", **shared, holiday_as=turned), "2025-09-30", 3)
        assert [rows.periods[p] for p in rows.period[::24]] == ["*", "weekend", "*"]


def test_slots_of_a_half_hour_zone_start_at_its_midnight() -> None:
    rows = local_days(make("Asia/Kolkata"), "2025-01-01", 1)
    assert rows.start == datetime(2024, 12, 31, 18, 30)
    assert rows.minute.tolist() == [60 * hour for hour in range(24)]


def test_months_and_years_of_a_leap_day() -> None:
    rows = local_days(make("UTC"), "2024-02-28", 3)
    assert (rows.month % 12 + 1).tolist() == [2] * 48 + [3] * 24
    assert set(rows.year.tolist()) == {2024}


def test_what_cannot_be_placed_is_refused() -> None:
    book = make("UTC")
    with pytest.raises(RatingError, match="no version before 2020-01-01"):
        calendar.build(book, datetime(2019, 12, 31), datetime(2020, 1, 2), 60)
    with pytest.raises(RatingError, match="whole number"):
        calendar.build(book, datetime(2025, 1, 1), datetime(2025, 1, 1, 0, 45), 60)
    with pytest.raises(RatingError, match="do not divide a day"):
        calendar.build(book, datetime(2025, 1, 1), datetime(2025, 1, 2), 7)


def test_local_and_utc_are_inverse_outside_the_gap() -> None:
    for hour in range(0, 24 * 365, 7):
        at = datetime(2025, 1, 1) + timedelta(hours=hour)
        local = calendar.to_local(at, "Europe/London")
        back = calendar.to_utc(local, "Europe/London")
        assert back == at or calendar.to_local(back, "Europe/London") == local


@pytest.mark.parametrize(
    ("zone", "local", "utc"),
    [
        ("Europe/London", "2025-03-30T01:45", "2025-03-30T01:00"),  # 01:00 to 02:00 do not come
        ("Africa/Cairo", "2025-04-25T00:00", "2025-04-24T22:00"),  # a midnight that does not come
        ("Europe/London", "2025-10-26T01:30", "2025-10-26T00:30"),  # the first of two
    ],
)
def test_a_wall_clock_that_a_change_skips_is_the_first_instant_after_it(zone: str, local: str, utc: str) -> None:
    assert calendar.to_utc(datetime.fromisoformat(local), zone) == datetime.fromisoformat(utc)
