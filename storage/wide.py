"""A SELECT over many rows goes in, whole columns come out: made by SQLite in one step, without an object per number.

Other threads run meanwhile: a fetch of a million rows takes the interpreter a million times.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
MARK: Final = "\x1f"  # stands between the texts of a column


@dataclass(frozen=True, slots=True)
class Wide:
    """The columns of the same rows: lists of texts, int64 arrays of numbers."""

    texts: tuple[Sequence[str], ...]
    numbers: tuple[Ints, ...]


def columns(
    connection: sqlite3.Connection, texts: Sequence[str], numbers: Sequence[str], rest: str, args: Sequence[Any] = ()
) -> Wide:
    """The expressions ``texts`` and ``numbers``, none of them NULL, of the rows of ``rest``: FROM and what follows.

    ``args`` are bound in the order in which the whole statement names them.
    """
    inner = ", ".join(f"{one} AS c{number}" for number, one in enumerate((*texts, *numbers)))
    joined = [f"group_concat(c{number}, char(31))" for number in range(len(texts))]
    joined += [f"group_concat(c{number})" for number in range(len(texts), len(texts) + len(numbers))]
    sql = f"SELECT count(*), {', '.join(joined)} FROM (SELECT {inner} {rest})"
    count, *found = connection.execute(sql, args).fetchone()
    if not count:
        return Wide(tuple([] for _ in texts), tuple(np.zeros(0, np.int64) for _ in numbers))
    parted = [one.split(MARK) for one in found[: len(texts)]]
    if any(len(one) != count for one in parted):  # a text holds the mark itself
        rows = connection.execute(f"SELECT {inner} {rest}", args).fetchall()
        parted = [[row[number] for row in rows] for number in range(len(texts))]
    arrays = tuple(np.fromstring(one, np.int64, sep=",") for one in found[len(texts) :])
    if any(array.size != count for array in arrays):
        raise ValueError(f"a number of {rest.split()[1]} is NULL: say what stands for it")
    return Wide(tuple(parted), arrays)
