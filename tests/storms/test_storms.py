"""A herd and a bug over a small town: the bug cuts nobody, the herd is done in its window."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks import storms
from benchmarks.storms import Storm


@pytest.mark.parametrize("make", [storms.bug, storms.release])
def test_a_wrong_tariff_that_reaches_the_forecasts_cuts_nobody(make: Callable[..., Storm], tmp_path: Path) -> None:
    """Sixty times too dear: all are told, all forecasts see it, nobody vouches for it, and nobody leaves."""
    found = make(200, 5, factor=60, hours=(3,)).live(tmp_path)
    assert found["cut_by_the_bug"] == 0 and found["told_to_stop"] > 45, "the storm never came"
    assert found["ledger_sum"] == 0


def test_a_wrong_tariff_that_two_persons_confirmed_meets_the_breaker(tmp_path: Path) -> None:
    """Whoever vouches for it unseen: all guards hold at once, and the breaker keeps them back."""
    storm = storms.bug(200, 5, factor=60, hours=(3,))
    storm.confirm = storms.BUG + timedelta(days=1)
    found = storm.live(tmp_path)
    assert found["cut_by_the_bug"] == 0
    assert len(found["breaker_trips"]) == 1 and found["breaker_trips"][0].endswith("cap 10")
    assert int(found["breaker_trips"][0].split()[0]) > 45


def test_a_herd_is_cut_in_its_window_once_two_persons_release_it(tmp_path: Path) -> None:
    """People without money after a holiday: the breaker trips, 11:00 comes, and by evening whoever pays is back on."""
    found = storms.herd(1500, hours=(1,)).live(tmp_path)
    assert found["breaker_trips"], "the herd was no storm"
    assert set(found["cut_by_day"]) == {"2026-10-12"} and found["cut_rightly"] > 20
    assert found["cut_by_the_bug"] == found["cut_twice"] == found["still_queued"] == 0
    assert found["came_back"] == found["cut_rightly"]
    assert found["reconnect_p95_s"] < 120
