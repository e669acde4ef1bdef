"""Lake rows go in; the hourly series, burn rates and completeness that pages draw come out, by meter or gateway."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from ingest.records import MeterPoint
from prewatt.console.views import Bar, GatewayStrip
from storage.store import Store

HOUR = timedelta(hours=1)
STRIP_HOURS = 24
HOURS = 48
BURN_HOURS = 24
PRICE_PLACES = 2  # at least
POLLED = ("modbus", "dlms", "dlt645", "p1", "qgdw376", "push")
Point = tuple[datetime, int]
Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Recent:
    """The last two days, hour by hour and oldest first, from two scans of the lake.

    ``wh`` and ``charged_micro`` are 48 values for each meter; ``slots`` counts its stored intervals of each of the last
    24 hours; ``tiers`` holds the tier of its last charged slot, ``last`` that slot.
    """

    start: datetime
    wh: Mapping[int, tuple[int, ...]]
    charged_micro: Mapping[int, tuple[int, ...]]
    slots: Mapping[int, tuple[int, ...]]
    tiers: Mapping[int, int]
    last: Mapping[int, Bar]

    def burn_micro(self, meter_id: int) -> int:
        """Money an hour, over the last 24 h."""
        return sum(self.charged_micro.get(meter_id, ())[-BURN_HOURS:]) // BURN_HOURS


def hour_floor(at: datetime) -> datetime:
    """The start of the hour of ``at``."""
    return at.replace(minute=0, second=0, microsecond=0)


def recent(store: Store, now: datetime, meter_ids: Sequence[int] | None = None) -> Recent:
    """What the last 48 whole hours say of ``meter_ids`` (None: of all)."""
    top = hour_floor(now)
    start = top - HOURS * HOUR
    energy = store.intervals(start, top, meter_ids)
    charges = store.charges(start, top, meter_ids)
    energy_hours, charge_hours = _hours(energy, start), _hours(charges, start)
    late = energy_hours >= HOURS - STRIP_HOURS
    meters = energy["meter_id"].to_numpy()
    return Recent(
        start,
        _sums(meters, energy_hours, energy["energy_wh"].to_numpy()),
        _sums(charges["meter_id"].to_numpy(), charge_hours, charges["amount_micro"].to_numpy()),
        _sums(meters[late], energy_hours[late], np.ones(int(late.sum()), np.int64)),
        *_latest(charges),
    )


def _hours(rows: pa.Table, start: datetime) -> Array:
    """In which hour from ``start`` each slot lies."""
    first = np.datetime64(start, "h").astype(np.int64)
    found: Array = (rows["end"].to_numpy().astype("datetime64[m]").astype(np.int64) - 1) // 60 - first
    return found


def _sums(meters: Array, hours: Array, values: Array) -> dict[int, tuple[int, ...]]:
    """By meter, the sum of ``values`` in each of the 48 hours."""
    names, places = np.unique(meters, return_inverse=True)
    sums = np.zeros((len(names), HOURS), np.int64)
    np.add.at(sums, (places, hours), values)
    return {int(name): tuple(row) for name, row in zip(names, sums.tolist(), strict=True)}


def _latest(charges: pa.Table) -> tuple[dict[int, int], dict[int, Bar]]:
    """Tier and slot of each meter's last charge; rows come sorted by meter and end."""
    meters = charges["meter_id"].to_numpy()
    last = np.flatnonzero(np.append(meters[1:] != meters[:-1], len(meters) > 0)) if len(meters) else meters[:0]
    rows = charges.take(pa.array(last, pa.int64())).to_pylist()
    tiers = {row["meter_id"]: int(row["tier"]) for row in rows if row["tier"] is not None}
    return tiers, {row["meter_id"]: bar(row) for row in rows}


def strips(recent: Recent, points: Sequence[MeterPoint]) -> tuple[GatewayStrip, ...]:
    """Per gateway and hour of the last day: slots stored in percent of slots expected."""
    by_gateway: dict[str, list[MeterPoint]] = {}
    for point in points:
        if point.protocol in POLLED:
            by_gateway.setdefault(point.gateway, []).append(point)
    found = []
    for gateway in sorted(by_gateway):
        members = by_gateway[gateway]
        expected = sum(60 // point.slot_min for point in members)
        seen = [0] * STRIP_HOURS
        for point in members:
            for hour, count in enumerate(recent.slots.get(point.meter_id, ())[-STRIP_HOURS:]):
                seen[hour] += count
        found.append(GatewayStrip(gateway, tuple(min(100, n * 100 // expected) for n in seen)))
    return tuple(found)


def bar(row: Mapping[str, Any]) -> Bar:
    """One charged slot."""
    return Bar(row["end"], row["energy_wh"], row["amount_micro"], row["period"] or "", row["tier"] or 0, _price(row))


def _price(row: Mapping[str, Any]) -> str:
    """The price of a charged slot's last unit, as a decimal string; "" where it has none."""
    if row["price"] is None:
        return ""
    scale, price = int(row["price_scale"]), int(row["price"])
    while scale < PRICE_PLACES:
        scale, price = scale + 1, price * 10
    whole, part = divmod(abs(price), 10**scale)
    return f"{'-' if price < 0 else ''}{whole}.{part:0{scale}d}"


def bars(store: Store, meter_ids: Sequence[int], start: datetime, end: datetime) -> tuple[Bar, ...]:
    """Charged slots of an account's meters, oldest first."""
    rows = sorted(store.charges(start, end, meter_ids).to_pylist(), key=lambda row: (row["end"], row["meter_id"]))
    return tuple(bar(row) for row in rows)


def charged(store: Store, meter_ids: Sequence[int], start: datetime, end: datetime) -> dict[int, list[Point]]:
    """End and micro-units of the charged slots of several meters, oldest first, in one scan."""
    rows = store.charges(start, end, meter_ids)
    meters = rows["meter_id"].to_numpy()
    points = list(zip(rows["end"].to_pylist(), rows["amount_micro"].to_pylist(), strict=True))
    found = {}
    for meter in meter_ids:
        low, high = np.searchsorted(meters, [meter, meter + 1]).tolist()
        found[meter] = points[low:high]
    return found
