"""Arrow tables in, inbox rows out: one compressed batch per row, found again by its dataset, source and number."""

import hashlib
import sqlite3
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from storage import schemas
from storage.codec import from_ms, to_ms
from storage.errors import BadBatch, Conflict

ROW_LIMIT = 2_000_000
"""Most rows of one batch; larger ones are split by the caller."""
_CODEC = "zstd"


@dataclass(frozen=True, slots=True)
class Packed:
    """One batch as it is stored: compressed Arrow stream, its size before, its rows, its range of times in ms."""

    dataset: str
    payload: bytes
    size: int
    rows: int
    low: int
    high: int
    digest: str
    table: pa.Table


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch of the inbox; ``seq`` rises with every batch and never repeats."""

    seq: int
    dataset: str
    source: str
    source_seq: str
    rows: int
    at: datetime
    table: pa.Table


def pack(dataset: str, table: pa.Table) -> Packed:
    """Check a table against its dataset and compress it; BadBatch when it does not fit or is too large."""
    if table.num_rows > ROW_LIMIT:
        raise BadBatch(f"{dataset}: {table.num_rows} rows in one batch, {ROW_LIMIT} at most: split it")
    table = schemas.conform(dataset, table)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    plain = sink.getvalue()
    payload: bytes = pa.compress(plain, codec=_CODEC, asbytes=True)
    low = high = 0
    if table.num_rows:
        span = pc.min_max(table.column(schemas.dataset(dataset).time).cast(pa.int64())).as_py()
        low, high = span["min"], span["max"]
    digest = hashlib.sha256(plain).hexdigest()[:32]  # processors have it in hardware
    return Packed(dataset, payload, plain.size, table.num_rows, low, high, digest, table)


def unpack(payload: bytes, size: int) -> pa.Table:
    """The table of a stored payload."""
    plain = pa.decompress(payload, decompressed_size=size, codec=_CODEC)
    return pa.ipc.open_stream(plain).read_all()


def append(connection: sqlite3.Connection, packed: Packed, source: str, source_seq: str, at: datetime) -> bool:
    """Insert one packed batch; False when it stands already, Conflict when its number holds other content."""
    done = connection.execute(
        "INSERT INTO inbox (dataset, source, source_seq, digest, rows, size, low, high, at, payload)"
        " VALUES (?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING",
        (
            packed.dataset,
            source,
            source_seq,
            packed.digest,
            packed.rows,
            packed.size,
            packed.low,
            packed.high,
            to_ms(at),
            packed.payload,
        ),
    )
    if done.rowcount == 1:
        return True
    if digest_of(connection, packed.dataset, source, source_seq) == packed.digest:
        return False
    raise Conflict(f"{packed.dataset} batch {source} {source_seq} is stored with other content: give it a new number")


def digest_of(connection: sqlite3.Connection, dataset: str, source: str, source_seq: str) -> str:
    """Content digest of a stored batch, "" when there is none."""
    sql = "SELECT digest FROM inbox WHERE dataset = ? AND source = ? AND source_seq = ?"
    row = connection.execute(sql, (dataset, source, source_seq)).fetchone()
    return str(row[0]) if row else ""


def after(connection: sqlite3.Connection, dataset: str, seq: int, limit: int, *, unsealed: bool = False) -> list[Batch]:
    """Batches above ``seq`` that are still held, oldest first; ``unsealed``: only those not in the lake yet."""
    state = "sealed = 0" if unsealed else "payload IS NOT NULL"
    sql = (
        "SELECT seq, source, source_seq, rows, at, payload, size FROM inbox"
        f" WHERE dataset = ? AND seq > ? AND {state} ORDER BY seq LIMIT ?"
    )
    rows = connection.execute(sql, (dataset, seq, limit)).fetchall()
    return [Batch(s, dataset, source, n, count, from_ms(at), unpack(p, z)) for s, source, n, count, at, p, z in rows]
