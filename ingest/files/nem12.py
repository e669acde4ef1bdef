"""An AEMO NEM12 meter data file goes in, intervals with their quality and refusals by line come out.

Records (AEMO, Meter Data File Format Specification NEM12 & NEM13): 100 header, 200 a register with its unit and slot
length, 300 a day of values with a quality, 400 qualities by slot where the day's is V, 500 ignored (read events), 900
end. Days are in market time, UTC+10 all year. NEM13 (registers read every three months) is refused by name.
Register E is energy taken from the grid, B fed into it, Q reactive; K (leading) has no channel here. Register 1 of a
kind is the meter ``NMI``, register n the meter ``NMI.En``: each keeps its own sum.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ingest import stamps
from ingest.deliveries import Delivery, ReadOptions, Rows, nothing
from ingest.quantities import EXPONENTS, Word, quantity
from ingest.records import Channel, Flag

MARKET_ZONE: Final = "Etc/GMT-10"  # POSIX sign: ten hours east of Greenwich
CHANNELS: Final = {"E": Channel.IMPORT, "B": Channel.EXPORT, "Q": Channel.REACTIVE}
LENGTHS: Final = (5, 15, 30)
QUALITY: Final = {"A": 0, "S": Flag.ESTIMATED, "F": Flag.ESTIMATED, "E": Flag.ESTIMATED}  # N = no data, V = see 400


@dataclass(frozen=True, slots=True)
class _Register:
    meter: str
    channel: Channel
    exponent: int
    minutes: int


@dataclass(slots=True)
class _Day:
    """One 300 record: its values wait for the 400 records that may follow."""

    register: _Register
    date: datetime
    values: Sequence[str]
    quality: list[str]
    line: int


@dataclass(frozen=True, slots=True)
class Nem12Format:
    """The format ``nem12``."""

    name: str = "nem12"

    def sniff(self, head: bytes) -> bool:
        """The first record is a 100."""
        return head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"100,")

    def parse(self, data: bytes, options: ReadOptions) -> Delivery:
        """Read every record; one that is wrong is refused by its line, with the values that hang on it."""
        lines = data.decode("utf-8-sig", errors="replace").splitlines()
        head = lines[0].split(",") if lines else [""]
        version = head[1].strip().upper() if len(head) > 1 else ""
        if head[0].strip() != "100" or version != "NEM12":
            detail = "accumulated reads, no intervals; ask for the NEM12 file" if version == "NEM13" else lines[:1]
            return nothing("nem12", 1, "nem13" if version == "NEM13" else "no_header", str(detail))
        rows = Rows("nem12")
        whole = data.endswith(b"\n") or lines[-1].split(",")[0].strip() == "900"
        _records(lines if whole else lines[:-1], options, rows)
        if not whole:
            rows.rows += 1
            rows.refuse(len(lines), "cut_line", lines[-1][:40])
        return rows.delivery()


def _records(lines: Sequence[str], options: ReadOptions, rows: Rows) -> None:
    """Walk the records; a day is taken when its last 400 was seen."""
    register: _Register | None = None
    day: _Day | None = None
    for number, line in enumerate(lines, 1):
        fields = [field.strip() for field in line.split(",")]
        kind = fields[0]
        if kind == "400" and day is not None:
            _qualities(fields, day, number, rows)
            continue
        if kind in ("200", "300", "900"):
            _take(day, options, rows)
            day = None
        if kind == "200":
            register = _register(fields, number, rows)
        elif kind == "300" and register is not None:
            day = _day(fields, register, number, rows)
        elif kind not in ("", "100", "300", "400", "500", "900"):
            rows.rows += 1
            rows.refuse(number, "bad_record", f"{kind[:20]!r} is no NEM12 record")
    _take(day, options, rows)


def _register(fields: Sequence[str], line: int, rows: Rows) -> _Register | None:
    """Read a 200 record; None (and a refusal that covers its days) for a register that has no channel here."""
    if len(fields) < 9:
        rows.refuse(line, "field_count", f"{len(fields)} fields in a 200 record")
        return None
    nmi, suffix, unit, length = fields[1], fields[4].upper(), fields[7].lower(), fields[8]
    kind, number = suffix[:1], suffix[1:] or "1"
    if kind not in CHANNELS:
        rows.refuse(line, "no_channel", f"{nmi} register {suffix}: only E, B and Q are kept")
        return None
    if unit not in EXPONENTS:
        rows.refuse(line, "bad_unit", f"{nmi} register {suffix}: {unit!r}")
        return None
    if not length.isdigit() or int(length) not in LENGTHS:
        rows.refuse(line, "bad_length", f"{nmi} register {suffix}: {length!r} minutes; 5, 15 or 30")
        return None
    return _Register(nmi if number == "1" else f"{nmi}.{suffix}", CHANNELS[kind], EXPONENTS[unit], int(length))


def _day(fields: Sequence[str], register: _Register, line: int, rows: Rows) -> _Day | None:
    """Read a 300 record: a date, 1440 / minutes values, a quality."""
    count = 24 * 60 // register.minutes
    read = stamps.read(f"{fields[1][:4]}-{fields[1][4:6]}-{fields[1][6:]}") if len(fields) > 1 else None
    if read is None or len(fields) < count + 3:
        rows.rows += 1
        wrong = "bad_stamp" if read is None else "field_count"
        rows.refuse(line, wrong, f"{fields[1][:20] if len(fields) > 1 else ''}: wanted a date and {count} values")
        return None
    quality = fields[2 + count][:1].upper()
    return _Day(register, read.wall, fields[2 : 2 + count], [quality] * count, line)


def _qualities(fields: Sequence[str], day: _Day, line: int, rows: Rows) -> None:
    """Read a 400 record: from slot, to slot (from 1, inclusive), quality."""
    if len(fields) < 4 or not (fields[1].isdigit() and fields[2].isdigit()):
        rows.refuse(line, "bad_record", "a 400 record wants from, to, quality")
        return
    first, last = int(fields[1]), int(fields[2])
    if not 1 <= first <= last <= len(day.quality):
        rows.refuse(line, "bad_record", f"slots {first} to {last} of {len(day.quality)}")
        return
    day.quality[first - 1 : last] = [fields[3][:1].upper()] * (last - first + 1)


def _take(day: _Day | None, options: ReadOptions, rows: Rows) -> None:
    """Turn one day's values into intervals."""
    if day is None:
        return
    register = day.register
    rows.rows += len(day.values)
    start = stamps.midnight_ms(day.date, options.zone or MARKET_ZONE)
    for slot, (text, quality) in enumerate(zip(day.values, day.quality, strict=True)):
        energy, word = quantity(text, register.exponent)
        if quality == "N" or word is Word.MISSING:
            rows.missing += 1
        elif word in (Word.BAD, Word.TOO_LARGE):
            rows.refuse(day.line, "bad_value" if word is Word.BAD else "too_large", f"slot {slot + 1}: {text}")
        elif quality not in QUALITY:
            rows.refuse(day.line, "bad_quality", f"slot {slot + 1}: {quality!r}")
        elif energy < 0:
            rows.refuse(day.line, "negative", f"slot {slot + 1}: {text}")
        else:
            rows.rounded += word is Word.ROUNDED
            end = start + (slot + 1) * register.minutes * 60_000
            flags = int(Flag.IMPORTED | QUALITY[quality])
            rows.add(register.meter, register.channel, end, register.minutes, energy, flags=flags, line=day.line)


FORMAT = Nem12Format()
