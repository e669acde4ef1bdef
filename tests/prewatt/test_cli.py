"""The command line: quick help, one JSON object last, the five exit codes, and what each verb writes."""

import json
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from prewatt import cli
from tests.prewatt.conftest import Run

HEAVY = ("numpy", "pandas", "pyarrow", "duckdb", "sqlalchemy", "pymodbus", "paho", "starlette", "uvicorn", "jinja2")


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['prewatt', '--help']; from prewatt import cli\n"
        f"try:\n    cli.main()\nfinally:\n    print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    times = []
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        times.append(time.perf_counter() - start)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    assert min(times) < 0.6


def test_every_verb_is_there_and_helps(run: Run) -> None:
    want = {
        "init", "doctor", "config", "run", "collect", "rate", "bill", "accounts", "commands", "payments", "reads",
        "sql", "explain", "status", "meters", "verify", "tariff",
    }  # fmt: skip
    assert want <= set(cli.names())
    for name in cli.names():
        told = run(name, "--help")
        assert told.code == 0
        assert "Usage:" in told.out


def test_a_verb_file_that_is_none_is_our_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("prewatt.verbs.verify.command")
    with pytest.raises(TypeError, match=r"verify\.py needs PANEL"):
        cli.load("verify")


ENDS: tuple[tuple[tuple[str, ...], int], ...] = (
    (("--version",), 0),
    (("nonsense",), 2),
    (("bill",), 2),
    (("accounts", "balance", "A9"), 2),
    (("accounts", "topup", "A1", "0"), 2),
    (("accounts", "topup", "A1", "1,50"), 2),
    (("accounts", "protect", "A1", "--kind", "lucky"), 2),
    (("commands", "approve", "c-none"), 2),
    (("commands", "cancel", "c-none"), 2),
    (("explain", "A1", "--at", "yesterday"), 2),
    (("bill", "2026-13", "--dry-run"), 2),
    (("bill", "2026-01", "--account", "A9"), 2),
    (("reads", "import", "/no/such/file"), 2),
    (("accounts", "import", "/no/such/file"), 2),
    (("payments", "import", "/no/such/file"), 2),
    (("sql", "SELECT * FROM nothing"), 1),
    (("sql", ""), 2),
    (("bill", "2026-01", "--dry-run"), 1),
)


def test_exit_codes(accounts: Path, run: Run) -> None:
    for words, code in ENDS:
        told = run(*words)
        assert told.code == code, (words, told)
        assert (code == 0) or told.err or told.out


def test_a_wrong_configuration_exits_78_with_its_place(home: Path, run: Run) -> None:
    text = (home / "prewatt.toml").read_text(encoding="utf-8").replace("zone =", "zoen =")
    (home / "prewatt.toml").write_text(text, encoding="utf-8")
    told = run("config", "check", "-o", "json")
    assert told.code == 78
    assert told.json["which"] == "prewatt.toml:5:site.zoen"
    assert told.json["try"] == "'zone'"


@pytest.mark.parametrize("what", ["books", "policies"])
def test_a_wrong_book_or_policy_exits_78(home: Path, run: Run, what: str) -> None:
    (home / what / ("own.toml" if what == "books" else "cn-remote.toml")).write_text("nmae = 'x'\n", encoding="utf-8")
    told = run("config", "check")
    assert told.code == 78
    assert ":" in told.err
    assert "nmae" in told.err or "missing" in told.err


def test_a_locked_store_exits_75_and_names_the_owner(accounts: Path, home: Path, run: Run) -> None:
    from prewatt.config import load
    from prewatt.home import Home
    from prewatt.wiring import open_store

    code = (
        "import sys, pathlib; from prewatt.config import load; from prewatt.home import Home\n"
        "from prewatt.wiring import open_store\n"
        "with open_store(load(Home(pathlib.Path(sys.argv[1])))):\n    print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        told = run("rate")
        assert told.code == 75
        assert str(other.pid) in told.err
        assert run("accounts", "list", "-o", "json").code == 0, "reading goes on beside a writer"
    finally:
        other.communicate("")
    with open_store(load(Home(home))):
        pass


def test_no_home_says_how_to_make_one(tmp_path: Path, run: Run) -> None:
    told = run("status", "--home", tmp_path)
    assert told.code == 2
    assert f"try: prewatt init {tmp_path}" in told.err


def test_accounts_import_twice_changes_nothing(accounts: Path, run: Run) -> None:
    told = run("accounts", "import", accounts, "-o", "json").json
    assert (told["new"], told["changed"], told["unchanged"], told["refused"]) == (0, 0, 3, [])


def test_wrong_rows_are_refused_by_line_and_stop_no_other(home: Path, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(
        "account,meter,book,class,from\n"
        "B1,N1,dmeo,residential,\n"
        "B2,N2,demo,residental,\n"
        "B3,N3,demo,residential,2026-02-30\n"
        ",N4,demo,residential,\n"
        "B5,N5,demo,residential,2026-02-01\n",
        encoding="utf-8",
    )
    told = run("accounts", "import", file, "-o", "json")
    assert told.code == 0
    assert [row["line"] for row in told.json["refused"]] == [2, 3, 4, 5]
    assert "'demo'" in told.json["refused"][0]["reason"]
    assert told.json["accepted"] == 1


def test_an_unknown_column_refuses_the_file(home: Path, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("account,metre\nA,B\n", encoding="utf-8")
    told = run("accounts", "import", file)
    assert told.code == 1
    assert "unknown column 'metre': 'meter'" in told.err


def test_a_swap_ends_the_old_installation(accounts: Path, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "swap.csv"
    file.write_text("account,meter,from\nA1,M9,2026-03-01\n", encoding="utf-8")
    assert run("accounts", "import", file, "-o", "json").json["changed"] == 1
    rows = run("sql", 'SELECT meter, start, "end" FROM installs', "-o", "json").json["rows"]
    found = {row["meter"]: (row["start"], row["end"]) for row in rows}
    assert found["M1"][1] == found["M9"][0] == "2026-02-28T16:00:00Z"
    assert found["M9"][1] is None
    early = tmp_path / "early.csv"
    early.write_text("account,meter,from\nA1,M8,2026-02-01\n", encoding="utf-8")
    told = run("accounts", "import", early, "-o", "json")
    assert "a swap needs a later 'from'" in told.json["refused"][0]["reason"]


def test_a_topup_counts_once(accounts: Path, run: Run) -> None:
    first = run("accounts", "topup", "A1", "12.50", "--reference", "R1", "-o", "json").json
    again = run("accounts", "topup", "A1", "12.50", "--reference", "R1", "-o", "json").json
    assert (first["status"], first["available"], again["status"]) == ("posted", "12.50", "duplicate")
    balance = run("accounts", "balance", "A1", "-o", "json").json
    assert (balance["balance"], balance["available"], balance["currency"]) == ("12.50", "12.50", "CNY")
    assert run("verify", "-o", "json").json["ok"] is True


def test_protection_is_dated_and_can_be_ended(accounts: Path, run: Run) -> None:
    hold = run("accounts", "protect", "A1", "--reason", "clinic", "--days", "30", "-o", "json").json
    assert hold["end"] > hold["start"]
    assert run("accounts", "show", "A1", "-o", "json").json["holds"][0]["kind"] == "protected"
    assert run("accounts", "protect", "A1", "--end", "-o", "json").json["hold"] == hold["hold"]
    assert run("accounts", "show", "A1", "-o", "json").json["holds"] == []
    assert run("accounts", "protect", "A1", "--end").code == 2


def test_reads_are_rated_and_billed_once(accounts: Path, home: Path, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "reads.csv"
    rows = ["meter,start,kwh"]
    for day in range(1, 32):
        rows += [f"M1,2026-01-{day:02d}T{hour:02d}:00:00+08:00,0.5" for hour in range(24)]
    file.write_text("\n".join([*rows, "M1,not a time,1"]) + "\n", encoding="utf-8")
    told = run("reads", "import", file, "-o", "json")
    assert told.code == 0, told.err
    assert (told.json["accepted"], told.json["new"]) == (31 * 24, 31 * 24)
    assert [row["line"] for row in told.json["refused"]] == [31 * 24 + 2]
    again = run("reads", "import", file, "-o", "json").json
    assert (again["new"], again["duplicate"]) == (0, 31 * 24)
    rated = run("rate", "-o", "json").json
    assert (rated["intervals"], rated["charges"]) == (31 * 24, 31 * 24)
    assert run("rate", "-o", "json").json["charges"] == 0
    before = run("accounts", "balance", "A1", "-o", "json").json
    bill = run("bill", "2026-01", "-o", "json").json
    assert [b["account"] for b in bill["bills"]] == ["A1"]
    total = bill["bills"][0]["total"]
    assert total == bill["total"]
    assert before["accrued"] == total, "nothing falls on a customer at month end"
    after = run("accounts", "balance", "A1", "-o", "json").json
    assert (after["available"], after["balance"], after["accrued"]) == (before["available"], f"-{total}", "0.00")
    half = run("balance", "A1", "--at", "2026-01-16T00:00:00+08:00", "-o", "json").json
    assert (half["read"], half["balance"], half["told"]) == ("2026-01-15T16:00:00Z", "0.00", "0.00")
    assert 0 < float(half["accrued"]) < float(total) / 2, "half a month, and a ladder that rises"
    assert run("balance", "A1", "--at", "2026-02-01", "-o", "json").json["available"] == after["available"]
    assert run("balance", "A1", "--at", "noon").code == 2
    assert run("bill", "2026-01", "-o", "json").json["posted"] == 0
    assert run("accounts", "balance", "A1", "-o", "json").json == after
    assert run("verify", "-o", "json").json["bills"] == {"checked": 1, "differences": [], "different": 0}
    what_if = run("bill", "2026-01", "--book", "guangzhou-residential", "-o", "json").json
    assert what_if["bills"][0]["book"] == "guangzhou-residential"
    assert "posted" not in what_if


def test_half_hours_of_a_listed_meter_are_priced_by_a_series_of_the_home(home: Path, run: Run, tmp_path: Path) -> None:
    """The shipped book's prices lie in the home's books folder; the meter's slots are those of its file."""
    (tmp_path / "accounts.csv").write_text("account,meter,book\nA1,M1,london-flat-2013\n", encoding="utf-8")
    assert run("accounts", "import", tmp_path / "accounts.csv").code == 0
    slots = [datetime(2013, 1, 1) + timedelta(minutes=30 * n) for n in range(31 * 48)]
    reads = ["meter,start,kwh", *(f"M1,{at.isoformat()}Z,{'1' if at.minute else '3'}" for at in slots)]
    (tmp_path / "reads.csv").write_text("\n".join(reads) + "\n", encoding="utf-8")
    assert run("reads", "import", tmp_path / "reads.csv").code == 0
    assert run("rate", "-o", "json").json["charges"] == len(slots)
    asked = ("bill", "2013-01", "--book", "london-dynamic-2013", "-o", "json")
    told = run(*asked)
    assert (told.code, "london_dtou_2013_halfhourly.csv" in told.json["error"]) == (1, True)
    bands = [f"{at:%d/%m/%Y %H:%M},{'High' if at.minute else 'Low'}" for at in slots]
    (home / "books" / "london_dtou_2013_halfhourly.csv").write_text("\n".join(bands) + "\n", encoding="utf-8")
    (bill,) = run(*asked).json["bills"]
    lines = {line["period"]: (line["quantity"], line["amount"]) for line in bill["lines"]}
    assert lines == {"Low": (str(31 * 24 * 3), "89.06"), "High": (str(31 * 24), "499.97")}
    assert (bill["total"], bill["complete"]) == ("589.03", True)


def test_a_year_is_its_months_and_a_bill_is_printed_as_it_was_posted(home: Path, run: Run, tmp_path: Path) -> None:
    (tmp_path / "accounts.csv").write_text("account,meter,book\nA2,M2,demo\nA1,M1,demo\n", encoding="utf-8")
    assert run("accounts", "import", tmp_path / "accounts.csv").code == 0
    slots = [datetime(2025, 2, 27, 16) + timedelta(hours=n) for n in range(72)]
    reads = ["meter,start,kwh", *(f"{meter},{at.isoformat()}Z,2" for meter in ("M1", "M2") for at in slots)]
    (tmp_path / "reads.csv").write_text("\n".join(reads) + "\n", encoding="utf-8")
    assert run("reads", "import", tmp_path / "reads.csv").code == 0
    draft = run("bill", "2025", "--dry-run", "-o", "json")
    rows = draft.json["bills"]
    assert [(row["account"], row["from"][:7]) for row in rows] == [
        ("A1", "2025-01"), ("A2", "2025-01"), ("A1", "2025-02"), ("A2", "2025-02"),
    ]  # fmt: skip
    assert draft.json["reads"] == 2 * len(slots)
    assert f"4 bills from {2 * len(slots)} reads" in draft.err
    posted = run("bill", "2025", "-o", "json")
    assert (posted.json["bills"], posted.json["posted"]) == (rows, 4)
    assert (posted.json["total"], posted.json["reads"]) == (draft.json["total"], draft.json["reads"])
    again = run("bill", "2025", "-o", "json").json
    assert (again["bills"], again["posted"]) == (rows, 0)


@pytest.mark.parametrize("period", ["2013-13", "January", "20135"])
def test_a_period_that_is_none_is_a_mistake_of_the_command_line(home: Path, run: Run, period: str) -> None:
    assert run("bill", period, "-o", "json").code == 2


def test_a_payment_file_is_taken_whole_and_once(accounts: Path, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "bank.csv"
    file.write_text(
        "id,account,amount,currency,paid_at\nP1,A1,10.00,CNY,2026-01-05T08:00:00Z\n"
        "P2,A2,5.50,CNY,2026-01-05T09:00:00Z\nTOTAL,2,15.50,,\n",
        encoding="utf-8",
    )
    told = run("payments", "import", file, "-o", "json")
    assert told.code == 0, told.err
    assert (told.json["total"], told.json["posted"]) == ("15.50", 2)
    again = run("payments", "import", file, "-o", "json")
    assert again.code == 1
    assert "file_taken" in again.err
    file.write_text(file.read_text(encoding="utf-8").replace("15.50", "15.51"), encoding="utf-8")
    assert "bad_totals" in run("payments", "import", file).err
    rows = run("payments", "list", "-o", "json").json["payments"]
    assert sorted(row["external_id"] for row in rows) == ["P1", "P2"]


def test_sql_reads_only_and_names_its_columns(accounts: Path, run: Run) -> None:
    told = run("sql", "SELECT account, class_ FROM (SELECT account, klass AS class_ FROM accounts) ORDER BY account")
    rows = [json.loads(line) for line in told.out.splitlines()]
    assert [row.get("account") for row in rows] == ["A1", "A2", "A3", None]
    assert run("sql", "CREATE TABLE x (a INT)").code == 1
    limited = run("sql", "SELECT * FROM accounts", "--limit", "2", "-o", "json").json
    assert (len(limited["rows"]), limited["truncated"]) == (2, True)
    columns = run("sql", "--tables", "-o", "json").json["columns"]
    assert {"reads", "intervals", "charges", "accounts", "payments"} <= {row["view"] for row in columns}


def test_status_and_doctor(accounts: Path, run: Run) -> None:
    status = run("status", "-o", "json").json
    assert (status["accounts"], status["daemon"], status["ledger_sum"]) == (3, False, "0")
    doctor = run("doctor", "--offline", "-o", "json")
    assert doctor.code == 0, doctor.out
    assert {row["check"] for row in doctor.json["checks"]} >= {"python", "sqlite", "store", "secrets", "disk", "clock"}


def test_doctor_fails_on_an_open_secret(home: Path, run: Run) -> None:
    (home / "secrets" / "payments-webhook").chmod(0o644)
    doctor = run("doctor", "--offline", "-o", "json")
    assert doctor.code == 1
    (bad,) = [row for row in doctor.json["checks"] if row["status"] == "fail"]
    assert bad["check"] == "secrets"
    assert bad["try"].startswith("chmod 600")


def test_tariff_check_and_show(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREWATT_HOME", str(tmp_path))
    assert run("tariff", "check", "demo", "-o", "json").json["ok"] is True
    assert run("tariff", "show", "zhejiang-residential", "-o", "json").json["currency"] == "CNY"
    assert len(run("tariff", "list", "-o", "json").json["books"]) >= 4
    told = run("tariff", "check", "zhejiang-residental")
    assert told.code == 2
    assert "'zhejiang-residential'" in told.err
    bad = tmp_path / "bad.toml"
    bad.write_text('schema = "prewatt.book/1"\ncurency = "CNY"\n', encoding="utf-8")
    assert run("tariff", "check", bad).code == 78


def test_meters_profiles_lists_every_driver(run: Run) -> None:
    from ingest.drivers import drivers

    rows = run("meters", "profiles", "-o", "json").json["profiles"]
    assert [row["model"] for row in rows] == list(drivers())
    assert {row["relay"] for row in rows} == {"yes", "read-only"}


def test_explain_before_any_decision_says_so(accounts: Path, run: Run) -> None:
    told = run("explain", "A1")
    assert told.code == 1
    assert "nothing was decided on A1" in told.err
