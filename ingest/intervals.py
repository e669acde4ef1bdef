"""Registers of meters go in, energy per slot with its quality comes out, with the place where the next read goes on.

Rules, for one register (meter and channel), reads in order of time:

- The first read, and the first of another meter (SWAP), sets the place; it is no energy.
- The same end again: the same register is a duplicate, another one a conflict; the first stays. An earlier end is late:
  whoever keeps the reads converts its neighbourhood again (``late`` in the result).
- More than one slot since the place: a block. Its energy is exact; it is spread evenly over its slots, each UNCERTAIN.
- Below the place, but within what the meter can draw after passing its last digit: ROLLOVER. Otherwise a fall.
- More than ``max_power_w`` could draw: a spike. A fall or a spike is SUSPECT: kept, never billed, and the place stays.
- After a suspect read, one that fits the old place clears it (a glitch: the block from the place is right); one that
  fits the suspect read moves the place there (a reset), and what lies before stays SUSPECT until a person confirms it.
- A CONFIRMED read is taken as it is.

``walk`` is the scalar reference; ``to_intervals`` does the plain hour of many meters in arrays and walks the rest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from ingest.records import Finding, Flag, Interval, MeterRead

Key = tuple[int, int]  # meter_id, channel
_EPOCH: Final = datetime(1970, 1, 1)
_MS: Final = timedelta(milliseconds=1)

RESOLUTION_WH: Final = 1000  # registers that show whole kWh step by one at any power
MOST_SLOTS: Final = 9000  # of one block, a year of hours: a longer silence is for a person
NOT_PLAIN: Final = int(Flag.SWAP | Flag.SUSPECT | Flag.ESTIMATED | Flag.CONFIRMED)
HANDED_ON: Final = int(
    Flag.ESTIMATED | Flag.MANUAL | Flag.FINAL | Flag.BACKFILL | Flag.CLOCK | Flag.IMPORTED | Flag.CONFIRMED
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one meter can do: slot length, digits of its register, most power, and the clock error that is flagged."""

    minutes: int = 60
    digits: int = 9
    max_power_w: int = 100_000
    clock_s: int = 120


@dataclass(frozen=True, slots=True)
class Place:
    """Where a register stands: its last trusted read, and the suspect one after it, if any."""

    end: datetime
    register_wh: int
    estimated: bool = False
    suspect_end: datetime | None = None
    suspect_wh: int = 0


@dataclass(frozen=True, slots=True)
class Converted:
    """Intervals and findings in order, the next places, and the reads that came too late for their place."""

    intervals: tuple[Interval, ...]
    findings: tuple[Finding, ...]
    places: Mapping[Key, Place]
    late: tuple[MeterRead, ...] = ()
    duplicates: int = 0


@dataclass(slots=True)
class _Walk:
    """One register's walk, with what it collects."""

    limits: Limits
    meter: str
    place: Place | None
    intervals: list[Interval] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    late: list[MeterRead] = field(default_factory=list)
    duplicates: int = 0

    def find(self, code: str, read: MeterRead, detail: str) -> None:
        self.findings.append(Finding(code, read.end, self.meter, "", detail))

    def emit(self, start: datetime, read: MeterRead, energy_wh: int, flags: int) -> None:
        """Take the energy since ``start`` as one slot or a block."""
        off = Flag.CLOCK if abs(read.offset_s) > self.limits.clock_s else Flag.NONE
        marks = flags | (read.flags & HANDED_ON) | off
        parts = spread(start, read.end, energy_wh, self.limits.minutes)
        if len(parts) > MOST_SLOTS:
            self.find("gap_too_long", read, f"{energy_wh} Wh since {start.isoformat()}: bill by hand")
            return
        if len(parts) > 1:
            marks |= Flag.UNCERTAIN
        for end, minutes, part in parts:
            self.intervals.append(Interval(read.meter_id, read.channel, end, minutes, part, int(marks)))


def spread(start: datetime, end: datetime, energy_wh: int, minutes: int) -> list[tuple[datetime, int, int]]:
    """Cut (start, end] at the slots of the UTC grid: (end, minutes, Wh) of each part, by time, exact in sum."""
    slot, total = timedelta(minutes=minutes), (end - start) // _MS
    parts = []
    begun, done = start, 0
    while begun < end:
        stop = min(end, _EPOCH + ((begun - _EPOCH) // slot + 1) * slot)
        upto = energy_wh * ((stop - start) // _MS) // total
        parts.append((stop, max(1, round((stop - begun) / timedelta(minutes=1))), upto - done))
        begun, done = stop, upto
        if len(parts) > MOST_SLOTS:
            break
    return parts


def most_wh(limits: Limits, elapsed: timedelta) -> int:
    """What a meter can count in that time, with one step of a coarse register."""
    return limits.max_power_w * (elapsed // timedelta(seconds=1)) // 3600 + RESOLUTION_WH


def _fits(limits: Limits, elapsed: timedelta, before_wh: int, after_wh: int) -> tuple[int, int] | None:
    """Return (energy, ROLLOVER or 0) when the step is one that this meter can make."""
    most = most_wh(limits, elapsed)
    step = after_wh - before_wh
    if 0 <= step <= most:
        return step, 0
    around = step + 10**limits.digits
    if step < 0 and before_wh < 10**limits.digits and around <= most:
        return around, int(Flag.ROLLOVER)
    return None


def _set(walk: _Walk, read: MeterRead) -> None:
    walk.place = Place(read.end, read.register_wh, bool(read.flags & Flag.ESTIMATED))


def _step(walk: _Walk, read: MeterRead) -> None:
    """Take one read; the rules are at the head of the module."""
    place = walk.place
    if place is None or (read.flags & Flag.SWAP and read.end > place.end):
        if place is not None:
            walk.find("swap", read, f"another meter from {read.register_wh} Wh on")
        _set(walk, read)
        return
    if read.end <= place.end or read.end == place.suspect_end:
        _again(walk, read, place)
        return
    fit = (
        None
        if read.flags & Flag.SUSPECT
        else _fits(walk.limits, read.end - place.end, place.register_wh, read.register_wh)
    )
    if read.flags & Flag.CONFIRMED:
        step = read.register_wh - place.register_wh
        fit = (step if step >= 0 else step % 10**walk.limits.digits, int(Flag.ROLLOVER) if step < 0 else 0)
    if fit is not None:
        if place.suspect_end is not None:
            walk.find("suspect_cleared", read, f"the register goes on from {place.register_wh} Wh")
        after_estimate = Flag.UNCERTAIN if place.estimated else Flag.NONE
        walk.emit(place.end, read, fit[0], fit[1] | after_estimate)
        _set(walk, read)
        return
    _suspect(walk, read, place)


def _again(walk: _Walk, read: MeterRead, place: Place) -> None:
    """A read at or before the place: a repeat, a conflict, or one that came late."""
    known = {place.end: place.register_wh}
    if place.suspect_end is not None:
        known[place.suspect_end] = place.suspect_wh
    if read.end not in known:
        walk.late.append(read)
    elif known[read.end] == read.register_wh and not read.flags & Flag.CONFIRMED:
        walk.duplicates += 1
    elif read.flags & (Flag.CONFIRMED | Flag.FINAL):
        walk.late.append(read)
    else:
        walk.find("conflict", read, f"{read.register_wh} Wh beside {known[read.end]} Wh; the first stays")


def _suspect(walk: _Walk, read: MeterRead, place: Place) -> None:
    """A read that the place cannot reach: a reset when it goes on from the suspect one, else suspect itself."""
    since, reference = place.end, place.register_wh
    if place.suspect_end is not None and not read.flags & Flag.SUSPECT:
        fit = _fits(walk.limits, read.end - place.suspect_end, place.suspect_wh, read.register_wh)
        if fit is not None:
            walk.find("register_reset", read, f"goes on from {place.suspect_wh} Wh; confirm what lies before")
            walk.emit(place.suspect_end, read, *fit)
            _set(walk, read)
            return
    if place.suspect_end is not None:
        since, reference = place.suspect_end, place.suspect_wh
    step = read.register_wh - reference
    code = "falling_register" if read.register_wh < place.register_wh else "spike"
    walk.find(code, read, f"{place.register_wh} to {read.register_wh} Wh; not billed until confirmed")
    walk.emit(since, read, max(step, 0), int(Flag.SUSPECT))
    walk.place = replace(place, suspect_end=read.end, suspect_wh=read.register_wh)


def _ordered(reads: Sequence[MeterRead]) -> list[MeterRead]:
    """By register and time; reads of one instant stay in order of arrival."""
    return sorted(reads, key=lambda read: (read.meter_id, read.channel, read.end))


def walk(
    reads: Sequence[MeterRead],
    *,
    limits: Mapping[int, Limits],
    previous: Mapping[Key, Place],
    names: Mapping[int, str] | None = None,
) -> Converted:
    """Convert read by read: the reference. ``limits`` and ``names`` go by meter_id; the default limits fill in."""
    walks: dict[Key, _Walk] = {}
    for read in _ordered(reads):
        key = (read.meter_id, read.channel)
        if key not in walks:
            name = (names or {}).get(read.meter_id, str(read.meter_id))
            walks[key] = _Walk(limits.get(read.meter_id, Limits()), name, previous.get(key))
        _step(walks[key], read)
    places = dict(previous)
    places.update({key: one.place for key, one in walks.items() if one.place is not None})
    done = [walks[key] for key in sorted(walks)]
    return Converted(
        tuple(item for one in done for item in one.intervals),
        tuple(item for one in done for item in one.findings),
        places,
        tuple(item for one in done for item in one.late),
        sum(one.duplicates for one in done),
    )


def to_intervals(
    reads: Sequence[MeterRead],
    *,
    limits: Mapping[int, Limits],
    previous: Mapping[Key, Place],
    names: Mapping[int, str] | None = None,
) -> Converted:
    """Convert many meters' reads; equal to ``walk`` in every field, faster where each register has its next slot."""
    ordered = _ordered(reads)
    plain = _plain(ordered, limits, previous)
    rest = [read for read, good in zip(ordered, plain.tolist(), strict=True) if not good]
    walked = walk(rest, limits=limits, previous=previous, names=names)
    if len(rest) == len(ordered):
        return walked
    places, fast = dict(walked.places), []
    for read, good in zip(ordered, plain.tolist(), strict=True):
        if not good:
            continue
        key, own = (read.meter_id, read.channel), limits.get(read.meter_id, Limits())
        off = int(Flag.CLOCK) if abs(read.offset_s) > own.clock_s else 0
        step = read.register_wh - places[key].register_wh
        flags = read.flags & HANDED_ON | off
        fast.append(Interval(read.meter_id, read.channel, read.end, own.minutes, step, flags))
        places[key] = Place(read.end, read.register_wh)
    merged = sorted([*walked.intervals, *fast], key=lambda item: (item.meter_id, item.channel))
    return replace(walked, intervals=tuple(merged), places=places)


def _plain(
    ordered: Sequence[MeterRead], limits: Mapping[int, Limits], previous: Mapping[Key, Place]
) -> npt.NDArray[np.bool_]:
    """Mark the reads of registers that all go on by exactly one slot, plausibly, with nothing special about them."""
    count = len(ordered)
    if not count:
        return np.zeros(0, dtype=bool)
    keys = [(read.meter_id, read.channel) for read in ordered]
    first = np.array([number == 0 or keys[number] != keys[number - 1] for number in range(count)])
    series = np.cumsum(first) - 1
    end = np.fromiter(((read.end - _EPOCH) // _MS for read in ordered), np.int64, count)
    register = np.array([read.register_wh for read in ordered], dtype=object).astype(np.int64)
    flags = np.fromiter((read.flags for read in ordered), np.int64, count)
    own = [limits.get(meter, Limits()) for meter, _ in keys]
    slot_ms = np.fromiter((one.minutes * 60_000 for one in own), np.int64, count)
    power = np.fromiter((one.max_power_w for one in own), np.int64, count)
    before, since = np.roll(register, 1), np.roll(end, 1)
    started = np.ones(count, dtype=bool)
    for row in np.flatnonzero(first):
        place = previous.get(keys[row])
        usable = place is not None and place.suspect_end is None and not place.estimated
        started[row] = usable
        before[row], since[row] = (place.register_wh, (place.end - _EPOCH) // _MS) if place else (0, 0)
    step = register - before
    most = power * (slot_ms // 1000) // 3600 + RESOLUTION_WH
    good = started & (end - since == slot_ms) & (end % slot_ms == 0) & (step >= 0) & (step <= most)
    good &= (flags & NOT_PLAIN) == 0
    whole = np.ones(int(series[-1]) + 1, dtype=bool)
    np.logical_and.at(whole, series, good)
    marked: npt.NDArray[np.bool_] = whole[series]
    return marked
