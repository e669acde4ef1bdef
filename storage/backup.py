"""A running store in, a copy that can be checked and restored out.

The state file is copied online in one step (small steps beside a writer never end); the lake files that this copy's
manifest names follow, which are whole and stay a day even when a compaction retires them meanwhile.
"""

import os
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from ingest.ports import Clock
from storage import manifest
from storage.errors import LakeDamaged, StorageError
from storage.manifest import LakeFile
from storage.records import TableSpec
from storage.state import STATE_FILE
from storage.store import LAKE, Store
from storage.verify import Verification, integrity, lake_faults, verify


def backup(store: Store, target: Path) -> int:
    """Copy the store to an empty or new directory while it runs; returns how many lake files went along.

    LakeDamaged when a file in view is missing or differs: then the copy is not one.
    """
    _empty(target)
    target.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(target / STATE_FILE)) as copy:
        store.read(lambda reader: _copy_state(reader.connection, copy))
        files = manifest.active(copy)
        faults = integrity(copy)
    for file in files:
        place = target / LAKE / file.path
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(store.lake.root / file.path, place)
        _sync(place)
    _sync(target / STATE_FILE)
    faults += lake_faults(target / LAKE, files, deep=True)
    if faults:
        raise LakeDamaged("the backup is not sound: " + "; ".join(faults[:5]))
    return len(files)


def restore(source: Path, home: Path, tables: Sequence[TableSpec], *, clock: Clock) -> Verification:
    """Bring a backup back into an empty or new home and verify it; the caller publishes a new catalog afterwards.

    LakeDamaged, with the faults, when the result does not verify.
    """
    if not (source / STATE_FILE).is_file():
        raise StorageError(f"{source} holds no {STATE_FILE}: name the directory of a backup")
    _empty(home)
    home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / STATE_FILE, home / STATE_FILE)
    with closing(sqlite3.connect(home / STATE_FILE)) as copy:
        files: list[LakeFile] = manifest.active(copy)
    for file in files:
        place = home / LAKE / file.path
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / LAKE / file.path, place)
        _sync(place)
    _sync(home / STATE_FILE)
    with Store.open(home, tables, clock=clock) as store:
        found = verify(store)
    if not found.ok:
        faults = (*found.state, *found.chain, *found.ledger, *found.lake)
        raise LakeDamaged("the restored home does not verify: " + "; ".join(faults[:5]))
    return found


def _copy_state(source: sqlite3.Connection, copy: sqlite3.Connection) -> None:
    """One step, inside the reader's snapshot; retired files are struck, because they are not copied."""
    source.backup(copy, pages=-1)
    copy.execute("DELETE FROM lake_file WHERE state <> 'active'")
    copy.commit()


def _empty(path: Path) -> None:
    if path.exists() and any(path.iterdir()):
        raise StorageError(f"{path} is not empty: choose a new directory")


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
