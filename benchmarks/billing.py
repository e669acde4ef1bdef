"""``python -m benchmarks.billing -o json``: ``prewatt bill`` over a year of intervals, and its memory.

Load: a home with ``--rows`` / 8760 meters (and one with a tenth of them), each an account of its own on a monthly
ladder by season, and every hour of 2025 in the lake as compaction leaves it. Each method is the command line itself,
its output to a file. The bar: peak memory at all meters is at most 1.2 times that at a tenth.
"""

import hashlib
import os
import sys
from collections.abc import Mapping
from contextlib import contextmanager, redirect_stdout
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.harness import Method, Options, Sample, clocked, main
from ingest.records import MeterPoint
from prewatt import cli
from prewatt.config import load
from prewatt.founding import found
from prewatt.home import Home
from prewatt.wiring import open_store
from storage import manifest, parquet
from storage.records import Account, Install
from storage.schemas import INTERVALS
from storage.store import LAKE, Store
from storage.usage import ms_of
from storage.writer import Priority

HOURS = 8760
ZONE, BOOK = "Asia/Shanghai", "guangzhou-residential"
BEGIN, END = datetime(2024, 12, 31, 16), datetime(2025, 12, 31, 16)  # 2025 in Shanghai
HOUR_MS = 3_600_000
MOST_GROWTH = 1.2


def sizes(options: Options) -> dict[str, int]:
    """Meters of each home."""
    meters = max(10, options.rows // HOURS)
    return {"all": meters, "tenth": meters // 10}


def prepare(options: Options) -> None:
    """Found both homes and fill their lakes, month by month."""
    for name, meters in sizes(options).items():
        home = Home(options.prepared / name)
        found(home, name="bench", zone=ZONE, currency="CNY", book=BOOK, template="cn-remote")
        with open_store(load(home), writer="inline") as store:
            store.write(Priority.BATCH, lambda unit, n=meters: _customers(unit, n))
            months = np.arange("2024-12", "2026-01", dtype="datetime64[M]")
            for number, month in enumerate(months.tolist(), start=1):
                _month(store, meters, datetime(month.year, month.month, 1), number)


def _customers(unit: Any, meters: int) -> None:
    for number in range(1, meters + 1):
        unit.put(MeterPoint(number, f"M{number:06d}", "", "x", "modbus", "", "", 0, number))
        unit.put(Account(f"A{number:06d}", "", "residential", BOOK, ZONE, "CNY"))
        unit.put(Install(number, f"M{number:06d}", f"A{number:06d}", "", datetime(2020, 1, 1)))


def _month(store: Store, meters: int, first: datetime, number: int) -> None:
    """One file of the lake: every hour of a UTC month that belongs to the year."""
    after = datetime(first.year + first.month // 12, first.month % 12 + 1, 1)
    low, high = ms_of(max(first, BEGIN)), ms_of(min(after, END))
    slots = (high - low) // HOUR_MS
    if slots <= 0:
        return
    draw = np.random.default_rng(number)
    energy = (draw.gamma(2.0, 0.5, (meters, slots)) * 45).astype(np.int64) * 10
    count = meters * slots
    columns = [
        np.repeat(np.arange(1, meters + 1, dtype=np.int32), slots),
        np.ones(count, np.uint8),
        np.tile(low + np.arange(1, slots + 1) * HOUR_MS, meters).astype("datetime64[ms]"),
        np.full(count, 60, np.int16),
        energy.ravel(),
        np.zeros(count, np.uint16),
    ]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, INTERVALS.schema, strict=True)]
    table = pa.Table.from_arrays(arrays, schema=INTERVALS.schema)
    name = f"intervals/month={first:%Y-%m}/bucket=0000/{number:012d}-L2-{number:06d}.parquet"
    written = parquet.write(store.home / LAKE, name, INTERVALS, table, durable=False, crash=lambda _: None)
    entry = manifest.entry(written, dataset="intervals", month=f"{first:%Y-%m}", bucket=0, level=2, first_seq=number)
    store.write(Priority.BATCH, lambda unit: manifest.replace(unit.connection, [entry], [], END))


def _bill(size: str, *words: str) -> Method:
    """``prewatt bill WORDS`` on a home, in this process; what it printed is hashed."""

    def method(options: Options) -> Sample:
        rows = sizes(options)[size] * HOURS
        out = options.scratch / "bills.ndjson"
        home = options.prepared / size
        wall, cpu, _ = clocked(lambda: _run(out, ["bill", *words, "--home", str(home), "-o", "ndjson"]))
        with out.open("rb") as file:  # not all of it at once: that would be the peak
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Sample(wall, digest, {"reads_per_s": rows / wall, "output_mib": out.stat().st_size / 2**20}, cpu)

    return method


def _run(out: Path, words: list[str]) -> None:
    with out.open("w", encoding="utf-8") as file, redirect_stdout(file), _arguments(words):
        try:
            cli.main()
        except SystemExit as end:
            if end.code:
                raise


@contextmanager
def _arguments(words: list[str]) -> Any:
    before, sys.argv = sys.argv, ["prewatt", *words]
    os.environ.pop("PREWATT_HOME", None)
    try:
        yield
    finally:
        sys.argv = before


METHODS: dict[str, Method] = {
    "bill_tenth": _bill("tenth", "2025", "--dry-run"),
    "bill_all": _bill("all", "2025", "--dry-run"),
}


def bars(by_name: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """How memory grows with ten times the meters."""
    if not {"bill_tenth", "bill_all"} <= set(by_name):
        return {}
    ratio = by_name["bill_all"]["peak_mib"] / by_name["bill_tenth"]["peak_mib"]
    return {"peak_growth": {"want": MOST_GROWTH, "got": round(ratio, 3), "ok": ratio <= MOST_GROWTH}}


if __name__ == "__main__":
    main("benchmarks.billing", METHODS, floors={}, bars=bars, prepare=prepare, rows=10_000 * HOURS)
