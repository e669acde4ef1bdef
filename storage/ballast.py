"""A home in, some megabytes of reserve out: given up when the disk is full, because deleting rows needs room too."""

import os
from pathlib import Path

BALLAST_FILE = "ballast"
BALLAST_BYTES = 16 << 20
_BLOCK = 1 << 20


def lay(home: Path, size: int = BALLAST_BYTES) -> bool:
    """Write the reserve when it is not there; False when the disk has no room for it."""
    path = home / BALLAST_FILE
    if path.exists() and path.stat().st_size == size:
        return True
    try:
        with path.open("wb") as file:
            for _ in range(0, size, _BLOCK):
                file.write(b"\xff" * min(_BLOCK, size))
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        return False
    return True


def drop(home: Path) -> bool:
    """Give up the reserve; False when it was not there."""
    path = home / BALLAST_FILE
    there = path.exists()
    path.unlink(missing_ok=True)
    return there
