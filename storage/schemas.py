"""Rows in, Arrow tables of a dataset's one schema out: reads, intervals, charges and raw frames."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ingest.records import Interval, MeterRead
from storage.codec import to_ms
from storage.errors import BadBatch

LAKE_VERSION = 1
"""Schema version of lake files, in each file's metadata."""

_TIME = pa.timestamp("ms")
_METER = (("meter_id", pa.int32()), ("channel", pa.uint8()), ("end", _TIME))
OFFSET_LIMIT_S = 32_767  # int16: a clock further off is stored as this limit; the finding has the exact figure


@dataclass(frozen=True, slots=True)
class Dataset:
    """One dataset: its Arrow schema, the key of a slot, the value that may conflict, how two rows are judged.

    ``ranked``: final beats confirmed beats plain beats estimated or suspect. Among equals ``first`` decides whether the
    first (reads: what was acknowledged bills) or the last (derived data: the correction counts) stays. ``consumed``: a
    rater reads its batches, so their payload is kept until its cursor has passed, even while there is no cursor yet.
    """

    name: str
    schema: pa.Schema
    time: str
    key: tuple[str, ...]
    value: str = ""
    ranked: bool = False
    first: bool = False
    consumed: bool = False
    comment: str = ""


READS = Dataset(
    "reads",
    pa.schema([*_METER, ("register_wh", pa.int64()), ("flags", pa.uint16()), ("offset_s", pa.int16())]),
    "end",
    ("meter_id", "channel", "end"),
    "register_wh",
    ranked=True,
    first=True,
    consumed=True,
    comment="Cumulative registers as read, one row per meter, channel and slot",
)
INTERVALS = Dataset(
    "intervals",
    pa.schema([*_METER, ("minutes", pa.int16()), ("energy_wh", pa.int64()), ("flags", pa.uint16())]),
    "end",
    ("meter_id", "channel", "end"),
    "energy_wh",
    ranked=True,
    consumed=True,
    comment="Energy of each slot in Wh, named by the slot's end",
)
CHARGES = Dataset(
    "charges",
    pa.schema(
        [
            ("meter_id", pa.int32()),
            ("account", pa.string()),
            ("end", _TIME),
            ("minutes", pa.int16()),
            ("energy_wh", pa.int64()),
            ("amount_micro", pa.int64()),
            ("period", pa.string()),
            ("tier", pa.int16()),
            ("price", pa.int64()),
            ("price_scale", pa.int16()),
            ("book_hash", pa.string()),
            ("run_id", pa.string()),
        ]
    ),
    "end",
    ("meter_id", "account", "end"),
    "amount_micro",
    comment="Money of each slot; the hours of a period add up to the energy lines of its bill",
)
RAW = Dataset(
    "raw",
    pa.schema([("source", pa.string()), ("at", _TIME), ("frame", pa.binary()), ("reason", pa.string())]),
    "at",
    (),
    comment="Bytes as they came over the wire, with the reason why they were kept",
)
DATASETS: Mapping[str, Dataset] = {d.name: d for d in (READS, INTERVALS, CHARGES, RAW)}


def dataset(name: str) -> Dataset:
    """The dataset called ``name``; BadBatch with the known names otherwise."""
    found = DATASETS.get(name)
    if found is None:
        raise BadBatch(f"no dataset {name!r}: choose one of {', '.join(DATASETS)}")
    return found


def conform(name: str, table: pa.Table) -> pa.Table:
    """``table`` with exactly the dataset's columns, order and types; BadBatch on a missing column, null or overflow."""
    schema = dataset(name).schema
    missing = [n for n in schema.names if n not in table.column_names]
    if missing:
        raise BadBatch(f"{name}: the batch lacks {', '.join(missing)}")
    try:
        fitted = table if table.schema.equals(schema) else table.select(schema.names).cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise BadBatch(f"{name}: {error}") from error
    holes = [n for n in schema.names if fitted.column(n).null_count]
    if holes:
        raise BadBatch(f"{name}: empty values in {', '.join(holes)}")
    return fitted.replace_schema_metadata(None)


def _times(values: Sequence[Any]) -> pa.Array:
    return pa.array([to_ms(v) for v in values], pa.int64()).cast(_TIME)


def _build(source: Dataset, columns: Sequence[Any]) -> pa.Table:
    try:
        pairs = zip(columns, source.schema, strict=True)
        arrays = [column if isinstance(column, pa.Array) else pa.array(column, field.type) for column, field in pairs]
    except (pa.ArrowInvalid, OverflowError) as error:
        raise BadBatch(f"{source.name}: {error}") from error
    return pa.Table.from_arrays(arrays, schema=source.schema)


def reads_table(rows: Sequence[MeterRead]) -> pa.Table:
    """Reads as an Arrow table of the dataset's schema."""
    offsets = [max(-OFFSET_LIMIT_S, min(OFFSET_LIMIT_S, r.offset_s)) for r in rows]
    columns = [
        [r.meter_id for r in rows],
        [int(r.channel) for r in rows],
        _times([r.end for r in rows]),
        [r.register_wh for r in rows],
        [int(r.flags) for r in rows],
        offsets,
    ]
    return _build(READS, columns)


def intervals_table(rows: Sequence[Interval]) -> pa.Table:
    """Intervals as an Arrow table of the dataset's schema."""
    columns = [
        [r.meter_id for r in rows],
        [int(r.channel) for r in rows],
        _times([r.end for r in rows]),
        [r.minutes for r in rows],
        [r.energy_wh for r in rows],
        [int(r.flags) for r in rows],
    ]
    return _build(INTERVALS, columns)


def empty(name: str) -> pa.Table:
    """A table of the dataset without rows."""
    return dataset(name).schema.empty_table()
