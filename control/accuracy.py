"""A span of time and a snapshot go in; how well meters were read in it comes out, by hand and over the air (S10)."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa

from control.fieldbook import Entry
from control.handheld import READS
from ingest.records import Finding, Flag
from storage.records import ReadConflict
from storage.unit import Reader

QUALITIES = ("estimated", "suspect", "uncertain", "clock", "conflict")


@dataclass(frozen=True, slots=True)
class ByReader:
    """One person's reads: how many, how many were held, and how many final ones somebody else had to mend."""

    reader: str
    reads: int
    final: int
    held: int
    mended: int


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How well meters were read: people, on-site checks of remote meters, slots by quality, findings by code."""

    readers: tuple[ByReader, ...]
    checks: int
    checks_differing: int
    swaps: int
    conflicts: int
    slots: int
    slots_by_quality: Mapping[str, int]
    findings: Mapping[str, int]


def accuracy(reader: Reader, intervals: pa.Table, since: datetime, until: datetime) -> Accuracy:
    """Everything that happened in [since, until); ``intervals`` are the stored ones of that span."""
    entries = reader.find(Entry, at__ge=since, at__lt=until, status__ne="refused", order=("at", "message_id"))
    checks = [row for row in entries if row.kind == "check"]
    flags = intervals.column("flags").to_numpy()
    found = reader.find(Finding, at__ge=since, at__lt=until)
    return Accuracy(
        readers=_by_reader(reader, entries),
        checks=len(checks),
        checks_differing=sum(row.status == "held" for row in checks),
        swaps=sum(row.kind == "swap" and row.status == "accepted" for row in entries),
        conflicts=reader.count(ReadConflict, at__ge=since, at__lt=until),
        slots=intervals.num_rows,
        slots_by_quality={word: int(np.count_nonzero(flags & int(Flag[word.upper()]))) for word in QUALITIES},
        findings=dict(sorted(Counter(row.code for row in found).items())),
    )


def _by_reader(reader: Reader, entries: list[Entry]) -> tuple[ByReader, ...]:
    """Counts by person; a mend counts against whoever made the record that it supersedes, whenever that was."""
    wrong: Counter[str] = Counter()
    for row in entries:
        if row.kind == "mend":
            wrong.update(before.person for before in reader.find(Entry, message_id=row.supersedes))
    own = [row for row in entries if row.kind in READS]
    names = sorted({row.person for row in own} | set(wrong))
    return tuple(
        ByReader(
            name,
            sum(row.person == name for row in own),
            sum(row.person == name and row.kind == "confirm" for row in own),
            sum(row.person == name and row.status == "held" for row in own),
            wrong[name],
        )
        for name in names
    )
