"""Every published bill of the shared material, through the same command that outsiders use."""

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from tests.cases.__main__ import main
from tests.conftest import SHARED

FOLDERS = sorted((SHARED / "tariff-cases" / "cases").glob("*")) if SHARED.is_dir() else []


@pytest.mark.shared
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_published_bill(folder: Path) -> None:
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    got = main(folder)
    totals = [bill["total"] for bill in got.get("bills", [])]
    assert [Decimal(total) for total in totals] == [Decimal(total) for total in expected.get("totals", [])]
    case = json.loads((folder / "case.json").read_text(encoding="utf-8"))
    for name, _, _, wanted, tolerance in case.get("checks", []):
        assert abs(Decimal(got["checks"][name]) - Decimal(wanted)) <= Decimal(tolerance)


@pytest.mark.shared
def test_all_of_them_pass_the_harness() -> None:
    """The harness that others run also compares lines and the running charge."""
    check = SHARED / "tariff-cases" / "check.py"
    command = [sys.executable, str(check), "--cmd", f"{sys.executable} -m tests.cases", "--only", "P0"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).resolve().parents[2], check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.shared
def test_running_charge_is_given_for_every_interval_of_the_first_bill() -> None:
    folder = next(folder for folder in FOLDERS if folder.name.startswith("P04"))
    got = main(folder)
    assert len(got["running"]) == 30 * 24
    assert Decimal(got["running"][-1][1]) == Decimal("423.40")
    assert got["running"][0][0] == "2025-04-01T00:00:00+08:00"
