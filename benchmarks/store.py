"""Rows in, the store's goals as they stand out: inbox, lake, analyst queries, payments beside batch posting.

``python -m benchmarks.store -o json --rows 100000000`` gives the figures to quote; the default is a quick look.
"""

import os
import shutil
import statistics
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from benchmarks.harness import Options, Sample, main, timed
from storage import lake, manifest, parquet
from storage.batches import pack
from storage.catalog import publish
from storage.records import Posting
from storage.schemas import READS
from storage.store import Store
from storage.writer import Priority

START = datetime(2025, 1, 1)
NOW = datetime(2026, 3, 1)
HOURS = 8760
INBOX_READS = 1_000_000
BATCH = 10_000
PAYERS = 8
MONEY_S = 4.0
POSTINGS = 40_000
SLICE = 100
LATE_SHARE = 1_000
"""One read in so many comes late in the run on dirty partitions."""


class Clock:
    """A clock that stands: the benchmark measures work, not the calendar."""

    def now(self) -> datetime:
        """The fixed time."""
        return NOW

    def monotonic(self) -> float:
        """Host time."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Nobody sleeps here."""


def registers(meters: range, first: int, hours: int) -> pa.Table:
    """Hourly registers in steps of 10 Wh of ``meters`` from hour ``first`` on, by meter, the same at every call."""
    draw = np.random.default_rng([meters.start, first])
    count = len(meters)
    shape = 1 + 0.6 * np.sin((np.arange(first, first + hours) % 24 - 8) / 24 * 2 * np.pi)
    level = draw.lognormal(5.2, 0.5, (count, 1))
    energy = (draw.gamma(2.0, 0.5, (count, hours)) * level * shape / 10).astype(np.int64) * 10
    ends = np.datetime64(START, "ms") + np.arange(first + 1, first + hours + 1) * np.timedelta64(3_600_000, "ms")
    columns = [
        np.repeat(np.arange(meters.start, meters.stop, dtype=np.int32), hours),
        np.ones(count * hours, np.uint8),
        np.tile(ends, count),
        (energy.cumsum(axis=1) + first * 300).ravel(),
        np.zeros(count * hours, np.uint16),
        np.zeros(count * hours, np.int16),
    ]
    return pa.Table.from_arrays(
        [pa.array(c, f.type) for c, f in zip(columns, READS.schema, strict=True)], schema=READS.schema
    )


def open_store(path: Path) -> Store:
    """A durable store in a new home."""
    path.mkdir(parents=True, exist_ok=True)
    return Store.open(path, clock=Clock())


def prepare(options: Options) -> None:
    """Two homes with a year of month files: one clean, one with late reads in its last month."""
    meters = range(1, max(2, options.rows // HOURS) + 1)
    clean, dirty = options.prepared / "clean", options.prepared / "dirty"
    with open_store(clean) as store:
        for month in range(1, 13):
            _month(store, meters, month)
        publish(store, NOW)
    shutil.copytree(clean, dirty)
    with open_store(dirty) as store:
        table = registers(meters, 8016, 744)
        late = table.take(pa.array(np.arange(0, table.num_rows, LATE_SHARE)))
        store.write(Priority.INBOX, lambda u: u.append_batch("reads", "late", "1", late, NOW))
        store.lake.seal(NOW)
        publish(store, NOW)


def _month(store: Store, meters: range, month: int) -> None:
    """One L2 file per bucket, as a compaction leaves it."""
    first = (datetime(2025, month, 1) - START).days * 24
    hours = (lake.month_end(f"2025-{month:02d}") - datetime(2025, month, 1)).days * 24
    table = registers(meters, first, hours)
    name = f"reads/month=2025-{month:02d}/bucket=0000/{month:012d}-L2-{store.next_file():06d}.parquet"
    done = parquet.write(store.lake.root, name, READS, table, durable=False, crash=lambda _: None)
    entry = manifest.entry(done, dataset="reads", month=f"2025-{month:02d}", bucket=0, level=2, first_seq=month)
    store.write(Priority.BATCH, lambda u: manifest.replace(u.connection, [entry], [], NOW))


def _hourly(batch: int) -> list[pa.Table]:
    """INBOX_READS reads as they come: one hour of ``batch`` meters a batch."""
    count = INBOX_READS // batch
    whole = registers(range(1, batch + 1), 0, count)
    order = np.arange(batch) * count
    return [whole.take(pa.array(order + hour)) for hour in range(count)]


def floor_inbox(options: Options) -> Sample:
    """Bare zstd and one fsync for every batch, into one file: what no durable store can beat."""
    plain = []
    for table in _hourly(BATCH):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        plain.append(sink.getvalue())
    file = os.open(options.scratch / "bare", os.O_WRONLY | os.O_CREAT)

    def work() -> None:
        for data in plain:
            os.write(file, pa.compress(data, codec="zstd", asbytes=True))
            os.fsync(file)

    wall, _ = timed(work)
    os.close(file)
    return Sample(wall, INBOX_READS, {"reads_per_s": INBOX_READS / wall})


def _inbox(options: Options, batch: int) -> Sample:
    """A collector packs its next batch while the writer commits the one before, as the event loop does."""
    tables = _hourly(batch)
    with open_store(options.scratch / "h") as store, ThreadPoolExecutor(1) as collector:

        def work() -> None:
            for number, packed in enumerate(collector.map(lambda table: pack("reads", table), tables)):
                store.write(Priority.INBOX, lambda u: u.append_batch("reads", "g", str(number), packed, NOW))  # noqa: B023

        wall, _ = timed(work)
        rows, size = store.read(
            lambda r: r.connection.execute("SELECT sum(rows), sum(length(payload)) FROM inbox").fetchone()
        )
    return Sample(wall, rows, {"reads_per_s": rows / wall, "bytes_per_read": size / rows})


def inbox_10k(options: Options) -> Sample:
    """Durable inbox, a commit for every batch of 10,000."""
    return _inbox(options, BATCH)


def inbox_1k(options: Options) -> Sample:
    """Durable inbox, a commit for every batch of 1,000."""
    return _inbox(options, 1_000)


def queryable(options: Options) -> Sample:
    """From committed batches to rows in an analyst's query: seal, publish, count."""
    with open_store(options.scratch / "h") as store:
        for number, table in enumerate(_hourly(BATCH)):
            store.write(Priority.INBOX, lambda u: u.append_batch("reads", "g", str(number), table, NOW))  # noqa: B023

        def work() -> object:
            store.lake.seal(NOW)
            publish(store, NOW)
            return ask(store.home, "SELECT count(*), sum(register_wh) FROM reads")

        wall, result = timed(work)
        compact, _ = timed(lambda: store.lake.compact(NOW))
    figures = {"reads_per_s": INBOX_READS / wall, "compact_reads_per_s": INBOX_READS / compact}
    return Sample(wall, result, figures)


def ask(home: Path, sql: str) -> list[tuple[Any, ...]]:
    """One query by a process of its own kind: open read-only, ask, close."""
    link = duckdb.connect(str(home / "catalog.duckdb"), read_only=True)
    try:
        rows: list[tuple[Any, ...]] = link.execute(sql).fetchall()
        return rows
    finally:
        link.close()


MONTHLY = "SELECT meter_id, month, (max(register_wh) - min(register_wh)) / 1000 AS kwh FROM reads GROUP BY ALL"
QUERIES = {
    "monthly": f"SELECT count(*), sum(kwh) FROM ({MONTHLY})",
    "completeness": (
        'SELECT CAST("end" - INTERVAL 1 SECOND AS DATE) AS day, sum(slots), max(slots) AS meters'
        ' FROM (SELECT "end", count(*) AS slots FROM reads GROUP BY 1) GROUP BY 1 ORDER BY 1'
    ),
    "one_meter": (
        'SELECT "end", register_wh FROM reads WHERE meter_id = 2 AND "end" > TIMESTAMP \'2025-06-01\''
        " AND \"end\" <= TIMESTAMP '2025-07-01' ORDER BY 1"
    ),
}


def _query(options: Options, name: str, home: str = "clean") -> Sample:
    opened, link = timed(lambda: duckdb.connect(str(options.prepared / home / "catalog.duckdb"), read_only=True))
    wall, result = timed(lambda: link.execute(QUERIES[name]).fetchall())
    link.close()
    figures = {"open_s": opened}
    if name == "monthly" and home == "clean":
        files = sorted((options.prepared / home / "lake" / "reads").rglob("*.parquet"))
        figures["bytes_per_read"] = sum(f.stat().st_size for f in files) / _rows(options)
    return Sample(wall, [[str(round(v, 3) if isinstance(v, float) else v) for v in row] for row in result], figures)


def _rows(options: Options) -> int:
    return max(2, options.rows // HOURS) * HOURS


def legs(number: int, kind: str, amount: int = 1_000_000) -> list[Posting]:
    """One balanced transaction of two legs."""
    first = Posting(kind, f"{number}", f"customer:{number % 5000}", amount, "CNY", NOW, NOW)
    return [first, replace(first, ledger_account=f"house:{kind}", amount_micro=-amount)]


def batch_postings(options: Options) -> Sample:
    """Daily usage of many accounts: slices of SLICE transactions, a commit each."""
    made = [legs(n, "usage") for n in range(POSTINGS // 2)]
    with open_store(options.scratch / "h") as store:

        def work() -> None:
            for at in range(0, len(made), SLICE):
                store.write(Priority.BATCH, lambda u: u.post_all(made[at : at + SLICE]))  # noqa: B023

        wall, _ = timed(work)
        total = store.read(lambda r: (r.count(Posting), r.ledger_sum()))
    return Sample(wall, total, {"postings_per_s": total[0] / wall})


def payments(options: Options) -> Sample:
    """PAYERS payers, each waiting for its own commit, while batch slices go on without a pause."""
    latencies: list[float] = []
    stop = threading.Event()
    numbers = iter(range(1 << 40))
    with open_store(options.scratch / "h") as store:

        def batch() -> None:
            number = 0
            while not stop.is_set():
                made = [legs(number + n, "usage") for n in range(SLICE)]
                store.write(Priority.BATCH, lambda u: u.post_all(made))  # noqa: B023
                number += SLICE

        def payer() -> None:
            while not stop.is_set():
                made = legs(next(numbers), "payment")
                wall, _ = timed(lambda: store.write(Priority.MONEY, lambda u: u.post(made)))  # noqa: B023
                latencies.append(wall)

        threads = [threading.Thread(target=payer) for _ in range(PAYERS)] + [threading.Thread(target=batch)]
        for thread in threads:
            thread.start()
        time.sleep(MONEY_S)
        stop.set()
        for thread in threads:
            thread.join()
        posted = store.read(lambda r: r.count(Posting, source="usage"))
        zero = store.read(lambda r: r.ledger_sum())
    figures = {
        "payments_per_s": len(latencies) / MONEY_S,
        "p99_ms": sorted(latencies)[int(len(latencies) * 0.99)] * 1000,
        "batch_postings_per_s": posted / MONEY_S,
        "bare_fsync_ms": _fsync_ms(options.scratch),
    }
    return Sample(MONEY_S, zero, figures)


def _fsync_ms(folder: Path) -> float:
    """Median of bare 4 KiB writes with fsync on the same disk."""
    file = os.open(folder / "fsync", os.O_WRONLY | os.O_CREAT)

    def once() -> None:
        os.write(file, b"x" * 4096)
        os.fsync(file)

    took = [timed(once)[0] for _ in range(50)]
    os.close(file)
    return statistics.median(took) * 1000


METHODS = {
    "floor_inbox": floor_inbox,
    "inbox_10k": inbox_10k,
    "inbox_1k": inbox_1k,
    "queryable": queryable,
    "monthly": lambda options: _query(options, "monthly"),
    "completeness": lambda options: _query(options, "completeness"),
    "one_meter": lambda options: _query(options, "one_meter"),
    "monthly_dirty": lambda options: _query(options, "monthly", "dirty"),
    "batch_postings": batch_postings,
    "payments": payments,
}


def bars(found: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """STORE's goals, want beside got; queries are judged at any number of rows, the goal is meant for 100 million."""

    def figure(method: str, name: str) -> float:
        return float(found[method]["figures"][name]) if method in found else float("nan")

    def wall(method: str) -> float:
        return float(found[method]["wall_s"]) if method in found else float("nan")

    p99 = max(50.0, 20 * figure("payments", "bare_fsync_ms"))
    at_most = {
        "inbox_over_floor": (2.0, wall("inbox_10k") / wall("floor_inbox")),
        "bytes_per_read": (1.7, figure("monthly", "bytes_per_read")),
        "monthly_s": (1.5, wall("monthly")),
        "completeness_s": (1.0, wall("completeness")),
        "one_meter_s": (0.05, wall("one_meter")),
        "dirty_over_clean": (1.25, wall("monthly_dirty") / wall("monthly")),
        "payments_p99_ms": (p99, figure("payments", "p99_ms")),
    }
    at_least = {
        "queryable_reads_per_s": (1e6, figure("queryable", "reads_per_s")),
        "payments_per_s": (500.0, figure("payments", "payments_per_s")),
        "batch_postings_per_s": (50_000.0, figure("batch_postings", "postings_per_s")),
    }
    out = {n: {"want": f"<= {w:g}", "got": round(g, 4), "ok": g <= w} for n, (w, g) in at_most.items() if g == g}
    out |= {n: {"want": f">= {w:g}", "got": round(g, 1), "ok": g >= w} for n, (w, g) in at_least.items() if g == g}
    return out


if __name__ == "__main__":
    floors = {"inbox_10k": "floor_inbox", "inbox_1k": "floor_inbox", "monthly_dirty": "monthly"}
    main("benchmarks.store", METHODS, floors=floors, bars=bars, prepare=prepare, rows=5_000_000)
