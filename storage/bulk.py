"""An INSERT for one row and many rows go in; they are written some hundred at a step of SQLite.

A step gives the interpreter away and waits for it again: a step a row is slow beside threads that compute, and holds
the one writer meanwhile.
"""

import re
import sqlite3
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain, islice
from typing import Any, Final

ROWS: Final = 500
_ONE: Final = re.compile(r"(?s)(.*\bVALUES )(\([^()]*\))(.*)")


def insert(connection: sqlite3.Connection, sql: str, rows: Iterable[Sequence[Any]]) -> None:
    """``executemany`` of ``INSERT ... VALUES (...)``, in order; without parameters of its own beside the values."""
    left = iter(rows)
    while len(part := list(islice(left, ROWS))) == ROWS:
        connection.execute(_many(sql), list(chain.from_iterable(part)))
    connection.executemany(sql, part)


@lru_cache(maxsize=64)
def _many(sql: str) -> str:
    """The same statement for ``ROWS`` rows."""
    found = _ONE.fullmatch(sql)
    if found is None:
        raise ValueError(f"not an INSERT ... VALUES (...): {sql}")
    return found[1] + ", ".join([found[2]] * ROWS) + found[3]
