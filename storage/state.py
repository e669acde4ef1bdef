"""A home's path in, connections to its state file out: schema made or brought forward, a newer one refused."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from storage.codec import to_ms
from storage.errors import SchemaTooNew, StorageError
from storage.tables import Tables
from storage.unit import Reader

T = TypeVar("T")

SCHEMA = 1
"""Version of the state file's schema; a file with a higher one is refused."""
STATE_FILE = "state.db"
CHECKPOINT_PAGES = 4_000
STATEMENTS = 512
IDLE_READERS = 8
BUSY_S = 10.0


def connect(path: Path, *, durable: bool, read_only: bool = False) -> sqlite3.Connection:
    """One connection in autocommit mode; the writer's flushes every commit when ``durable``."""
    source = f"{path.resolve().as_uri()}?mode={'ro' if read_only else 'rwc'}"
    link = sqlite3.connect(
        source,
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=STATEMENTS,
        timeout=BUSY_S,
    )
    if read_only:
        link.execute("PRAGMA query_only = 1")
        return link
    link.execute("PRAGMA journal_mode = WAL")
    link.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
    link.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    link.execute("PRAGMA foreign_keys = 1")
    return link


def version(connection: sqlite3.Connection) -> int:
    """The schema version of a state file, 0 for an empty one."""
    there = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'").fetchone()
    return int(connection.execute("SELECT max(version) FROM schema_version").fetchone()[0] or 0) if there else 0


def prepare(connection: sqlite3.Connection, tables: Tables, now: datetime) -> None:
    """Make the schema, or add what records gained since; all in one transaction. SchemaTooNew changes nothing."""
    found = version(connection)
    if found > SCHEMA:
        raise SchemaTooNew(f"this home has schema {found}, this prewatt knows {SCHEMA}: install the newer prewatt")
    connection.execute("BEGIN IMMEDIATE")
    try:
        for stored in tables.stored.values():
            present = [row[1] for row in connection.execute(f'PRAGMA table_info("{stored.spec.name}")')]
            for statement in stored.missing(present) if present else ():
                connection.execute(statement)
        for statement in tables.ddl():
            connection.execute(statement)
        if found < SCHEMA:
            connection.execute("INSERT INTO schema_version VALUES (?, ?)", (SCHEMA, to_ms(now)))
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


class Readers:
    """Read-only connections, lent one at a time; each read is one snapshot that ends with it."""

    def __init__(self, path: Path, tables: Tables) -> None:
        """Open nothing yet."""
        self._path = path
        self._tables = tables
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._open = True

    def run(self, work: Callable[[Reader], T]) -> T:
        """Give ``work`` a snapshot; whatever it raises, the snapshot ends."""
        connection = self._take()
        try:
            connection.execute("BEGIN")
            return work(Reader(connection, self._tables))
        finally:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            self._give(connection)

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if not self._open:
                raise StorageError("the store is closed")
            if self._idle:
                return self._idle.pop()
        return connect(self._path, durable=False, read_only=True)

    def _give(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            if self._open and len(self._idle) < IDLE_READERS and not connection.in_transaction:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close what is idle; a read under way closes its own."""
        with self._lock:
            self._open = False
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
