"""Neutral cases worked by hand: kinds of component combined with intervals, clock changes, price changes and odd reads.

Each says what is charged and shows the sum that it must come to; the running charge ends where the energy lines do.
"""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from tests.cases.__main__ import main
from tests.cases.mixed import MIXED
from tests.cases.neutral import NotUnderstoodError
from tests.cases.parts import NOON, PEAK, energy, ladder, one
from tests.cases.rules import RULES
from tests.cases.test_neutral import case
from tests.cases.times import TIMES

CASES = TIMES | RULES | MIXED


@pytest.mark.parametrize("name", CASES)
def test_worked_by_hand(tmp_path: Path, name: str) -> None:
    components, reads, keys, totals = CASES[name]
    assert [bill["total"] for bill in case(tmp_path, components, reads, **keys)] == totals
    found = main(tmp_path)
    bill, running = found["bills"][0], found["running"]
    tariff = json.loads((tmp_path / "tariff.json").read_text(encoding="utf-8"))
    energies = {one["id"] for version in tariff["versions"] for one in version["components"] if one["kind"] == "energy"}
    money = sum((Decimal(line["amount"]) for line in bill["lines"] if line["id"] in energies), Decimal(0))
    if running:
        assert abs(Decimal(running[-1][1]) - money) <= Decimal("0.01")


def test_the_meters_of_one_account_add_up(tmp_path: Path) -> None:
    case(tmp_path, [energy("1", "2", ladder=ladder("10"))], one(NOON, "8"))
    with (tmp_path / "reads.csv").open("a", encoding="utf-8") as file:
        file.write(f"{NOON}+00:00,60,7,0,0\n")
    assert main(tmp_path)["bills"][0]["total"] == "20.00"


def test_a_demand_component_with_several_prices_is_refused(tmp_path: Path) -> None:
    demand = {"id": "d", "kind": "demand", "prices": {"peak": ["10"], "off": ["2"]}}
    with pytest.raises(NotUnderstoodError, match="one component for each"):
        case(tmp_path, [energy("1"), demand], one(NOON, "1"), version=PEAK)
