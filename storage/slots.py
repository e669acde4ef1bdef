"""Slots of meters in, what is stored under them out: the look-up that tells a new read from a repeated one.

A head is the last slot stored of one meter and channel. Whatever lies above its head is new without a look; only the
rest is looked up in the lake and in the open batches.
"""

import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from storage import manifest, parquet, plane
from storage.batches import unpack
from storage.follow import Follower
from storage.judge import Held, Slot
from storage.merge import rank_of
from storage.ports import Home
from storage.schemas import dataset
from storage.unit import Reader

HEAD_DAYS = 62
"""Heads are loaded from files that reach this far back from the newest; older meters are looked up."""
_DAY_MS = 86_400_000


class Slots:
    """Heads and look-ups of one dataset (reads or intervals)."""

    def __init__(self, home: Home, root: Path, name: str) -> None:
        """Load nothing yet."""
        self._home = home
        self._root = root
        self._source = dataset(name)
        self._heads: dict[tuple[int, int], int] = {}
        self._floor = 0
        self._follower = Follower(name)
        self.lock = threading.Lock()

    def refresh(self, connection: sqlite3.Connection) -> None:
        """Bring the heads up to what ``connection`` sees."""
        news = self._follower.news(connection)
        if news is None:
            self._load(connection)
            return
        for table in news:
            self._raise(table)

    def took(self, connection: sqlite3.Connection, digest: str, slots: Iterable[Slot]) -> None:
        """Count the batch just inserted in this transaction, right after ``refresh``, without reading it again."""
        heads = self._heads
        for meter, channel, end in slots:
            if end > heads.get((meter, channel), -1):
                heads[meter, channel] = end
        self._follower.saw(int(connection.execute("SELECT last_insert_rowid()").fetchone()[0]), digest)

    def suspects(self, slots: Iterable[Slot]) -> set[Slot]:
        """Those that may be stored already."""
        heads, floor = self._heads, self._floor
        return {s for s in slots if s[2] <= heads.get((s[0], s[1]), floor)}

    def held(self, slots: set[Slot]) -> tuple[dict[Slot, Held], int]:
        """What is stored under ``slots`` as committed, with the number of the newest batch looked at."""
        name = self._source.name
        low, high = min(s[2] for s in slots) - 1, max(s[2] for s in slots)
        where, span = plane.window(self._source, low, high, sorted({s[0] for s in slots}), None)

        def snapshot(reader: Reader) -> tuple[list[manifest.LakeFile], pa.Table, int]:
            files = plane.covering(reader.connection, name, low, high, span)
            return files, self._home.tail(name, reader), _last(reader.connection)

        files, tail, upto = self._home.read(snapshot)
        found: dict[Slot, Held] = {}
        self._overlay(found, plane.collect(self._root, files, tail, name, where), slots)
        return found, upto

    def newer(self, connection: sqlite3.Connection, found: dict[Slot, Held], slots: set[Slot], upto: int) -> None:
        """Lay over ``found`` what batches above ``upto`` hold, as the transaction at hand sees them."""
        sql = (
            "SELECT payload, size FROM inbox WHERE seq > ? AND dataset = ? AND low <= ? AND high >= ?"
            " AND payload IS NOT NULL ORDER BY seq"
        )
        ends = [s[2] for s in slots]
        rows = connection.execute(sql, (upto, self._source.name, max(ends), min(ends)))
        for payload, size in rows.fetchall():
            self._overlay(found, unpack(payload, size), slots)

    def _overlay(self, found: dict[Slot, Held], table: pa.Table, slots: set[Slot]) -> None:
        ends = table.column("end").cast(pa.int64()).to_pylist()
        keys = zip(table.column("meter_id").to_pylist(), table.column("channel").to_pylist(), ends, strict=True)
        values = table.column(self._source.value).to_pylist()
        for key, value, flags in zip(keys, values, table.column("flags").to_pylist(), strict=True):
            if key in slots:
                rank = rank_of(flags)
                there = found.get(key)
                if there is None or rank > there[1] or (rank == there[1] and not self._source.first):
                    found[key] = (value, rank)

    def _load(self, connection: sqlite3.Connection) -> None:
        self._heads = {}
        files = manifest.active(connection, self._source.name)
        newest = max((f.high for f in files), default=0)
        recent = [f for f in files if f.high > newest - HEAD_DAYS * _DAY_MS]
        self._floor = max((f.high for f in files if f.high <= newest - HEAD_DAYS * _DAY_MS), default=0)
        for file in recent:
            columns = ["meter_id", "channel", "end"]
            self._raise(parquet.read(self._root / file.path, columns=columns))
        sql = "SELECT payload, size FROM inbox WHERE dataset = ? AND sealed = 0 ORDER BY seq"
        for payload, size in connection.execute(sql, (self._source.name,)).fetchall():
            self._raise(unpack(payload, size))
        self._follower.restart(connection)

    def _raise(self, table: pa.Table) -> None:
        """Lift the heads to the last slot of each meter and channel in ``table``."""
        if not table.num_rows:
            return
        grouped = table.group_by(["meter_id", "channel"]).aggregate([("end", "max")])
        ends = pc.cast(grouped.column("end_max"), pa.int64()).to_pylist()
        heads = self._heads
        keys = zip(grouped.column("meter_id").to_pylist(), grouped.column("channel").to_pylist(), strict=True)
        for key, end in zip(keys, ends, strict=True):
            if end > heads.get(key, -1):
                heads[key] = end


def _last(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT max(seq) FROM inbox").fetchone()[0] or 0)
