"""Why a charge or a bill line is what it is: every slot with its window, tier, price and source, derived anew."""

import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest

from tests.prewatt.conftest import Run


@pytest.fixture
def rated(home: Path, run: Run, tmp_path: Path) -> None:
    """One household in Zhejiang that draws 5 kWh each hour of January and early February: all three tiers."""
    (tmp_path / "accounts.csv").write_text("account,meter,book\nA1,M1,zhejiang-residential\n", encoding="utf-8")
    assert run("accounts", "import", tmp_path / "accounts.csv").code == 0
    days = [f"2026-01-{day:02d}" for day in range(1, 32)] + [f"2026-02-{day:02d}" for day in range(1, 13)]
    rows = ["meter,start,kwh", *(f"M1,{day}T{hour:02d}:00:00+08:00,5" for day in days for hour in range(24))]
    (tmp_path / "reads.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    assert run("reads", "import", tmp_path / "reads.csv").code == 0
    assert run("rate").code == 0


def test_the_hour_that_crosses_a_tier_says_where_and_why(rated: None, run: Run) -> None:
    # 2760 / 5 = 552 hours: the 552nd hour ends the first tier exactly; from the 553rd on the second tier is on.
    told = run("explain", "A1", "--hour", "2026-01-24T00:30:00+08:00", "-o", "json").json
    assert told["schema"] == "prewatt.explain.charge/1"
    (step,) = told["steps"]
    assert (step["start"], step["local"]) == ("2026-01-23T16:00:00Z", "2026-01-24T00:00")
    assert (step["window"], step["period"], step["tier"]) == ("default (valley)", "valley", 1)
    assert (step["kwh"], step["price"], step["amount"], step["position_kwh"]) == ("5", "0.338", "1.69", "2765")
    assert step["limits_kwh"] == ["2760", "4800"]
    assert (told["total"], told["rederived"]) == ("1.69", True)
    (source,) = told["sources"]
    assert (source["book"], source["version"], source["date"]) == ("zhejiang-residential", "2012-07-01", "2012-07-01")
    day = run("explain", "A1", "--hour", "2026-01-24T08:00:00+08:00", "-o", "json").json["steps"][0]
    assert (day["window"], day["period"], day["price"]) == ("08:00-22:00", "peak", "0.618")


def test_a_year_s_ladder_is_carried_into_the_next_month(rated: None, run: Run) -> None:
    told = run("explain", "A1", "--hour", "2026-02-12T21:59:00+08:00", "-o", "json").json
    (step,) = told["steps"]
    assert (step["position_kwh"], step["tier"], step["price"]) == (str((31 + 11) * 24 * 5 + 22 * 5), 2, "0.868")
    assert told["rederived"] is True


def test_an_estimate_before_an_hour_leaves_its_charge_explained(rated: None, run: Run, tmp_path: Path) -> None:
    """A bill counts an estimate on the ladder, an hourly charge does not: both are derived as they were made."""
    (tmp_path / "accounts.csv").write_text("account,meter,book\nA2,M2,zhejiang-residential\n", encoding="utf-8")
    assert run("accounts", "import", tmp_path / "accounts.csv").code == 0
    day = ",".join(["50"] * 48)  # NEM12 is told in market time, two hours ahead of Shanghai
    lines = ["100,NEM12,202601010000,x,y", "200,M2,E1,1,E1,N1,M2,kWh,30,"]
    lines += [f"300,202601{d:02d},{day},{'E52' if d == 2 else 'A'},,,20260201000000," for d in (2, 3)] + ["900"]
    (tmp_path / "nem12.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert run("reads", "import", tmp_path / "nem12.csv", "-o", "json").json["accepted"] == 96
    assert run("rate").code == 0
    told = run("explain", "A2", "--hour", "2026-01-03T10:00:00+08:00", "-o", "json")
    assert (told.code, told.json["rederived"]) == (0, True)
    assert told.json["steps"][0]["position_kwh"] == "1250", "only what was measured"
    bill = run("bill", "2026-01", "--account", "A2", "-o", "json").json["bills"][0]
    assert sum(Decimal(line["quantity"]) for line in bill["lines"]) == 4800
    assert [span["intervals"] for span in bill["estimated"]] == [48]
    assert Decimal(bill["estimated_amount"]) > 0
    assert run("explain", "A2", "--bill", "2026-01", "-o", "json").json["rederived"] is True


def test_a_bill_expands_to_its_hours_and_they_add_up(rated: None, run: Run) -> None:
    bill = run("bill", "2026-01", "-o", "json").json["bills"][0]
    told = run("explain", "A1", "--bill", "2026-01", "-o", "json").json
    assert (told["schema"], told["total"], told["posted"]) == ("prewatt.explain.bill/1", bill["total"], True)
    assert (len(told["lines"]), len(told["steps"]), told["rederived"]) == (4, 31 * 24, True)
    for line in told["lines"]:
        own = [s for s in told["steps"] if (s["period"], s["tier"]) == (line["period"], line["tier"])]
        assert sum(Decimal(step["kwh"]) for step in own) == Decimal(line["quantity"])
        assert {step["price"] for step in own} == {line["price"]}
        exact = sum(Decimal(step["amount"]) for step in own)
        assert exact == Decimal(line["exact"])
        assert abs(exact - Decimal(line["amount"])) <= Decimal("0.005")
        assert line["slots"] == len(own)
    only = run("explain", "A1", "--bill", "2026-01", "--line", "energy", "-o", "csv").out
    assert len(only.splitlines()) == 31 * 24 + 1


def test_a_charge_or_bill_that_was_changed_does_not_hold_up(rated: None, home: Path, run: Run) -> None:
    assert run("bill", "2026-01").code == 0
    link = sqlite3.connect(home / "state.db")
    link.execute("UPDATE bill SET total_micro = total_micro + 10000")
    link.commit()
    link.close()
    told = run("explain", "A1", "--bill", "2026-01", "-o", "json")
    assert (told.code, told.json["rederived"]) == (1, False)


def test_what_is_not_there_is_said(rated: None, run: Run) -> None:
    wrong = {
        ("--hour", "2031-01-01T00:00:00Z"): 1,
        ("--hour", "soon"): 2,
        ("--bill", "2026"): 2,
        ("--bill", "2020-01"): 1,
        ("--bill", "2026-01", "--line", "tax"): 2,
        ("--line", "energy"): 2,
        ("--bill", "2026-01", "--at", "2026-01-01"): 2,
    }
    for words, code in wrong.items():
        told = run("explain", "A1", *words, "-o", "json")
        assert (told.code, told.json["schema"]) == (code, "prewatt.error/1"), words
