"""``python -m tests.cases FOLDER``: one folder of published bills through the product's engine, as JSON on stdout."""

import csv
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tariff import book as books
from tariff import calendar, history, money, rating, statement
from tariff.model import Book
from tariff.statement import Usage
from tests.cases import checks, neutral

Table = dict[str, Any]
DEFAULT_MINUTES = 60
COUNTED = ("import_kwh", "export_kwh", "import_kvarh")
CARRIED = ("carried_kwh", "opening_kwh", "ytd_kwh", "year_to_date_kwh", "used_before_kwh")


@dataclass(frozen=True)
class Reads:
    """The rows of ``reads.csv``: their spelling of each start, and what was counted."""

    starts: list[str]
    at: NDArray[Any]  # datetime64[m] UTC starts
    usage: Usage


def main(folder: Path) -> Table:
    """What ``check.py`` wants to know of the case in ``folder``."""
    case = json.loads((folder / "case.json").read_text(encoding="utf-8"))
    if case["kind"] != "bills":
        return {"checks": {name: checks.run(function, arguments) for name, function, arguments, *_ in case["checks"]}}
    tariff = json.loads((folder / "tariff.json").read_text(encoding="utf-8"), parse_float=str)
    reads = read(folder / "reads.csv")
    context = case.get("context") or {}
    text, series = neutral.book(tariff, context, reads.usage.minutes, lambda name: _named(folder, name))
    book = books.load(text, folder.name, series=series.__getitem__)
    bills: list[Table] = []
    before: dict[str, int] = {}
    for number, wanted in enumerate(case["bills"]):
        local = {**context, **wanted.get("context", {})}
        attributes = {name: _text(value) for name, value in local.items()}
        start, end = _span(book, wanted)
        carried = {**history.positions(book, start, reads.usage, attributes, end=end), **before}
        carried.update(_given(book, local))
        bills.append(_bill(book, wanted, reads, attributes, carried))
        before = history.after(book, (start, end), reads.usage, attributes, carried)
        if number == 0:
            running = _running(book, wanted, reads, attributes, carried)
    return {"bills": bills, "running": running}


def _text(value: Any) -> str:
    """A value of the context as an account's attribute has it: lists with commas."""
    if isinstance(value, list):
        return ",".join(_text(one) for one in value)
    return value if isinstance(value, str) else json.dumps(value)


def read(path: Path) -> Reads:
    """The reads of a case; energies finer than 1 Wh are rounded as a running sum, so that totals stay right.

    Rows of several meters add up, each interval under the first spelling of its start.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(_summed(csv.DictReader(file)))
    starts = [datetime.fromisoformat(row["start"]).astimezone(UTC).replace(tzinfo=None) for row in rows]
    at = np.array(starts, "datetime64[m]")
    minutes = int(rows[0].get("minutes") or DEFAULT_MINUTES)
    counted = [_wh([row.get(name) or "0" for row in rows]) for name in COUNTED]
    usage = Usage(at + np.timedelta64(minutes, "m"), counted[0], minutes, counted[1], counted[2])
    return Reads([row["start"] for row in rows], at, usage)


def _summed(rows: Iterable[dict[str, str]]) -> Iterable[dict[str, str]]:
    """Rows that begin at the same time as one."""
    found: dict[datetime, dict[str, str]] = {}
    for row in rows:
        first = found.setdefault(datetime.fromisoformat(row["start"]), row)
        for name in COUNTED if first is not row else ():
            first[name] = format(Decimal(first.get(name) or "0") + Decimal(row.get(name) or "0"), "f")
    return found.values()


def _wh(texts: list[str]) -> NDArray[np.int64]:
    scale = max(3, *(money.scale_of(text) for text in texts))
    total = 0
    sums = [0]
    for text in texts:
        total += money.scaled(text, scale)
        sums.append(int(money.divide(total, 10 ** (scale - 3))))
    return np.diff(np.array(sums, np.int64))


def _span(book: Book, wanted: Table) -> tuple[datetime, datetime]:
    start, end = (datetime.fromisoformat(wanted[key]) for key in ("from", "to"))
    return calendar.to_utc(start, book.zone), calendar.to_utc(end, book.zone)


def _named(folder: Path, name: str) -> str:
    """The text of a file of the case; of "" what stands beside the reads or in a file of prices, as stamp and price."""
    if name:
        return (folder / name).read_text(encoding="utf-8")
    for path in sorted(folder.glob("*.csv")):
        if path.name not in ("reads.csv", "expected_running.csv"):
            return path.read_text(encoding="utf-8")
    with (folder / "reads.csv").open(encoding="utf-8", newline="") as file:
        return "".join(f"{row['start']},{row['price']}\n" for row in csv.DictReader(file))


def _given(book: Book, context: Table) -> dict[str, int]:
    """What every ladder had gone before the bill, where the case says it instead of giving the reads."""
    kwh = next((context[name] for name in CARRIED if context.get(name) is not None), None)
    if kwh is None:
        return {}
    ids = {spec.id for version in book.versions for spec in version.components if spec.kind == "energy"}
    return dict.fromkeys(ids, money.scaled(str(kwh), 3))


def _bill(book: Book, wanted: Table, reads: Reads, attributes: dict[str, str], carried: dict[str, int]) -> Table:
    start, end = _span(book, wanted)
    usage = reads.usage
    bill = statement.bill(
        book,
        "case",
        start,
        end,
        usage.ends,
        usage.wh,
        minutes=usage.minutes,
        attributes=attributes,
        carried=carried,
        export_wh=usage.export_wh,
        reactive_varh=usage.reactive_varh,
    )
    lines = [
        {
            "id": line.id,
            "version": line.version,
            "period": line.period,
            "tier": line.tier,
            "quantity": line.quantity,
            "amount": money.format(line.amount_micro, book.decimals),
        }
        for line in bill.lines
    ]
    return {"total": money.format(bill.total_micro, book.decimals), "lines": lines}


def _inside(book: Book, wanted: Table, usage: Usage) -> NDArray[np.bool_]:
    start, end = (np.datetime64(at, "m") for at in _span(book, wanted))
    inside: NDArray[np.bool_] = (usage.ends > start) & (usage.ends <= end)
    return inside


def _running(
    book: Book, wanted: Table, reads: Reads, attributes: dict[str, str], carried: dict[str, int]
) -> list[list[str]]:
    """[start as it is spelled, exact cumulative energy charge] after every interval of the bill."""
    start, end = _span(book, wanted)
    usage = reads.usage
    with_demand = statement.with_demand(book, usage, (start, end), attributes)
    plan = rating.compile(book, start, end, usage.minutes, with_demand)
    inside = np.flatnonzero(_inside(book, wanted, usage))
    inside = inside[np.argsort(usage.ends[inside], kind="stable")]
    slot = ((reads.at[inside] - np.datetime64(start, "m")).astype(np.int64)) // usage.minutes
    wh, export = np.zeros((1, plan.slots), np.int64), np.zeros((1, plan.slots), np.int64)
    wh[0, slot], export[0, slot] = usage.wh[inside], usage.export_wh[inside]  # type: ignore[index]
    state = plan.zero(1, carried)
    _, exact = rating.advance(plan, state, 0, wh, export)
    pairs = zip(inside, slot, strict=True)
    return [[reads.starts[row], money.text(int(exact[0, at]), plan.scale)] for row, at in pairs]


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
