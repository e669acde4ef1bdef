"""Lake files of intervals go in, energies by meter and slot come out, as they lie in the file where they can.

A meter is *whole* in a span where every slot has one measured import and nothing else is told of it: no flag, no other
channel, no other length, nothing twice. Those are nearly all, and they are read from three columns; what a row group's
own statistics prove of the other columns is not read. The rest is named, for whoever merges rows one by one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ingest.records import Channel
from storage.schemas import INTERVALS
from storage.usage import Bool, Energies, Grid, Int, ms_of

if TYPE_CHECKING:
    from storage.store import Store

BLOCK_ROWS = 3 << 15  # rows that are read at once: they stay in a core's second-level cache
ABREAST = 15  # as many such parts make one block, so that what is done slot by slot is done for many meters
COLUMNS = ("meter_id", "end", "energy_wh")
CHANNEL, FLAGS, MINUTES = "channel", "flags", "minutes"


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Neighbouring rows of a file, sorted by meter; ``odd`` marks those that are no plain import, None: none is."""

    meter: NDArray[np.int32]
    end: Int  # ms
    wh: Int
    odd: Bool | None

    def cut(self, part: slice | Bool) -> "Rows":
        """Some of the rows."""
        return Rows(self.meter[part], self.end[part], self.wh[part], None if self.odd is None else self.odd[part])


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """``wh`` [n, slots] of the whole ``meters`` [n], by number; ``odd`` are those of which something else is told."""

    meters: Int
    wh: Int
    odd: list[int]


def stream(path: Path, grid: Grid) -> Iterator[Block]:
    """All meters of one file in its order, some at a time, each with every slot of ``grid`` or named as odd.

    The energies lie slot by slot, as the kernel takes them, and hold until the next block is asked for.
    """
    gathered = _Gathered(grid.count, ABREAST * max(1, BLOCK_ROWS // grid.count))
    for part in _parts(path, grid):
        if gathered.meters and not gathered.fits(part):
            yield gathered.block()
        gathered.add(part)
    if gathered.meters:
        yield gathered.block()


class _Gathered:
    """Parts of a file on their way to one block of at most ``most`` meters, or of the one part that has more."""

    def __init__(self, slots: int, most: int) -> None:
        self.meters: list[Int] = []
        self._odd: list[int] = []
        self._count = 0
        self._wh = np.empty((slots, most), np.int64)

    def fits(self, part: Block) -> bool:
        """Whether there is room for it."""
        return self._count + part.meters.size <= self._wh.shape[1]

    def add(self, part: Block) -> None:
        """Copy its energies while they lie in the cache; only with the first part may they need more room."""
        begin, self._count = self._count, self._count + part.meters.size
        if self._count > self._wh.shape[1]:
            self._wh = np.empty((len(self._wh), self._count), np.int64)
        self._wh[:, begin : self._count] = part.wh.T
        self.meters.append(part.meters)
        self._odd += part.odd

    def block(self) -> Block:
        """All of them; what is added next takes their place."""
        found = Block(np.concatenate(self.meters), self._wh[:, : self._count].T, self._odd)
        self.meters, self._odd, self._count = [], [], 0
        return found


def _parts(path: Path, grid: Grid) -> Iterator[Block]:
    """As ``stream``, as many meters as are read at once."""
    held: Rows | None = None
    for rows in read(path, grid, batch=max(1, BLOCK_ROWS // grid.count) * grid.count):
        if held is not None:
            held, whole = _split(held, rows)
            if whole is not None:
                yield fit([whole], grid)
        held = rows if held is None else _joined([held, rows])
    if held is not None:
        yield fit([held], grid)


def _split(held: Rows, following: Rows) -> tuple[Rows | None, Rows | None]:
    """The rows of ``held`` whose meter goes on in ``following``, and those before them."""
    if held.meter[-1] != following.meter[0]:
        return None, held
    at = int(np.searchsorted(held.meter, held.meter[-1]))
    return held.cut(slice(at, None)), held.cut(slice(at)) if at else None


def read(path: Path, grid: Grid, *, meters: Sequence[int] | None = None, batch: int = BLOCK_ROWS) -> Iterator[Rows]:
    """The rows of one file, ``batch`` at a time; with ``meters`` (rising) only theirs, from the row groups they are in.

    ``grid`` says how long a plain interval is.
    """
    file = pq.ParquetFile(path, pre_buffer=False)  # else all of it would be held
    wanted = None if meters is None else np.array(meters, np.int64)
    groups = []  # number, and whether the other columns are proved to be plain
    for number in range(file.num_row_groups):
        found = _constants(file.metadata.row_group(number))
        if wanted is None or _some(wanted, found.get("meter_id")):
            groups.append((number, all(found.get(name) == (value, value) for name, value in _plain(grid))))
    for proved, stretch in groupby(groups, key=lambda one: one[1]):
        columns = [*COLUMNS, *(() if proved else (CHANNEL, FLAGS, MINUTES))]
        numbers = [number for number, _ in stretch]
        for part in file.iter_batches(batch, row_groups=numbers, columns=columns, use_threads=False):
            rows = _rows(part, grid)
            if wanted is not None:
                rows = _only(rows, wanted)
            if rows.meter.size:
                yield rows


def _plain(grid: Grid) -> tuple[tuple[str, int], ...]:
    return (CHANNEL, int(Channel.IMPORT)), (FLAGS, 0), (MINUTES, grid.minutes)


def _constants(group: Any) -> dict[str, tuple[int, int]]:
    """Least and greatest value of the row group's columns that say so."""
    found = {}
    for number in range(group.num_columns):
        column = group.column(number)
        said = column.statistics
        if column.path_in_schema in ("meter_id", CHANNEL, FLAGS, MINUTES) and said is not None and said.has_min_max:
            found[column.path_in_schema] = (said.min, said.max)
    return found


def _some(wanted: Int, span: tuple[int, int] | None) -> bool:
    """Whether a row group may hold one of the ``wanted`` meters."""
    if span is None:
        return True
    low, high = np.searchsorted(wanted, [span[0], span[1] + 1])
    return bool(low < high)


def _rows(part: pa.RecordBatch, grid: Grid) -> Rows:
    odd: Bool | None = None
    if part.num_columns > len(COLUMNS):
        odd = np.zeros(part.num_rows, np.bool_)
        for name, value in _plain(grid):
            odd |= values(part.column(name)) != value
    meter, end, wh = (values(part.column(name)) for name in COLUMNS)
    return Rows(meter, end, wh, odd)


def values(array: pa.Array) -> NDArray[Any]:
    """An Arrow array of integers or times (then int64 in its unit) without nulls, not copied."""
    kind = np.dtype(np.int64) if pa.types.is_timestamp(array.type) else np.dtype(str(array.type))
    found: NDArray[Any] = np.frombuffer(array.buffers()[1], kind, len(array), array.offset * kind.itemsize)
    return found


def _only(rows: Rows, wanted: Int) -> Rows:
    """The rows of ``wanted`` meters."""
    meters, counts = _stretches(rows.meter)
    keep = np.isin(meters, wanted)
    return rows if keep.all() else rows.cut(np.repeat(keep, counts))


def _stretches(meter: NDArray[np.int32]) -> tuple[NDArray[np.int32], Int]:
    """The meter of each stretch of rows of one, and how many rows it has: far fewer to sort than the rows."""
    first = np.append(np.zeros(min(1, meter.size), np.int64), np.flatnonzero(meter[1:] != meter[:-1]) + 1)
    return meter[first], np.diff(first, append=meter.size)


def _inside(rows: Rows, grid: Grid) -> Rows:
    """The rows that end in the slots of ``grid``."""
    after = rows.end - grid.start
    keep = (after > 0) & (after <= grid.count * grid.slot_ms)
    return rows if keep.all() else rows.cut(keep)


def _joined(parts: Sequence[Rows]) -> Rows:
    odd = None
    if any(part.odd is not None for part in parts):
        odd = np.concatenate([np.zeros(part.meter.size, np.bool_) if part.odd is None else part.odd for part in parts])
    if len(parts) == 1:
        return parts[0]
    meter, end, wh = (np.concatenate([getattr(part, name) for part in parts]) for name in ("meter", "end", "wh"))
    return Rows(meter, end, wh, odd)


def fit(parts: Sequence[Rows], grid: Grid) -> Block:
    """Rows of some meters, from one file or several, on the slots of ``grid``; rows outside of it do not count."""
    if len(parts) == 1 and (block := _regular(parts[0], grid)) is not None:
        return block
    none = np.zeros(0, np.int64)
    rows = _joined([_inside(part, grid) for part in parts]) if parts else Rows(none.astype(np.int32), none, none, None)
    offset = rows.end - grid.start
    slot = offset // grid.slot_ms
    odd = slot * grid.slot_ms != offset
    if rows.odd is not None:
        odd |= rows.odd
    found, counts = _stretches(rows.meter)
    meters, of_stretch = np.unique(found, return_inverse=True)
    row = np.repeat(of_stretch, counts)
    good = slice(None) if not odd.any() else ~odd
    place = row[good] * grid.count + slot[good] - 1
    wh = np.zeros(meters.size * grid.count, np.int64)
    wh[place] = rows.wh[good]
    told = np.zeros(wh.size, np.bool_)
    told[place] = True
    full = told.reshape(-1, grid.count).all(axis=1) & (np.bincount(row, minlength=meters.size) == grid.count)
    full[row[odd]] = False
    return Block(meters[full].astype(np.int64), wh.reshape(-1, grid.count)[full], meters[~full].tolist())


def _regular(rows: Rows, grid: Grid) -> Block | None:
    """The rows as they lie, if they are every slot of one meter after the other."""
    if rows.odd is not None or not rows.meter.size or rows.meter.size % grid.count:
        return None
    meter, end = rows.meter.reshape(-1, grid.count), rows.end.reshape(-1, grid.count)
    ends = grid.start + np.arange(1, grid.count + 1) * grid.slot_ms
    if (meter[:, 0] != meter[:, -1]).any() or (meter[1:, 0] <= meter[:-1, 0]).any() or (end != ends).any():
        return None
    return Block(meter[:, 0].astype(np.int64), rows.wh.reshape(-1, grid.count), [])


def energies(store: "Store", meters: Mapping[int, int], start: datetime, end: datetime) -> Energies:
    """Intervals of all channels in [start, end) as stored, by meter; ``meters``: number -> its slot length in minutes.

    Whole meters are taken as they lie in the lake, only the others are merged row by row.
    """
    if not meters:
        return Energies.of(INTERVALS.schema.empty_table())
    files, tail = store.sources("intervals", start, end, (min(meters), max(meters)))
    open_ = set(np.unique(tail.column("meter_id").to_numpy()).tolist()) if tail.num_rows else set()
    parts, rest = [], sorted(open_ & set(meters))
    for minutes in sorted(set(meters.values())):
        own = [meter for meter, length in sorted(meters.items()) if length == minutes and meter not in open_]
        count, over = divmod(ms_of(end) - ms_of(start), minutes * 60_000)
        if over:
            rest += own
            continue
        grid = Grid(ms_of(start), minutes, count)
        block = fit([rows for file in files for rows in read(store.lake.root / file.path, grid, meters=own)], grid)
        parts.append(_whole(block, grid))
        rest += block.odd
    if rest:
        parts.append(Energies.of(store.intervals(start, end, sorted(rest), None)))
    return parts[0] if len(parts) == 1 else _by_meter(parts)


def _whole(block: Block, grid: Grid) -> Energies:
    n, rows = block.meters.size, block.wh.size
    ends = grid.start + np.arange(1, grid.count + 1) * grid.slot_ms
    return Energies(
        np.repeat(block.meters, grid.count),
        np.full(rows, int(Channel.IMPORT)),
        np.tile(ends, n),
        np.full(rows, grid.minutes),
        block.wh.reshape(-1),
        np.zeros(rows, np.int64),
    )


def _by_meter(parts: Sequence[Energies]) -> Energies:
    """Several as one, sorted by meter; each meter is in one of them."""
    joined = Energies(*(np.concatenate([getattr(part, name) for part in parts]) for name in Energies.__slots__))
    return joined.take(np.argsort(joined.meter_id, kind="stable"))
