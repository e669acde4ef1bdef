"""Many accounts at once run out when each of them alone does: drawn pasts, gaps, prices, sums beyond exact floats."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from control.forecast import HORIZON_H, LEAST_DAYS, HoursLeft, by_price, hours_left, hours_to
from control.runout import Floats, Purse, run_out

NOW = datetime(2026, 3, 5, 7)


def drawn(seed: int, accounts: int, most_wh: int = 4_000) -> Purse:
    rng = np.random.default_rng(seed)
    past = rng.integers(0, most_wh, (accounts, 28 * 24)).astype(np.float64)
    past[rng.random(past.shape) < 0.1] = np.nan
    for row in range(accounts):
        past[row, : int(rng.integers(0, 28 * 24 + 1)) if row % 3 else 0] = np.nan
    past[0], past[1, : -LEAST_DAYS * 24], past[2] = np.nan, np.nan, 0.0
    left = rng.choice([-5, 0, 1, 999, 1_000_000, 30_000_000, 700_000_000, 5_000_000_000], accounts)
    prices = rng.integers(1, 1_500_000, (accounts, HORIZON_H))
    prices[::4] = np.tile(prices[::4, :24], (1, 30))
    wanted = rng.choice([-1, 0, 5, 20_000, 2_000_000], accounts)
    return Purse(past, left.astype(np.int64), prices.astype(np.int64), wanted.astype(np.int64))


def known(past: Floats) -> Floats:
    """From its first known hour on: what lies before is no use of nothing."""
    there = np.flatnonzero(np.isfinite(past))
    return past[there[0] :] if there.size else past[:0]


def one_by_one(purse: Purse, now: datetime) -> tuple[list[HoursLeft], list[float | None]]:
    found, tiers = [], []
    for past, left, prices, wanted in zip(purse.past, purse.left_micro, purse.prices, purse.next_wh, strict=True):
        found.append(hours_left(known(past), now, int(left), by_price(prices)))
        tiers.append(hours_to(known(past), now, int(wanted)) if wanted >= 0 else None)
    return found, tiers


@pytest.mark.parametrize("seed", range(4))
def test_all_at_once_is_each_alone(seed: int) -> None:
    purse, now = drawn(seed, 90), NOW + timedelta(hours=31 * seed)
    hours, tiers = run_out(purse, now)
    assert (hours, tiers) == one_by_one(purse, now)
    assert {one.p10 is None for one in hours} == {True, False}
    assert any(one.p50 == HORIZON_H for one in hours) and any(0 < (one.p50 or 0) < 24 for one in hours)
    assert any(tier is not None for tier in tiers)


def test_sums_that_floats_cannot_hold_are_made_of_integers() -> None:
    purse = drawn(9, 12, most_wh=40_000_000)
    assert run_out(purse, NOW) == one_by_one(purse, NOW)
    assert np.nanmax(purse.past) * 1_500_000 * HORIZON_H > 2**53


def test_nobody_is_no_trouble() -> None:
    purse = drawn(1, 6)
    none = Purse(purse.past[:0], purse.left_micro[:0], purse.prices[:0], purse.next_wh[:0])
    assert run_out(none, NOW) == ([], [])
