"""Break one rule at a time: the reference must notice, or the properties prove nothing."""

import numpy as np
import pytest

from tariff import kernel, lines, money
from tariff import plan as plans
from tests.tariff.test_reference import check

TEXT = """\
currency = "XXX"
zone = "UTC"
[[version]]
from = "2020-01-01"
default_period = "off"
[[version.window]]
period = "peak"
from = "06:00"
to = "18:00"
[[version.component]]
id = "energy"
kind = "energy"
[version.component.prices]
off = ["0.10", "0.25"]
peak = ["0.15", "0.35"]
[version.component.ladder]
reset = "bill"
limits = ["1"]
allocate = "chronological"
"""
LOAD = ("2025-06-10", 60, [50, 0, 700, 250, 900, 0, 450, 350, 1000, 30], [0] * 10)


@pytest.fixture(autouse=True)
def fresh_plans() -> None:
    plans._compile.cache_clear()


def test_the_case_agrees_unbroken() -> None:
    check(TEXT, LOAD, "2", 0)


def test_rounding_half_to_even_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(money._MODES, "half_up", money._half_even)
    with pytest.raises(AssertionError):
        check(TEXT, LOAD, "2", 0)


def test_rounding_towards_zero_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(money._MODES, "half_up", money._down)
    with pytest.raises(AssertionError):
        check(TEXT, LOAD, "2", 0)


def test_a_ladder_that_forgets_its_position_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "_above", lambda slots, start, limit: np.maximum(slots - limit, 0))
    with pytest.raises(AssertionError):
        check(TEXT, LOAD, "2", 0)


def test_rounding_a_component_once_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def once(plan: plans.Plan, found: list[lines.EnergyLine]) -> list[np.ndarray]:
        total = sum((line.exact for line in found), np.zeros(1, np.int64))
        rest = [np.zeros(1, np.int64)] * (len(found) - 1)
        return [lines.rounded(plan, total), *rest]

    monkeypatch.setattr("tariff.evaluation.line_amounts", once)
    with pytest.raises(AssertionError):
        check(TEXT, LOAD, "2", 0)
