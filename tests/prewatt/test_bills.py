"""Bills as pages and files: every line with its why, whole files or none, the same numbers in every form."""

import csv
import json
import re
import zipfile
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from prewatt.bills import files
from tests.prewatt.conftest import Run

BOOK = """
schema = "prewatt.book/1"
name = "works"
title = "Works with everything"
currency = "CNY"
zone = "Asia/Shanghai"
decimals = 2
rounding = "half_up"

[source]
title = "Notice 12"
address = "https://example.org/12"
date = "2024-05-01"

[[version]]
from = "2020-01-01"
default_period = "valley"

[[version.window]]
period = "peak"
from = "08:00"
to = "22:00"

[[version.component]]
id = "energy"
kind = "energy"
[version.component.prices]
peak = ["0.50", "0.60"]
valley = ["0.30", "0.40"]
[version.component.ladder]
reset = "month"
allocate = "chronological"
limits = ["1000"]

[[version.component]]
id = "power"
kind = "demand"
price = "10.00"
window_min = 60

[[version.component]]
id = "fee"
kind = "fixed"
per = "bill"
amount = "15.00"

[[version.component]]
id = "vat"
kind = "percent"
percent = "13"
of = ["energy", "power"]

[[version.component]]
id = "least"
kind = "minimum"
amount = "20000"
of = ["energy", "power", "fee", "vat"]
"""
PEAK_HOUR = 10 * 24 + 9  # 11 January, 09:00 in Shanghai


class Text(HTMLParser):
    """The words of a page, and whatever it would load."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "link", "img", "iframe", "object"):
            self.loads.append(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "style") or name[:2] == "on"]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def words(text: str) -> tuple[str, list[str]]:
    page = Text()
    page.feed(text)
    return " ".join(" ".join(page.words).split()), page.loads


@pytest.fixture
def rated(home: Path, run: Run, tmp_path: Path) -> Path:
    """A works that draws 20 kWh each hour of January, 42 in one; two hours are missing. A second one speaks English."""
    (home / "books").mkdir(exist_ok=True)
    (home / "books" / "works.toml").write_text(BOOK, encoding="utf-8")
    (tmp_path / "accounts.csv").write_text(
        "account,meter,book,lang\nA1,M1,works,zh\nB/2,M2,works,en\n", encoding="utf-8"
    )
    assert run("accounts", "import", tmp_path / "accounts.csv").code == 0
    rows = ["meter,start,kwh"]
    for hour in range(-31 * 24, 31 * 24):
        day, clock = divmod(hour, 24)
        date = f"2026-01-{day + 1:02d}" if day >= 0 else f"2025-12-{day + 32:02d}"
        kwh = 42 if hour == PEAK_HOUR else 20 if hour >= 0 else 10
        if hour not in (100, 101):
            rows.append(f"M1,{date}T{clock:02d}:00:00+08:00,{kwh}")
        if hour >= 0:
            rows.append(f"M2,{date}T{clock:02d}:00:00+08:00,1")
    (tmp_path / "reads.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    assert run("reads", "import", tmp_path / "reads.csv").code == 0
    assert run("rate").code == 0
    return tmp_path / "out"


def test_a_page_names_the_why_of_every_line_in_both_languages(rated: Path, run: Run) -> None:
    assert run("bill", "2025-12").code == 0
    done = run("bill", "2026-01", "--account", "A1", "-o", "html", "--lang", "en")
    assert done.code == 0
    text, loads = words(done.out)
    assert loads == [], "a page that needs nothing from elsewhere"
    for said in (
        "2026-01-01 – 2026-01-31",
        "Energy · peak · tier 1",
        "08:00–22:00; up to 1,000 kWh of the ladder that restarts each month",
        "all other hours; above 1,000 kWh of the ladder",
        "largest average power 42 kW, 2026-01-11 09:00 to 2026-01-11 10:00",
        "15.00 for each bill, by days",
        "13 % of ¥8,005.20 (Energy, power)",
        "at least 20000 for Energy, power, fee, VAT, which come to ¥9,060.88",
        "No read for 2 intervals, from 2026-01-05 04:00 to 2026-01-05 06:00",
        "Tier 2, the last, at 14,862 kWh since the ladder began (each month).",
        "valley 0.30 / 0.40; peak 0.50 / 0.60 CNY/kWh",
        "Period before 2025-12-01 – 2025-12-31 7,440 240.0 ¥20,000.00",
        "A year before 2025-01-01 – 2025-01-31 no reads — not billed",
        "+100 % a day against the period before.",
        "Version 2020-01-01: Notice 12, 2024-05-01. https://example.org/12",
        "Energy · peak · tier 2 8142 kWh 0.60 4,885.20",
        "Total 20,000.00",
    ):
        assert said in text, said
    chinese, _ = words(run("bill", "2026-01", "--account", "A1", "-o", "html").out)
    for said in ("电费账单", "最大平均功率 42 千瓦", "第 2 档", "上期", "无抄表数据", "¥20,000.00"):
        assert said in chinese, said
    assert "bill." not in chinese and "why." not in chinese, "a word is missing"


def test_files_of_every_form_say_the_same(rated: Path, run: Run) -> None:
    forms = [word for form in ("html", "csv", "json", "parquet") for word in ("--as", form)]
    done = run("bill", "2026-01", "--out", rated, *forms, "--bom", "-o", "json").json
    names = {"A1_2026-01", "B_2_2026-01"}
    assert {Path(name).stem for name in done["files"]} == names | {"bills_2026-01"}
    assert sorted(path.name for path in rated.iterdir()) == sorted(done["files"]), "nothing half-written is left"
    table = pq.read_table(rated / "bills_2026-01.parquet").to_pylist()
    for bill, stem in zip(done["bills"], sorted(names), strict=True):
        raw = (rated / f"{stem}.csv").read_bytes()
        assert raw.startswith(b"\xef\xbb\xbf")
        rows = list(csv.DictReader(raw.decode("utf-8-sig").splitlines()))
        own = json.loads((rated / f"{stem}.json").read_text(encoding="utf-8"))
        whys = [line.pop("why") for line in own["lines"]]
        assert own["lines"] == bill["lines"] and all(why["kind"] for why in whys)
        assert own["previous"]["to"] == bill["from"] and own["previous"]["kwh"] in (None, "7440")
        assert (own["year_before"]["days"], len(own["days"])) == (31, 31)
        assert sum(Decimal(kwh) for kwh in own["days"].values()) == Decimal(own["kwh"])
        assert own["standings"][0]["limits_kwh"] == ["1000"] and own["sources"]
        assert [row["amount"] for row in rows] == [line["amount"] for line in bill["lines"]]
        assert [row["quantity"] for row in rows] == [line["quantity"] for line in bill["lines"]]
        kept = [row for row in table if row["account"] == bill["account"]]
        assert [row["amount"] for row in kept] == [Decimal(line["amount"]) for line in bill["lines"]]
        assert {row["total"] for row in rows} == {bill["total"]}
        text = (rated / f"{stem}.html").read_text(encoding="utf-8")
        assert f"{Decimal(bill['total']):,.2f}" in text
    assert tuple(
        re.search('<html lang="([^"]*)"', (rated / f"{stem}_2026-01.html").read_text())[1]  # type: ignore[index]
        for stem in ("A1", "B_2")
    ) == ("zh-CN", "en"), "each customer's own language"


def test_a_workbook_holds_numbers_and_never_a_formula(rated: Path, run: Run) -> None:
    pytest.importorskip("xlsxwriter", reason="XlsxWriter is not installed: pip install 'prewatt[xlsx]'")
    done = run("bill", "2026-01", "--out", rated, "--as", "xlsx", "-o", "json").json
    with zipfile.ZipFile(rated / done["files"][0]) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
        assert "<f>" not in sheet
        values = re.findall(r'<c r="M\d+"[^>]*><v>([^<]*)</v>', sheet)
    lines = [line for bill in done["bills"] for line in bill["lines"]]
    assert [Decimal(value) for value in values] == [Decimal(line["amount"]) for line in lines]


KEY = ("version", "period", "tier")  # of a line, with its component


def test_explain_names_the_hour_of_a_demand_and_the_lines_of_a_percentage(rated: Path, run: Run) -> None:
    told = run("explain", "A1", "--bill", "2026-01", "-o", "json").json
    whys = {line["id"]: line["why"] for line in told["lines"]}
    assert whys["power"]["peak"] == {"start": "2026-01-11T01:00:00Z", "end": "2026-01-11T02:00:00Z", "kw": "42"}
    assert (whys["vat"]["base"], whys["vat"]["terms"]["percent"]) == ("8005.20", "13")
    assert {base["id"] for base in whys["vat"]["of"]} == {"energy", "power"}
    assert sum(Decimal(base["amount"]) for base in whys["vat"]["of"]) == Decimal("8005.20")
    assert [base["id"] for base in whys["least"]["of"]][-3:] == ["power", "fee", "vat"]
    assert whys["energy"]["windows"] == ["08:00-22:00"] and whys["energy"]["source"]["title"] == "Notice 12"
    (ladder,) = told["standings"]
    assert (ladder["kwh"], ladder["tier"], ladder["limits_kwh"], ladder["next_tier_kwh"]) == (
        "14862",
        1,
        ["1000"],
        None,
    )
    only = run("explain", "A1", "--bill", "2026-01", "--line", "vat", "-o", "json").json
    assert [line["id"] for line in only["lines"]] == ["vat"] and only["steps"] == []
    assert {one["what"] for one in only["inputs"]} == {"line"}
    assert sum(Decimal(one["amount"]) for one in only["inputs"]) == Decimal(only["lines"][0]["amount"])
    hour = [one for one in told["inputs"] if one["id"] == "power" and one["what"] == "import"]
    assert [(one["start"], one["quantity"], one["unit"]) for one in hour] == [("2026-01-11T01:00:00Z", "42", "kWh")]
    rows = run("explain", "A1", "--bill", "2026-01", "--line", "fee", "-o", "csv").out.splitlines()
    assert rows[1].startswith("fee,") and ",day,2025-12-31T16:00:00Z," in rows[1] and len(rows) == 32
    for line in told["lines"]:
        place = [line[key] for key in ("id", *KEY)]
        own = [step for step in told["steps"] if [step[key] for key in ("component", *KEY)] == place]
        assert not own or sum(Decimal(step["charged"]) for step in own) == Decimal(line["amount"])


def test_a_dry_run_is_a_draft_and_posts_nothing(rated: Path, run: Run) -> None:
    draft, _ = words(run("bill", "2026-01", "--dry-run", "--lang", "en", "-o", "html").out)
    assert "Draft: not posted" in draft
    assert run("sql", "SELECT count(*) AS n FROM bills", "-o", "json").json["rows"] == [{"n": 0}]
    other, _ = words(run("bill", "2026-01", "--book", "demo", "--account", "A1", "--lang", "en", "-o", "html").out)
    assert "Draft: not posted" in other


def test_a_correction_is_told_on_the_bill(rated: Path, run: Run, tmp_path: Path) -> None:
    assert run("bill", "2026-01").code == 0
    late = "meter,start,kwh\nM1,2026-01-05T04:00:00+08:00,20\nM1,2026-01-05T05:00:00+08:00,20\n"
    (tmp_path / "late.csv").write_text(late, encoding="utf-8")
    assert run("reads", "import", tmp_path / "late.csv").code == 0
    assert run("rate", "-o", "json").json["corrections"] == 1
    told, _ = words(run("bill", "2026-01", "--account", "A1", "--lang", "en", "-o", "html").out)
    assert "Corrected 1 times" in told and "first posted with ¥20,000.00" in told
    assert "No read for" not in told


def test_wrong_forms_and_languages_are_refused(rated: Path, run: Run) -> None:
    for wrong in (("--as", "docx"), ("--lang", "fr"), ("-o", "pdf")):
        assert run("bill", "2026-01", "--out", rated, *wrong).code == 2, wrong


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    target = tmp_path / "bill.html"
    files.put_text(target, "old")

    def fails(place: Path) -> None:
        place.write_text("half", encoding="utf-8")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        files.put(target, fails)
    assert target.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [target]
