"""Register reads of the inbox go in, intervals and the registers' new places come out, late reads included.

A late or superseding read makes its neighbourhood be converted again from the stored reads; the intervals that come out
replace the earlier ones (in the intervals dataset the last of equal quality counts).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import pyarrow as pa

from ingest.intervals import Converted, Key, Limits, Place, to_intervals, walk
from ingest.records import Finding, Interval, MeterPoint, MeterRead
from storage import plainreads, schemas
from storage.codec import to_ms
from storage.records import RegisterPlace
from storage.store import Store
from storage.usage import Master, at_ms

LOOK_BACK = timedelta(days=62)  # for the read before a late one
BEFORE = 3  # stored reads before a late one that are walked again


@dataclass(frozen=True, slots=True)
class Fresh:
    """What a slice of reads became: intervals by register and time, and where registers stand that have moved."""

    intervals: pa.Table
    findings: tuple[Finding, ...]
    places: Mapping[Key, Place]
    corrections: int  # late reads that were put in their place

    def stored(self) -> Iterator[tuple[Any, ...]]:
        """The places as rows of RegisterPlace, by register."""
        for (meter, channel), place in sorted(self.places.items()):
            since = to_ms(place.suspect_end) if place.suspect_end is not None else None
            yield (
                meter, channel, to_ms(place.end), place.register_wh, int(place.estimated), since, place.suspect_wh
            )  # fmt: skip


NOTHING: Final = Fresh(schemas.empty("intervals"), (), {}, 0)


def reads_of(tables: Iterable[pa.Table]) -> list[MeterRead]:
    """Return the reads of inbox tables as records, in order of arrival."""
    found: list[MeterRead] = []
    for table in tables:
        names = ("meter_id", "channel", "register_wh", "flags", "offset_s")
        columns = [table.column(name).to_pylist() for name in names]
        ends = [at_ms(ms) for ms in table.column("end").cast(pa.int64()).to_pylist()]
        found += [
            MeterRead(meter, channel, end, register, flags, offset)
            for meter, channel, register, flags, offset, end in zip(*columns, ends, strict=True)
        ]
    return found


def limits_of(point: MeterPoint) -> Limits:
    """What a meter can do, from its master data."""
    return Limits(point.slot_min, point.digits, point.max_power_w)


def kept(place: RegisterPlace) -> Place:
    """A stored place as the converter knows it."""
    return Place(place.end, place.register_wh, place.estimated, place.suspect_end, place.suspect_wh)


def convert(store: Store, master: Master, tables: Sequence[pa.Table], places: Mapping[Key, Place]) -> Fresh:
    """Convert one slice of reads that goes on from ``places``: the plain ones in arrays, the others read by read."""
    table = pa.concat_tables(tables)
    plain = plainreads.take(table, master, places)
    if not plain.rest.size:
        return Fresh(plain.intervals, (), plain.places, 0)
    reads = reads_of([table.take(pa.array(plain.rest))])
    other = by_reads(store, master, reads, places)
    both = pa.concat_tables([plain.intervals, other.intervals])
    both = both.sort_by([(name, "ascending") for name in schemas.INTERVALS.key])
    return Fresh(both, other.findings, {**plain.places, **other.places}, other.corrections)


def by_reads(store: Store, master: Master, reads: Sequence[MeterRead], places: Mapping[Key, Place]) -> Fresh:
    """Convert read by read; looks stored reads up only for late ones."""
    meters = sorted({read.meter_id for read in reads})
    limits = {meter: limits_of(master.points[meter]) for meter in meters if meter in master.points}
    names = {meter: master.name(meter) for meter in meters}
    keys = {(read.meter_id, read.channel) for read in reads}
    known = {key: places[key] for key in sorted(keys) if key in places}
    first = to_intervals(reads, limits=limits, previous=known, names=names)
    merged: dict[tuple[int, int, datetime], Interval] = {(i.meter_id, i.channel, i.end): i for i in first.intervals}
    moved = dict(first.places)
    findings = list(first.findings)
    for read in first.late:
        again = _again(store, read, moved, limits.get(read.meter_id, Limits()), names)
        if again is None:
            continue
        merged.update({(i.meter_id, i.channel, i.end): i for i in again.intervals})
        findings += again.findings
        moved.update(again.places)
    changed = {key: place for key, place in moved.items() if known.get(key) != place}
    table = schemas.intervals_table([merged[key] for key in sorted(merged)])
    return Fresh(table, tuple(findings), changed, len(first.late))


def _again(
    store: Store, late: MeterRead, places: Mapping[Key, Place], limits: Limits, names: Mapping[int, str]
) -> Converted | None:
    """Walk the stored reads around a late one; only what lies between its neighbours comes out."""
    key = (late.meter_id, late.channel)
    place = places[key]
    ahead = store.reads(late.end - LOOK_BACK, place.end, [late.meter_id], late.channel)
    around = [read for read in reads_of([ahead]) if read.end != late.end]
    earlier = [read for read in around if read.end < late.end][-BEFORE:]
    later = [read for read in around if read.end > late.end][:2]
    standing = [read for read in reads_of([ahead]) if read.end == late.end]
    reads = [*earlier, *(standing or [late]), *later]
    if not earlier and not later:
        return None
    walked = walk(reads, limits={late.meter_id: limits}, previous={}, names=names)
    low = earlier[-1].end if earlier else late.end
    high = later[0].end if later else late.end
    rows = tuple(row for row in walked.intervals if low < row.end <= high)
    found = tuple(finding for finding in walked.findings if low < finding.at <= high)
    own = {key: walked.places[key]} if late.end >= place.end else {}
    return Converted(rows, found, own)
