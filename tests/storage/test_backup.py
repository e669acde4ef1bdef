"""The restore drill: back up a living store, lose the home, restore, and everything is equal."""

import shutil
import threading
import time
from pathlib import Path

import pytest

from storage.backup import backup, restore
from storage.errors import LakeDamaged, StorageError
from storage.records import Event, Posting
from storage.schemas import reads_table
from storage.store import Store
from storage.verify import verify
from storage.writer import Priority
from tests.storage.conftest import HOUR, T0, StillClock, read


def fill(store: Store, number: int) -> None:
    table = reads_table([read(number + 1, number, meter=m) for m in (1, 2)])
    leg = Posting("payment", f"p{number}", "customer:A1", 10, "CNY", T0, T0)
    back = Posting("payment", f"p{number}", "cash:x", -10, "CNY", T0, T0)
    store.write(Priority.INBOX, lambda u: u.append_batch("reads", "g", str(number), table, T0))
    store.write(Priority.MONEY, lambda u: u.post([leg, back]))
    store.write(Priority.BATCH, lambda u: u.audit("op", "x", str(number), {}, T0))


def content(store: Store) -> tuple[object, ...]:
    return (
        store.reads(T0, T0 + 1000 * HOUR).to_pylist(),
        store.read(lambda r: (r.balances(""), r.ledger_sum(), r.find(Posting))),
    )


def test_a_restored_home_is_equal_and_verifies(tmp_path: Path, clock: StillClock) -> None:
    home, copy = tmp_path / "home", tmp_path / "copy"
    with Store.open(_made(home), clock=clock) as store:
        for n in range(6):
            fill(store, n)
            if n == 3:
                store.lake.seal(T0)
        assert backup(store, copy) == 1
        before = content(store)
    shutil.rmtree(home)
    found = restore(copy, home, (), clock=clock)
    assert found.ok
    assert found.files == 1
    with Store.open(home, clock=clock) as store:
        assert content(store) == before
        fill(store, 7)


def test_a_backup_beside_a_busy_writer_ends_and_is_consistent(tmp_path: Path, clock: StillClock) -> None:
    with Store.open(_made(tmp_path / "home"), clock=clock) as store:
        for n in range(3):
            fill(store, n)
        stop = threading.Event()

        def busy() -> None:
            while not stop.is_set():
                store.write(Priority.BATCH, lambda u: u.event("x" * 500, T0))

        writer = threading.Thread(target=busy)
        writer.start()
        while not store.read(lambda r: r.count(Event)):
            time.sleep(0.01)
        backup(store, tmp_path / "copy")
        stop.set()
        writer.join()
    assert restore(tmp_path / "copy", tmp_path / "again", (), clock=clock).ok
    with Store.open(tmp_path / "again", clock=clock) as store:
        assert store.read(lambda r: r.count(Event)) > 0


def test_a_damaged_file_is_found_and_never_passes_as_a_backup(tmp_path: Path, clock: StillClock) -> None:
    with Store.open(_made(tmp_path / "home"), clock=clock) as store:
        fill(store, 1)
        store.lake.seal(T0)
        path = store.lake.root / store.lake.files("reads")[0].path
        good = path.read_bytes()
        path.write_bytes(good[:-9] + b"X" + good[-8:])
        assert [f.split(" ", 1)[1] for f in verify(store).lake] == [
            "differs from what was written: restore it from a backup"
        ]
        assert verify(store, deep=False).ok
        with pytest.raises(LakeDamaged, match="differs"):
            backup(store, tmp_path / "copy")
        path.write_bytes(good[:-1])
        assert "bytes" in verify(store, deep=False).lake[0]
        path.unlink()
        assert "is missing" in verify(store).lake[0]


def test_a_damaged_backup_does_not_restore_silently(tmp_path: Path, clock: StillClock) -> None:
    with Store.open(_made(tmp_path / "home"), clock=clock) as store:
        fill(store, 1)
        store.lake.seal(T0)
        backup(store, tmp_path / "copy")
    (file,) = (tmp_path / "copy" / "lake").rglob("*.parquet")
    file.write_bytes(file.read_bytes()[:-9] + b"X" + file.read_bytes()[-8:])
    with pytest.raises(LakeDamaged, match="does not verify"):
        restore(tmp_path / "copy", tmp_path / "again", (), clock=clock)


def test_nothing_is_overwritten(tmp_path: Path, clock: StillClock) -> None:
    with Store.open(_made(tmp_path / "home"), clock=clock) as store, pytest.raises(StorageError, match="not empty"):
        backup(store, tmp_path / "home")
    with pytest.raises(StorageError, match="not empty"):
        restore(tmp_path / "home", tmp_path / "home", (), clock=clock)
    with pytest.raises(StorageError, match=r"no state\.db"):
        restore(tmp_path, tmp_path / "new", (), clock=clock)


def _made(path: Path) -> Path:
    path.mkdir()
    return path
