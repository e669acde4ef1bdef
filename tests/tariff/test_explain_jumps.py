"""The hour in which a class ladder changes its class says that it prices other hours anew."""

from typing import Any

import pytest

from tariff import explain
from tests.tariff.making import made
from tests.tariff.months import busy

CLASSES: list[dict[str, Any]] = [
    {"up_to": "100", "prices": ["1"]},
    {"up_to": "200", "prices": ["2"]},
    {"prices": ["3"]},
]
LADDER: dict[str, Any] = {"mode": "by_total", "reset": "month", "classes": CLASSES}
USES = (("2025-03-03T10:00", 60), ("2025-03-04T10:00", 60), ("2025-03-05T10:00", 10), ("2025-03-06T10:00", -40))


def test_a_jump_is_told_in_its_hour_and_nowhere_else() -> None:
    one = busy(made({"id": "energy", "kind": "energy", "ladder": LADDER}), *USES)
    found = explain.steps(one.book, one.start, one.end, one.usage)
    assert sum(float(step.amount) for step in found) == 90  # 90 kWh in the first class again
    told = {step.start.day: step.jump for step in found if step.jump}
    assert told == {
        4: "the total of the month passes 100 kWh here: all its kWh of this bill are priced anew, "
        "by class 2 instead of 1",
        6: "the total of the month falls back to 100 kWh here: all its kWh of this bill are priced anew, "
        "by class 1 instead of 2",
    }
    amounts = {day: sum(float(step.amount) for step in found if step.start.day == day) for day in (3, 4, 5, 6)}
    assert amounts == {3: 60, 4: 180, 5: 20, 6: -170}


@pytest.mark.parametrize(("carried", "jump"), [(0, False), (50_000, True), (120_000, False)])
def test_what_came_before_the_bill_decides_where_the_jump_is(carried: int, jump: bool) -> None:
    yearly = {**LADDER, "reset": "year"}
    one = busy(made({"id": "energy", "kind": "energy", "ladder": yearly}), USES[0])
    (found,) = {step.jump for step in explain.steps(one.book, one.start, one.end, one.usage, carried=carried)}
    assert bool(found) == jump
