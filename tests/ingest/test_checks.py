"""Verdicts: one event each, values untouched, and nothing said of ordinary life."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import checks
from ingest.gaps import Gap, gaps
from ingest.records import Flag

SLOT = 1_800_000


def judge(energy: list[int] | np.ndarray, most: int = 1_000_000):
    values = np.asarray(energy, np.int64)
    end = (np.arange(values.size) + 1) * SLOT
    return checks.judge(end, values, 30, level=checks.level_wh(values), most_wh=most)


def ordinary(count: int = 960, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(50, 600, count)


def test_ordinary_days_say_nothing():
    flags, verdicts = judge(ordinary())
    assert (flags.any(), verdicts) == (False, [])


@pytest.mark.parametrize("times, spike", [(4, False), (6, True)])
def test_a_spike_is_judged_by_the_meters_own_level(times: int, spike: bool):
    energy = ordinary()
    energy[500] = checks.level_wh(energy) * times
    flags, verdicts = judge(energy)
    assert [(v.code, v.first) for v in verdicts] == ([("spike", 500)] if spike else [])
    assert bool(flags[500] & Flag.SUSPECT) is spike


def test_too_few_slots_know_only_the_absolute_limit():
    flags, verdicts = judge([1, 1, 100, 99_999, 100_001], most=100_000)
    assert [(v.code, v.first) for v in verdicts] == [("spike", 4)]
    assert flags.tolist() == [0, 0, 0, 0, int(Flag.SUSPECT)]


def test_a_catch_up_block_is_one_event_and_neither_spike_nor_drop():
    energy = ordinary()
    total = int(energy[300:397].sum())
    energy[300:396], energy[396] = 0, total
    flags, verdicts = judge(energy)
    assert [(v.code, v.first, v.last) for v in verdicts] == [("catch_up", 300, 396)]
    assert np.flatnonzero(flags & int(Flag.UNCERTAIN)).tolist() == list(range(300, 397))
    assert not (flags & int(Flag.SUSPECT)).any()


def test_a_block_larger_than_its_hours_could_use_is_a_spike_after_all():
    energy = ordinary()
    energy[300:306], energy[306] = 0, checks.level_wh(energy) * 20
    assert [v.code for v in judge(energy)[1]] == ["spike"]


@pytest.mark.parametrize("slots, stuck", [(48, False), (49, True), (144, True)])
def test_a_day_of_one_value_is_stuck_once(slots: int, stuck: bool):
    energy = ordinary()
    energy[100 : 100 + slots] = 123
    energy[[99, 100 + slots]] = 124
    assert [v.code for v in judge(energy)[1]] == (["stuck"] if stuck else [])


def test_an_empty_home_is_not_stuck():
    assert judge(np.zeros(500, np.int64))[1] == []


@pytest.mark.parametrize(
    "day, usual, word",
    [(51_000, [10_000] * 7, "surge"), (50_000, [10_000] * 7, ""), (999, [10_000] * 7, "drop"), (1000, [10_000] * 7, ""),
     (0, [10_000] * 6, ""), (90_000, [400] * 9, "")],
)  # fmt: skip
def test_surge_and_drop_want_a_week_and_a_home_that_uses_something(day: int, usual: list[int], word: str):
    assert checks.day_verdict(day, usual) == word


def test_a_clock_is_stale_past_the_limit_and_unknown_is_not():
    assert [checks.stale_clock(value) for value in (None, 120, -120, 121, -121)] == [False, False, False, True, True]


@settings(max_examples=200)
@given(st.sets(st.integers(0, 60)), st.integers(0, 20), st.integers(1, 40))
def test_gaps_are_the_slots_that_are_not_there(stored: set[int], first: int, count: int):
    hour = 3_600_000
    end = np.array([(slot + 1) * hour for slot in stored], np.int64)
    found = gaps(end, np.full(end.size, hour), first * hour, (first + count) * hour, hour)
    slots = [slot for gap in found for slot in range(gap.start_ms // hour, gap.end_ms // hour)]
    assert slots == [slot for slot in range(first, first + count) if slot not in stored]
    assert sum(gap.intervals for gap in found) == len(slots)
    assert all(one.end_ms < two.start_ms for one, two in pairwise(found))


def test_slots_of_mixed_lengths_leave_no_gap_where_they_meet():
    minute = 60_000
    end = np.array([60, 90, 120, 180]) * minute
    length = np.array([60, 30, 30, 30]) * minute
    assert gaps(end, length, 0, 180 * minute, 30 * minute) == [Gap(120 * minute, 150 * minute, 1)]
