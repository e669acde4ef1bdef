"""The calendar: days by rule, windows across zones and clock changes."""

from datetime import date, datetime, timedelta

import pytest

from control import windows
from control.policy import template

CN, GB, US = (template(name)["residential"] for name in ("cn-remote", "gb-smets-like", "us-tx"))


@pytest.mark.parametrize(
    ("policy", "day", "off"),
    [
        (GB, date(2026, 4, 3), True),  # Good Friday
        (GB, date(2026, 4, 6), True),  # Easter Monday
        (GB, date(2026, 4, 7), False),
        (GB, date(2026, 5, 4), True),  # first Monday of May
        (GB, date(2026, 5, 25), True),  # last Monday of May
        (GB, date(2026, 8, 31), True),
        (US, date(2026, 11, 26), True),  # Thanksgiving
        (US, date(2026, 11, 19), False),
        (US, date(2026, 5, 25), True),
        (CN, date(2026, 2, 17), True),  # Spring Festival
        (CN, date(2027, 2, 5), True),  # its eve
        (CN, date(2026, 10, 1), True),
        (CN, date(2026, 3, 10), False),
        (CN, date(2026, 3, 14), True),  # Saturday
    ],
)
def test_days_off(policy: windows.Calendar, day: date, off: bool) -> None:
    assert windows.day_off(policy, day) is off


@pytest.mark.parametrize(
    ("year", "easter"),
    [(1961, "04-02"), (2000, "04-23"), (2008, "03-23"), (2024, "03-31"), (2026, "04-05"), (2038, "04-25")],
)
def test_easter(year: int, easter: str) -> None:
    assert windows._easter(year) == date.fromisoformat(f"{year}-{easter}")


def test_the_eve_and_the_end_of_the_list_are_shut() -> None:
    noon = timedelta(hours=4)  # 12:00 in Shanghai
    assert "eve" in windows.shut(CN, datetime(2026, 9, 24) + noon, "Asia/Shanghai")
    assert windows.shut(CN, datetime(2030, 3, 12) + noon, "Asia/Shanghai") == ""
    assert "does not list" in windows.shut(CN, datetime(2031, 3, 11) + noon, "Asia/Shanghai")
    assert "2031" in windows.shut(CN, datetime(2030, 12, 31) + noon, "Asia/Shanghai")
    assert "not known" in windows.shut(CN, datetime(2026, 3, 10), "Nowhere/City")


def test_the_window_follows_local_time_through_the_clock_change() -> None:
    before, after = datetime(2026, 3, 26, 10, 0), datetime(2026, 3, 31, 9, 0)
    for opens in (before, after):
        assert windows.shut(GB, opens - timedelta(minutes=1), "Europe/London")
        assert windows.shut(GB, opens, "Europe/London") == ""


def test_the_next_window_is_open_and_none_before_it_was() -> None:
    start = datetime(2026, 2, 13, 9, 0)
    found = windows.next_open(CN, start, "Asia/Shanghai")
    assert found is not None
    assert windows.shut(CN, found, "Asia/Shanghai") == ""
    quarter = timedelta(minutes=15)
    for step in range(int((found - start) / quarter)):
        assert windows.shut(CN, start + step * quarter, "Asia/Shanghai")
    assert windows.next_open(CN, found + timedelta(minutes=7), "Asia/Shanghai") == found + timedelta(minutes=7)
    assert windows.next_open(CN, datetime(2031, 1, 1), "Asia/Shanghai") is None


@pytest.mark.parametrize(
    ("hour", "ends"),
    [(20.99, None), (21.0, 8), (23.5, 8), (0.0, 8), (7.99, 8), (8.0, None), (12.0, None)],
)
def test_quiet_hours(hour: float, ends: int | None) -> None:
    wall = datetime(2026, 3, 10) + timedelta(hours=hour)
    at = windows.utc(wall, "Asia/Shanghai")
    found = windows.in_quiet(at, "Asia/Shanghai", 21 * 60, 8 * 60)
    assert (None if found is None else windows.local(found, "Asia/Shanghai").hour) == ends
    assert found is None or timedelta(0) < found - at <= timedelta(hours=11)
    assert windows.in_quiet(at, "Asia/Shanghai", 600, 600) is None


def test_three_working_days_of_a_bank() -> None:
    thursday = datetime(2026, 3, 5, 3, 0)
    assert windows.after_working_days(CN, thursday, 3, "Asia/Shanghai") == datetime(2026, 3, 10, 3, 0)
