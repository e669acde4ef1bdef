"""The tree of storage's errors; each message says what, which file or account, and what to do next.

StorageError
├── StoreLocked        another process owns this home; names its pid
├── SchemaTooNew       a newer prewatt wrote this home (exit 78)
├── StoreFailed        the disk said no: nothing more is acknowledged until ``recover``
│   └── StoreFull      no room: free some, then ``recover``
├── ReadOnly           a write through a store that was opened for reading
├── NestedWrite        a write from inside a write
├── UnknownRecord      a record type that no TableSpec names
├── AppendOnly         put or delete on a table whose rows never change
├── Conflict           the same key was stored with another body
├── BadBatch           a batch that does not fit its dataset's schema
├── LakeDamaged        a lake file is missing or not what the manifest says
└── LedgerError
    └── Unbalanced     postings of one source that do not sum to zero
"""

EX_CONFIG = 78
"""Exit code of a refused schema (sysexits.h, EX_CONFIG)."""


class StorageError(Exception):
    """Root of storage's errors."""


class StoreLocked(StorageError):
    """Another process holds the home; ``pid`` is its process id as the lock file names it, 0 when unknown."""

    def __init__(self, home: str, pid: int) -> None:
        """Name the home and the process that holds it."""
        super().__init__(f"{home} is in use by process {pid}: stop it, or let it do the work (prewatt status)")
        self.pid = pid


class SchemaTooNew(StorageError):
    """The home was written by a newer prewatt; ``exit_code`` is what the shell should end with."""

    exit_code = EX_CONFIG


class StoreFailed(StorageError):
    """An I/O error: the writer's handle was closed and is never used again; ``Store.recover`` opens a new one."""


class StoreFull(StoreFailed):
    """No room on the disk: nothing was acknowledged; free some, then ``Store.recover``."""


class ReadOnly(StorageError):
    """A write through a store that was opened for reading only."""


class NestedWrite(StorageError):
    """A write was asked for from inside a write: use the unit at hand."""


class UnknownRecord(StorageError):
    """A record type that no TableSpec names."""


class AppendOnly(StorageError):
    """Change or removal of a row in a table that only grows."""


class Conflict(StorageError):
    """The same key is stored with another body."""


class BadBatch(StorageError):
    """A batch whose columns do not fit the dataset's schema."""


class LakeDamaged(StorageError):
    """A lake file that the manifest names is missing or differs."""


class LedgerError(StorageError):
    """Postings that the ledger refuses."""


class Outdated(LedgerError):
    """Bills that were made before reads of late were rated; make them again, then post."""


class Unbalanced(LedgerError):
    """Postings of one source that do not sum to zero in each currency."""
