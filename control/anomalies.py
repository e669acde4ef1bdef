"""Findings of a rating step and stored days go in; work orders for whoever must look on site come out, each explained.

spike and reverse are of one read, which is suspect and bills nothing until somebody confirms it; surge, drop and stuck
are of one day against the four weeks before it, and change no value. One event is one order, however often it is seen:
its cause names meter, kind and day. Who is without supply or disconnected is not asked why nothing was used.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from control import outages, workorders
from control.fieldbook import Outage
from control.records import Service, Wanted
from control.settings import Settings
from control.signals import Signal
from ingest import checks
from ingest.records import Channel, Finding, Flag
from storage.records import Install
from storage.store import Store
from storage.unit import Reader, Unit
from storage.writer import Priority

Offload = Callable[[Callable[[], Any]], Awaitable[Any]]
Int = npt.NDArray[np.int64]
OF_READS: Final[Mapping[str, str]] = {"spike": "spike", "falling_register": "reverse"}
"""Findings of the conversion that are an order, and its kind."""
DAYS_BEFORE: Final = 28
CHECKED: Final = "anomalies.day"  # the last day that was looked at, as a signal
_DAY_MS: Final = 86_400_000
_EPOCH: Final = datetime(1970, 1, 1)
_GUESSED: Final = int(Flag.ESTIMATED | Flag.SUSPECT)


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One event at one meter: its kind, its day, and what was seen, in plain words."""

    meter_id: int
    kind: str
    at: datetime
    detail: str


class Desk(Protocol):
    """The part of the engine that looking for anomalies needs."""

    @property
    def store(self) -> Store: ...
    @property
    def settings(self) -> Settings: ...
    def now(self) -> datetime: ...


async def watch(desk: Desk, findings: Sequence[Finding], offload: Offload) -> int:
    """Order visits for suspect reads at once, and once a day for days that are unlike those before; how many events."""
    now = desk.now()
    named = [finding for finding in findings if finding.code in OF_READS]
    if named:
        await desk.store.commit(Priority.COMMAND, lambda unit: _of_reads(unit, named, now))
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    checked = desk.store.read(lambda reader: reader.get(Signal, CHECKED))
    if checked is not None and checked.value == f"{day:%Y-%m-%d}":
        return len(named)
    found = await offload(lambda: of_day(desk.store, day))
    size = desk.settings.slice_size
    for start in range(0, len(found), size):
        part = found[start : start + size]
        await desk.store.commit(Priority.BATCH, lambda unit, part=part: _of_days(unit, part, day, now))  # type: ignore[misc]
    await desk.store.commit(Priority.BATCH, lambda unit: unit.put(Signal(CHECKED, f"{day:%Y-%m-%d}", now)))
    return len(named) + len(found)


def _of_reads(unit: Unit, findings: Sequence[Finding], now: datetime) -> None:
    for finding in findings:
        kind = OF_READS[finding.code]
        account = _account(unit.find(Install, meter=finding.meter, order="start"), finding.at)
        cause = f"{finding.meter}-{finding.at:%Y-%m-%d}"
        workorders.order(unit, kind, account, finding.meter, cause=cause, at=now, detail=finding.detail)


def _of_days(unit: Unit, found: Sequence[Anomaly], day: datetime, now: datetime) -> None:
    for one in found:
        rows = unit.find(Install, meter_id=one.meter_id, order="start")
        account = _account(rows, one.at)
        current = next((row for row in rows if row.account == account and row.end is None), None)
        if current is None or (one.kind == "drop" and _explained(unit, current, day)):
            continue
        cause = f"{current.meter}-{one.at:%Y-%m-%d}"
        workorders.order(unit, one.kind, account, current.meter, cause=cause, at=now, detail=one.detail)


def _account(installs: Sequence[Install], at: datetime) -> str:
    standing = [row.account for row in installs if row.start <= at and (row.end is None or at <= row.end)]
    return standing[-1] if standing else ""


def _explained(reader: Reader, install: Install, day: datetime) -> bool:
    """Whether little use has its reason: supply was off by our order or by an outage, or the meter is new."""
    if install.start > day - timedelta(days=DAYS_BEFORE):
        return True
    wanted = reader.get(Wanted, install.account)
    if wanted is not None and (wanted.service is Service.DISCONNECTED or wanted.since > day - timedelta(days=1)):
        return True
    lately = reader.find(Outage, start__lt=day, start__ge=day - timedelta(days=DAYS_BEFORE))
    off = [row for row in lately if row.ended is None or row.ended > day - timedelta(days=1)]
    return bool(outages.touching(reader, {install.account: install}, off))


def of_day(store: Store, day: datetime) -> list[Anomaly]:
    """What is odd about the 24 hours before ``day`` (a midnight) against the 28 days before them, over all meters."""
    table = store.intervals(day - timedelta(days=DAYS_BEFORE + 1), day, None, int(Channel.IMPORT))
    return unusual(table, day) + stuck(table, day)


def unusual(table: pa.Table, day: datetime) -> list[Anomaly]:
    """Surges and drops: a day of actual reads against the median of the days before it, as ``checks.day_verdict``."""
    meters, sums = _sums(table, day)
    found: list[Anomaly] = []
    for row in range(len(meters)):
        if sums[row, -1] < 0:
            continue  # the day is not whole: nothing is said of it
        usual = [int(value) for value in sums[row, :-1] if value >= 0]
        today = int(sums[row, -1])
        kind = checks.day_verdict(today, usual)
        if kind:
            middle = sorted(usual)[len(usual) // 2]
            detail = f"{today} Wh in a day, {middle} Wh usual (median of {len(usual)} days)"
            found.append(Anomaly(int(meters[row]), kind, day - timedelta(days=1), detail))
    return found


def _sums(table: pa.Table, day: datetime) -> tuple[Int, Int]:
    """Wh by meter and day, the one in question last, -1 where a day is not whole; only rows that may be odd."""
    flags = table.column("flags").to_numpy().astype(np.int64)
    ids = table.column("meter_id").to_numpy().astype(np.int64)
    end = table.column("end").cast(pa.int64()).to_numpy()
    last = (day - _EPOCH) // timedelta(milliseconds=1)
    back = ((last - end) // _DAY_MS).astype(np.int64)  # 0 = the day in question
    inside = (back >= 0) & (back <= DAYS_BEFORE)
    meters, index = np.unique(ids[inside], return_inverse=True)
    cell = index * (DAYS_BEFORE + 1) + (DAYS_BEFORE - back[inside])
    shape = (len(meters), DAYS_BEFORE + 1)
    energy = table.column("energy_wh").to_numpy().astype(np.int64)[inside]
    minutes = table.column("minutes").to_numpy().astype(np.int64)[inside]
    whole, sums = np.zeros(shape[0] * shape[1], np.int64), np.zeros(shape[0] * shape[1], np.int64)
    good = flags[inside] & _GUESSED == 0
    np.add.at(whole, cell[good], minutes[good])
    np.add.at(sums, cell[good], energy[good])
    matrix = np.where(whole >= 1440, sums, -1).reshape(shape)
    before = np.where(matrix[:, :-1] < 0, np.iinfo(np.int64).max, matrix[:, :-1])
    before.sort(axis=1)
    count = (matrix[:, :-1] >= 0).sum(axis=1)
    middle = before[np.arange(len(meters)), np.minimum(count // 2, DAYS_BEFORE - 1)] * (count > 0)
    odd = matrix[:, -1] > checks.SURGE_TIMES * middle
    odd |= matrix[:, -1] * 100 < checks.DROP_PERCENT * middle
    return meters[odd], matrix[odd]


def stuck(table: pa.Table, day: datetime) -> list[Anomaly]:
    """Meters that gave one and the same value for 24 hours up to ``day``: a register that does not count any more."""
    since = (day - timedelta(days=1) - _EPOCH) // timedelta(milliseconds=1)
    ids = table.column("meter_id").to_numpy().astype(np.int64)
    end = table.column("end").cast(pa.int64()).to_numpy()
    energy = table.column("energy_wh").to_numpy().astype(np.int64)
    lately = end >= since
    ids, end, energy = ids[lately], end[lately], energy[lately]
    found: list[Anomaly] = []
    edges = np.flatnonzero(np.diff(ids)) + 1
    first = ids[np.concatenate([[0], edges])] if ids.size else ids
    for meter, times, values in zip(first, np.split(end, edges), np.split(energy, edges), strict=False):
        if values.size < 2 or values[0] == 0 or (values != values[0]).any() or times[-1] - times[0] < checks.STUCK_MS:
            continue
        detail = f"{int(values[0])} Wh in each of {values.size} slots up to {day.isoformat()}Z"
        found.append(Anomaly(int(meter), "stuck", day - timedelta(days=1), detail))
    return found
