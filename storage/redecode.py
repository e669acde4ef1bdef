"""Kept visits and the drivers as they are now go in; reads that a corrected profile makes otherwise come out.

Only what differs from the stored read of the same slot is a correction. A meter's corrections are good only if its
register goes on plausibly through them and the reads around them: one that starts in the middle of a wrong series would
bill the jump between a wrong register and a right one, so it is refused with the reason.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ingest.intervals import walk
from ingest.model import Driver
from ingest.rawpoll import PREFIX, KeptVisit, profile_of, registers, unpack
from ingest.records import Flag, MeterPoint, MeterRead
from storage.conversion import limits_of, reads_of
from storage.store import Store

AROUND = timedelta(days=3)
JUMPS = frozenset({"falling_register", "spike", "register_reset"})


@dataclass(frozen=True, slots=True)
class Corrected:
    """One read as the driver now decodes it, beside the one that stands, with where it comes from."""

    meter: str
    read: MeterRead
    before_wh: int
    model: str
    profile_before: str
    profile_now: str
    heard: datetime


@dataclass(frozen=True, slots=True)
class Redecoded:
    """What a run found: visits looked at, corrections, and meters that cannot be corrected with the reason."""

    visits: int
    corrections: tuple[Corrected, ...]
    refused: Mapping[str, str]


def visits(store: Store, since: datetime, until: datetime, meter: str = "") -> list[tuple[datetime, KeptVisit]]:
    """The kept visits of [since, until), in order of time; of one meter or of all."""
    table = store.raw(since, until)
    found = []
    sources, times, frames = (table.column(name).to_pylist() for name in ("source", "at", "frame"))
    for source, at, frame in zip(sources, times, frames, strict=True):
        if source.startswith(PREFIX) and (not meter or source.endswith(f":{meter}")):
            visit = unpack(frame)
            if visit is not None and (not meter or visit.meter == meter):
                found.append((at, visit))
    return sorted(found, key=lambda item: (item[0], item[1].meter))


def redecode(
    store: Store, drivers: Mapping[str, Driver], since: datetime, until: datetime, meter: str = ""
) -> Redecoded:
    """Decode every kept visit of [since, until) again and lay it beside what is stored."""
    points = {point.meter: point for point in store.read(lambda reader: reader.find(MeterPoint))}
    heard: dict[str, list[tuple[datetime, KeptVisit]]] = {}
    for at, visit in visits(store, since, until, meter):
        heard.setdefault(visit.meter, []).append((at, visit))
    corrections: list[Corrected] = []
    refused: dict[str, str] = {}
    for name in sorted(heard):
        point = points.get(name)
        driver = drivers.get(point.model) if point is not None else None
        if point is None or driver is None:
            refused[name] = "no such meter, or no driver of its model"
            continue
        found, why = _one(store, point, driver, heard[name])
        corrections += found
        if why:
            refused[name] = why
    return Redecoded(sum(len(rows) for rows in heard.values()), tuple(corrections), refused)


def _one(
    store: Store, point: MeterPoint, driver: Driver, heard: Sequence[tuple[datetime, KeptVisit]]
) -> tuple[list[Corrected], str]:
    """One meter's corrections, and why there are none where there should be."""
    low = min(visit.slot_end for _, visit in heard) - AROUND
    high = max(visit.slot_end for _, visit in heard) + AROUND
    stored = reads_of([store.reads(low, high, [point.meter_id])])
    at = {(int(read.channel), read.end): read for read in stored}
    now = profile_of(driver)
    found: dict[tuple[int, datetime], Corrected] = {}
    for time, visit in heard:
        for channel, value in registers(visit, driver).items():
            standing = at.get((int(channel), visit.slot_end))
            if standing is None or standing.register_wh == value or standing.flags & (Flag.FINAL | Flag.MANUAL):
                continue
            flags = (standing.flags & ~int(Flag.SUSPECT)) | int(Flag.CONFIRMED)
            read = MeterRead(point.meter_id, channel, visit.slot_end, value, flags, standing.offset_s)
            found[int(channel), visit.slot_end] = Corrected(
                point.meter, read, standing.register_wh, point.model, visit.profile, now, time
            )
    why = _jump(point, stored, {key: one.read for key, one in found.items()})
    return ([], why) if why else (list(found.values()), "")


def _jump(point: MeterPoint, stored: Sequence[MeterRead], fresh: Mapping[tuple[int, datetime], MeterRead]) -> str:
    """Where the register would not go on plausibly with the corrections in place; "" when it does."""
    if not fresh:
        return ""
    plain = ~int(Flag.CONFIRMED | Flag.SUSPECT)
    series = [fresh.get((int(read.channel), read.end), read) for read in stored]
    bare = [
        MeterRead(r.meter_id, r.channel, r.end, r.register_wh, r.flags & plain)
        for r in series
        if (int(r.channel), r.end) in fresh or not r.flags & Flag.SUSPECT
    ]
    limits = {point.meter_id: limits_of(point)}
    jumps = [f for f in walk(bare, limits=limits, previous={}).findings if f.code in JUMPS]
    if not jumps:
        return ""
    where = f"at {jumps[0].at.isoformat()}Z the register would jump ({jumps[0].detail})"
    return f"{where}: begin with the meter's first read"
