"""Bytes of one delivered file go in; its rows as columns come out, with every refusal by line.

A file is refused by the line, never as a whole, unless nothing can be said about it. ``rows`` counts the readings seen:
each is accepted, missing (the file says so: empty, ``Null``) or refused; with negative energy taken as export one row
gives two intervals (``exported``). Energy is exact: see ``ingest.quantities``.
"""

import gzip
import io
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from ingest.plugins import load
from ingest.records import Finding

Int = npt.NDArray[np.int64]

MOST_BYTES = 1 << 30  # of one file, unpacked: a limit against gzip bombs, about 30 million rows
MOST_REFUSED = 10_000  # refusals kept by line; all are counted


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How to read a file where it does not say itself.

    ``zone`` counts for stamps without an offset ("" = the format's own: UTC for CSV, UTC+10 for NEM12). ``stamp`` is
    start, end or "" (as the file shows, else start); ``minutes`` 0 = inferred. ``negative`` is refuse or export.
    ``meter`` names the meter of a file that names none. ``head`` is the unfinished last line of an earlier piece of
    the same file: it is put before the first line when only both together make a whole row.
    """

    zone: str = ""
    stamp: str = ""
    minutes: int = 0
    meter: str = ""
    meter_col: str = ""
    stamp_col: str = ""
    value_col: str = ""
    unit: str = ""
    negative: str = "refuse"
    head: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """One row that was not taken: its line (from 1, in the unpacked file), a stable word, and what was seen."""

    line: int
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one file gave, as columns of equal length in file order.

    ``meter`` indexes ``meters``; ``end`` is datetime64[ms] UTC; ``energy_wh`` in base units of its channel.
    """

    format: str
    meters: tuple[str, ...]
    meter: Int
    channel: Int
    end: npt.NDArray[np.datetime64]
    minutes: Int
    energy_wh: Int
    flags: Int
    line: Int
    rows: int = 0
    missing: int = 0
    rounded: int = 0  # values that were no whole Wh
    exported: int = 0  # negative values stored as export beside a zero import
    refused: tuple[Refused, ...] = ()
    refused_count: int = 0
    findings: tuple[Finding, ...] = ()
    tail: str = ""  # the unfinished last line


@runtime_checkable
class FileFormat(Protocol):
    """One file format: its name, whether a file's first bytes are its own, and the parser (pure, never raises)."""

    @property
    def name(self) -> str: ...
    def sniff(self, head: bytes) -> bool: ...
    def parse(self, data: bytes, options: ReadOptions) -> Delivery: ...


@dataclass(slots=True)
class Rows:
    """Collects rows one by one, for formats that are read value by value; ``delivery`` closes it."""

    format: str
    names: dict[str, int] = field(default_factory=dict)
    table: list[tuple[int, int, int, int, int, int, int]] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    refused_count: int = 0
    rows: int = 0
    missing: int = 0
    rounded: int = 0

    def add(
        self, meter: str, channel: int, end_ms: int, minutes: int, energy_wh: int, *, flags: int, line: int
    ) -> None:
        """Take one interval that ends at ``end_ms`` (milliseconds since 1970, UTC)."""
        index = self.names.setdefault(meter, len(self.names))
        self.table.append((index, channel, end_ms, minutes, energy_wh, flags, line))

    def refuse(self, line: int, reason: str, detail: str = "") -> None:
        """Keep one refusal, up to the limit; all are counted."""
        self.refused_count += 1
        if len(self.refused) < MOST_REFUSED:
            self.refused.append(Refused(line, reason, detail[:120]))

    def delivery(self, findings: Iterable[Finding] = ()) -> Delivery:
        """Return the columns of what was taken."""
        columns = np.array(self.table, dtype=np.int64).reshape(-1, 7).T
        meter, channel, end, minutes, energy, flags, line = columns
        return Delivery(
            self.format,
            tuple(self.names),
            meter,
            channel,
            end.astype("datetime64[ms]"),
            minutes,
            energy,
            flags,
            line,
            rows=self.rows,
            missing=self.missing,
            rounded=self.rounded,
            refused=tuple(self.refused),
            refused_count=self.refused_count,
            findings=tuple(findings),
        )


def nothing(name: str, line: int, reason: str, detail: str = "") -> Delivery:
    """Return the delivery of a file of which nothing can be read, with the reason."""
    rows = Rows(name)
    rows.refuse(line, reason, detail)
    return rows.delivery()


def formats() -> dict[str, FileFormat]:
    """Return every file format by name, the shipped ones and those of third parties (``prewatt.files``)."""
    return load("ingest.files", "FORMAT", FileFormat, group="prewatt.files")  # type: ignore[type-abstract]


def expand(data: bytes) -> bytes | None:
    """Return the file's bytes, unpacked if they are gzip; None when the packing is broken or above the limit."""
    if not data.startswith(b"\x1f\x8b"):
        return data if len(data) <= MOST_BYTES else None
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
            plain = packed.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error):
        return None
    return plain if len(plain) <= MOST_BYTES else None


def parse(data: bytes, options: ReadOptions | None = None, *, format: str = "") -> Delivery:
    """Read one file, packed or not, in the named format or in the one whose marks it bears; never raises on its bytes.

    Raises KeyError for a format that does not exist (the caller's wrong, not the field's).
    """
    options = options or ReadOptions()
    plain = expand(data)
    if plain is None:
        return nothing(format or "file", 1, "bad_gzip", "not a whole gzip file, or larger than 1 GiB unpacked")
    known = formats()
    if format:
        return known[format].parse(plain, options)
    head = plain[:4096]
    claimed = [known[name] for name in known if known[name].sniff(head)]
    if len(claimed) != 1:
        names = ", ".join(item.name for item in claimed) or "none"
        return nothing("file", 1, "unknown_format", f"formats that claim it: {names}; say --format")
    return claimed[0].parse(plain, options)
