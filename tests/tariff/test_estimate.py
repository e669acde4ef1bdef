"""What energy costs on a book: whole Wh by the profile, the ladder it stands on, and why each line is what it is."""

from datetime import datetime

import numpy as np
import pytest

from tariff import estimate, money
from tariff.errors import RatingError
from tariff.statement import period_of
from tests.tariff.months import shipped


def bill_of(name: str, day: str, kwh: int, **options: object):  # type: ignore[no-untyped-def]
    book = shipped(name)
    return book, estimate.bill(book, period_of(book, datetime.fromisoformat(day)), kwh * 1000, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("wh", [0, 1, 743, 744, 600_000, 123_456_789])
def test_every_watt_hour_is_there_and_evenly_spread(wh: int) -> None:
    book = shipped("guangzhou-residential")
    load = estimate.usage(book, *period_of(book, datetime(2025, 7, 10)), wh)
    assert int(load.wh.sum()) == wh
    assert int(load.wh.max()) - int(load.wh.min()) <= 1
    assert len(load.wh) == 744


def test_the_published_month() -> None:
    _, bill = bill_of("guangzhou-residential", "2025-07-10", 600)
    assert money.format(bill.total_micro) == "370.40"


def test_an_annual_ladder_goes_on_from_what_was_used() -> None:
    book, bill = bill_of("zhejiang-residential-plain", "2025-11-10", 400, used_wh=2_700_000)
    assert [(line.tier, line.quantity) for line in bill.lines] == [(0, "60"), (1, "340")]
    assert [estimate.why(book, line) for line in bill.lines] == [
        "60 kWh x 0.538, tier 1",
        "340 kWh x 0.588, tier 2",
    ]


def test_a_day_profile_puts_energy_where_it_says() -> None:
    """Only from 0 to 8: all of it in the valley."""
    rows = "".join(f"{hour:02d}:00,{1 if hour < 8 else 0}\n" for hour in range(24))
    book, bill = bill_of(
        "zhejiang-residential", "2025-03-10", 310, profile=estimate.read_profile("time,weight\n" + rows)
    )
    assert [(line.period, line.quantity) for line in bill.lines] == [("valley", "310")]
    assert estimate.why(book, bill.lines[0]) == "310 kWh x 0.288, tier 1, valley: all other hours"


def test_peak_hours_are_named() -> None:
    book, bill = bill_of("zhejiang-residential", "2025-03-10", 310)
    (peak,) = [line for line in bill.lines if line.period == "peak"]
    assert estimate.why(book, peak).endswith("peak: 08:00-22:00")


def test_a_profile_of_stamps_is_scaled_to_the_energy() -> None:
    profile = estimate.read_profile("2025-03-01T00:00,1\n2025-03-01T01:00,3\n")
    book = shipped("demo")
    load = estimate.usage(book, *period_of(book, datetime(2025, 3, 10)), 4000, profile)
    assert load.wh[:3].tolist() == [1000, 3000, 0]
    with pytest.raises(RatingError, match="no energy between the two dates"):
        estimate.usage(book, *period_of(book, datetime(2025, 5, 10)), 4000, profile)


def test_half_hours_where_the_zone_or_the_series_wants_them() -> None:
    india = shipped("kerala-lt1-domestic")
    assert estimate.slot_minutes(india, period_of(india, datetime(2025, 1, 10))[0]) == 30
    gb = shipped("gb-dynamic-halfhourly", **{"gb_dynamic_halfhourly.csv": b"2025-01-01T00:00,1\n"})
    assert estimate.slot_minutes(gb, datetime(2025, 1, 1)) == 30
    assert estimate.slot_minutes(shipped("demo"), datetime(2025, 1, 1), estimate.Profile(15, (1,) * 96)) == 15


def test_lines_of_rules_say_the_rule() -> None:
    book, bill = bill_of("demo", "2025-03-10", 300)
    whys = {line.id: estimate.why(book, line) for line in bill.lines}
    assert whys["vat"] == "percent 6, of energy, service"
    assert whys["service"] == "per bill, amount 6.00"
    book, bill = bill_of("taipower-residential", "2026-07-10", 428)
    assert estimate.why(book, bill.lines[-1]) == "the total is rounded once more"


def test_reactive_energy_is_there_for_the_power_factor() -> None:
    book, bill = bill_of(
        "fujian-industrial-10kv", "2025-08-10", 100_000, attributes={"contracted_kva": "500"}, reactive_varh=75_000_000
    )
    (line,) = [line for line in bill.lines if line.id == "power_factor"]
    assert (line.quantity, line.price) == ("0.8", "5")
    assert estimate.why(book, line) == "standard 90, of energy, capacity"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "rows of time,weight"),
        ("00:00,1\n12:30,1\n", "equal steps"),
        ("00:00,0\n12:00,0\n", "all 0"),
        ("00:00,-1\n12:00,2\n", "number of 0 or more"),
        ("00:00,1,2\n12:00,2\n", "number of 0 or more"),
        ("00:00,1\n25:00,2\n", "no time of day"),
        ("2025-01-01T00:00,1\n2025-13-01T00:00,1\n", "no time such as"),
        ("2025-01-01T00:00Z,1\n2025-01-01T01:00Z,1\n", "leave the offset away"),
        ("2025-01-01T00:00,1\n2025-01-01T01:00,1\n2025-01-01T03:00,1\n", "equal steps"),
    ],
)
def test_a_wrong_profile_says_what_is_wrong(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        estimate.read_profile(text)


def test_a_weighted_day_is_exact_whatever_the_weights() -> None:
    profile = estimate.read_profile("00:00,0.000001\n12:00,999999\n")
    book = shipped("demo")
    load = estimate.usage(book, *period_of(book, datetime(2025, 3, 10)), 99_999_999, profile)
    assert int(load.wh.sum()) == 99_999_999
    assert np.all(load.wh >= 0)
