"""The rating benchmark measures the product: what breaks ``rate`` and ``bill`` breaks it, and all its ways agree."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import rating as benchmark
from benchmarks import rating_load as load
from benchmarks import rating_peers as peers
from benchmarks.harness import Options
from ingest.records import Interval, MeterPoint
from storage import billing, blocks, schemas
from storage.rater import Rater
from storage.records import Account, Install
from storage.store import Store
from storage.writer import Priority
from tariff import evaluation, kernel
from tests.storage.conftest import StillClock

METERS = 40
NAME = "energy-book"


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> Options:
    place = tmp_path_factory.mktemp("load")
    asked = Options(METERS * load.HOURS, place, place)
    load._write(asked, 0, METERS)
    return asked


def test_all_ways_that_can_give_the_same_bills_do(options: Options) -> None:
    missing = peers.absent()
    found = {name: benchmark.METHODS[name](options).result for name in benchmark.SAME if name not in missing}
    assert len(found) >= 4
    assert {str(result) for result in found.values()} == {str(found["prewatt"])}


def rated(folder: Path, book: Any) -> tuple[int, int]:
    """Charges that ``rate`` books for two hours, and the total that ``bill`` computes, of one meter."""
    start = load.START
    rows = [Interval(1, 1, start + timedelta(hours=hour + 1), 60, 300_000, 0) for hour in range(2)]
    with Store.open(folder, clock=StillClock(), writer="inline", durable=False) as store:

        def work(unit: Any) -> None:
            unit.put(MeterPoint(1, "M1", "", "x", "modbus", "", "", 0, 1))
            unit.put(Account("A1", "", "residential", NAME, "Asia/Shanghai", "CNY"))
            unit.put(Install(1, "M1", "A1", "", start - timedelta(days=9)))
            unit.append_batch("intervals", "t", "1", schemas.intervals_table(rows), start)

        store.write(Priority.INBOX, work)
        store.lake.seal(start)
        Rater(store, {NAME: book}).step(start + timedelta(hours=2))
        charges = store.charges(start, start + timedelta(hours=2)).column("amount_micro").to_pylist()
        bills = billing.compute(store, "2025-04", {NAME: book})
        return sum(charges), sum(bill.total_micro for bill in bills)


def _twice(usual: Callable[..., Any]) -> Callable[..., Any]:
    """Every sum over slots is twice as much."""

    def broken(rows: Any) -> Any:
        rows[:] = usual(rows) * 2
        return rows

    return broken


def _dearer(usual: Callable[..., Any]) -> Callable[..., Any]:
    """Every line costs one more."""

    def broken(*args: Any, **options: Any) -> Any:
        facts = usual(*args, **options)
        facts.lines[:] = [replace(line, amount_micro=line.amount_micro + 1_000_000) for line in facts.lines]
        return facts

    return broken


BREAKS = [
    (kernel, "summed", _twice, True),
    (evaluation, "facts_of", _dearer, False),
]


@pytest.mark.parametrize(("module", "name", "breaks", "rates"), BREAKS, ids=[name for _, name, _, _ in BREAKS])
def test_what_breaks_the_product_breaks_the_benchmark(
    options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, breaks: Any, rates: bool
) -> None:
    book = load.book()
    fine, sound = benchmark.prewatt(options).result, rated(tmp_path / "fine", book)
    broken = breaks(getattr(module, name))
    monkeypatch.setattr(module, name, broken)
    if name == "facts_of":
        monkeypatch.setattr("tariff.history.facts_of", broken)
    assert benchmark.prewatt(options).result != fine
    charges, total = rated(tmp_path / "broken", book)
    assert total != sound[1]
    assert (charges != sound[0]) == rates


def test_both_read_the_lake_by_the_same_function(
    options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    month = load.book()
    fine, usual = benchmark.prewatt(options).result, blocks.values
    monkeypatch.setattr(
        blocks, "values", lambda array: usual(array) * np.int64(1) if array.type != "int64" else usual(array) * 2
    )
    assert benchmark.prewatt(options).result != fine
    asked = blocks.read
    seen: list[Path] = []
    monkeypatch.setattr(blocks, "values", usual)
    monkeypatch.setattr(
        blocks, "read", lambda path, *args, **options: seen.append(path) or asked(path, *args, **options)
    )
    rated(tmp_path, month)
    assert [path.suffix for path in seen] == [".parquet"]
