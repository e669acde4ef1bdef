"""The one writer: money first, groups in one commit, failures told apart, a full disk stops acknowledgement."""

import asyncio
import resource
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from storage import writer as writer_module
from storage.errors import StorageError, StoreFailed, StoreFull
from storage.records import Event
from storage.store import Store
from storage.writer import Priority
from tests.storage.conftest import T0, StillClock


@pytest.fixture
def threaded(tmp_path: Path, clock: StillClock):  # type: ignore[no-untyped-def]
    with Store.open(tmp_path / "home", clock=clock, writer="thread", durable=False) as store:
        yield store


def test_money_goes_before_what_waited_longer(threaded: Store) -> None:
    """While the writer is busy, jobs of every priority queue up; they run by priority, then by age."""
    started, go = threading.Event(), threading.Event()
    order: list[str] = []

    def block(unit: object) -> None:
        started.set()
        go.wait(10)

    def work(name: str):  # type: ignore[no-untyped-def]
        return lambda unit: order.append(name)

    writer = threaded._own_writer()
    first = writer.submit(Priority.BATCH, block)
    assert started.wait(10)
    kinds = (Priority.BATCH, Priority.INBOX, Priority.COMMAND, Priority.MONEY, Priority.MONEY)
    waiting = [writer.submit(p, work(f"{p.name}{n}")) for n, p in enumerate(kinds)]
    go.set()
    for future in (first, *waiting):
        future.result(10)
    assert order == ["MONEY3", "MONEY4", "COMMAND2", "INBOX1", "BATCH0"]


def test_a_group_is_one_commit_and_one_bad_job_harms_no_other(threaded: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "GROUP_S", 60.0)  # a slow machine must not cut the group in two
    commits: list[str] = []
    threaded.crash_points = lambda name: commits.append(name) if name == "commit.before" else None
    started, go = threading.Event(), threading.Event()

    def block(unit: object) -> None:
        started.set()
        go.wait(10)

    def bad(unit) -> None:  # type: ignore[no-untyped-def]
        unit.event("bad", T0)
        raise ValueError("mine alone")

    writer = threaded._own_writer()
    first = writer.submit(Priority.BATCH, block)
    assert started.wait(10)
    good = [writer.submit(Priority.MONEY, lambda u, n=n: u.event(f"e{n}", T0)) for n in range(20)]
    wrong = writer.submit(Priority.MONEY, bad)
    go.set()
    assert [f.result(10).seq for f in good] == list(range(1, 21))
    with pytest.raises(ValueError, match="mine alone"):
        wrong.result(10)
    first.result(10)
    assert len(commits) == 2
    assert threaded.read(lambda r: r.count(Event, code="bad")) == 0


def test_commit_is_awaited_alike_by_both_writers(any_store: Store) -> None:
    async def many() -> list[int]:
        work = [any_store.commit(Priority.INBOX, lambda u: u.event("x", T0).seq) for _ in range(30)]
        return sorted(await asyncio.gather(*work))

    assert asyncio.run(many()) == list(range(1, 31))


def test_an_abandoned_commit_harms_nobody(threaded: Store) -> None:
    async def impatient() -> None:
        task = asyncio.ensure_future(threaded.commit(Priority.MONEY, lambda u: u.event("x", T0)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(impatient())
    assert threaded.write(Priority.MONEY, lambda u: u.event("y", T0)).code == "y"


def test_a_closed_store_takes_nothing(tmp_path: Path, clock: StillClock) -> None:
    store = Store.open(tmp_path, clock=clock, durable=False)
    store.close()
    store.close()
    with pytest.raises(StorageError, match="closed"):
        store.write(Priority.MONEY, lambda u: u.event("x", T0))
    with pytest.raises(StorageError, match="closed"):
        store.read(lambda r: r.count(Event))


def test_close_commits_what_waits(tmp_path: Path, clock: StillClock) -> None:
    store = Store.open(tmp_path, clock=clock, durable=False)
    waiting = [store._own_writer().submit(Priority.BATCH, lambda u: u.event("x", T0)) for _ in range(50)]
    store.close()
    assert all(f.result(0).seq for f in waiting)


def test_a_full_disk_stops_acknowledgement_until_recovery(any_store: Store) -> None:
    """SQLite itself reports no room (max_page_count): nothing half-written stays, reads go on, recovery opens anew."""
    any_store.write(Priority.BATCH, lambda u: u.event("before", T0))
    handle = any_store._committer._connection  # type: ignore[union-attr]

    def fill(unit) -> None:  # type: ignore[no-untyped-def]
        pages = unit.connection.execute("PRAGMA page_count").fetchone()[0]
        unit.connection.execute(f"PRAGMA max_page_count = {pages + 4}")
        for n in range(1000):
            unit.event("x" * 1000, T0, word=str(n))

    with pytest.raises(StoreFull, match="nothing of this was acknowledged"):
        any_store.write(Priority.INBOX, fill)
    assert isinstance(any_store.failure, StoreFull)
    with pytest.raises(StoreFull):
        any_store.write(Priority.MONEY, lambda u: u.event("after", T0))
    assert any_store.read(lambda r: r.count(Event)) == 1
    any_store.recover()
    assert any_store.failure is None
    assert any_store._committer._connection is not handle  # type: ignore[union-attr]
    assert any_store.write(Priority.MONEY, lambda u: u.event("after", T0)).seq == 2


def test_an_io_error_at_commit_never_uses_the_handle_again(any_store: Store) -> None:
    """The error of a failed fsync comes out of COMMIT; the group is not acknowledged and the handle is gone."""

    class Failing:
        def __init__(self, real: sqlite3.Connection) -> None:
            self.real = real
            self.statements: list[str] = []
            self.in_transaction = True

        def execute(self, sql: str, *values: object) -> sqlite3.Cursor:
            self.statements.append(sql)
            if sql == "COMMIT":
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = sqlite3.SQLITE_IOERR | (4 << 8)  # type: ignore[misc]
                raise error
            return self.real.execute(sql, *values)

        def close(self) -> None:
            self.statements.append("closed")
            self.real.close()

    failing = Failing(any_store._committer._connection)  # type: ignore[union-attr,arg-type]
    any_store._committer._connection = failing  # type: ignore[union-attr,assignment]
    with pytest.raises(StoreFailed, match="disk failed"):
        any_store.write(Priority.MONEY, lambda u: u.event("x", T0))
    with pytest.raises(StoreFailed):
        any_store.write(Priority.MONEY, lambda u: u.event("x", T0))
    assert failing.statements.count("COMMIT") == 1
    assert failing.statements[-1] == "closed"
    any_store.recover()
    assert any_store.read(lambda r: r.count(Event)) == 0


SCRIPT = """
import resource, sys
from pathlib import Path
from tests.storage.conftest import StillClock, T0
from storage.store import Store
from storage.errors import StoreFailed
from storage.writer import Priority
store = Store.open(Path(sys.argv[1]), clock=StillClock())
done = 0
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
try:
    while done < 5000:
        store.write(Priority.INBOX, lambda u: u.event("x" * 2000, T0))
        done += 1
except StoreFailed:
    print(done, store.read(lambda r: r.count(__import__("storage.records").records.Event)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.getrlimit(resource.RLIMIT_FSIZE)[1],) * 2)
    store.recover()
    store.write(Priority.INBOX, lambda u: u.event("again", T0))
    print("recovered", (store.home / "ballast").stat().st_size)
"""


@pytest.mark.kill
def test_a_file_that_cannot_grow_loses_nothing_acknowledged(tmp_path: Path, clock: StillClock) -> None:
    """A real write error from the kernel (file size limit), in a process of its own."""
    assert resource.RLIM_INFINITY in resource.getrlimit(resource.RLIMIT_FSIZE)
    root = Path(__file__).resolve().parents[2]
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "h")], cwd=root, capture_output=True, text=True, timeout=120
    )
    lines = run.stdout.split("\n")
    assert lines[1] == f"recovered {16 << 20}", run.stderr
    acknowledged, there = map(int, lines[0].split())
    assert 0 < acknowledged <= there
    with Store.open(tmp_path / "h", clock=clock) as store:
        assert store.read(lambda r: r.count(Event, code__ne="again")) >= acknowledged
        assert store.read(lambda r: r.count(Event, code="again")) == 1
