"""Whoever changes a bill, a charge, a posting or an interval is found, and what was changed is named."""

import json
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.prewatt.conftest import Run

NUMBER = "A1:2025-12-31T16:00:00"
FIRST = datetime(2025, 12, 31, 16)


@pytest.fixture
def billed(home: Path, run: Run, tmp_path: Path) -> Path:
    """Two households that draw 5 kWh an hour; January is billed, ten days of February are not."""
    (tmp_path / "accounts.csv").write_text(
        "account,meter,book\nA1,M1,zhejiang-residential\nA2,M2,zhejiang-residential\n", encoding="utf-8"
    )
    assert run("accounts", "import", tmp_path / "accounts.csv").code == 0
    rows = ["meter,start,kwh"]
    for meter in ("M1", "M2"):
        for hour in range(41 * 24):
            at = datetime(2026, 1, 1) + timedelta(hours=hour)
            rows.append(f"{meter},{at.isoformat()}+08:00,5")
    (tmp_path / "reads.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    assert run("reads", "import", tmp_path / "reads.csv").code == 0
    assert run("rate").code == 0
    assert run("bill", "2026-01").code == 0
    return home


def told(run: Run, *words: str) -> tuple[int, dict, list[tuple[str, str, str]]]:
    done = run("verify", *words, "-o", "json")
    data = done.json
    found = [*data["bills"]["differences"], *data["charges"]["differences"]]
    return done.code, data, [(one["account"], one["reason"], one["place"]) for one in found]


def change(home: Path, *statements: str) -> None:
    link = sqlite3.connect(home / "state.db")
    for statement in statements:
        link.execute(statement)
    link.commit()
    link.close()


def rewrite(home: Path, dataset: str, work: Callable[[list[dict]], None]) -> str:
    """Change rows of the dataset's lake file of January and give the manifest the new file's own sums."""
    (path,) = [path for path in sorted((home / "lake" / dataset).rglob("*.parquet")) if "month=2026-01" in str(path)]
    file = pq.ParquetFile(path)
    table = file.read()
    rows = table.to_pylist()
    work(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    return str(path.relative_to(home / "lake"))


def test_a_home_that_nobody_touched_agrees_with_itself(billed: Path, run: Run) -> None:
    code, data, found = told(run)
    assert (code, found, data["ok"]) == (0, [], True)
    assert (data["bills"]["checked"], data["charges"]["checked"]) == (2, 2 * 41 * 24)
    assert data["charges"]["open_periods"] == 2


def test_a_changed_total_is_named(billed: Path, run: Run) -> None:
    change(billed, "UPDATE bill SET total_micro = total_micro + 10000 WHERE account = 'A1'")
    code, data, found = told(run)
    assert code == 1
    assert {reason for account, reason, _ in found if account == "A1"} == {"kept", "total", "posting"}
    assert {account for account, _, _ in found} == {"A1"}
    first = next(one for one in data["bills"]["differences"] if one["reason"] == "total")
    assert float(first["posted"]) - float(first["now"]) == pytest.approx(0.01)


def test_a_changed_line_is_named(billed: Path, run: Run) -> None:
    link = sqlite3.connect(billed / "state.db")
    text = json.loads(link.execute("SELECT bill FROM bill WHERE account = 'A1'").fetchone()[0])
    link.close()
    text["lines"][1]["amount_micro"] += 10_000
    name = " ".join([text["lines"][1][key] for key in ("id", "version", "period")] + [str(text["lines"][1]["tier"])])
    packed = json.dumps(text, sort_keys=True, separators=(",", ":"))
    change(billed, f"UPDATE bill SET bill = '{packed}' WHERE account = 'A1'")
    assert told(run)[2] == [("A1", "line", name)]


def test_a_changed_posting_is_named(billed: Path, run: Run) -> None:
    change(
        billed,
        "DROP TRIGGER posting_no_update",
        f"UPDATE posting SET amount_micro = amount_micro + 5000000 WHERE source = 'bill' AND source_id = '{NUMBER}'"
        " AND ledger_account = 'customer:A1'",
    )
    _, data, found = told(run)
    assert found == [("A1", "posting", f"bill {NUMBER}")]
    assert not data["ledger"]
    assert any("customer:A1" in fault for fault in data["faults"])


def test_a_changed_charge_is_named_by_its_slot(billed: Path, run: Run) -> None:
    at = FIRST + timedelta(hours=101)

    def dearer(rows: list[dict]) -> None:
        (row,) = [row for row in rows if row["account"] == "A1" and row["end"] == at]
        row["amount_micro"] += 10_000

    file = rewrite(billed, "charges", dearer)
    _, data, found = told(run)
    assert found == [("A1", "slot", "M1 2026-01-04T21:00Z")]
    assert any(file in fault for fault in data["faults"]), "and the file too, by its sum"
    only = told(run, "--bill", NUMBER)
    assert only[2] == found
    assert told(run, "--account", "A2", "--no-bills")[2] == []


def test_a_changed_interval_is_named_by_its_slot_and_its_bill(billed: Path, run: Run) -> None:
    at = FIRST + timedelta(hours=101)

    def more(rows: list[dict]) -> None:
        (row,) = [row for row in rows if row["meter_id"] == 1 and row["end"] == at]
        row["energy_wh"] += 1000

    rewrite(billed, "intervals", more)
    code, _, found = told(run, "--period", "2026-01")
    assert code == 1
    assert ("A1", "reads", "") in found and ("A1", "total", "") in found
    slots = [place for _, reason, place in found if reason == "slot"]
    assert slots[0] == "M1 2026-01-04T21:00Z", "the first slot that is not what was charged"
    assert {account for account, _, _ in found} == {"A1"}


def test_changed_accrued_money_is_named(billed: Path, run: Run) -> None:
    change(billed, "UPDATE open_period SET accrued_micro = accrued_micro - 1 WHERE account = 'A2'")
    assert told(run)[2] == [("A2", "accrued", "")]
    assert told(run, "--account", "A1")[2] == []


def test_a_bill_whose_book_is_lost_is_named(billed: Path, run: Run) -> None:
    change(billed, "UPDATE bill SET book_hash = 'ff' WHERE account = 'A2'")
    assert ("A2", "book", "") in told(run)[2]


@pytest.mark.parametrize("words", [("--bill", "A1:x"), ("--bill", "A9:2025-12-31T16:00:00"), ("--account", "A9")])
def test_what_is_not_there_is_refused(billed: Path, run: Run, words: tuple[str, str]) -> None:
    assert run("verify", *words).code == 2
