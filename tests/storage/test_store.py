"""Opening a home: one owner, newer schemas refused, gained fields added, a reader beside the owner."""

import sqlite3
import subprocess
import sys
from dataclasses import make_dataclass
from datetime import datetime
from pathlib import Path

import pytest

from storage import ballast
from storage.errors import ReadOnly, SchemaTooNew, StoreLocked
from storage.records import Event, TableSpec
from storage.state import SCHEMA, STATE_FILE
from storage.store import Store
from storage.writer import Priority
from tests.storage.conftest import T0, StillClock


def test_a_second_owner_is_refused_and_told_the_pid(tmp_path: Path, clock: StillClock) -> None:
    root = Path(__file__).resolve().parents[2]
    script = (
        "import sys; from pathlib import Path; from storage.store import Store;"
        "from tests.storage.conftest import StillClock; s = Store.open(Path(sys.argv[1]), clock=StillClock());"
        "print('open', flush=True); sys.stdin.read()"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"open\n"
    with pytest.raises(StoreLocked, match=f"process {owner.pid}") as refused:
        Store.open(tmp_path, clock=clock)
    assert refused.value.pid == owner.pid
    owner.kill()
    owner.communicate()
    Store.open(tmp_path, clock=clock).close()


def test_a_reader_works_beside_the_owner(tmp_path: Path, clock: StillClock) -> None:
    with Store.open(tmp_path, clock=clock, durable=False) as owner:
        reader = Store.open(tmp_path, clock=clock, writer="none")
        owner.write(Priority.BATCH, lambda u: u.event("x", T0))
        assert reader.read(lambda r: r.count(Event)) == 1
        with pytest.raises(ReadOnly):
            reader.write(Priority.BATCH, lambda u: u.event("y", T0))
        with pytest.raises(ReadOnly):
            reader.recover()
        reader.close()


def test_a_newer_schema_is_refused_with_exit_78_and_untouched(tmp_path: Path, clock: StillClock) -> None:
    Store.open(tmp_path, clock=clock).close()
    link = sqlite3.connect(tmp_path / STATE_FILE)
    link.execute("INSERT INTO schema_version VALUES (?, 0)", (SCHEMA + 1,))
    link.commit()
    link.close()
    before = (tmp_path / STATE_FILE).read_bytes()
    with pytest.raises(SchemaTooNew, match=f"schema {SCHEMA + 1}") as refused:
        Store.open(tmp_path, clock=clock)
    assert refused.value.exit_code == 78
    assert (tmp_path / STATE_FILE).read_bytes() == before
    with pytest.raises(SchemaTooNew):
        Store.open(tmp_path, clock=clock)  # the lock was given back


def test_a_field_that_a_record_gained_is_added_with_its_default(tmp_path: Path, clock: StillClock) -> None:
    options = {"frozen": True, "slots": True}
    old = make_dataclass("Thing", [("key", str), ("size", int)], **options)
    new = make_dataclass(
        "Thing",
        [("key", str), ("size", int), ("word", str, "it's"), ("at", datetime | None, None), ("n", int, 7)],
        **options,
    )
    with Store.open(tmp_path, (TableSpec("thing", old, ("key",)),), clock=clock) as store:
        store.write(Priority.BATCH, lambda u: u.add(old("a", 1)))
    with Store.open(tmp_path, (TableSpec("thing", new, ("key",), indexes=(("word",),)),), clock=clock) as store:
        assert store.read(lambda r: r.get(new, "a")) == new("a", 1)
        store.write(Priority.BATCH, lambda u: u.add(new("b", 2, "w", T0, 3)))
        assert store.read(lambda r: r.find(new, word="w")) == [new("b", 2, "w", T0, 3)]


def test_the_owner_writes_with_full_synchronous_and_wal(tmp_path: Path, clock: StillClock) -> None:
    with Store.open(tmp_path, clock=clock) as store:
        link = store._committer._connection  # type: ignore[union-attr]
        assert link is not None
        assert link.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert link.execute("PRAGMA synchronous").fetchone() == (2,)
        assert (tmp_path / ballast.BALLAST_FILE).stat().st_size == ballast.BALLAST_BYTES


def test_a_readers_connection_cannot_write(store: Store) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        store.read(lambda r: r.connection.execute("DELETE FROM inbox"))


def test_the_ballast_is_laid_and_given_up(tmp_path: Path) -> None:
    assert ballast.lay(tmp_path, 3 << 20)
    assert (tmp_path / "ballast").stat().st_size == 3 << 20
    assert ballast.lay(tmp_path, 3 << 20)
    assert ballast.drop(tmp_path)
    assert not ballast.drop(tmp_path)
