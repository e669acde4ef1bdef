"""The list of lake files: which paths count, what each covers, since when a retired one waits for its removal."""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from storage.codec import to_ms
from storage.parquet import Written

_COLUMNS = (
    "path, dataset, month, bucket, level, first_seq, rows, bytes,"
    " meter_low, meter_high, low, high, sha256, run_id, state, at"
)
ALL_BUCKETS = -1


@dataclass(frozen=True, slots=True)
class LakeFile:
    """One file of the manifest. ``first_seq`` is its oldest inbox batch, which orders files by arrival; times in ms."""

    path: str
    dataset: str
    month: str
    bucket: int
    level: int
    first_seq: int
    rows: int
    bytes: int
    meter_low: int
    meter_high: int
    low: int
    high: int
    sha256: str
    run_id: str = ""
    state: str = "active"  # active | retired
    at: int = 0

    def overlaps(self, other: "LakeFile") -> bool:
        """Whether both may hold the same slot of the same meter."""
        if self.dataset != other.dataset or self.low > other.high or other.low > self.high:
            return False
        return self.meter_low <= other.meter_high and other.meter_low <= self.meter_high


def entry(written: Written, *, dataset: str, month: str, bucket: int, level: int, first_seq: int) -> LakeFile:
    """A manifest entry for a file that was just written."""
    return LakeFile(
        written.path,
        dataset,
        month,
        bucket,
        level,
        first_seq,
        written.rows,
        written.size,
        written.meter_low,
        written.meter_high,
        written.low,
        written.high,
        written.sha256,
    )


def active(connection: sqlite3.Connection, dataset: str = "", month: str = "") -> list[LakeFile]:
    """Files in view, by order of arrival; state snapshots only when asked for by name."""
    where, values = ["state = 'active'"], []
    if dataset:
        where.append("dataset = ?")
        values.append(dataset)
    if month:
        where.append("month = ?")
        values.append(month)
    sql = f"SELECT {_COLUMNS} FROM lake_file WHERE {' AND '.join(where)} ORDER BY dataset, month, first_seq, path"
    return [LakeFile(*row) for row in connection.execute(sql, values)]


def covering(
    connection: sqlite3.Connection, dataset: str, low: int, high: int, meters: tuple[int, int] | None = None
) -> list[LakeFile]:
    """Active files of a dataset that may hold times in [low, high] ms of meters in the given range."""
    sql = f"SELECT {_COLUMNS} FROM lake_file WHERE state = 'active' AND dataset = ? AND low <= ? AND high >= ?"
    values: list[object] = [dataset, high, low]
    if meters is not None:
        sql += " AND meter_low <= ? AND meter_high >= ?"
        values += [meters[1], meters[0]]
    return [LakeFile(*row) for row in connection.execute(sql + " ORDER BY first_seq, path", values)]


def replace(connection: sqlite3.Connection, new: Iterable[LakeFile], old: Iterable[LakeFile], at: datetime) -> None:
    """Bring ``new`` into view and retire ``old`` in the transaction at hand."""
    rows = [(*(getattr(f, n) for n in _COLUMNS.split(", ")[:-1]), to_ms(at)) for f in new]
    connection.executemany(f"INSERT INTO lake_file ({_COLUMNS}) VALUES ({','.join('?' * 16)})", rows)
    connection.executemany(
        "UPDATE lake_file SET state = 'retired', at = ? WHERE path = ?", [(to_ms(at), f.path) for f in old]
    )


def expired(connection: sqlite3.Connection, before: datetime) -> list[str]:
    """Paths that were retired before ``before``."""
    sql = "SELECT path FROM lake_file WHERE state = 'retired' AND at < ? ORDER BY path"
    return [str(path) for (path,) in connection.execute(sql, (to_ms(before),))]


def known(connection: sqlite3.Connection) -> set[str]:
    """Every path that the manifest names, in view or retired."""
    return {str(path) for (path,) in connection.execute("SELECT path FROM lake_file")}


def forget(connection: sqlite3.Connection, paths: Sequence[str]) -> None:
    """Strike paths whose files are gone."""
    connection.executemany("DELETE FROM lake_file WHERE path = ?", [(p,) for p in paths])
