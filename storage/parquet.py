"""A sorted table in, one durable Parquet file out: temporary name, fsync, rename, fsync of the directory."""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from storage.errors import LakeDamaged
from storage.schemas import LAKE_VERSION, Dataset

ROW_GROUP = 131_072
"""Rows of one row group: small enough to read one meter's month alone, large enough to pack well."""
ZSTD_LEVEL = 3
TEMPORARY = ".tmp"

Crash = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Written:
    """One file as the manifest will name it; times in ms."""

    path: str
    rows: int
    size: int
    meter_low: int
    meter_high: int
    low: int
    high: int
    sha256: str


def encodings(schema: pa.Schema) -> dict[str, str]:
    """DELTA for every column whose values rise or repeat, which packs sorted registers to under two bytes."""
    out = {}
    for column in schema:
        if (pa.types.is_integer(column.type) and column.type.bit_width >= 32) or pa.types.is_timestamp(column.type):
            out[column.name] = "DELTA_BINARY_PACKED"
    return out


def write(root: Path, name: str, source: Dataset, table: pa.Table, *, durable: bool, crash: Crash) -> Written:
    """Write ``table`` as ``root``/``name`` so that the name is only ever seen with the whole content behind it.

    LakeDamaged when the name is taken: a file in view is never replaced in place.
    """
    final = root / name
    final.parent.mkdir(parents=True, exist_ok=True)
    if final.exists():
        raise LakeDamaged(f"{final} stands already and is never overwritten: run verify")
    temporary = final.with_name(final.name + TEMPORARY)
    _write(temporary, source, table)
    crash("file.written")
    size, digest = _sync(temporary, durable)
    crash("file.synced")
    temporary.rename(final)
    crash("file.renamed")
    if durable:
        sync_directories(root, final.parent)
    crash("file.settled")
    meters = _span(table, "meter_id" if "meter_id" in source.key else "")
    return Written(name, table.num_rows, size, *meters, *_span(table, source.time), digest)


def _write(path: Path, source: Dataset, table: pa.Table) -> None:
    delta = encodings(source.schema)
    words = [n for n in source.schema.names if n not in delta]
    metadata = {"prewatt.dataset": source.name, "prewatt.version": str(LAKE_VERSION)}
    schema = pa.schema(
        [field.with_nullable(bool(table.column(field.name).null_count)) for field in table.schema], metadata
    )  # what has no null needs no mark for each value that it is none: a third less to do for every reader
    sorting = [pq.SortingColumn(source.schema.get_field_index(k)) for k in source.key]
    pq.write_table(
        pa.Table.from_arrays(table.columns, schema=schema),
        path,
        row_group_size=ROW_GROUP,
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        use_dictionary=words,
        column_encoding=delta or None,
        sorting_columns=sorting or None,
        store_schema=True,
    )


def _span(table: pa.Table, name: str) -> tuple[int, int]:
    if not name or not table.num_rows:
        return 0, 0
    both = pc.min_max(table.column(name).cast(pa.int64())).as_py()
    return both["min"], both["max"]


def _sync(path: Path, durable: bool) -> tuple[int, str]:
    """fsync a file once; its size and sha256 as they were on the way to the disk."""
    with path.open("rb+") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()
        if durable:
            os.fsync(file.fileno())
    return size, digest


def sync_directories(root: Path, leaf: Path) -> None:
    """fsync ``leaf`` and its parents up to ``root``: a new directory must survive as well as the name in it."""
    at = leaf
    while True:
        descriptor = os.open(at, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if at == root:
            return
        at = at.parent


def read(path: Path, *, columns: Sequence[str] | None = None, filters: pc.Expression | None = None) -> pa.Table:
    """One file's rows in file order, without metadata; row groups that ``filters`` excludes are not read."""
    if filters is None:
        table = pq.ParquetFile(path).read(columns=columns)
    else:
        table = pq.read_table(path, columns=columns, filters=filters, partitioning=None)
    return pa.Table.from_arrays(table.columns, schema=pa.schema([field.with_nullable(True) for field in table.schema]))
