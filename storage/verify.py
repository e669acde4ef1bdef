"""A store in, what is wrong with it out: the audit chain, the ledger from its postings, the lake from its checksums."""

import hashlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from storage import audit, ledger, manifest
from storage.manifest import LakeFile
from storage.records import AuditRow
from storage.store import Store
from storage.unit import Reader


@dataclass(frozen=True, slots=True)
class Verification:
    """Faults found, in words; empty tuples are good news."""

    state: tuple[str, ...]
    chain: tuple[str, ...]
    ledger: tuple[str, ...]
    lake: tuple[str, ...]
    files: int

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.state or self.chain or self.ledger or self.lake)


def verify(store: Store, *, deep: bool = True) -> Verification:
    """Check one snapshot of the store; ``deep`` reads every lake file and compares its sha256, else only its size."""

    def look(reader: Reader) -> tuple[list[str], list[str], list[str], list[LakeFile]]:
        link = reader.connection
        chain = audit.check(reader.find(AuditRow, order="seq"))
        return integrity(link), chain, ledger.check(link), manifest.active(link)

    state, chain, books, files = store.read(look)
    damage = lake_faults(store.lake.root, files, deep=deep)
    return Verification(tuple(state), tuple(chain), tuple(books), tuple(damage), len(files))


def integrity(connection: sqlite3.Connection) -> list[str]:
    """SQLite's own check of the state file; [] when sound."""
    found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(20)")]
    return [] if found == ["ok"] else found


def lake_faults(root: Path, files: Sequence[LakeFile], *, deep: bool) -> list[str]:
    """Files of the manifest that are missing, of another size or, when ``deep``, of another content."""
    faults = []
    for file in files:
        path = root / file.path
        if not path.is_file():
            faults.append(f"{file.path} is missing: restore it from a backup")
        elif path.stat().st_size != file.bytes:
            faults.append(f"{file.path} has {path.stat().st_size} bytes, {file.bytes} were written: restore it")
        elif deep and _sha256(path) != file.sha256:
            faults.append(f"{file.path} differs from what was written: restore it from a backup")
    return faults


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
