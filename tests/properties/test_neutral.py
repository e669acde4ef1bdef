"""Random tariffs in the neutral form of published cases: the adapter's bills and running charge equal the reference."""

import csv
import json
import tempfile
import tomllib
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from hypothesis import given, note
from hypothesis import strategies as st

from tariff import calendar
from tests.cases.__main__ import main
from tests.cases.toml_text import document
from tests.properties.agreement import Case, Rules
from tests.properties.budget import examples
from tests.properties.loads import load
from tests.properties.tariffs import Tariff, tariffs

Table = dict[str, Any]
SAME = ("rounding", "decimals", "total_decimals", "round_lines")
KINDS = ("energy", "fixed", "percent", "minimum", "pf_adjust")
UNKNOWN = ("when", "included", "class_by", "round_limits", "adders", "times", "kw")


def known(book: Table) -> Table:
    """The book without what the neutral form does not have, or spells so that a reader must guess."""
    versions = []
    for version in book["version"]:
        kept = [one for one in version["component"] if one["kind"] in KINDS and "series" not in one]
        ids = [one["id"] for one in kept]
        components = [_known(one, ids) for one in kept] or [{"id": "fee", "kind": "fixed", "amount": "1"}]
        windows = [
            {key: one for key, one in window.items() if key != "holidays"} for window in version.get("window", [])
        ]
        versions.append({**version, "window": windows, "component": components})
        versions[-1].pop("gas", None)
    one_rounding = {"round_lines": "line"} if book.get("round_lines") == "total" else {}
    return {key: one for key, one in book.items() if key != "price_change"} | one_rounding | {"version": versions}


def _known(spec: Table, ids: list[str]) -> Table:
    found = {key: one for key, one in spec.items() if key not in UNKNOWN}
    if found.get("per") == "phases" and spec["kind"] == "minimum":
        found["per"] = "bill"
    if "of" in found:
        found["of"] = [one for one in found["of"] if one in ids] or ids[:1]
    if "ladder" in found:
        found["ladder"] = {key: one for key, one in found["ladder"].items() if key not in UNKNOWN}
        if found["ladder"].get("limit_unit") == "kWh_per_30_days":
            del found["ladder"]["limit_unit"]
    return found


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


@examples(15)
@given(tariffs(60), st.integers(0, 10**6))
def test_cases_agree(drawn: Tariff, seed: int) -> None:
    book = known(tomllib.loads(drawn.text))
    plain = Tariff(document(book), 60)
    day = load(seed, 60, 1)
    undated = tuple(one for one in {"demand_kw": "2", **dict(day.attributes)}.items() if "@" not in one[0])
    case = Case(Rules(plain), replace(day, attributes=undated))
    note(json.dumps(neutral(book)))
    note(str(case.load))
    with tempfile.TemporaryDirectory() as name:
        got = main(written(Path(name), case, neutral(book)))
    result = case.naive().run()
    assert Fraction(got["bills"][0]["total"]) == Fraction(result.total)
    assert len(got["running"]) == case.load.slots
    if not case.plan.whole:
        assert [Fraction(amount) for _, amount in got["running"]] == result.running
    assert got["running"][-1][0] == f"{(case.span[1] - timedelta(hours=1)).isoformat()}Z"


def written(folder: Path, case: Case, table: Table) -> Path:
    """The folder of a published case."""
    begin, end = (calendar.to_local(at, case.rules.book.zone).isoformat() for at in case.span)
    bills = [{"from": begin, "to": end}]
    context = {**case.rules.table["attributes"], **case.attributes}
    case_json = {"title": "random", "kind": "bills", "bills": bills, "context": context}
    (folder / "case.json").write_text(json.dumps(case_json), encoding="utf-8")
    (folder / "tariff.json").write_text(json.dumps(table), encoding="utf-8")
    with (folder / "reads.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["start", "import_kwh", "export_kwh", "import_kvarh", "minutes"])
        for row in case.naive().rows:
            kwh = (f"{Decimal(one) / 1000:f}" for one in (row.wh, row.export_wh, row.varh))
            rows.writerow([f"{row.start.isoformat()}Z", *kwh, 60])
    return folder
