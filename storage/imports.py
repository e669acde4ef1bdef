"""Delivered files go in, their new intervals are stored; what was refused, repeated, contradicted or missing comes out.

Idempotent per (meter, channel, slot, value), whatever the file is called. The first value of a slot bills; a second,
different one is kept beside it (``read_conflict``). Each file is one transaction: meters, intervals, conflicts,
findings, refused lines. Meters that nobody registered are registered as meters that speak by file.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingest import checks, clockshift, deliveries
from ingest.deliveries import Delivery, ReadOptions
from ingest.gaps import gaps
from ingest.records import Finding, Flag, MeterPoint
from storage import batches
from storage.merge import rank
from storage.records import Job, ReadConflict
from storage.store import Store
from storage.unit import Unit
from storage.writer import Priority

Int = npt.NDArray[np.int64]

SOURCE = "import"
TAIL_JOB = "import-tail"
MOST_FINDINGS = 10_000
FILE_POWER_W = 10_000_000  # of a meter known by its files only: its own level finds the spikes
_MS = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1)


@dataclass(slots=True)
class ImportReport:
    """What an import did, summed over its files; ``refused`` and ``gaps`` in order of file and time."""

    files: int = 0
    rows: int = 0
    accepted: int = 0
    new: int = 0
    duplicate: int = 0
    conflict: int = 0
    missing: int = 0
    rounded: int = 0
    exported: int = 0
    refused_count: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)
    gaps: list[dict[str, Any]] = field(default_factory=list)
    meters: int = 0
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Columns:
    """Intervals as columns of equal length."""

    meter_id: Int
    channel: Int
    end: Int
    minutes: Int
    energy: Int
    flags: Int
    line: Int

    def take(self, rows: Int) -> "_Columns":
        return _Columns(*(getattr(self, name)[rows] for name in self.__slots__))


def _columns(table: pa.Table) -> _Columns:
    names = ("meter_id", "channel", "end", "minutes", "energy_wh", "flags")
    meter, channel, end, minutes, energy, flags = (table.column(n).cast(pa.int64()).to_numpy() for n in names)
    return _Columns(meter, channel, end, minutes, energy, flags, np.zeros(table.num_rows, np.int64))


def import_files(
    store: Store,
    paths: Sequence[Path],
    now: datetime,
    *,
    options: ReadOptions | None = None,
    format: str = "",
    progress: Callable[[str, int, int], None] | None = None,
) -> ImportReport:
    """Store what ``paths`` hold, in order; ``progress`` is told (file, done, total). Raises OSError for a path."""
    options = options or ReadOptions()
    report = ImportReport()
    head = store.read(lambda reader: reader.get(Job, TAIL_JOB))
    tail = head.detail if head is not None and head.state == "open" else ""
    spans: dict[int, tuple[int, int]] = {}
    for number, path in enumerate(paths):
        own = replace(options, head=tail, meter=options.meter or stem(path))
        delivery = deliveries.parse(path.read_bytes(), own, format=format)
        _one(store, path.name, delivery, now, report, spans)
        tail = delivery.tail
        if progress is not None:
            progress(path.name, number + 1, len(paths))
    _close(store, tail, head, now, report, spans)
    return report


def stem(path: Path) -> str:
    """A file's name without its endings: the meter of a file that names none.

    >>> stem(Path("plant-7.csv.gz"))
    'plant-7'
    """
    return path.name.split(".")[0]


def _close(
    store: Store, tail: str, before: Job | None, now: datetime, report: ImportReport, spans: dict[int, tuple[int, int]]
) -> None:
    """Keep an unfinished last line for the next piece, and list the gaps of every meter that was touched."""
    if tail or (before is not None and before.state == "open"):
        job = Job(TAIL_JOB, "import", "open" if tail else "done", now, now, tail[:1000])
        store.write(Priority.BATCH, lambda unit: unit.put(job))
    report.meters = len(spans)
    if not spans:
        return
    names = _names(store)
    low, high = min(first for first, _ in spans.values()), max(last for _, last in spans.values())
    held = _columns(store.intervals(_at(low - 1), _at(high), sorted(spans), None))
    for meter_id in sorted(spans, key=lambda one: names[one]):
        mine = held.take(np.arange(*np.searchsorted(held.meter_id, [meter_id, meter_id + 1])))
        channel = int(mine.channel.min())
        mine = mine.take(np.flatnonzero(mine.channel == channel))
        length = mine.minutes * 60_000
        first, last = spans[meter_id]
        for gap in gaps(mine.end, length, first, last, int(np.median(length))):
            report.gaps.append(
                {
                    "meter": names[meter_id],
                    "start": _at(gap.start_ms),
                    "end": _at(gap.end_ms),
                    "intervals": gap.intervals,
                }
            )


def _at(ms: int) -> datetime:
    return _EPOCH + ms * _MS


def _names(store: Store) -> dict[int, str]:
    return {point.meter_id: point.meter for point in store.read(lambda reader: reader.find(MeterPoint))}


def _one(
    store: Store, file: str, delivery: Delivery, now: datetime, report: ImportReport, spans: dict[int, tuple[int, int]]
) -> None:
    """Store one file's rows in one transaction."""
    points = _points(store, delivery)
    rows = _rows(delivery, points)
    fresh, twice, conflicts = _sort_out(store, rows, file, now)
    shifted = _shifted(store, rows, twice, conflicts, points)
    fresh, judged = _judge(store, fresh, points)
    findings = [*delivery.findings, *shifted, *judged][:MOST_FINDINGS]
    _tell(report, file, delivery)
    report.new += int(fresh.end.size)
    report.duplicate += int(twice.end.size) - len(conflicts)
    report.conflict += len(conflicts)
    report.findings += findings
    for meter_id in np.unique(rows.meter_id).tolist():
        mine = rows.take(np.flatnonzero(rows.meter_id == meter_id))
        first, last = int((mine.end - mine.minutes * 60_000).min()), int(mine.end.max())
        before = spans.get(meter_id, (first, last))
        spans[meter_id] = (min(first, before[0]), max(last, before[1]))
    packed, kept = _pack(fresh), _refused_table(file, delivery, now)

    def work(unit: Unit) -> None:
        for point in points.values():
            unit.put(point)
        for one in conflicts:
            if unit.get(ReadConflict, "intervals", one.meter_id, one.channel, one.end, one.other) is None:
                unit.add(one)
        for finding in findings:
            unit.add(finding)
        for number, part in enumerate(packed):
            unit.append_batch("intervals", SOURCE, f"{part.digest}.{number}", part, now)
        if kept is not None and not batches.digest_of(unit.connection, "raw", SOURCE, kept[0]):
            unit.append_batch("raw", SOURCE, kept[0], kept[1], now)

    store.write(Priority.BATCH, work)


def _rows(delivery: Delivery, points: dict[str, MeterPoint]) -> _Columns:
    """Return the delivery's columns with meter ids in the place of names."""
    ids = np.array([points[name].meter_id for name in delivery.meters], np.int64)
    meter = ids[delivery.meter] if delivery.meter.size else delivery.meter
    end = delivery.end.astype(np.int64)
    return _Columns(meter, delivery.channel, end, delivery.minutes, delivery.energy_wh, delivery.flags, delivery.line)


def _tell(report: ImportReport, file: str, delivery: Delivery) -> None:
    """Add what the parser saw to the report."""
    report.files += 1
    report.rows += delivery.rows
    report.accepted += int(delivery.end.size)
    report.missing += delivery.missing
    report.rounded += delivery.rounded
    report.exported += delivery.exported
    report.refused_count += delivery.refused_count
    room = max(0, deliveries.MOST_REFUSED - len(report.refused))
    for item in delivery.refused[:room]:
        report.refused.append({"file": file, "line": item.line, "reason": item.reason, "detail": item.detail})


def _points(store: Store, delivery: Delivery) -> dict[str, MeterPoint]:
    """Return the meter point of every meter in the file, new ones numbered after the last.

    A meter that only files speak for has the shortest slots that a file of it had: its list of accounts need not say.
    """
    known = {point.meter: point for point in store.read(lambda reader: reader.find(MeterPoint))}
    following = max((point.meter_id for point in known.values()), default=0) + 1
    found: dict[str, MeterPoint] = {}
    for index, name in enumerate(delivery.meters):
        mine = delivery.minutes[delivery.meter == index]
        slot = int(np.median(mine)) if mine.size else 60
        if name in known:
            point = known[name]
            finer = point.protocol == "file" and slot < point.slot_min
            found[name] = replace(point, slot_min=slot) if finer else point
            continue
        found[name] = MeterPoint(
            following, name, "", "file", "file", "", "", 0, 0, slot_min=slot, max_power_w=FILE_POWER_W
        )
        following += 1
    return found


def _sort_out(store: Store, rows: _Columns, file: str, now: datetime) -> tuple[_Columns, _Columns, list[ReadConflict]]:
    """Split rows into new ones (sorted), those of a slot that was there (repeats, conflicts), and the conflicts."""
    if not rows.end.size:
        return rows, rows, []
    ids = np.unique(rows.meter_id).tolist()
    held = _columns(store.intervals(_at(int(rows.end.min()) - 1), _at(int(rows.end.max())), ids, None))
    count = held.end.size
    both = _Columns(*(np.concatenate([getattr(held, n), getattr(rows, n)]) for n in _Columns.__slots__))
    stored = np.arange(both.end.size) < count
    order = np.lexsort((np.arange(both.end.size), both.end, both.channel, both.meter_id))
    both, stored = both.take(order), stored[order]
    same = np.ones(both.end.size, dtype=bool)
    for name in ("meter_id", "channel", "end"):
        column = getattr(both, name)
        same[1:] &= column[1:] == column[:-1]
    same[0] = False
    head = np.maximum.accumulate(np.where(same, 0, np.arange(both.end.size)))
    fresh = ~same & ~stored
    repeat = same & ~stored & (both.energy == both.energy[head])
    other = same & ~stored & ~repeat
    better = other & stored[head] & (rank(both.flags) > rank(both.flags[head]))
    conflicts = [
        ReadConflict(
            "intervals",
            int(both.meter_id[row]),
            int(both.channel[row]),
            _at(int(both.end[row])),
            int(both.energy[head[row]]),
            int(both.energy[row]),
            int(both.flags[row] | Flag.CONFLICT),
            SOURCE,
            f"{file}:{int(both.line[row])}",
            now,
        )
        for row in np.flatnonzero(other & ~better)
    ]
    twice = both.take(np.flatnonzero(repeat | (other & ~better)))
    return both.take(np.flatnonzero(fresh | better)), twice, conflicts


def _shifted(
    store: Store, rows: _Columns, twice: _Columns, conflicts: list[ReadConflict], points: dict[str, MeterPoint]
) -> list[Finding]:
    """Stretches of a meter's stamps that are an hour off, by the hour that is there twice and the one that is not."""
    names = {point.meter_id: point.meter for point in points.values()}
    findings: list[Finding] = []
    for meter_id, channel in sorted({(one.meter_id, one.channel) for one in conflicts}):
        own = rows.take(np.flatnonzero((rows.meter_id == meter_id) & (rows.channel == channel)))
        again = twice.end[(twice.meter_id == meter_id) & (twice.channel == channel)]
        since = _at(int(own.end.min()) - clockshift.LONGEST_MS)
        held = _columns(store.intervals(since, _at(int(own.end.max())), [meter_id], channel))
        ends, slot_ms = np.union1d(own.end, held.end), int(np.median(own.minutes)) * 60_000
        for shift in clockshift.shifts(ends, again, slot_ms):
            way = "ahead" if shift.ahead_ms > 0 else "behind"
            detail = (
                f"stamps up to {_at(shift.end_ms):%Y-%m-%d %H:%M}Z are an hour {way}: set the clock, or give --zone"
            )
            findings.append(Finding("clock_hour_off", _at(shift.start_ms), names[meter_id], "", detail))
    return findings


def _judge(store: Store, fresh: _Columns, points: dict[str, MeterPoint]) -> tuple[_Columns, list[Finding]]:
    """Run the checks on each register's new rows, beside two months of what is stored before them."""
    flags = fresh.flags.copy()
    findings: list[Finding] = []
    by_id = {point.meter_id: point for point in points.values()}
    series = fresh.meter_id * 16 + fresh.channel
    cuts = np.flatnonzero(np.diff(series)) + 1
    for part in np.split(np.arange(series.size), cuts):
        if not part.size or fresh.channel[part[0]] not in (1, 2):
            continue
        point = by_id[int(fresh.meter_id[part[0]])]
        mine = fresh.take(part)
        history = _history(store, mine)
        level = checks.level_wh(np.concatenate([history, mine.energy]))
        minutes = int(mine.minutes[0])
        most = point.max_power_w * minutes // 60
        added, verdicts = checks.judge(mine.end, mine.energy, minutes, level=level, most_wh=most)
        flags[part] |= added
        for verdict in verdicts:
            findings.append(Finding(verdict.code, _at(int(mine.end[verdict.first])), point.meter, "", verdict.detail))
    return replace(fresh, flags=flags), findings


def _history(store: Store, mine: _Columns) -> Int:
    """Return the trusted energies of the two months before, when the new rows are too few to know a level."""
    if np.count_nonzero(mine.energy) >= 10 * checks.FEWEST_FOR_LEVEL:
        return np.zeros(0, np.int64)
    first = _at(int(mine.end.min()) - 1)
    meter, channel = int(mine.meter_id[0]), int(mine.channel[0])
    held = _columns(store.intervals(first - timedelta(days=60), first, [meter], channel))
    trusted: Int = held.energy[(held.flags & int(Flag.SUSPECT)) == 0]
    return trusted


def _pack(fresh: _Columns) -> list[batches.Packed]:
    """Compress the new rows before the transaction, in batches within the inbox's limit."""
    if not fresh.end.size:
        return []
    table = pa.table(
        {
            "meter_id": pa.array(fresh.meter_id, pa.int32()),
            "channel": pa.array(fresh.channel, pa.uint8()),
            "end": pa.array(fresh.end, pa.int64()).cast(pa.timestamp("ms")),
            "minutes": pa.array(fresh.minutes, pa.int16()),
            "energy_wh": pa.array(fresh.energy, pa.int64()),
            "flags": pa.array(fresh.flags, pa.uint16()),
        }
    )
    step = batches.ROW_LIMIT
    return [batches.pack("intervals", table.slice(at, step)) for at in range(0, table.num_rows, step)]


def _refused_table(file: str, delivery: Delivery, now: datetime) -> tuple[str, pa.Table] | None:
    """Return refused lines as a batch of the raw dataset under a number made of their content, None without any."""
    if not delivery.refused:
        return None
    frames = [f"{item.line}: {item.detail}".encode() for item in delivery.refused]
    reasons = [item.reason for item in delivery.refused]
    digest = hashlib.sha256(b"\n".join(frames) + "\n".join(reasons).encode()).hexdigest()[:32]
    table = pa.table(
        {
            "source": pa.array([file] * len(frames), pa.string()),
            "at": pa.array([now] * len(frames), pa.timestamp("ms")),
            "frame": pa.array(frames, pa.binary()),
            "reason": pa.array(reasons, pa.string()),
        }
    )
    return digest, table
