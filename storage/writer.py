"""Work with a priority in, committed results out: the one connection (and thread) that writes.

Jobs wait in a queue by priority (money, commands, inbox, batch). The writer takes the first, then those of the same
priority that wait, each in its own savepoint, and commits the group once; a batch job is a slice already and gets a
commit to itself. Nobody hears of success before that commit is on the disk. A job that raises is rolled back alone.
When the disk refuses, the handle is closed and never used again.
"""

import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, TypeVar

from storage import ledger
from storage.errors import NestedWrite, StorageError, StoreFailed, StoreFull
from storage.unit import Unit

T = TypeVar("T")

GROUP_LIMIT = 256
"""Most jobs of one commit."""
GROUP_S = 0.02
"""A commit takes no further job when its first is this old."""

_FULL = {sqlite3.SQLITE_FULL}
_BROKEN = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}


class Priority(IntEnum):
    """Who goes first at the one writer."""

    MONEY = 0
    COMMAND = 1
    INBOX = 2
    BATCH = 3


@dataclass(order=True, slots=True)
class _Job:
    priority: int
    number: int
    work: Callable[[Unit], Any] = field(compare=False)
    future: "Future[Any]" = field(compare=False)


def disk_fault(error: BaseException) -> StoreFailed | None:
    """The failure that stops the writer, when ``error`` is one of the disk's; None for anything else."""
    if not isinstance(error, sqlite3.Error):
        return None
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _FULL:
        return StoreFull(f"no room on the disk ({error}): free some, then recover; nothing of this was acknowledged")
    if code in _BROKEN:
        return StoreFailed(f"the disk failed ({error}): check it, then recover; nothing of this was acknowledged")
    return None


class Committer:
    """Runs groups of jobs on one connection, one transaction each; the single place where state is committed."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], unit: Callable[[sqlite3.Connection], Unit]) -> None:
        """Take how to open the writing connection; ``crash`` is the hook at the named steps of a commit."""
        self._connect = connect
        self._unit = unit
        self._connection: sqlite3.Connection | None = connect()
        self.crash: Callable[[str], None] = go_on
        self.failure: StoreFailed | None = None
        self.commits = 0
        """Groups run so far, failed ones too; it rises after what they wrote is in view."""

    def run(self, first: _Job, more: Callable[[], _Job | None] | None = None) -> None:
        """Run ``first``, then what ``more`` gives, commit once, then tell each job its result.

        Without ``more`` the job has the transaction to itself and needs no savepoint, which costs a large slice dear.
        """
        taken = [first]
        results: list[tuple[Any, BaseException | None]] = []
        try:
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            if more is None:
                results.append((first.work(self._unit(connection)), None))
            else:
                results.append(self._try(connection, first))
                while (job := more()) is not None:
                    taken.append(job)
                    results.append(self._try(connection, job))
            ledger.assert_zero(connection)
            self.crash("commit.before")
            connection.execute("COMMIT")
            self.crash("commit.after")
        except BaseException as error:
            self._fail(error, taken)
            return
        finally:
            self.commits += 1
        for job, (value, fault) in zip(taken, results, strict=True):
            if fault is not None:
                job.future.set_exception(fault)
            else:
                job.future.set_result(value)

    def _open(self) -> sqlite3.Connection:
        if self.failure is not None:
            raise self.failure
        if self._connection is None:
            raise StoreFailed("the store is closed")
        return self._connection

    def _try(self, connection: sqlite3.Connection, job: _Job) -> tuple[Any, BaseException | None]:
        connection.execute("SAVEPOINT job")
        try:
            value = job.work(self._unit(connection))
        except BaseException as error:
            if disk_fault(error) or not connection.in_transaction:
                raise
            connection.execute("ROLLBACK TO job")
            connection.execute("RELEASE job")
            return None, error
        connection.execute("RELEASE job")
        return value, None

    def _fail(self, error: BaseException, jobs: list[_Job]) -> None:
        fault = disk_fault(error)
        if fault is not None:
            self.failure = fault
            self.close()
        elif self._connection is not None and self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        for job in jobs:
            if not job.future.done():
                job.future.set_exception(fault or error)

    def reopen(self) -> None:
        """Open a new handle after a failure; the old one is gone for good."""
        self.close()
        self._connection = self._connect()
        self.failure = None

    def close(self) -> None:
        """Close the handle; never raises for a handle that is broken already."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error:
                self.failure = self.failure or StoreFailed("the state file did not close cleanly: run verify")


class InlineWriter:
    """Runs each job at once in the caller's thread: for the simulator, whose order of events must be its own."""

    def __init__(self, committer: Committer) -> None:
        """Take the committer."""
        self._committer = committer
        self._lock = threading.Lock()
        self._owner = 0

    def submit(self, priority: Priority, work: Callable[[Unit], T]) -> "Future[T]":
        """Commit one job now and return its done future."""
        future: Future[T] = Future()
        if self._owner == threading.get_ident():
            raise NestedWrite("a write inside a write: use the unit at hand")
        with self._lock:
            self._owner = threading.get_ident()
            try:
                self._committer.run(_Job(priority, 0, work, future))
            finally:
                self._owner = 0
        return future

    def pause(self, work: Callable[[], T]) -> T:
        """Run ``work`` while nothing is written."""
        with self._lock:
            return work()

    def close(self) -> None:
        """Close the handle."""
        self._committer.close()


class ThreadWriter:
    """Runs jobs in one thread by priority, several of one priority in one commit."""

    def __init__(self, committer: Committer) -> None:
        """Start the thread."""
        self._committer = committer
        self._queue: queue.PriorityQueue[_Job] = queue.PriorityQueue()
        self._numbers = iter(range(1 << 62))
        self._lock = threading.Lock()
        self._open = True
        self._held = threading.Lock()
        self._thread = threading.Thread(target=self._loop, name="prewatt-writer", daemon=True)
        self._thread.start()

    def submit(self, priority: Priority, work: Callable[[Unit], T]) -> "Future[T]":
        """Queue one job; its future is done when the commit is on the disk, or has failed."""
        if threading.current_thread() is self._thread:
            raise NestedWrite("a write inside a write: use the unit at hand")
        future: Future[T] = Future()
        with self._lock:
            if not self._open:
                raise StorageError("the store is closed")
            self._queue.put(_Job(int(priority), next(self._numbers), work, future))
        return future

    def pause(self, work: Callable[[], T]) -> T:
        """Run ``work`` while nothing is written."""
        with self._held:
            return work()

    def close(self) -> None:
        """Commit what waits, then stop the thread and close the handle."""
        with self._lock:
            if not self._open:
                return
            self._open = False
            self._queue.put(_Job(1 << 30, next(self._numbers), _nothing, Future()))
        self._thread.join()
        self._committer.close()

    def _loop(self) -> None:
        while True:
            first = self._queue.get()
            if first.work is _nothing:
                return
            if first.future.set_running_or_notify_cancel():
                with self._held:
                    alone = first.priority >= Priority.BATCH
                    self._committer.run(first, None if alone else self._same(first.priority))

    def _same(self, priority: int) -> Callable[[], _Job | None]:
        """Gives waiting jobs of the same priority until the group is large or old, or something more urgent waits."""
        until = time.monotonic() + GROUP_S
        left = GROUP_LIMIT - 1

        def more() -> _Job | None:
            nonlocal left
            while left > 0 and time.monotonic() < until:
                try:
                    job = self._queue.get_nowait()
                except queue.Empty:
                    return None
                if job.priority != priority:
                    self._queue.put(job)
                    return None
                left -= 1
                if job.future.set_running_or_notify_cancel():
                    return job
            return None

        return more


def go_on(name: str) -> None:
    """The crash hook of production: nothing happens."""


def _nothing(unit: Unit) -> None:
    """The job that ends the loop."""
