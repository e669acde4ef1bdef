"""Lake rows go in; the hourly series, burn rates and completeness that pages draw come out, by meter or gateway."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from ingest.records import MeterPoint
from prewatt.console.views import Bar, GatewayStrip
from storage.store import Store

HOUR = timedelta(hours=1)
STRIP_HOURS = 24
SPARK_HOURS = 48
BURN_HOURS = 24


@dataclass(frozen=True, slots=True)
class Recent:
    """What the last two days say of each meter: hourly Wh, money per hour, the tier of the last charged hour."""

    sparks: Mapping[int, tuple[int, ...]]
    burn_micro: Mapping[int, int]
    tiers: Mapping[int, int]


def hour_floor(at: datetime) -> datetime:
    """The start of the hour of ``at``."""
    return at.replace(minute=0, second=0, microsecond=0)


def recent(store: Store, now: datetime, meter_ids: Sequence[int] | None = None) -> Recent:
    """Sparks of 48 h and the burn of the last 24 h, all meters in two scans."""
    top = hour_floor(now)
    start = top - SPARK_HOURS * HOUR
    rows = store.intervals(start, top, meter_ids)
    sparks = _by_hour(rows["meter_id"].to_numpy(), _hours(rows["end"].to_numpy(), start), rows["energy_wh"].to_numpy())
    charges = store.charges(top - BURN_HOURS * HOUR, top, meter_ids)
    meters, money = charges["meter_id"].to_numpy(), charges["amount_micro"].to_numpy()
    burn: dict[int, int] = {}
    for meter in np.unique(meters):
        burn[int(meter)] = int(money[meters == meter].sum()) // BURN_HOURS
    tiers = dict(zip(meters.tolist(), charges["tier"].to_pylist(), strict=True))
    return Recent(sparks, burn, {m: int(t) for m, t in tiers.items() if t is not None})


def _hours(
    ends: "np.ndarray[tuple[int], np.dtype[np.datetime64]]", start: datetime
) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    first = np.datetime64(start, "h").astype(np.int64)
    return (ends.astype("datetime64[m]").astype(np.int64) - 1) // 60 - first


def _by_hour(
    meters: "np.ndarray[tuple[int], np.dtype[np.int64]]",
    hours: "np.ndarray[tuple[int], np.dtype[np.int64]]",
    wh: "np.ndarray[tuple[int], np.dtype[np.int64]]",
) -> dict[int, tuple[int, ...]]:
    found = {}
    for meter in np.unique(meters):
        mine = meters == meter
        sums = np.zeros(SPARK_HOURS, np.int64)
        np.add.at(sums, hours[mine], wh[mine])
        found[int(meter)] = tuple(sums.tolist())
    return found


def strips(store: Store, now: datetime, points: Sequence[MeterPoint]) -> tuple[GatewayStrip, ...]:
    """Per gateway and hour of the last day: slots stored in percent of slots expected."""
    top = hour_floor(now)
    start = top - STRIP_HOURS * HOUR
    rows = store.intervals(start, top)
    hours = _hours(rows["end"].to_numpy(), start)
    meters = rows["meter_id"].to_numpy()
    by_gateway: dict[str, list[MeterPoint]] = {}
    for point in points:
        if point.protocol in ("modbus", "dlms"):
            by_gateway.setdefault(point.gateway, []).append(point)
    found = []
    for gateway in sorted(by_gateway):
        members = by_gateway[gateway]
        mine = np.isin(meters, [p.meter_id for p in members])
        seen = np.bincount(hours[mine], minlength=STRIP_HOURS)[:STRIP_HOURS]
        expected = sum(60 // p.slot_min for p in members)
        found.append(GatewayStrip(gateway, tuple(min(100, int(n) * 100 // expected) for n in seen)))
    return tuple(found)


def bars(store: Store, meter_id: int, start: datetime, end: datetime) -> tuple[Bar, ...]:
    """Charged slots of one meter, oldest first."""
    rows = store.charges(start, end, [meter_id]).to_pylist()
    return tuple(Bar(r["end"], r["energy_wh"], r["amount_micro"], r["period"] or "", r["tier"] or 0, 0) for r in rows)
