"""A file's name and its content go in, the file stands whole under that name: never half of it, whatever stops us."""

import os
import re
from collections.abc import Callable
from pathlib import Path

UNSAFE = re.compile(r"[^\w.@+-]+")


def name_of(account: str, period: str, suffix: str) -> str:
    """``A-1_2026-01.html``; what a file system may not take becomes a low line.

    >>> name_of("A/1 ..", "2026-01", "html")
    'A_1_.._2026-01.html'
    """
    return f"{UNSAFE.sub('_', account)}_{period}.{suffix}"


def put(path: Path, write: Callable[[Path], None]) -> Path:
    """Let ``write`` fill a file beside ``path``, sync it, and rename it into place."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(beside)
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path


def put_text(path: Path, text: str) -> Path:
    """The same for a text, in UTF-8."""
    return put(path, lambda place: _write(place, text))


def _write(place: Path, text: str) -> None:
    place.write_text(text, encoding="utf-8", newline="")
