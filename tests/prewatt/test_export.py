"""Views and statements as files that others open: the same rows in every form, whole or not at all."""

import csv
import json
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.prewatt.conftest import Run


@pytest.fixture
def shelf(accounts: Path, run: Run, tmp_path: Path) -> Path:
    """Three accounts, one with a day of reads that is rated."""
    rows = ["meter,start,kwh", *(f"M1,2026-02-01T{hour:02d}:00:00+08:00,{hour}.5" for hour in range(24))]
    (tmp_path / "reads.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    assert run("reads", "import", tmp_path / "reads.csv").code == 0
    assert run("rate").code == 0
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_a_view_is_the_same_in_every_form(shelf: Path, run: Run) -> None:
    want = run("sql", 'SELECT energy_wh, amount FROM charges ORDER BY "end"', "-o", "json").json["rows"]
    assert len(want) == 24
    for form in ("csv", "json", "parquet"):
        done = run("export", "charges", shelf / f"charges.{form}", "--bom", "-o", "json").json
        assert (done["schema"], done["rows"]) == ("prewatt.export/1", 24)
    raw = (shelf / "charges.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    sheets = [
        list(csv.DictReader(raw.decode("utf-8-sig").splitlines())),
        [json.loads(line) for line in (shelf / "charges.json").read_text().splitlines()],
        pq.read_table(shelf / "charges.parquet").to_pylist(),
    ]
    for rows in sheets:
        assert [int(row["energy_wh"]) for row in rows] == [row["energy_wh"] for row in want]
        assert [float(row["amount"]) for row in rows] == [float(row["amount"]) for row in want]
    assert sorted(path.name for path in shelf.iterdir()) == ["charges.csv", "charges.json", "charges.parquet"]


def test_a_workbook_of_a_statement_and_no_formula_from_a_name(shelf: Path, run: Run) -> None:
    sql = "SELECT account, '=1+1' AS risky, 2.5 AS number FROM accounts ORDER BY 1"
    run("export", sql, shelf / "a.csv")
    assert "A1,'=1+1,2.5" in (shelf / "a.csv").read_text()
    pytest.importorskip("xlsxwriter", reason="XlsxWriter is not installed: pip install 'prewatt[xlsx]'")
    assert run("export", sql, shelf / "a.xlsx", "-o", "json").json["rows"] == 3
    with zipfile.ZipFile(shelf / "a.xlsx") as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet and "=1+1" in sheet and sheet.count("<v>2.5</v>") == 3


@pytest.mark.parametrize(
    ("query", "name", "code"),
    [("charges", "x.docx", 2), ("charge", "x.csv", 2), ("SELECT nothing", "x.csv", 1), ("charges", "no/x.csv", 1)],
)
def test_what_cannot_be_written_is_refused_and_leaves_nothing(
    shelf: Path, run: Run, query: str, name: str, code: int
) -> None:
    assert run("export", query, shelf / name).code == code
    assert list(shelf.iterdir()) == []
