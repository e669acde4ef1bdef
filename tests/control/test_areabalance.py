"""Energy balances of transformer areas: what is missing, and that the planted culprits are ranked first."""

import numpy as np
import pytest

from control.areabalance import LEAST_HOURS, AreaHours, Hours, balance, suspects

HOURS, LOSS = 24 * 14, 0.03


def loads(count: int, seed: int) -> dict[str, Hours]:
    """Customers with a daily shape and days of their own, in whole Wh."""
    rng = np.random.default_rng(seed)
    hour = np.arange(HOURS) % 24
    found = {}
    for number in range(count):
        shape = 300 + 700 * np.exp(-(((hour - rng.uniform(6, 22)) / rng.uniform(1, 3)) ** 2))
        found[f"{seed}-{number}"] = np.round(shape * rng.uniform(0.3, 3) * rng.uniform(0.5, 1.5, HOURS))
    return found


def area(name: str, taken: dict[str, Hours], real: dict[str, Hours] | None = None) -> AreaHours:
    """An area whose transformer gives what its customers really take, and the technical loss."""
    given = np.sum(list((real or taken).values()), axis=0) / (1 - LOSS)
    return AreaHours(name, given, taken)


def found(*areas: AreaHours) -> tuple[dict[str, bool], list[tuple[str, str, str]]]:
    known = {one.transformer: balance(one, technical=LOSS, limit=0.05) for one in areas}
    ranked = suspects(areas, {name: residual for name, (_, residual) in known.items()})
    odd = {name: one.suspicious for name, (one, _) in known.items()}
    return odd, [(one.kind, one.meter, one.belongs) for one in ranked]


def test_an_area_that_adds_up_accuses_nobody() -> None:
    odd, ranked = found(area("T1", loads(12, 1)), area("T2", loads(9, 2)))
    assert odd == {"T1": False, "T2": False} and ranked == []


@pytest.mark.parametrize("seed", range(3, 8))
def test_a_customer_booked_to_the_wrong_transformer_is_the_first_suspect(seed: int) -> None:
    one, two = loads(12, 10 * seed), loads(12, 10 * seed + 1)
    culprit = f"{10 * seed}-5"
    hangs_on_two = {**two, culprit: one[culprit]}
    without = {meter: load for meter, load in one.items() if meter != culprit}
    odd, ranked = found(area("T1", one, without), area("T2", two, hangs_on_two), area("T3", loads(8, 99)))
    assert ranked[0] == ("wrong_transformer", culprit, "T2")
    assert not odd["T3"]


@pytest.mark.parametrize("seed", range(3, 8))
def test_who_takes_half_past_the_meter_is_the_first_suspect(seed: int) -> None:
    real = loads(10, seed)
    culprit = f"{seed}-4"
    _, ranked = found(area("T1", {**real, culprit: np.round(real[culprit] / 2)}, real))
    assert ranked[0] == ("bypass", culprit, "")


def test_a_load_that_moves_behind_the_meter_shows_by_its_fall() -> None:
    real = loads(10, 4)
    moved = real["4-4"].copy()
    moved[24 * 7 :] = 0
    _, ranked = found(area("T1", {**real, "4-4": moved}, real))
    assert ranked[0] == ("bypass", "4-4", "")


def test_hours_that_are_not_whole_are_left_out_and_few_accuse_nobody() -> None:
    taken = loads(4, 5)
    given = area("T1", taken).given.copy()
    given[LEAST_HOURS - 1 :] = np.nan
    taken["5-0"][:10] = np.nan
    one, residual = balance(AreaHours("T1", given * 2, taken), technical=LOSS, limit=0.05)
    assert (one.hours, one.suspicious) == (LEAST_HOURS - 11, False)
    assert int(np.isnan(residual).sum()) == HOURS - one.hours
    assert suspects([AreaHours("T1", given * 2, taken)], {"T1": residual}) == []
