"""State tables in, Parquet snapshots under lake/state/ out: what the catalog shows of the state file.

Tables that only grow are written on from the last row that stands in a snapshot; others are written whole when their
content changed. Nothing changed means nothing written.
"""

import hashlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from storage import manifest, parquet
from storage.codec import Kind
from storage.manifest import ALL_BUCKETS, LakeFile
from storage.schemas import Dataset
from storage.tables import Stored, Tables

PARTS = 16
"""A growing table's snapshot is written whole again when it stands in this many files."""
BALANCES = "balances"
_ARROW = {
    Kind.TEXT: pa.string(),
    Kind.JSON: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.BOOL: pa.int64(),
    Kind.TIME: pa.int64(),
    Kind.FLOAT: pa.float64(),
}


@dataclass(frozen=True, slots=True)
class Source:
    """One snapshot's origin: SQL name and columns; ``grows`` when rows are only ever added."""

    name: str
    table: str
    columns: tuple[tuple[str, Kind], ...]
    key: tuple[str, ...]
    grows: bool

    @property
    def dataset(self) -> str:
        """The name under which the manifest keeps its files."""
        return f"state/{self.name}"

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema of the snapshot."""
        fields = []
        for name, kind in self.columns:
            final = {Kind.TIME: pa.timestamp("ms"), Kind.BOOL: pa.bool_()}.get(kind, _ARROW[kind])
            fields.append((name, final))
        return pa.schema(fields)


def sources(tables: Tables) -> list[Source]:
    """Every published table, and the maintained balances."""
    found = [_source(stored) for stored in tables.stored.values() if stored.spec.published]
    kinds = (("ledger_account", Kind.TEXT), ("currency", Kind.TEXT), ("amount_micro", Kind.INTEGER))
    return [*found, Source(BALANCES, "ledger_balance", kinds, ("ledger_account", "currency"), grows=False)]


def _source(stored: Stored) -> Source:
    columns = tuple((c.name, c.kind) for c in stored.codec.columns)
    return Source(stored.spec.name, stored.spec.name, columns, stored.spec.key, grows=stored.spec.append_only)


@dataclass(frozen=True, slots=True)
class Change:
    """One snapshot to write: its rows, the last row's number (growing tables), the files that it replaces."""

    source: Source
    table: pa.Table
    upto: int
    digest: str
    replaces: tuple[LakeFile, ...]


def changes(connection: sqlite3.Connection, tables: Tables) -> list[Change]:
    """What has changed since the snapshots in the manifest, as this connection sees it."""
    return [c for source in sources(tables) if (c := _change(connection, source)) is not None]


def _change(connection: sqlite3.Connection, source: Source) -> Change | None:
    there = manifest.active(connection, source.dataset)
    last = max((f.high for f in there), default=0)
    if source.grows and there and len(there) < PARTS:
        table, upto = _rows(connection, source, last)
        return Change(source, table, upto, "", ()) if table.num_rows else None
    if source.grows and there and not _rows(connection, source, last)[0].num_rows:
        return None
    table, upto = _rows(connection, source, 0)
    digest = _digest(table)
    if there and there[-1].run_id == digest:
        return None
    return Change(source, table, upto, digest, tuple(there))


def _rows(connection: sqlite3.Connection, source: Source, above: int) -> tuple[pa.Table, int]:
    names = ", ".join(f'"{n}"' for n, _ in source.columns)
    if source.grows:
        found = connection.execute(
            f"SELECT rowid, {names} FROM {source.table} WHERE rowid > ? ORDER BY rowid", (above,)
        )
    else:
        order = ", ".join(f'"{k}"' for k in source.key)
        found = connection.execute(f"SELECT 0, {names} FROM {source.table} ORDER BY {order}")
    rows = found.fetchall()
    columns: Sequence[Sequence[object]] = list(zip(*rows, strict=True)) if rows else [()] * (len(source.columns) + 1)
    arrays = [pa.array(v, _ARROW[k]) for v, (_, k) in zip(columns[1:], source.columns, strict=True)]
    plain = pa.Table.from_arrays(arrays, names=[n for n, _ in source.columns])
    return plain.cast(source.schema), int(rows[-1][0]) if rows else 0


def _digest(table: pa.Table) -> str:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return hashlib.blake2b(sink.getvalue(), digest_size=16).hexdigest()


def write(root: Path, change: Change, number: int, *, durable: bool) -> LakeFile:
    """Write one change as a file; its entry keeps the last row number in ``high`` and the content in ``run_id``."""
    source = change.source
    name = f"{source.dataset}/{number:06d}.parquet"
    plain = Dataset(source.name, source.schema, "", ())
    done = parquet.write(root, name, plain, change.table, durable=durable, crash=_silent)
    made = manifest.entry(done, dataset=source.dataset, month="", bucket=ALL_BUCKETS, level=0, first_seq=number)
    return replace(made, low=0, high=change.upto, run_id=change.digest)


def _silent(name: str) -> None:
    """Snapshots have no crash points of their own: the commit that names them has."""
