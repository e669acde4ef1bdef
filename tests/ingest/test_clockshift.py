"""A stretch an hour off is named by its hole and its overlap together, at every slot length, and by neither alone."""

import numpy as np
import pytest

from ingest.clockshift import HOUR_MS, LONGEST_MS, Shift, shifts

DAY_MS = 24 * HOUR_MS


def stamped(minutes: int, ahead_ms: int, *, first: int = 10, days: int = 14) -> tuple[np.ndarray, np.ndarray]:
    """Slot ends of 60 days whose clock was off for ``days`` from day ``first`` on: those there, and those twice."""
    slot = minutes * 60_000
    true = np.arange(slot, 60 * DAY_MS + slot, slot)
    off = (true > first * DAY_MS) & (true <= (first + days) * DAY_MS)
    seen, times = np.unique(np.where(off, true + ahead_ms, true), return_counts=True)
    return seen, seen[times > 1]


@pytest.mark.parametrize("minutes", [15, 30, 60])
def test_a_fortnight_ahead_is_one_stretch(minutes: int):
    there, twice = stamped(minutes, HOUR_MS)
    assert shifts(there, twice, minutes * 60_000) == [Shift(10 * DAY_MS, 24 * DAY_MS + HOUR_MS, HOUR_MS)]


@pytest.mark.parametrize("minutes", [15, 30, 60])
def test_a_fortnight_behind_is_one_stretch(minutes: int):
    there, twice = stamped(minutes, -HOUR_MS)
    assert shifts(there, twice, minutes * 60_000) == [Shift(10 * DAY_MS - HOUR_MS, 24 * DAY_MS, -HOUR_MS)]


def test_a_hole_alone_and_an_hour_twice_alone_say_nothing():
    there, twice = stamped(30, HOUR_MS)
    whole = np.arange(there[0], there[-1] + 1, 30 * 60_000)
    assert shifts(there, twice[:0], 30 * 60_000) == []
    assert shifts(whole, twice, 30 * 60_000) == []
    assert shifts(there, twice[:1], 30 * 60_000) == []  # half an hour twice is another story


def test_a_hole_in_another_year_is_not_its_other_half():
    there, twice = stamped(60, HOUR_MS)
    far = twice + 10 * DAY_MS + LONGEST_MS
    assert shifts(np.concatenate([there, np.arange(there[-1], far[-1] + HOUR_MS, HOUR_MS)]), far, HOUR_MS) == []
