"""The day plan that people read equals the calendar that bills are made on."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from tariff import book as books
from tariff import calendar as calendars
from tariff import wording
from tariff.dayplan import kinds_of_day, stretches
from tariff.model import Version, Window
from tests.tariff.months import shipped

ODD = Version(
    "odd",
    datetime(2025, 1, 1),
    (
        Window("event", 600, 840, dates=(("2025-07-04", "2025-07-06"),)),
        Window("night", 1320, 360, days=(1, 2, 3, 4, 5)),
        Window("feast", holidays=True, begin=60, end=120),
        Window("winter", dates=(("11-15", "02-10"),), holidays=False),
        Window("peak", 960, 1260, months=(6, 7, 8, 9)),
    ),
    "off",
    ("2025-01-01", "2025-05-01", "2025-12-25"),
    "7",
    (),
)


@pytest.mark.parametrize("version", [ODD, replace(ODD, holiday_as="feast")])
def test_every_quarter_hour_of_a_year_has_the_period_of_the_calendar(version: Version) -> None:
    book = replace(shipped("demo"), zone="UTC", versions=(version,))
    rows = calendars.build(book, datetime(2025, 1, 1), datetime(2026, 1, 1), 15)
    wanted = [rows.periods[int(index)] for index in rows.period]
    found = []
    day = date(2025, 1, 1)
    while day.year == 2025:
        for piece in stretches(version, day):
            found += [piece.period] * ((piece.end - piece.begin) // 15)
        day += timedelta(days=1)
    assert found == wanted


@pytest.mark.parametrize("name", books.shipped())
def test_shipped_days_are_whole_and_the_calendars_own(name: str) -> None:
    book = replace(shipped(name), zone="UTC")
    version = book.versions[-1]
    year = version.start.year + 1
    rows = calendars.build(book, datetime(year, 1, 1), datetime(year + 1, 1, 1), 30)
    wanted = [rows.periods[int(index)] for index in rows.period]
    kinds = kinds_of_day(version, year)
    assert sum(len(kind.days) for kind in kinds) == rows.slots // 48
    for kind in kinds:
        strip = [piece.period for piece in kind.stretches for _ in range((piece.end - piece.begin) // 30)]
        for day in kind.days:
            place = 48 * (day - date(year, 1, 1)).days
            assert strip == wanted[place : place + 48]


def test_strips_name_their_days_and_letters() -> None:
    version = shipped("fujian-industrial-10kv").versions[0]
    (plain, summer) = wording.strips(version, 2026)
    assert (plain.days, summer.days) == ("Jan-Jun Oct-Dec", "Jul-Sep")
    assert summer.strip == "v" * 16 + "f" * 4 + "pp" + "ss" + "f" * 6 + "p" * 4 + "ss" + "p" * 4 + "ff" + "pp" + "f" * 4
    assert summer.periods[:3] == ("00:00-08:00 valley", "08:00-10:00 flat", "10:00-11:00 peak")
    assert wording.legend(version) == {"s": "sharp", "p": "peak", "v": "valley", "f": "flat"}
    assert wording.strips(shipped("london-flat-2013").versions[0], 2026) == ()


def test_odd_days_are_told_by_number_and_holidays_counted() -> None:
    days = [strip.days for strip in wording.strips(ODD, 2025)]
    assert any("holidays" in one for one in days)
    assert any(one.startswith(("07-0", "2 days from 07-0", "3 days from 07-0")) for one in days)


def test_words_of_components() -> None:
    def words(name: str, place: int = 0, version: int = -1) -> str:
        book = shipped(name)
        return wording.component(book.versions[version].components[place], book.currency)

    assert words("zhejiang-residential") == (
        "peak 0.568 / 0.618 / 0.868, valley 0.288 / 0.338 / 0.588 CNY/kWh; "
        "tiers of the year at 2760 / 4800 kWh, chronological; limits +1200 kWh where household is from 5"
    )
    assert words("pge-e1").endswith(
        "tiers of the bill at 13.5 (Jun-Sep), 11.0 (Jan-May Oct-Dec) kWh a day, chronological"
    )
    assert words("bangladesh-lt-a").startswith(
        "classes by the total of the month; to 50 kWh: 4.63 BDT/kWh; above: 5.26"
    )
    assert words("pge-e-tou-c", 1).startswith("paid to the customer, 0.0814 / 0 USD/kWh")
    assert words("london-dynamic-2013").startswith("by the series london_dtou_2013_halfhourly.csv; High 0.6720")
    assert words("kenya-domestic-prepaid", -1) == "percent 16, of fixed, energy, fuel, forex"
    assert words("kerala-lt1-domestic", 1).startswith("per bill, amount 40 to 50 kWh, 65 to 100 kWh")
    assert words("taipower-residential").endswith("limits times billed_months")
