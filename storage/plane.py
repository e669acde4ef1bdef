"""A dataset and a span of time in, one table out: lake files and batches not yet sealed, each slot once, sorted.

Files come before batches and both in order of arrival, so that the merge keeps the right row.
"""

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from storage import batches, manifest, parquet
from storage.manifest import LakeFile
from storage.merge import merge
from storage.schemas import Dataset, dataset

CHUNKS = 64
"""The tail's chunks are joined when there are more, so that a thousand small batches stay one fast table."""


class Tail:
    """The open batches of one dataset as one table, extended by what was committed since the last look."""

    def __init__(self, source: Dataset) -> None:
        """Start empty."""
        self._schema = source.schema
        self._name = source.name
        self._table = source.schema.empty_table()
        self._low = 0
        self._high = 0
        self._lock = threading.Lock()

    def refresh(self, connection: sqlite3.Connection) -> pa.Table:
        """The open batches as this snapshot of committed state sees them."""
        with self._lock:
            return self._refresh(connection)

    def _refresh(self, connection: sqlite3.Connection) -> pa.Table:
        sql = "SELECT min(seq), max(seq) FROM inbox WHERE dataset = ? AND sealed = 0"
        low, high = connection.execute(sql, (self._name,)).fetchone()
        if low is None:
            return self._schema.empty_table()
        if low != self._low or high < self._high:
            self._table, self._low, self._high = self._schema.empty_table(), low, low - 1
        if high > self._high:
            self._extend(connection, high)
        return self._table

    def _extend(self, connection: sqlite3.Connection, high: int) -> None:
        sql = "SELECT payload, size FROM inbox WHERE dataset = ? AND sealed = 0 AND seq > ? ORDER BY seq"
        fresh = [batches.unpack(p, z) for p, z in connection.execute(sql, (self._name, self._high))]
        table = pa.concat_tables([self._table, *fresh])
        self._table = table.combine_chunks() if table.column(0).num_chunks > CHUNKS else table
        self._high = high


def window(
    source: Dataset, low: int, high: int, meters: Sequence[int] | None, channel: int | None
) -> tuple[pc.Expression, tuple[int, int] | None]:
    """The filter of a query (times in (low, high] ms) and the range of its meters."""
    stamp = pa.timestamp("ms")
    time = pc.field(source.time)
    where = (time > pa.scalar(low, stamp)) & (time <= pa.scalar(high, stamp))
    span = None
    if meters is not None:
        span = (min(meters), max(meters)) if len(meters) else (0, -1)
        where = where & pc.field("meter_id").isin(pa.array(sorted(meters), pa.int32()))
        if len(meters):
            where = where & (pc.field("meter_id") >= span[0]) & (pc.field("meter_id") <= span[1])
    if channel is not None and "channel" in source.schema.names:
        where = where & (pc.field("channel") == pa.scalar(channel, pa.uint8()))
    return where, span


def collect(root: Path, files: Sequence[LakeFile], tail: pa.Table, name: str, where: pc.Expression) -> pa.Table:
    """Files and tail filtered, merged, sorted."""
    source = dataset(name)
    parts = [parquet.read(root / f.path, filters=where).cast(source.schema) for f in files]
    if tail.num_rows:
        parts.append(tail.filter(where))
    return merge(source, [p for p in parts if p.num_rows])


def covering(
    connection: sqlite3.Connection, name: str, low: int, high: int, meters: tuple[int, int] | None
) -> list[LakeFile]:
    """Active files that may answer for times in (low, high] ms."""
    return manifest.covering(connection, name, low + 1, high, meters)
