"""A home in, the exclusive right to write it out: one file that names its owner's pid."""

import fcntl
import os
from pathlib import Path

from storage.errors import StoreFailed, StoreLocked

LOCK_FILE = "lock"


class HomeLock:
    """Held from construction to ``release``; the kernel frees it when the process dies, however it dies."""

    def __init__(self, home: Path) -> None:
        """Take the lock; StoreLocked names the process that has it, StoreFailed says why the home takes nothing."""
        self._path = home / LOCK_FILE
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreFailed(
                f"{home} cannot be written ({error.strerror}): mount its disk for writing, then start again; "
                "nothing of this was acknowledged"
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise StoreLocked(str(home), owner(home)) from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Give it back; the file stays, empty."""
        os.ftruncate(self._file, 0)
        os.close(self._file)


def owner(home: Path) -> int:
    """The pid that the lock file names, 0 when it names none."""
    try:
        text = (home / LOCK_FILE).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return 0
    return int(text) if text.isdigit() else 0
