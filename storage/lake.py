"""Inbox batches in, Parquet files out: seal to L0, compact to days (L1) and months (L2), sweep what is retired.

A file counts only once the manifest commit names it. Whatever happens before leaves an orphan, which the next open
removes; whatever happens after leaves the batches sealed. A seal holds no lock on the writer while it writes files.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, takewhile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage import batches, manifest, parquet
from storage.codec import to_ms
from storage.manifest import ALL_BUCKETS, LakeFile
from storage.merge import merge
from storage.ports import Home
from storage.schemas import DATASETS, Dataset
from storage.writer import Priority

BUCKET_BITS = 16
"""A bucket is 65,536 meters."""
SEAL_ROWS = 4_000_000
"""Most rows that one round of a seal takes."""
RETIRED_FOR = timedelta(hours=24)
LATENESS = timedelta(days=3)
"""After the month's end and this long, a month is compacted to one file per bucket."""
OPEN_FILES = 24
"""An open day is compacted early when its partition has this many small files."""

_DAY_MS = 86_400_000
Times = NDArray[np.datetime64]


@dataclass(frozen=True, slots=True)
class LakeReport:
    """What one seal, compaction or sweep did."""

    rows: int = 0
    batches: int = 0
    written: tuple[str, ...] = ()
    retired: int = 0
    removed: int = 0


class Lake:
    """The Parquet files under ``root``; one seal or compaction at a time."""

    def __init__(self, home: Home, root: Path) -> None:
        """Bind to the home whose writer commits the manifest."""
        self._home = home
        self.root = root
        self._lock = threading.Lock()

    def seal(self, now: datetime) -> LakeReport:
        """Write every open batch of every dataset to L0 files and mark it sealed, in rounds of SEAL_ROWS rows."""
        rows = count = 0
        written: list[str] = []
        with self._lock:
            for source in DATASETS.values():
                while found := self._home.read(lambda reader, s=source: _open(reader.connection, s.name)):  # type: ignore[misc]
                    files = self._seal(source, found, now)
                    rows += sum(b.rows for b in found)
                    count += len(found)
                    written += [f.path for f in files]
        return LakeReport(rows, count, tuple(written))

    def _seal(self, source: Dataset, found: Sequence[batches.Batch], now: datetime) -> list[LakeFile]:
        self._home.crash("seal.start")
        table = merge(source, [b.table for b in found])
        first = found[0].seq
        files = [
            self._write(source, part, month=month, bucket=ALL_BUCKETS, level=0, first_seq=first)
            for month, part in split(table, months(table, source))
        ]
        self._home.crash("seal.before_commit")
        seqs = [b.seq for b in found]
        self._home.write(Priority.BATCH, lambda unit: _sealed(unit.connection, source, seqs, files, now))
        self._home.crash("seal.after_commit")
        return files

    def compact(self, now: datetime) -> LakeReport:
        """Closed days to one file per day and bucket; months past their lateness to one file per month and bucket."""
        report = LakeReport()
        with self._lock:
            for name in DATASETS:
                active = self._home.read(lambda reader, n=name: manifest.active(reader.connection, n))  # type: ignore[misc]
                for month, group in groupby(active, key=lambda f: f.month):
                    report = self._compact(DATASETS[name], month, list(group), now, report)
        return report

    def _compact(
        self, source: Dataset, month: str, files: list[LakeFile], now: datetime, report: LakeReport
    ) -> LakeReport:
        closed = now >= month_end(month) + LATENESS
        inputs = files if closed else due(files, now)
        if not inputs or (closed and all(f.level == 2 for f in files)):
            return report
        self._home.crash("compact.start")
        outputs = self._rewrite(source, month, inputs, level=2 if closed else 1)
        self._home.crash("compact.before_commit")
        self._home.write(Priority.BATCH, lambda unit: manifest.replace(unit.connection, outputs, inputs, now))
        self._home.crash("compact.after_commit")
        return LakeReport(
            report.rows + sum(f.rows for f in outputs),
            0,
            (*report.written, *(f.path for f in outputs)),
            report.retired + len(inputs),
        )

    def _rewrite(self, source: Dataset, month: str, inputs: Sequence[LakeFile], *, level: int) -> list[LakeFile]:
        """Merge ``inputs`` bucket by bucket (and day by day for level 1), so that memory holds one bucket at a time."""
        first = min(f.first_seq for f in inputs)
        outputs = []
        for bucket in sorted({b for f in inputs for b in buckets(f)}):
            table = merge(source, [t for f in inputs if (t := self._bucket(source, f, bucket)).num_rows])
            if not table.num_rows:
                continue
            for _, part in split(table, days(table, source)) if level == 1 else [("", table)]:
                outputs.append(self._write(source, part, month=month, bucket=bucket, level=level, first_seq=first))
        return outputs

    def _bucket(self, source: Dataset, file: LakeFile, bucket: int) -> pa.Table:
        low, high = bucket << BUCKET_BITS, (bucket + 1 << BUCKET_BITS) - 1
        path = self.root / file.path
        if low <= file.meter_low and file.meter_high <= high:
            return parquet.read(path).cast(source.schema)
        inside = (pc.field("meter_id") >= low) & (pc.field("meter_id") <= high)
        return parquet.read(path, filters=inside).cast(source.schema)

    def _write(
        self, source: Dataset, table: pa.Table, *, month: str, bucket: int, level: int, first_seq: int
    ) -> LakeFile:
        folder = f"{source.name}/month={month}/bucket={'all' if bucket == ALL_BUCKETS else format(bucket, '04d')}"
        stem = f"{first_seq:012d}-L{level}-{self._home.next_file():06d}"
        name = f"{folder}/{stem}.parquet"
        crash: Callable[[str], None] = self._home.crash
        done = parquet.write(self.root, name, source, table, durable=self._home.durable, crash=crash)
        return manifest.entry(done, dataset=source.name, month=month, bucket=bucket, level=level, first_seq=first_seq)

    def sweep(self, now: datetime) -> LakeReport:
        """Remove files retired for 24 hours; until then a query of an older catalog still finds them."""
        paths = self._home.read(lambda reader: manifest.expired(reader.connection, now - RETIRED_FOR))
        for path in paths:
            (self.root / path).unlink(missing_ok=True)
        if paths:
            self._home.write(Priority.BATCH, lambda unit: manifest.forget(unit.connection, paths))
        return LakeReport(removed=len(paths))

    def orphans(self) -> list[Path]:
        """Files under the lake that no manifest entry names: left by a process that died before its commit."""
        known = self._home.read(lambda reader: manifest.known(reader.connection))
        files = (p for p in sorted(self.root.rglob("*")) if p.is_file())
        return [p for p in files if p.relative_to(self.root).as_posix() not in known]

    def files(self, dataset: str = "") -> list[LakeFile]:
        """Files in view, by dataset, month and arrival."""
        return self._home.read(lambda reader: manifest.active(reader.connection, dataset))


def _open(connection: sqlite3.Connection, dataset: str) -> list[batches.Batch]:
    """Open batches from the oldest on, SEAL_ROWS rows at most (at least one batch)."""
    sizes = connection.execute("SELECT seq, rows FROM inbox WHERE dataset = ? AND sealed = 0 ORDER BY seq", (dataset,))
    taken = total = 0
    low = None
    for seq, rows in sizes:
        if taken and total + rows > SEAL_ROWS:
            break
        low = seq if low is None else low
        taken, total = taken + 1, total + rows
    return batches.after(connection, dataset, low - 1, taken, unsealed=True) if low is not None else []


def _sealed(
    connection: sqlite3.Connection, source: Dataset, seqs: Sequence[int], files: Sequence[LakeFile], now: datetime
) -> None:
    """Bring the files into view and mark their batches sealed; payloads stay until every cursor has passed them."""
    manifest.replace(connection, files, (), now)
    connection.executemany("UPDATE inbox SET sealed = 1 WHERE seq = ?", [(s,) for s in seqs])
    lowest = connection.execute("SELECT min(seq) FROM cursor WHERE dataset = ?", (source.name,)).fetchone()[0]
    passed = lowest if lowest is not None else 0 if source.consumed else seqs[-1]
    connection.execute(
        "UPDATE inbox SET payload = NULL WHERE dataset = ? AND sealed = 1 AND payload IS NOT NULL AND seq <= ?",
        (source.name, passed),
    )


def _last_ms(table: pa.Table, source: Dataset) -> Times:
    """The last millisecond of each slot, which decides its day and month: 00:00 closes the day before."""
    last: Times = (table.column(source.time).cast(pa.int64()).to_numpy() - 1).astype("datetime64[ms]")
    return last


def months(table: pa.Table, source: Dataset) -> Times:
    """The month of each row, as datetime64[M]."""
    return _last_ms(table, source).astype("datetime64[M]")


def days(table: pa.Table, source: Dataset) -> Times:
    """The day of each row, as datetime64[D]."""
    return _last_ms(table, source).astype("datetime64[D]")


def split(table: pa.Table, labels: Times) -> Iterator[tuple[str, pa.Table]]:
    """The table in parts by label, in order of the label, each part in the table's order."""
    found = np.unique(labels)
    for label in found:
        part = table if len(found) == 1 else table.filter(pa.array(labels == label))
        yield str(label), part


def buckets(file: LakeFile) -> range:
    """The buckets that a file's meters fall into."""
    return range(file.meter_low >> BUCKET_BITS, (file.meter_high >> BUCKET_BITS) + 1)


def days_of(file: LakeFile) -> range:
    """The days since 1970 that a file's slots fall into, from the first to the last."""
    return range((file.low - 1) // _DAY_MS, (file.high - 1) // _DAY_MS + 1)


def month_end(month: str) -> datetime:
    """The first instant after a month "YYYY-MM"."""
    year, number = int(month[:4]), int(month[5:7])
    return datetime(year + number // 12, number % 12 + 1, 1)


def due(files: Sequence[LakeFile], now: datetime) -> list[LakeFile]:
    """Of one month's files, the small ones that are due for a day file, with the day files that they touch.

    They are taken in order of arrival up to the first that is not due, so that a merged file never mixes later rows
    under an earlier number.
    """
    today = to_ms(now.replace(hour=0, minute=0, second=0, microsecond=0))
    small = [f for f in files if f.level == 0]
    ripe = small if len(small) > OPEN_FILES else list(takewhile(lambda f: f.high <= today, small))
    if not ripe:
        return []
    wanted = {d for f in ripe for d in days_of(f)}
    touched = [f for f in files if f.level > 0 and not wanted.isdisjoint(days_of(f))]
    return sorted([*ripe, *touched], key=lambda f: (f.first_seq, f.path))
