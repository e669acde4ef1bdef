"""``python -m tests.cases FOLDER``: one folder of published bills through the product's engine, as JSON on stdout."""

import csv
import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tariff import book as books
from tariff import calendar, money, rating, statement
from tariff.model import Book
from tariff.statement import Usage
from tests.cases import checks, neutral

Table = dict[str, Any]
DEFAULT_MINUTES = 60


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
    tariff = json.loads((folder / "tariff.json").read_text(encoding="utf-8"))
    reads = read(folder / "reads.csv")
    context = case.get("context") or {}
    text, series = neutral.book(tariff, context, reads.usage.minutes)
    book = books.load(text, folder.name, series=series.__getitem__)
    bills: list[Table] = []
    history: list[str] = []
    for number, wanted in enumerate(case["bills"]):
        local = {**context, **wanted.get("context", {})}
        attributes = {name: value if isinstance(value, str) else json.dumps(value) for name, value in local.items()}
        if history:
            attributes.setdefault("demand_history_kw", ",".join(history))
        bills.append(_bill(book, wanted, reads, attributes))
        history.append(_peak(book, wanted, reads.usage))
        if number == 0:
            running = _running(book, wanted, reads, attributes)
    return {"bills": bills, "running": running}


def read(path: Path) -> Reads:
    """The reads of a case; energies finer than 1 Wh are rounded as a running sum, so that totals stay right."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    starts = [datetime.fromisoformat(row["start"]).astimezone(UTC).replace(tzinfo=None) for row in rows]
    at = np.array(starts, "datetime64[m]")
    minutes = int(rows[0].get("minutes") or DEFAULT_MINUTES)
    counted = [_wh([row.get(name) or "0" for row in rows]) for name in ("import_kwh", "export_kwh", "import_kvarh")]
    usage = Usage(at + np.timedelta64(minutes, "m"), counted[0], minutes, counted[1], counted[2])
    return Reads([row["start"] for row in rows], at, usage)


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


def _bill(book: Book, wanted: Table, reads: Reads, attributes: dict[str, str]) -> Table:
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
        carried=statement.carried(book, start, usage, attributes),
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


def _peak(book: Book, wanted: Table, usage: Usage) -> str:
    largest = int(usage.wh[_inside(book, wanted, usage)].max(initial=0))
    return money.text(int(money.divide(largest * 60_000, usage.minutes)), 6)


def _running(book: Book, wanted: Table, reads: Reads, attributes: dict[str, str]) -> list[list[str]]:
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
    state = plan.zero(1, statement.carried(book, start, usage, attributes))
    _, exact = rating.advance(plan, state, 0, wh, export)
    pairs = zip(inside, slot, strict=True)
    return [[reads.starts[row], money.text(int(exact[0, at]), plan.scale)] for row, at in pairs]


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
