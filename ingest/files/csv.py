"""Delimited text in long, wide or single form goes in, rows and refusals by line come out.

Takes what utilities really send: byte order mark, CRLF, blank lines, padded values, a decimal comma inside quotes,
``Null``, repeated headers, rows out of order, daylight-saving hours, a drifting clock, the day's last row at 00:00
under the old date. The last line counts only when it ends in a newline, or when a delimiter closes its energy: a value
cut in half never enters; the cut line is handed on as ``tail`` and completed by the next piece.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ingest import grid, stamps
from ingest.deliveries import MOST_REFUSED, Delivery, ReadOptions, Rows, nothing
from ingest.files._layout import Column, Layout, layout
from ingest.quantities import Word, quantity
from ingest.records import Channel, Finding, Flag

Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

SAMPLE_ROWS = 50
REASONS = {
    stamps.Trouble.BAD_STAMP: "bad_stamp",
    stamps.Trouble.CLOCK_LOST: "clock_lost",
    stamps.Trouble.NO_SUCH_HOUR: "no_such_hour",
}
WORDS = {Word.BAD: "bad_value", Word.TOO_LARGE: "too_large"}


@dataclass(frozen=True, slots=True)
class CsvFormat:
    """The format ``csv``: whatever is text with a header line."""

    name: str = "csv"

    def sniff(self, head: bytes) -> bool:
        """Text that is neither XML nor a NEM file."""
        start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
        return not start.startswith((b"<", b"100,NEM", b"100,")) and b"\x00" not in head

    def parse(self, data: bytes, options: ReadOptions) -> Delivery:
        """Read one table; see ``ingest.deliveries`` for the columns."""
        lines, tail = _lines(data)
        first = next((number for number, line in enumerate(lines) if line.strip()), None)
        if first is None:
            return replace(nothing("csv", 1, "empty", "no header line"), tail=tail)
        delimiter = max(",;\t|", key=lambda mark: (lines[first].count(mark), mark == ","))
        header = _fields(lines[first], delimiter)
        rows = Rows("csv")
        body = list(_body(lines, first, delimiter, len(header), rows, options.head))
        sample = [fields for _, fields in body[:SAMPLE_ROWS]]
        shape = layout(header, sample, options)
        if isinstance(shape, str):
            return nothing("csv", first + 1, "no_columns", shape)
        if tail and _closed(tail, delimiter, shape):
            body.append((len(lines) + 1, _fields(tail, delimiter)))
            tail = ""
        elif tail.strip():
            rows.rows += len(shape.columns)
            rows.refuse(len(lines) + 1, "cut_line", tail)
        return replace(_table(body, shape, options, rows), tail=tail)


def _lines(data: bytes) -> tuple[list[str], str]:
    """Return the finished lines and the unfinished last one."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines[:-1], lines[-1]


def _fields(line: str, delimiter: str) -> list[str]:
    """Split one line; a quote never runs on into the next one."""
    if '"' not in line:
        return line.split(delimiter)
    return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])


def _body(
    lines: Sequence[str], first: int, delimiter: str, width: int, rows: Rows, head: str
) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, fields) of each data row; blank lines and repeated headers are no rows."""
    header = lines[first]
    fresh = bool(head)
    for number in range(first + 1, len(lines)):
        line = lines[number]
        if not line.strip() or line == header:
            continue
        fields = _fields(line, delimiter)
        if fresh:
            following = next((one for one in lines[number + 1 :] if one.strip()), "")
            fields = _joined(head, line, following, delimiter, width) or fields
            fresh = False
        if len(fields) == width:
            yield number + 1, fields
        else:
            rows.rows += 1
            rows.refuse(number + 1, "field_count", f"{len(fields)} fields, the header has {width}")


def _joined(head: str, line: str, following: str, delimiter: str, width: int) -> list[str]:
    """Return the row that an earlier piece began and ``line`` ends; [] when ``line`` is the whole row sent again.

    A row cut inside its first field is only put together when the next row has the same first field.
    """
    fields = _fields(head + line, delimiter)
    if line.startswith(head) or len(fields) != width:
        return []
    if delimiter not in head and fields[0] != _fields(following, delimiter)[0]:
        return []
    return fields


def _closed(tail: str, delimiter: str, shape: Layout) -> bool:
    """Whether an unfinished line is whole as far as its time and energy go."""
    fields = _fields(tail, delimiter)
    last = max(shape.stamp, shape.meter or 0, *(column.index for column in shape.columns))
    return len(fields) == shape.width and last < shape.width - 1


@dataclass(frozen=True, slots=True)
class _Cells:
    """One row per value: meter number, line, stamp text, value text, the column it stood in."""

    meter: Int
    line: Int
    stamp: list[str]
    value: list[str]
    column: Int


def _cells(body: Sequence[tuple[int, list[str]]], shape: Layout, names: dict[str, int]) -> _Cells:
    lines = np.fromiter((line for line, _ in body), np.int64, len(body))
    stamp = [fields[shape.stamp] for _, fields in body]
    if shape.clock is not None:
        stamp = [f"{day} {fields[shape.clock]}" for day, (_, fields) in zip(stamp, body, strict=True)]
    meters = []
    values: list[str] = []
    for column in shape.columns:
        if shape.meter is None:
            meters.append(np.full(len(body), names.setdefault(column.meter, len(names)), np.int64))
        else:
            own = [fields[shape.meter].strip() for _, fields in body]
            for name in dict.fromkeys(own):
                names.setdefault(name, len(names))
            meters.append(np.fromiter((names[name] for name in own), np.int64, len(own)))
        values += [fields[column.index] for _, fields in body]
    count = len(shape.columns)
    column_of = np.repeat(np.arange(count, dtype=np.int64), len(body))
    return _Cells(np.concatenate(meters), np.tile(lines, count), stamp * count, values, column_of)


def _energy(cells: _Cells, columns: Sequence[Column]) -> tuple[Int, Int]:
    """Return base units and the word of each cell; equal texts are read once."""
    known: dict[tuple[int, str], tuple[int, Word]] = {}
    places = [columns[number].exponent for number in cells.column.tolist()]
    keys = list(zip(places, cells.value, strict=True))
    for key in dict.fromkeys(keys):
        known[key] = quantity(key[1], key[0])
    pairs = np.array([known[key] for key in keys], dtype=np.int64).reshape(-1, 2)
    return pairs[:, 0].copy(), pairs[:, 1].copy()


def _old_midnight(wall: Int, meter_column: Int) -> Bool:
    """Mark the rows at 00:00 that carry the old date: they follow the last slot before midnight of that same date."""
    back = np.zeros(wall.shape, dtype=bool)
    if wall.size < 2:
        return back
    step = wall[:-1] - wall[1:]
    same = meter_column[:-1] == meter_column[1:]
    midnight = wall % stamps.DAY_MS == 0
    near = (step >= stamps.DAY_MS - stamps.HOUR_MS) & (step < stamps.DAY_MS)
    back[1:] = same & midnight[1:] & near
    return back if 2 * np.count_nonzero(back) >= np.count_nonzero(midnight) else np.zeros_like(back)


@dataclass(frozen=True, slots=True)
class _Found:
    """What each cell became; ``good`` marks the ones to keep."""

    cells: _Cells
    end: Int
    minutes: Int
    energy: Int
    flags: Int
    channel: Int
    good: Bool


def _table(body: Sequence[tuple[int, list[str]]], shape: Layout, options: ReadOptions, rows: Rows) -> Delivery:
    """Turn cells into intervals: energy, times, slots; every cell that fails leaves its reason."""
    if not body:
        return rows.delivery()
    cells = _cells(body, shape, rows.names)
    rows.rows += len(cells.value)
    energy, word = _energy(cells, shape.columns)
    rows.missing = int(np.count_nonzero(word == Word.MISSING))
    series = cells.meter * len(shape.columns) + cells.column
    times = stamps.resolve(cells.stamp, series, zone=options.zone or "UTC")
    _refuse(rows, cells, word, times.trouble)
    good = (times.trouble == 0) & ((word == Word.WHOLE) | (word == Word.ROUNDED))
    end, minutes, off, fits = _slots(cells, times, series, shape, options)
    for row in np.flatnonzero(good & ~fits):
        rows.refuse(int(cells.line[row]), "off_grid", cells.stamp[row])
    good &= fits
    rows.rounded = int(np.count_nonzero(good & (word == Word.ROUNDED)))
    late = np.abs(off) > grid.CLOCK_LIMIT_MS
    flags = np.int64(Flag.IMPORTED) | np.where(late, np.int64(Flag.CLOCK), 0)
    channel = np.array([int(column.channel) for column in shape.columns], np.int64)[cells.column]
    findings = _drift(rows, cells, off, late & good, end)
    return _close(rows, _Found(cells, end, minutes, energy, flags, channel, good), options, findings)


def _slots(
    cells: _Cells, times: stamps.Stamps, series: Int, shape: Layout, options: ReadOptions
) -> tuple[Int, Int, Int, Bool]:
    """Return each cell's slot end (ms), length, how far its stamp was off (ms), and whether it fits a slot at all."""
    old = _old_midnight(times.wall_ms, series)
    kind = "end" if old.any() else options.stamp or shape.stamp_kind or "start"
    at = times.utc_ms + np.where(old, stamps.DAY_MS, 0)
    timed = np.flatnonzero(times.trouble == 0)
    slots = grid.settle(at[timed], cells.meter[timed], minutes=options.minutes, hint=shape.hint_min)
    start, minutes, off = (np.zeros_like(at) for _ in range(3))
    fits = np.zeros(at.shape, dtype=bool)
    start[timed], minutes[timed], off[timed], fits[timed] = slots.start_ms, slots.minutes, slots.offset_ms, slots.fits
    return (start if kind == "end" else start + minutes * grid.MINUTE_MS), minutes, off, fits


def _refuse(rows: Rows, cells: _Cells, word: Int, trouble: Int) -> None:
    """Keep the reason of each cell whose time or value cannot be read."""
    for row in np.flatnonzero((trouble != 0) & (word != Word.MISSING)):
        reason = REASONS[stamps.Trouble(int(trouble[row]))]
        rows.refuse(int(cells.line[row]), reason, f"{cells.stamp[row].strip()} {cells.value[row].strip()}")
    for row in np.flatnonzero((trouble == 0) & ((word == Word.BAD) | (word == Word.TOO_LARGE))):
        rows.refuse(int(cells.line[row]), WORDS[Word(int(word[row]))], cells.value[row].strip())


def _drift(rows: Rows, cells: _Cells, off: Int, late: Bool, end: Int) -> list[Finding]:
    """Return one finding per meter whose clock was off: one work order, not one per row."""
    names = list(rows.names)
    findings = []
    bad = np.flatnonzero(late)
    for number in np.unique(cells.meter[bad]):
        mine = bad[cells.meter[bad] == number]
        worst = mine[np.argmax(np.abs(off[mine]))]
        at = end[mine[0]].astype("datetime64[ms]").item()
        detail = f"{len(mine)} stamps off by up to {int(off[worst]) // 1000} s, snapped to their slots; set the clock"
        findings.append(Finding("clock_drift", at, names[int(number)], "", detail))
    return findings


def _close(rows: Rows, found: _Found, options: ReadOptions, findings: list[Finding]) -> Delivery:
    """Settle negative energy, then return the columns in file order."""
    cells, good = found.cells, found.good.copy()
    minus = np.flatnonzero(good & (found.energy < 0))
    exporting = options.negative == "export"
    export = minus[(found.channel[minus] == Channel.IMPORT) & exporting]
    for row in minus[(found.channel[minus] != Channel.IMPORT) | (not exporting)]:
        rows.refuse(int(cells.line[row]), "negative", cells.value[row].strip())
        good[row] = False
    kept = np.flatnonzero(good)
    order = np.concatenate([kept, export])
    energy = np.concatenate([np.maximum(found.energy[kept], 0), -found.energy[export]])
    channel = np.concatenate([found.channel[kept], np.full(export.size, Channel.EXPORT, np.int64)])
    ranked = np.argsort(cells.line[order], kind="stable")
    order, energy, channel = order[ranked], energy[ranked], channel[ranked]
    rows.refused = sorted(rows.refused, key=lambda item: (item.line, item.reason))[:MOST_REFUSED]
    return replace(
        rows.delivery(findings),
        meter=cells.meter[order],
        channel=channel,
        end=found.end[order].astype("datetime64[ms]"),
        minutes=found.minutes[order],
        energy_wh=energy,
        flags=found.flags[order],
        line=cells.line[order],
        exported=int(export.size),
    )


FORMAT = CsvFormat()
