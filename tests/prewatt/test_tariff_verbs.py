"""The tariff verbs: check, show, price, diff, import-urdb, schema."""

import json
import re
from decimal import Decimal
from pathlib import Path

import pytest

from tests.prewatt.conftest import Run
from tests.tariff.test_urdb import RATE

BAD = 'schema = "prewatt.book/1"\ncurrency = "CNY"\nzone = "Asia/Shanghai"\n[[version]]\nfrom = "2025-01-01"\n'
BAD += '[[version.component]]\nid = "energy"\nkind = "energy"\nprices = ["0.5"]\nladdder = "no"\n'
ODD = BAD.replace('laddder = "no"\n', "").replace("[[version]]", '[[version]]\nholidays = ["2020-01-01"]')


@pytest.fixture(autouse=True)
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No home: the tariff verbs work without one."""
    monkeypatch.setenv("PREWATT_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_check_names_file_line_and_the_right_key(run: Run, away: Path) -> None:
    (away / "bad.toml").write_text(BAD, encoding="utf-8")
    told = run("tariff", "check", "bad.toml", "demo", "-o", "json")
    assert told.code == 78
    assert told.json["schema"] == "prewatt.tariff.check/1"
    (finding,) = told.json["findings"]
    assert (finding["file"], finding["line"], finding["level"]) == ("bad.toml", 10, "error")
    assert "did you mean 'ladder'?" in finding["hint"]
    assert "bad.toml:10" in told.err
    assert [book["ok"] for book in told.json["books"]] == [False, True]


def test_check_warns_and_ends_well(run: Run, away: Path) -> None:
    (away / "odd.toml").write_text(ODD, encoding="utf-8")
    told = run("tariff", "check", "odd.toml", "-o", "json")
    assert told.code == 0
    assert told.json["ok"] is True
    assert {one["code"] for one in told.json["warnings"]} == {"no_source", "holidays_old", "holidays_unused"}
    assert len(told.json["hash"]) == 64
    table = run("tariff", "check", "odd.toml", "-o", "table")
    assert "holidays_old" in table.out


def test_show_draws_days_and_says_components(run: Run) -> None:
    told = run("tariff", "show", "fujian-industrial-10kv", "-o", "json").json
    (version,) = told["versions"]
    assert [day["days"] for day in version["days"]] == ["Jan-Jun Oct-Dec", "Jul-Sep"]
    assert version["letters"]["s"] == "sharp"
    assert version["source"]["date"] == "2025-08-01"
    assert {row["component"] for row in told["components"]} == {"energy", "capacity", "power_factor", "funds"}
    assert len(told["hash"]) == 64
    table = run("tariff", "show", "fujian-industrial-10kv", "-o", "table")
    assert "vvvvvvvvvvvvvvvvffffppss" in table.out
    assert "per contracted_kva, amount 25.00" in table.out
    assert '"strip"' not in table.out  # the strips are drawn, not dumped


def test_show_at_a_date_keeps_the_version_in_force(run: Run) -> None:
    versions = run("tariff", "show", "vietnam-residential", "--at", "2024-10-10", "-o", "json").json["versions"]
    assert [version["version"] for version in versions] == ["2023-11-09"]
    versions = run("tariff", "show", "vietnam-residential", "--at", "2024-10-11", "-o", "json").json["versions"]
    assert [version["version"] for version in versions] == ["2024-10-11"]
    assert run("tariff", "show", "vietnam-residential", "--at", "2001-01-01").code == 2
    assert run("tariff", "show", "vietnam-residential", "--at", "soon").code == 2


def test_price_explains_each_line(run: Run) -> None:
    span = ("--from", "2025-07-01", "--to", "2025-08-01")
    told = run(
        "tariff", "price", "guangzhou-residential", "--kwh", "700", *span, "--attribute", "household=5", "-o", "json"
    )
    assert told.code == 0, told.err
    data = told.json
    assert (data["total"], data["from"], data["to"]) == ("429.30", "2025-07-01", "2025-08-01")
    assert [line["why"] for line in data["lines"]] == ["360 kWh x 0.589, tier 1", "340 kWh x 0.639, tier 2"]
    assert data["per_kwh"] == "0.613286"
    assert data["attributes"] == {"household": "5"}
    assert data["sources"][0]["date"] == "2026-05-14"


def test_price_of_a_month_by_default_and_from_what_was_used(run: Run) -> None:
    used = run("tariff", "price", "zhejiang-residential-plain", "--kwh", "100", "--used", "4800", "-o", "json").json
    assert used["total"] == "83.80"
    first = run("tariff", "price", "zhejiang-residential-plain", "--kwh", "100", "-o", "json").json
    assert first["total"] == "53.80"
    assert first["from"].endswith("-01")


def test_price_by_a_profile_and_with_reactive_energy(run: Run, away: Path) -> None:
    rows = "".join(f"{hour:02d}:00,{1 if hour < 8 else 0}\n" for hour in range(24))
    (away / "night.csv").write_text(rows, encoding="utf-8")
    span = ("--from", "2025-08-01", "--to", "2025-09-01")
    words = ("--profile", "night.csv", "--attribute", "contracted_kva=0", "--kvarh", "0")
    told = run("tariff", "price", "fujian-industrial-10kv", "--kwh", "1000", *span, *words, "-o", "json").json
    energy = next(line for line in told["lines"] if line["id"] == "energy")
    assert (energy["period"], energy["amount"]) == ("valley", "320.97")
    (away / "night.csv").write_text("00:00,x\n01:00,1\n", encoding="utf-8")
    wrong = run("tariff", "price", "demo", "--kwh", "1", "--profile", "night.csv")
    assert wrong.code == 1
    assert "night.csv" in wrong.err


@pytest.mark.parametrize(
    "words",
    [
        ("--kwh", "lots"),
        ("--kwh", "-1"),
        ("--kwh", "1", "--from", "2025-13-01"),
        ("--kwh", "1", "--from", "2025-02-01", "--to", "2025-01-01"),
        ("--kwh", "1", "--attribute", "household"),
        ("--kwh", "1", "--used", "x"),
    ],
)
def test_price_refuses_what_is_no_number_or_date(run: Run, words: tuple[str, ...]) -> None:
    told = run("tariff", "price", "demo", *words)
    assert told.code == 2
    assert "try:" in told.err


def test_price_says_which_attribute_is_missing(run: Run) -> None:
    told = run("tariff", "price", "bangladesh-lt-a", "--kwh", "100")
    assert told.code == 1
    assert "sanctioned_kw" in told.err


def test_vend_sells_what_the_bill_would_cost(run: Run) -> None:
    """What Kenya Power's page prints: 500 buys 32.3 units, the next 500 of the month 31.3, of which 17.7 are cheap."""
    vend = ("tariff", "vend", "kenya-domestic-prepaid", "-o", "json", "--money")
    first = run(*vend, "500", "--at", "2024-03-03").json
    assert (first["kwh"][:4], first["fixed"], first["change"]) == ("32.2", "174.00", "0.00")
    assert sum(Decimal(line["amount"]) for line in first["lines"]) == Decimal(first["cost"]) == 500
    words = ("--again", "--bought", "32.3", "--arrears", "80", "--arrears-percent", "10", "--step", "0.1")
    second = run(*vend, "555.5", "--at", "2024-03-20", *words).json
    energies = [line["kwh"] for line in second["lines"] if line["id"] == "energy"]
    assert (energies[0], second["arrears"], second["fixed"], second["kwh"]) == ("17.7", "55.55", "0.00", "31.2")
    assert sum(Decimal(second[key]) for key in ("cost", "arrears", "change")) == Decimal("555.5")
    assert "earlier_periods" in run(*vend, "500", "--at", "2024-03-03", "--since", "2024-01-20").out
    assert run(*vend, "much").code == 2


def test_diff_of_two_versions(run: Run) -> None:
    told = run(
        "tariff",
        "diff",
        "vietnam-residential@2024-10-10",
        "vietnam-residential@2024-10-11",
        "--kwh",
        "200",
        "-o",
        "json",
    )
    assert told.code == 0, told.err
    data = told.json
    assert [change["key"] for change in data["changes"]] == [
        f"version[].component[energy].prices[{tier}]" for tier in range(6)
    ]
    assert (data["changes"][0]["before"], data["changes"][0]["after"]) == ('"1806"', '"1893"')
    assert {month["difference"] for month in data["months"]} == {"20790.00"}
    assert data["difference"] == "249480.00"


def test_diff_of_two_books(run: Run) -> None:
    words = ("--kwh", "300", "--year", "2025")
    data = run("tariff", "diff", "zhejiang-residential-plain", "zhejiang-residential-shared", *words, "-o", "json").json
    assert {"name", "title"} <= {change["key"] for change in data["changes"]}
    assert data["months"][0] == {"month": "2025-01", "before": "161.40", "after": "167.40", "difference": "6.00"}
    table = run("tariff", "diff", "zhejiang-residential-plain", "zhejiang-residential-shared", *words, "-o", "table")
    assert "2025-12" in table.out


def test_import_writes_a_book_that_checks_and_names_what_it_cannot_say(run: Run, away: Path) -> None:
    (away / "rate.json").write_text(json.dumps({"items": [RATE]}), encoding="utf-8")
    words = ("tariff", "import-urdb", "rate.json", "--zone", "America/New_York", "-o", "json")
    refused = run(*words)
    assert refused.code == 78
    assert "--allocate" in refused.err
    told = run(*words, "--allocate", "chronological", "--to", "rate.toml")
    assert told.code == 0, told.err
    assert {"enddate", "dgrules", "coincidentratestructure"} <= {one["field"] for one in told.json["unmapped"]}
    checked = run("tariff", "check", "rate.toml", "-o", "json")
    assert checked.json["ok"] is True
    assert checked.json["hash"] == told.json["hash"]
    assert run(*words, "--allocate", "pro_rata", "--to", "rate.toml").code == 1
    assert run(*words, "--allocate", "pro_rata", "--to", "rate.toml", "--force").code == 0
    assert run("tariff", "price", "rate.toml", "--kwh", "500", "-o", "json").code == 0


def test_schema_is_a_schema(run: Run) -> None:
    plain = json.loads(run("tariff", "schema").out)
    assert plain["title"] == "prewatt tariff book"
    told = run("tariff", "schema", "-o", "json").json
    assert told["schema"] == "prewatt.tariff.schema/1"
    assert told["document"] == plain


def test_gas_is_priced_by_cubic_metres(run: Run) -> None:
    span = ("--from", "2024-11-01", "--to", "2024-12-01")
    data = run("tariff", "price", "gb-price-cap-gas", "--m3", "100", *span, "-o", "json").json
    assert (data["m3"], data["total"]) == ("100", "79.16")
    refused = run("tariff", "price", "gb-price-cap-gas", "--kwh", "100", *span)
    assert refused.code == 2
    assert "count m3, not kWh" in refused.err
    assert run("tariff", "price", "demo", *span).code == 2
    assert run("tariff", "diff", "gb-price-cap-gas", "demo").code == 2


def test_diff_of_cycles_of_one_and_two_months_is_told_by_two(run: Run) -> None:
    data = run("tariff", "diff", "tamilnadu-domestic", "kerala-lt1-domestic", "--kwh", "200", "-o", "json").json
    assert len(data["months"]) == 6
    assert (data["months"][0]["before"], data["months"][0]["after"]) == ("1125.00", "2175.00")


def test_show_says_for_whom_a_component_is(run: Run) -> None:
    rows = run("tariff", "show", "kerala-lt1-domestic", "-o", "json").json["components"]
    assert rows[-1]["says"].endswith("; where phases is 3")
    assert rows[1]["says"].endswith("; where phases is not 3")


PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "tariffs.md"


def test_every_command_of_the_howto_runs(run: Run, away: Path) -> None:
    (away / "rate.json").write_text(json.dumps(RATE), encoding="utf-8")
    (away / "books").mkdir()
    commands = [
        line.split()[1:] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("prewatt ")
    ]
    assert len(commands) >= 10
    for words in commands:
        told = run(*words)
        assert told.code == 0, (words, told.err)


def test_the_howto_names_every_shipped_book_and_every_warning() -> None:
    from tariff.book import shipped

    page = PAGE.read_text(encoding="utf-8")
    for name in shipped():
        stem = name if f"`{name}`" in page else name.rsplit("-", 2 if name.endswith("by-days") else 1)[0]
        assert f"`{stem}`" in page or name == "demo", name
    source = (PAGE.parents[2] / "tariff" / "oddities.py").read_text(encoding="utf-8")
    codes = set(re.findall(r'"((?:price|limits|window|default|holidays|version|series|no)_[a-z]+)"', source))
    assert len(codes) >= 12
    assert {code for code in codes if f"`{code}`" not in page} == {"default_period"}  # a key, not a warning
