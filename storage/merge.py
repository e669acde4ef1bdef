"""Tables of one dataset in the order they arrived in, one table out: sorted, each slot once, the right row kept.

Ranked datasets keep the highest of mended > final > confirmed > plain > estimated or suspect; among equals reads keep
the first (what was acknowledged bills), derived data the last (a correction counts). Mended is final and confirmed: a
final record that was misread, as another person put it right.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ingest.records import Flag
from storage.schemas import Dataset

_WEAK = int(Flag.ESTIMATED | Flag.SUSPECT)


def rank(flags: NDArray[np.integer]) -> NDArray[np.int8]:
    """4 mended, 3 final, 2 confirmed, 1 plain, 0 estimated or suspect; elementwise over flags."""
    plain = np.where(flags & _WEAK, 0, 1).astype(np.int8)
    confirmed = np.where(flags & int(Flag.CONFIRMED), np.int8(2), plain)
    final = np.where(flags & int(Flag.CONFIRMED), np.int8(4), np.int8(3))
    return np.where(flags & int(Flag.FINAL), final, confirmed)


def rank_of(flags: int) -> int:
    """``rank`` of one value."""
    if flags & Flag.FINAL:
        return 4 if flags & Flag.CONFIRMED else 3
    if flags & Flag.CONFIRMED:
        return 2
    return 0 if flags & _WEAK else 1


def merge(source: Dataset, parts: Sequence[pa.Table]) -> pa.Table:
    """One sorted table without duplicates; a dataset without a key is only put in order of time."""
    table = pa.concat_tables(parts) if parts else source.schema.empty_table()
    if table.num_rows < 2:
        return table.combine_chunks()
    keys = [_codes(table, name) for name in source.key or (source.time,)]
    if source.key and _strict(keys):
        return table.combine_chunks()
    order = np.argsort(packed, kind="stable") if (packed := _packed(keys)) is not None else np.lexsort(keys[::-1])
    if source.key:
        order = _winners(source, table, keys, order)
    return table.combine_chunks().take(pa.array(order))


def _codes(table: pa.Table, name: str) -> NDArray[np.int64]:
    """A column as int64 whose order is the column's order."""
    column = table.column(name)
    if pa.types.is_string(column.type):
        encoded = column.combine_chunks().dictionary_encode()
        words = encoded.dictionary.to_pylist()
        place = np.empty(len(words), np.int64)
        place[np.array(sorted(range(len(words)), key=words.__getitem__), np.int64)] = np.arange(len(words))
        codes: NDArray[np.int64] = place[encoded.indices.to_numpy()]
        return codes
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    values: NDArray[np.int64] = column.to_numpy().astype(np.int64)
    return values


def _strict(keys: Sequence[NDArray[np.int64]]) -> bool:
    """Whether rows rise strictly by key, so that nothing is to sort and nothing twice."""
    rising = np.zeros(len(keys[0]) - 1, bool)
    equal = np.ones(len(keys[0]) - 1, bool)
    for key in keys:
        before, after = key[:-1], key[1:]
        rising |= equal & (before < after)
        equal &= before == after
    return bool(rising.all())


def _packed(keys: Sequence[NDArray[np.int64]]) -> NDArray[np.int64] | None:
    """All keys in one int64 of the same order, or None when their ranges do not fit into 62 bits."""
    total = 1
    out = np.zeros(len(keys[0]), np.int64)
    for key in keys:
        low = int(key.min())
        span = int(key.max()) - low + 1
        total *= span
        if total >= 1 << 62:
            return None
        out = out * span + (key - low)
    return out


def _winners(
    source: Dataset, table: pa.Table, keys: Sequence[NDArray[np.int64]], order: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Of each run of equal keys in ``order`` (stable), the row that stays."""
    same = np.ones(len(order) - 1, bool)
    for key in keys:
        ordered = key[order]
        same &= ordered[1:] == ordered[:-1]
    if not same.any():
        return order
    starts = np.flatnonzero(np.concatenate([[True], ~same]))
    run = np.cumsum(np.concatenate([[False], ~same]))
    arrival = order if source.first else -order
    grade = rank(table.column("flags").to_numpy()[order]) if source.ranked else np.zeros(len(order), np.int8)
    best = np.lexsort((arrival, -grade.astype(np.int64), run))
    winners: NDArray[np.int64] = order[best[starts]]
    return winners
