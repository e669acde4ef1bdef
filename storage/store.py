"""A home directory in, the store out: one writer, many snapshots, the lake and the inbox behind one face.

Durability contract: when ``write`` returns or ``commit`` is awaited, everything in it is in one fsynced transaction.
"""

import asyncio
import re
import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, Self, TypeVar

import pyarrow as pa

from ingest.ports import Clock
from storage import ballast, batches, manifest, plane
from storage.codec import to_ms
from storage.errors import ReadOnly, StoreFailed
from storage.lake import Lake
from storage.lock import HomeLock
from storage.records import TableSpec
from storage.schemas import DATASETS, dataset
from storage.slots import Slots
from storage.state import STATE_FILE, Readers, connect, prepare
from storage.tables import Tables
from storage.unit import Reader, Unit
from storage.writer import Committer, InlineWriter, Priority, ThreadWriter, go_on

T = TypeVar("T")

LAKE = "lake"
CATALOG = "catalog.duckdb"

CRASH_POINTS = (
    "commit.before",
    "commit.after",
    "seal.start",
    "file.written",
    "file.synced",
    "file.renamed",
    "file.settled",
    "seal.before_commit",
    "seal.after_commit",
    "compact.start",
    "compact.before_commit",
    "compact.after_commit",
    "publish.start",
    "publish.before_commit",
    "publish.built",
    "publish.synced",
    "publish.replaced",
)
"""Names that ``crash_points`` is called with, in the order of a cycle."""


class Store:
    """State, lake and catalog of one home; see ``open``."""

    def __init__(self, home: Path, tables: Tables, *, clock: Clock, durable: bool) -> None:
        """Hold what every mode needs; use ``open``."""
        self.home = home
        self.tables = tables
        self.clock = clock
        self.durable = durable
        self.crash_points: Callable[[str], None] = go_on
        self._readers = Readers(home / STATE_FILE, tables)
        self._tails = {name: plane.Tail(source) for name, source in DATASETS.items()}
        self._slots = {name: Slots(self, home / LAKE, name) for name in ("reads", "intervals")}
        self._lock: HomeLock | None = None
        self._committer: Committer | None = None
        self._writer: ThreadWriter | InlineWriter | None = None
        self._files = 0
        self.lake = Lake(self, home / LAKE)

    @classmethod
    def open(
        cls,
        home: Path,
        tables: Sequence[TableSpec] = (),
        *,
        clock: Clock,
        writer: Literal["thread", "inline", "none"] = "thread",
        durable: bool = True,
    ) -> Self:
        """Open or make the home's store.

        "thread" writes in a thread of its own, "inline" in the caller's (the simulator); both take the home's lock
        (StoreLocked names the owner). "none" takes no lock and only reads, beside a running daemon. ``durable`` False
        skips every fsync. SchemaTooNew refuses a home of a newer prewatt.
        """
        store = cls(home, Tables(tables), clock=clock, durable=durable)
        if writer != "none":
            store._own(writer)
        return store

    def _own(self, writer: str) -> None:
        self.lake.root.mkdir(parents=True, exist_ok=True)
        self._lock = HomeLock(self.home)
        try:
            first = connect(self.home / STATE_FILE, durable=self.durable)
            try:
                prepare(first, self.tables, self.clock.now())
            finally:
                first.close()
            self._committer = Committer(self._connect, lambda link: Unit(link, self.tables))
            self._committer.crash = self.crash
            self._writer = ThreadWriter(self._committer) if writer == "thread" else InlineWriter(self._committer)
            self._files = max((_number(p) for p in self.read(lambda r: manifest.known(r.connection))), default=0)
            for orphan in self.lake.orphans():
                orphan.unlink()
            if self.durable:
                ballast.lay(self.home)
        except BaseException:
            self.close()
            raise

    def _connect(self) -> sqlite3.Connection:
        return connect(self.home / STATE_FILE, durable=self.durable)

    def crash(self, name: str) -> None:
        """Call the hook at a named step; tests kill there."""
        self.crash_points(name)

    def next_file(self) -> int:
        """A number that no lake file of this home has."""
        self._files += 1
        return self._files

    def write(self, priority: Priority, work: Callable[[Unit], T]) -> T:
        """Run ``work`` in one transaction of the one writer and return its result once it is on the disk.

        Whatever ``work`` raises rolls it back and is raised here. StoreFull and StoreFailed mean that nothing is
        acknowledged until ``recover``.
        """
        return self._own_writer().submit(priority, work).result()

    async def commit(self, priority: Priority, work: Callable[[Unit], T]) -> T:
        """``write``, awaited; with the inline writer it runs at once."""
        future = self._own_writer().submit(priority, work)
        return future.result() if future.done() else await asyncio.wrap_future(future)

    def read(self, work: Callable[[Reader], T]) -> T:
        """Run ``work`` on a snapshot of what is committed, on a read-only connection of its own."""
        return self._readers.run(work)

    @property
    def commits(self) -> int | None:
        """Rises with every commit: equal before two reads, both see the same. None without a writer: nobody knows."""
        return self._committer.commits if self._committer is not None else None

    def _own_writer(self) -> ThreadWriter | InlineWriter:
        if self._writer is None:
            raise ReadOnly(f"{self.home} was opened for reading: a writing command needs the lock, or the daemon")
        return self._writer

    @property
    def failure(self) -> StoreFailed | None:
        """Why nothing is acknowledged at the moment, or None."""
        return self._committer.failure if self._committer else None

    def recover(self) -> None:
        """After the disk was mended: give up the ballast, open a new handle, write a row, lay the ballast again.

        Raises what that write raises when the disk is not mended.
        """
        if self._committer is None:
            raise ReadOnly(f"{self.home} was opened for reading")
        ballast.drop(self.home)
        self._own_writer().pause(self._committer.reopen)
        self.write(Priority.MONEY, lambda unit: unit.connection.execute("UPDATE schema_version SET at = at").rowcount)
        ballast.lay(self.home)

    def reads(
        self, start: datetime, end: datetime, meter_ids: Sequence[int] | None = None, channel: int | None = None
    ) -> pa.Table:
        """Registers whose slots lie in [start, end), that is start < ``end`` <= end; each slot once, sorted."""
        return self._rows("reads", start, end, meter_ids, channel)

    def intervals(
        self, start: datetime, end: datetime, meter_ids: Sequence[int] | None = None, channel: int | None = 1
    ) -> pa.Table:
        """Intervals whose slots lie in [start, end), by default of the import channel; None = all channels."""
        return self._rows("intervals", start, end, meter_ids, channel)

    def charges(self, start: datetime, end: datetime, meter_ids: Sequence[int] | None = None) -> pa.Table:
        """Charges whose slots lie in [start, end)."""
        return self._rows("charges", start, end, meter_ids, None)

    def raw(self, start: datetime, end: datetime) -> pa.Table:
        """What came over the wire in [start, end), in order of time: source, at, frame, reason."""
        tick = timedelta(milliseconds=1)  # slots are named by their end, so spans are open at their start
        return self._rows("raw", start - tick, end - tick, None, None)

    def batches(self, name: str, after: int = 0, limit: int = 100) -> list[batches.Batch]:
        """Inbox batches of a dataset above ``after``, oldest first: for a consumer that misses and repeats nothing.

        A consumer commits ``Cursor(name, dataset, seq)`` with its results; batches above the lowest cursor keep their
        payload, sealed or not.
        """
        return self.read(lambda reader: batches.after(reader.connection, dataset(name).name, after, limit))

    def tail(self, name: str, reader: Reader) -> pa.Table:
        """The open batches of a dataset as ``reader``'s snapshot of committed state sees them."""
        return self._tails[name].refresh(reader.connection)

    def slots(self, name: str) -> Slots:
        """The index that tells new slots from stored ones, for "reads" or "intervals"."""
        return self._slots[name]

    def sources(
        self, name: str, start: datetime, end: datetime, span: tuple[int, int] | None
    ) -> tuple[list[manifest.LakeFile], pa.Table]:
        """Lake files that may hold slots in [start, end) of meters in ``span``, and all open batches, of one moment."""

        def snapshot(reader: Reader) -> tuple[list[manifest.LakeFile], pa.Table]:
            files = plane.covering(reader.connection, name, to_ms(start), to_ms(end), span)
            return files, self.tail(name, reader)

        return self.read(snapshot)

    def _rows(
        self, name: str, start: datetime, end: datetime, meter_ids: Sequence[int] | None, channel: int | None
    ) -> pa.Table:
        where, span = plane.window(dataset(name), to_ms(start), to_ms(end), meter_ids, channel)
        files, tail = self.sources(name, start, end, span)
        return plane.collect(self.lake.root, files, tail, name, where)

    def close(self) -> None:
        """Commit what waits, close every handle, give back the lock; a second call does nothing."""
        if self._writer is not None:
            self._writer.close()
        self._readers.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Self:
        """Use as a context that closes."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close."""
        self.close()


def _number(path: str) -> int:
    """The running number at the end of a lake file's name."""
    found = re.search(r"(\d+)\.parquet$", path)
    return int(found[1]) if found else 0
