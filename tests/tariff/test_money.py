"""Decimal text and the four roundings, against the decimal module."""

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_UP, Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tariff import money
from tariff.facts import Line

DECIMAL = {"half_up": ROUND_HALF_UP, "half_even": ROUND_HALF_EVEN, "down": ROUND_DOWN, "up": ROUND_UP}


@given(st.integers(-(10**25), 10**25), st.integers(1, 10**6), st.sampled_from(money.ROUNDINGS))
def test_divide_rounds_as_decimal_does(value: int, by: int, mode: money.Rounding) -> None:
    # A quotient is compared at a power of ten, where Decimal is exact.
    step = 10 ** len(str(by))
    assert money.divide(value, step, mode) == int((Decimal(value) / step).quantize(Decimal(1), rounding=DECIMAL[mode]))


@given(st.lists(st.integers(-(10**15), 10**15), min_size=1), st.integers(1, 10**9), st.sampled_from(money.ROUNDINGS))
def test_arrays_round_like_integers(values: list[int], by: int, mode: money.Rounding) -> None:
    expected = [money.divide(value, by, mode) for value in values]
    assert money.divide(np.array(values), by, mode).tolist() == expected
    assert money.divide(np.array(values, object), by, mode).tolist() == expected


@given(st.integers(-(10**20), 10**20), st.integers(0, 12))
def test_text_and_scaled_are_inverse(value: int, scale: int) -> None:
    assert money.scaled(money.text(value, scale), scale) == value


@pytest.mark.parametrize("text", ["1e3", "1,5", " 1", "", "nan", "0x1", "1.", ".5", "1_000"])
def test_what_is_no_plain_decimal_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a decimal"):
        money.scaled(text, 6)


def test_more_places_than_the_scale_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 2"):
        money.scaled("0.589", 2)
    assert money.scaled("0.5890", 3) == 589


def test_money_reads_and_prints() -> None:
    assert money.parse("-26.13") == -26_130_000
    assert money.format(26_130_000) == "26.13"
    assert money.format(5_000_000, 0) == "5"
    assert money.format(1) == "0.000001"


def test_half_a_cent_goes_away_from_zero() -> None:
    """A utility prints 26.125 as 26.13, and a credit of it as -26.13."""
    assert money.to_micro(26_125, 1000, 2) == 26_130_000
    assert money.to_micro(-26_125, 1000, 2) == -26_130_000


def test_large_amounts_widen_instead_of_wrapping() -> None:
    values = np.array([10**18], np.int64)
    assert money.wide(values, 1000).dtype == object
    assert money.wide(values, 2).dtype == np.int64


def test_a_fraction_of_an_arrays_number_does_not_wrap() -> None:
    half = np.array([2**62])[0]
    assert money.fraction(half) * 4 == 2**64
    mean = Line("energy", "1", (0,), "*", 0, np.array([3]), 3, "kWh", ("",), np.array([0]), exact=np.array([half]))
    assert mean.worth(np.array([6])).tolist() == [2**63]
    assert money.fractions(np.array([half]), 2)[0] * 8 == 2**64
