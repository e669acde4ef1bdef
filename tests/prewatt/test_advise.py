"""Advice on hand-worked numbers: how energy was used, what other tariffs would have cost, nothing posted."""

from pathlib import Path

import pytest

from tests.prewatt.conftest import Run

HEAD = """schema = "prewatt.book/1"
name = "{name}"
title = "{name}"
currency = "{currency}"
zone = "Asia/Shanghai"
decimals = 2
rounding = "half_up"

[source]
title = "Invented"
address = "https://example.org/"
date = "2025-01-01"

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
"""


def book(home: Path, name: str, prices: str, rest: str = "", currency: str = "CNY") -> None:
    (home / "books").mkdir(exist_ok=True)
    text = HEAD.format(name=name, currency=currency) + f"prices = {prices}\n" + rest
    (home / "books" / f"{name}.toml").write_text(text, encoding="utf-8")


@pytest.fixture
def read(home: Path, run: Run, tmp_path: Path) -> None:
    """A1 draws 2 kWh an hour by day and 1 by night in January, 4 in one hour, and nothing is known of February."""
    book(home, "flat", '["0.50"]')
    book(home, "cheap", '["0.45"]')
    book(home, "bands", '{ peak = "0.80", valley = "0.20" }')
    book(home, "dollars", '["0.10"]', currency="USD")
    pf = '\n[[version.component]]\nid = "pf"\nkind = "pf_adjust"\nstandard = "0.90"\n'
    book(home, "factor", '["0.01"]', pf)
    accounts = "account,meter,book\nA1,M1,flat\nA2,M2,flat\nA3,M3,flat\n"
    (tmp_path / "accounts.csv").write_text(accounts, encoding="utf-8")
    assert run("accounts", "import", tmp_path / "accounts.csv").code == 0
    rows = ["meter,start,kwh"]
    for day in range(1, 32):
        for hour in range(24):
            kwh = 4 if (day, hour) == (9, 10) else 2 if 8 <= hour < 22 else 1
            rows.append(f"M1,2026-01-{day:02d}T{hour:02d}:00:00+08:00,{kwh}")
    (tmp_path / "reads.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    lines = ["100,NEM12,202601010000,x,y"]
    for register, unit, value in (("E1", "kWh", "3"), ("Q1", "kvarh", "4")):
        lines += [
            f"200,M2,E1Q1,1,{register},N1,M2,{unit},30,",
            f"300,20260110,{','.join([value] * 48)},A,,,20260201000000,",
        ]
    (tmp_path / "nem12.csv").write_text("\n".join([*lines, "900"]) + "\n", encoding="utf-8")
    assert run("reads", "import", tmp_path / "reads.csv", tmp_path / "nem12.csv", "-o", "json").json["new"] == 744 + 96
    assert run("rate").code == 0


WHEN = ("--from", "2026-01", "--to", "2026-02")


def test_a_customer_learns_what_other_tariffs_would_have_cost(read: None, run: Run) -> None:
    told = run("advise", "A1", *WHEN, "--books", "cheap,bands,factor,dollars", "-o", "json").json
    assert (told["schema"], told["from"], told["to"]) == ("prewatt.advise/1", "2026-01", "2026-02")
    (one,) = told["accounts"]
    assert (one["kwh"], one["peak_kw"], one["peak_at"]) == ("1180", "4", "2026-01-09T03:00:00Z")
    assert one["load_factor"] == "0.3965", "1180 kWh in 744 h are 1.586 kW on the mean, of 4"
    assert one["shares"] == {"peak": "0.7373", "valley": "0.2627"}, "870 and 310 of 1180"
    assert (one["power_factor"], one["total"], one["months"]) == (None, "590.00", 1)
    tariffs = {row["book"]: row for row in one["tariffs"]}
    assert list(tariffs)[:2] == ["cheap", "bands"], "the cheapest first, what cannot be compared last"
    assert (tariffs["cheap"]["total"], tariffs["cheap"]["difference"]) == ("531.00", "-59.00")
    assert tariffs["bands"]["total"] == "758.00", "870 x 0.80 + 310 x 0.20"
    assert tariffs["bands"]["months"] == [{"period": "2026-01", "total": "758.00", "difference": "168.00"}]
    assert tariffs["factor"]["total"] is None and "reactive" in tariffs["factor"]["why_not"]
    assert "USD" in tariffs["dollars"]["why_not"]
    assert one["cheapest"] == {"book": "cheap", "saves": "59.00", "percent": "10.0"}


def test_the_own_tariff_may_be_the_cheapest_and_reactive_reads_give_a_power_factor(read: None, run: Run) -> None:
    told = run("advise", "--all", *WHEN, "--books", "bands", "-o", "json").json
    one, two, three = told["accounts"]
    assert one["cheapest"] == {"book": "flat", "saves": "0.00", "percent": "0.0"}
    assert (two["kwh"], two["power_factor"], two["load_factor"]) == ("144", "0.6000", "1.0000"), "3 kWh beside 4 kvarh"
    assert (two["peak_kw"], two["total"]) == ("6", "72.00")
    assert (three["kwh"], three["months"], three["cheapest"]) == ("0", 0, None), "of A3 nothing was read"


def test_advice_posts_nothing_and_defaults_to_every_book_of_the_currency(read: None, home: Path, run: Run) -> None:
    before = (home / "state.db").read_bytes()
    told = run("advise", "A1", *WHEN, "-o", "json").json["accounts"][0]
    assert {"cheap", "bands", "guangzhou-residential"} <= {row["book"] for row in told["tariffs"]}
    assert "dollars" not in {row["book"] for row in told["tariffs"]}
    assert (home / "state.db").read_bytes() == before


@pytest.mark.parametrize(
    "words",
    [(), ("A1", "--all"), ("A9",), ("A1", "--from", "2026"), ("A1", "--from", "2026-03", "--to", "2026-01"),
     ("A1", "--from", "2020-01", "--to", "2026-01"), ("A1", "--books", "nobody")],
)  # fmt: skip
def test_what_cannot_be_advised_is_refused(read: None, run: Run, words: tuple[str, ...]) -> None:
    assert run("advise", *words).code == 2
