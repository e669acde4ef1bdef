"""Lists of files in, the SQL of the analysts' views out: explicit paths, comments, money as exact decimals.

Every view exists from the first publish on, empty if need be. Only files that may hold the same slot twice are read
through a window that keeps the right row; all others are read as they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from ingest.records import Flag
from storage.manifest import LakeFile
from storage.schemas import CHARGES, INTERVALS, READS, Dataset

MICRO = "_micro"
_MONTH = pa.field("month", pa.date32())
_MONTH_SQL = "CAST(month || '-01' AS DATE) AS month"
_EMPTY = "WHERE false"
_LAKE = "hive_partitioning=true, hive_types={'month': VARCHAR, 'bucket': VARCHAR}"
_NAMED = f"{_LAKE}, filename=true"
_STATE = "hive_partitioning=false, union_by_name=true"  # a table may have gained a column between two parts


@dataclass(frozen=True, slots=True)
class View:
    """One view: its name, its SELECT, its comment and those of its columns."""

    name: str
    select: str
    comment: str
    columns: Mapping[str, str] = field(default_factory=dict)


def quoted(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def _files(root: Path, files: Sequence[LakeFile], option: str = _LAKE) -> str:
    paths = ", ".join(quoted(str(root / f.path)) for f in files)
    return f"read_parquet([{paths}], {option})"


def _type(kind: pa.DataType) -> str:
    names = {"int64": "BIGINT", "int32": "INTEGER", "int16": "SMALLINT", "uint8": "UTINYINT", "uint16": "USMALLINT"}
    names |= {
        "double": "DOUBLE",
        "bool": "BOOLEAN",
        "timestamp[ms]": "TIMESTAMP",
        "binary": "BLOB",
        "date32[day]": "DATE",
    }
    return names.get(str(kind), "VARCHAR")


def _nothing(schema: pa.Schema) -> str:
    columns = ", ".join(f'CAST(NULL AS {_type(f.type)}) AS "{f.name}"' for f in schema)
    return f"SELECT {columns} {_EMPTY}"


def money(names: Sequence[str]) -> str:
    """Extra columns: every amount in micro-units once more as an exact decimal of the currency."""
    exact = [(n, n.removesuffix(MICRO)) for n in names if n.endswith(MICRO)]
    return "".join(
        f', CAST("{n}" AS DECIMAL(19,0)) * CAST(\'0.000001\' AS DECIMAL(7,6)) AS "{short}"' for n, short in exact
    )


def dirty(files: Sequence[LakeFile]) -> set[str]:
    """Paths of files that may share a slot with another file in view."""
    found: set[str] = set()
    ordered = sorted(files, key=lambda f: (f.month, f.low))
    for at, one in enumerate(ordered):
        for other in ordered[at + 1 :]:
            if other.month != one.month or other.low > one.high:
                break
            if one.overlaps(other):
                found |= {one.path, other.path}
    return found


def dataset_select(root: Path, source: Dataset, files: Sequence[LakeFile]) -> str:
    """One row per slot of a dataset, from all its files."""
    if not files:
        return _nothing(source.schema.append(_MONTH))
    names = ", ".join([*(f'"{n}"' for n in source.schema.names), _MONTH_SQL])
    shared = dirty(files)
    clean = [f for f in files if f.path not in shared]
    parts = [f"SELECT {names} FROM {_files(root, clean)}"] if clean else []
    if shared:
        parts += _merged(root, source, names, [f for f in files if f.path in shared])
    return " UNION ALL ".join(f"({p})" for p in parts) if len(parts) > 1 else parts[0]


def _merged(root: Path, source: Dataset, names: str, files: Sequence[LakeFile]) -> list[str]:
    """SELECTs over files that share slots: the large ones less the slots of the small, and those slots judged.

    The large files (taken greedily, none overlapping another) are read as they are but for the few slots that a small
    file holds too; only these go through the window, so that late rows cost little.
    """
    large: list[LakeFile] = []
    for file in sorted(files, key=lambda f: (-f.rows, f.path)):
        if not any(file.overlaps(other) for other in large):
            large.append(file)
    small = [f for f in files if f not in large]
    keys = ", ".join(f'"{k}"' for k in source.key)
    late = f"(SELECT DISTINCT {keys} FROM {_files(root, small)})"
    order = "parse_filename(filename)" + ("" if source.first else " DESC")
    rank = f"{_rank()} DESC, " if source.ranked else ""
    both = (
        f"SELECT * FROM {_files(root, large, _NAMED)} SEMI JOIN {late} USING ({keys})"
        f" UNION ALL SELECT * FROM {_files(root, small, _NAMED)}"
    )
    window = f"row_number() OVER (PARTITION BY {keys} ORDER BY {rank}{order}) = 1"
    return [
        f"SELECT {names} FROM {_files(root, large)} ANTI JOIN {late} USING ({keys})",
        f"SELECT {names} FROM ({both}) QUALIFY {window}",
    ]


def _rank() -> str:
    weak, mended = int(Flag.ESTIMATED | Flag.SUSPECT), int(Flag.FINAL | Flag.CONFIRMED)
    return (
        f"CASE WHEN flags & {mended} = {mended} THEN 4 WHEN flags & {int(Flag.FINAL)} <> 0 THEN 3"
        f" WHEN flags & {int(Flag.CONFIRMED)} <> 0 THEN 2 WHEN flags & {weak} <> 0 THEN 0 ELSE 1 END"
    )


def raw_select(root: Path, files: Sequence[LakeFile]) -> str:
    """Every stored register row, repeated slots included, with the file that holds it."""
    if not files:
        return f"SELECT *, CAST(NULL AS VARCHAR) AS file FROM ({_nothing(READS.schema.append(_MONTH))})"
    columns = f"* EXCLUDE (filename, bucket) REPLACE ({_MONTH_SQL}), parse_filename(filename) AS file"
    return f"SELECT {columns} FROM {_files(root, files, _NAMED)}"


def state_select(root: Path, schema: pa.Schema, files: Sequence[LakeFile]) -> str:
    """A state table's snapshot, money doubled as decimals."""
    inner = f"SELECT * FROM {_files(root, files, _STATE)}" if files else _nothing(schema)
    extra = money(schema.names)
    return f"SELECT *{extra} FROM ({inner})" if extra else inner


def lake_views(root: Path, files: Mapping[str, Sequence[LakeFile]]) -> list[View]:
    """reads, reads_raw, intervals and charges."""
    kwh = ", CAST(energy_wh AS DECIMAL(19,0)) * CAST('0.001' AS DECIMAL(4,3)) AS energy_kwh"
    intervals = dataset_select(root, INTERVALS, files.get("intervals", ()))
    charges = dataset_select(root, CHARGES, files.get("charges", ()))
    return [
        View("reads", dataset_select(root, READS, files.get("reads", ())), READS.comment, COLUMNS),
        View("reads_raw", raw_select(root, files.get("reads", ())), "Every register row as stored, repeats included"),
        View("intervals", f"SELECT *{kwh} FROM ({intervals})", INTERVALS.comment, COLUMNS),
        View("charges", f"SELECT *{kwh}{money(['amount_micro'])} FROM ({charges})", CHARGES.comment, COLUMNS),
    ]


COLUMNS = {
    "meter_id": "surrogate of the meter: join meters",
    "channel": "1 import Wh, 2 export Wh, 3 reactive varh, 4 gas 0.001 m3",
    "end": 'UTC end of the slot; quote it: "end"',
    "month": "first day of the slot's UTC month: the partition, so to filter or group on it costs nothing",
    "register_wh": "cumulative register in base units",
    "flags": "quality bits: 1 estimated, 2 suspect, 4 manual, 8 final, 16 backfill, 32 clock, 64 uncertain, "
    "128 rollover, 256 swap, 512 conflict, 1024 imported, 2048 confirmed",
    "offset_s": "device clock minus ours in s, within +-32767",
    "minutes": "length of the slot",
    "energy_wh": "energy of the slot in Wh",
    "energy_kwh": "energy of the slot in kWh, exact",
    "amount_micro": "money in millionths of the account's currency",
    "amount": "money in the account's currency, exact",
    "period": "price period of the slot",
    "tier": "tier of the slot's last unit, from 0",
    "price": "price per kWh of the slot's last unit, times 10^price_scale",
    "book_hash": "tariff book: join tariffs",
    "run_id": "the rating that wrote it",
}

DERIVED: tuple[View, ...] = (
    View(
        "accounts",
        "SELECT a.*, coalesce(b.amount_micro, 0) AS balance_micro, coalesce(s.accrued_micro, 0) AS accrued_micro,"
        " s.accrued_to, s.epoch, coalesce(b.amount, 0) AS balance, coalesce(s.accrued, 0) AS accrued"
        " FROM account_master a LEFT JOIN balances b ON b.ledger_account = 'customer:' || a.account"
        " AND b.currency = a.currency LEFT JOIN account_state s ON s.account = a.account",
        "Accounts with posted balance and what is accrued since the last bill",
        {"balance": "posted in the ledger", "accrued": "rated but not billed yet", "accrued_to": "rated up to, UTC"},
    ),
    View(
        "gaps",
        'SELECT meter_id, channel, previous AS start, begin AS "end",'
        " date_diff('minute', previous, begin) // minutes AS intervals"
        ' FROM (SELECT meter_id, channel, minutes, "end" - to_minutes(CAST(minutes AS BIGINT)) AS begin,'
        ' lag("end") OVER (PARTITION BY meter_id, channel ORDER BY "end") AS previous FROM intervals)'
        " WHERE begin > previous",
        "Missing slots between a meter's first and last interval",
        {"start": "start of the first missing slot, UTC", "end": "end of the last one", "intervals": "slots missing"},
    ),
    View(
        "completeness",
        'SELECT CAST("end" - INTERVAL 1 MILLISECOND AS DATE) AS day, count(DISTINCT meter_id) AS meters,'
        " count(*) AS stored, CAST(sum(minutes) AS BIGINT) AS stored_minutes,"
        " 1440 * count(DISTINCT meter_id) AS expected_minutes FROM intervals WHERE channel = 1 GROUP BY 1",
        "Stored against expected minutes by UTC day, over the meters that sent anything that day",
        {"day": "UTC day of the slots", "stored": "slots stored", "expected_minutes": "1440 per meter"},
    ),
)

RESERVED = {name: f'UTC; a word of SQL, so quote it: "{name}"' for name in ("at", "end")}
"""Comments of columns whose names DuckDB takes for its own words, unless a table says more."""

ABSENT: Mapping[str, str] = {
    "notices": "notice VARCHAR, account VARCHAR, rung VARCHAR, state VARCHAR, created TIMESTAMP",
    "commands": "command VARCHAR, account VARCHAR, meter VARCHAR, action VARCHAR, state VARCHAR, requested TIMESTAMP",
    "decisions": "decision VARCHAR, account VARCHAR, at TIMESTAMP, verdict VARCHAR, reason VARCHAR",
    "command_events": "command VARCHAR, seq BIGINT, at TIMESTAMP, event VARCHAR, before VARCHAR, after VARCHAR",
}
"""Views that other parts of the house fill; without them they are there, empty."""

RELAY_EVENTS = View(
    "relay_events",
    "SELECT e.at, c.account, c.meter, c.action, e.event, e.before, e.after, e.command"
    " FROM command_events e JOIN commands c ON c.command = e.command WHERE e.after = 'verified'",
    "Changes of supply that were read back from the relay",
    {"at": "when the relay was read back, UTC", "action": "disconnect or connect"},
)


def absent(name: str) -> View:
    """An empty view of one of ``ABSENT``."""
    columns = [c.split(" ") for c in ABSENT[name].split(", ")]
    select = ", ".join(f'CAST(NULL AS {kind}) AS "{n}"' for n, kind in columns)
    return View(name, f"SELECT {select} {_EMPTY}", "Empty: this part of prewatt has not run here")
