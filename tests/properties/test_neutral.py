"""Random tariffs in the neutral form of published cases: the adapter's bills and running charge equal the reference."""

import csv
import json
import tempfile
import tomllib
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from hypothesis import assume, given, note
from hypothesis import strategies as st

from tariff import calendar
from tests.cases.__main__ import main
from tests.properties.agreement import Case, load
from tests.properties.budget import examples
from tests.properties.tariffs import Tariff, tariffs

Table = dict[str, Any]
SAME = ("rounding", "decimals", "total_decimals", "round_lines")
UNKNOWN = (  # what the neutral form does not have, or spells so that a reader must guess
    *(f'"{word}"' for word in ("free_kwh", "demand", "adders", "times", "series", "kw", "round_limits", "holidays")),
    "kWh_per_30_days",
)


def neutral(book: Table) -> Table:
    """The book in the neutral form, as its page describes that."""
    found: Table = {"schema": "neutral-tariff/0", "name": "random", "currency": "XXX", "timezone": book["zone"]}
    found.update({key: book[key] for key in SAME if key in book})
    found["versions"] = [
        {
            **{key: one for key, one in version.items() if key not in ("window", "component")},
            "periods": version.get("window", []),
            "components": [component(one) for one in version["component"]],
        }
        for version in book["version"]
    ]
    return found


def component(spec: Table) -> Table:
    """A component; prices are always by period there."""
    made = dict(spec)
    if isinstance(made.get("prices"), list):
        made["prices"] = {"*": made["prices"]}
    ladder = made.get("ladder")
    if ladder is not None and ladder.get("allocate") == "per_period":
        made["ladder"] = {key: one for key, one in ladder.items() if key != "allocate"} | {"scope": "period"}
    return made


@examples(40)
@given(tariffs(60), st.integers(0, 10**6))
def test_cases_agree(tariff: Tariff, seed: int) -> None:
    assume(not any(word in tariff.text for word in UNKNOWN))
    case = Case(tariff, load(seed, 60))
    table = neutral(tomllib.loads(tariff.text))
    note(json.dumps(table))
    note(str(case.load))
    zone = case.book.zone
    begin, end = (calendar.to_local(at, zone).isoformat() for at in (case.start, case.end))
    context = {**tomllib.loads(tariff.text)["attributes"], **case.attributes}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bills = [{"from": begin, "to": end}]
        case_json = {"title": "random", "kind": "bills", "bills": bills, "context": context}
        (folder / "case.json").write_text(json.dumps(case_json), encoding="utf-8")
        (folder / "tariff.json").write_text(json.dumps(table), encoding="utf-8")
        with (folder / "reads.csv").open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["start", "import_kwh", "export_kwh", "import_kvarh", "minutes"])
            for row in case.rows:
                kwh = (f"{Decimal(one) / 1000:f}" for one in (row.wh, row.export_wh, row.varh))
                rows.writerow([f"{row.start.isoformat()}Z", *kwh, 60])
        got = main(folder)
    naive = case.naive()
    naive.attributes.update(context)
    result = naive.run()
    assert Fraction(got["bills"][0]["total"]) == Fraction(result.total)
    assert len(got["running"]) == case.slots
    if not case.plan().whole:
        assert [Fraction(amount) for _, amount in got["running"]] == result.running
    assert got["running"][-1][0] == f"{(case.end - timedelta(hours=1)).isoformat()}Z"
