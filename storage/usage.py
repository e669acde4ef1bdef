"""Intervals of meters and their installs go in, energy per account and billing slot comes out.

A slot is a row of the tariff's calendar. An interval that spans several is shared evenly, exact in sum; several in one
slot (parts of an hour, the two meters of a swap, two meters of one account) add up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import gcd
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingest.records import Flag, MeterPoint
from storage.records import Install

Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]
EPOCH: Final = datetime(1970, 1, 1)
MS: Final = timedelta(milliseconds=1)
HOUR_MIN: Final = 60
SUSPECT: Final = int(Flag.SUSPECT)
ESTIMATED: Final = int(Flag.ESTIMATED)


def ms_of(at: datetime) -> int:
    """Milliseconds since 1970 of a naive UTC time."""
    return (at - EPOCH) // MS


def at_ms(ms: int) -> datetime:
    """The naive UTC time of milliseconds since 1970."""
    return EPOCH + int(ms) * MS


@dataclass(frozen=True, slots=True)
class Energies:
    """Intervals as columns of equal length; times in ms."""

    meter_id: Int
    channel: Int
    end: Int
    minutes: Int
    energy_wh: Int
    flags: Int

    @classmethod
    def of(cls, table: pa.Table) -> "Energies":
        """Read a table of the intervals dataset."""
        names = ("meter_id", "channel", "end", "minutes", "energy_wh", "flags")
        meter, channel, end, minutes, energy, flags = (table.column(n).cast(pa.int64()).to_numpy() for n in names)
        return cls(meter, channel, end, minutes, energy, flags)

    def take(self, rows: Int) -> "Energies":
        """The chosen rows."""
        return Energies(*(getattr(self, name)[rows] for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Grid:
    """The slots of one billing period: ``count`` of ``minutes`` from ``start`` (ms)."""

    start: int
    minutes: int
    count: int

    @property
    def slot_ms(self) -> int:
        """Length of a slot."""
        return self.minutes * 60_000


@dataclass(frozen=True, slots=True)
class Shares:
    """Energy by slot: parallel arrays of slot number, Wh, flags and the row that it came from."""

    slot: Int
    wh: Int
    flags: Int
    row: Int


def slot_min(start: datetime, points: Sequence[MeterPoint | None]) -> int:
    """The slot length that fits every meter of an account and a period that starts at ``start``."""
    fit = HOUR_MIN
    for point in points:
        fit = gcd(fit, point.slot_min if point is not None else HOUR_MIN)
    return gcd(fit, start.minute or HOUR_MIN)


def share(energies: Energies, grid: Grid) -> Shares:
    """Put intervals into slots; what lies outside of the grid is left out."""
    slot_ms = grid.slot_ms
    first = (energies.end - energies.minutes * 60_000 - grid.start) // slot_ms
    last = (energies.end - 1 - grid.start) // slot_ms
    whole = np.flatnonzero((first == last) & (last >= 0) & (last < grid.count))
    slots, wh, rows = [last[whole]], [energies.energy_wh[whole]], [whole]
    for row in np.flatnonzero(first < last).tolist():
        count = int(last[row] - first[row]) + 1
        edges = int(energies.energy_wh[row]) * np.arange(count + 1, dtype=np.int64) // count
        own = np.arange(first[row], last[row] + 1)
        inside = (own >= 0) & (own < grid.count)
        slots.append(own[inside])
        wh.append(np.diff(edges)[inside])
        rows.append(np.full(int(inside.sum()), row, np.int64))
    row_of = np.concatenate(rows)
    return Shares(np.concatenate(slots), np.concatenate(wh), energies.flags[row_of], row_of)


class Master:
    """Who has which meter when: installs by meter and by account, and the meters' points."""

    def __init__(self, installs: Sequence[Install], points: Sequence[MeterPoint]) -> None:
        """Index them; the order of ``installs`` does not matter."""
        self.points: Mapping[int, MeterPoint] = {point.meter_id: point for point in points}
        self.by_account: dict[str, list[Install]] = {}
        self.by_meter: dict[int, list[Install]] = {}
        for install in sorted(installs, key=lambda one: (one.account, one.start, one.meter_id)):
            self.by_account.setdefault(install.account, []).append(install)
            self.by_meter.setdefault(install.meter_id, []).append(install)

    def meters(self, account: str) -> list[int]:
        """Every meter that the account has or had."""
        return sorted({install.meter_id for install in self.by_account.get(account, [])})

    def first_slot(self, account: str, grid: Grid) -> int:
        """The first slot in which the account had a meter: what was used before is not its own, read or not."""
        first = min((ms_of(install.start) for install in self.by_account.get(account, ())), default=grid.start)
        return max(0, -(-(first - grid.start) // grid.slot_ms))

    def supply(self, account: str) -> tuple[datetime | None, datetime | None]:
        """When the account got its first meter, and when the last was taken away (None: it has one)."""
        installs = self.by_account.get(account, [])
        ends = [install.end for install in installs if install.end is not None]
        first = min((install.start for install in installs), default=None)
        return first, max(ends) if ends and len(ends) == len(installs) else None

    def minutes(self, account: str, start: datetime) -> int:
        """The account's slot length in the period that starts at ``start``."""
        return slot_min(start, [self.points.get(meter) for meter in self.meters(account)])

    def slot_min(self, meter_id: int) -> int:
        """The meter's own slot length."""
        return slot_min(EPOCH, [self.points.get(meter_id)])

    def name(self, meter_id: int) -> str:
        """The utility's number of a meter."""
        point = self.points.get(meter_id)
        return point.meter if point is not None else str(meter_id)

    def of_install(self, energies: Energies, install: Install) -> Energies:
        """The install's own part of the intervals: its meter, its time, times its multiplier."""
        low, high = ms_of(install.start), ms_of(install.end) if install.end is not None else 1 << 62
        mine = (energies.meter_id == install.meter_id) & (energies.end > low) & (energies.end <= high)
        found = energies.take(np.flatnonzero(mine))
        if install.multiplier == 1:
            return found
        scaled = found.energy_wh * install.multiplier
        return Energies(found.meter_id, found.channel, found.end, found.minutes, scaled, found.flags)

    def of_account(self, energies: Energies, account: str) -> Energies:
        """Everything that the account's meters counted while they were its own."""
        parts = [self.of_install(energies, install) for install in self.by_account.get(account, [])]
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return energies.take(np.zeros(0, np.int64))
        return Energies(*(np.concatenate([getattr(part, n) for part in parts]) for n in Energies.__slots__))
