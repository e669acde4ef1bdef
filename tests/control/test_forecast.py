"""Hours left against a slow reference, on loads where the answer is known, and as a sealed record."""

from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control import forecast
from control.forecast import by_price, hours_left, seal

NOW = datetime(2026, 3, 10, 2, 0)
FLAT = by_price(np.array([500_000]))  # 0.50 per kWh


def test_a_flat_load_runs_out_when_it_must() -> None:
    found = hours_left([1000] * 24 * 10, NOW, 5_250_000, FLAT)
    assert (found.p10, found.p50, found.wh_left) == (10.5, 10.5, 10_500)
    assert found.exhausts


def test_time_of_use_ahead_counts() -> None:
    dear_later = by_price(np.array([100_000] * 5 + [1_000_000] * 19))
    found = hours_left([1000] * 48, NOW, 1_500_000, dear_later)
    assert found.p50 == 6.0


def test_the_pessimistic_day_is_told_before_the_median() -> None:
    days = [[500] * 24 for _ in range(20)]
    for cold in (3, 9, 15):
        days[cold] = [2000] * 24
    found = hours_left(sum(days, []), NOW, 6_000_000, FLAT)  # noqa: RUF017
    assert found.p10 is not None
    assert found.p50 is not None
    assert found.p10 == 6.0
    assert 16 < found.p50 < 24


@pytest.mark.parametrize("history", [[], [100] * 47, [float("nan")] * 200])
def test_too_little_history_tells_nothing(history: list[float]) -> None:
    found = hours_left(history, NOW, 10**6, FLAT)
    assert (found.p10, found.p50, found.wh_left) == (None, None, None)
    assert seal("A1", NOW, found, "b").exhausts_at is None


def test_nothing_left_is_now_and_no_use_is_the_horizon() -> None:
    assert hours_left([100] * 48, NOW, 0, FLAT).p10 == 0.0
    still = hours_left([0] * 48, NOW, 1, FLAT, horizon_h=100)
    assert (still.p10, still.exhausts) == (100.0, False)
    assert seal("A1", NOW, still, "b").p10_at is None


def test_gaps_take_their_hours_mean() -> None:
    use = np.tile(np.arange(24.0) * 100, 7)
    holes = use.copy()
    holes[30:40] = np.nan
    assert hours_left(holes, NOW, 2_000_000, FLAT) == hours_left(use, NOW, 2_000_000, FLAT)


def test_weekends_differ_from_working_days() -> None:
    end = datetime(2026, 3, 9)  # a Monday, 00:00
    starts = [end - timedelta(days=28 - number) for number in range(28)]
    use = np.concatenate([np.full(24, 3000 if day.weekday() >= 5 else 500) for day in starts])
    assert hours_left(use, end, 10_000_000, FLAT).p50 == 40.0
    assert hours_left(use, end, 31_500_000, FLAT).p50 == 121.0  # five days at 0.25 an hour, then Saturday's 1.50


def test_a_sealed_forecast_names_the_minute_and_the_book() -> None:
    sealed = seal("A1", NOW, hours_left([1000] * 48, NOW, 5_250_000, FLAT), "b7")
    assert (sealed.account, sealed.sealed_at, sealed.book_hash) == ("A1", NOW, "b7")
    assert sealed.exhausts_at == sealed.p10_at == NOW + timedelta(hours=10, minutes=30)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 3000), min_size=48, max_size=24 * 12),
    st.integers(1, 40_000_000),
    st.lists(st.integers(0, 1_000_000), min_size=24, max_size=24),
)
def test_the_pessimistic_path_against_a_slow_reference(use: list[int], left: int, prices: list[int]) -> None:
    found = hours_left(use, NOW, left, by_price(np.array(prices)), horizon_h=200)
    count = min(len(use) // 24, forecast.HISTORY_DAYS)
    days = use[len(use) - count * 24 :]
    times = []
    for start in range(count):
        spent, hour = 0, 0
        while hour < 200 and spent < left * 1000:
            spent += days[(start * 24 + hour) % len(days)] * prices[hour % 24]
            hour += 1
        times.append(hour if spent >= left * 1000 else 201)
    slow = sorted(times)[int(0.1 * (count - 1))]
    assert found.p10 is not None
    assert found.p50 is not None
    assert found.p10 <= found.p50
    if found.p10 < found.p50 and found.p10 < 200:
        assert slow - 1 <= found.p10 <= slow
