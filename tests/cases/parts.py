"""Short ways to write the pieces of a neutral case: components, ladders, reads, spans and calendars."""

from datetime import datetime, timedelta
from typing import Any

Table = dict[str, Any]
Reads = dict[str, tuple[str, ...]]
Case = tuple[list[Table], Reads, Table, list[str]]  # components, reads, keys of a case, totals of its bills


def energy(*prices: str, **keys: Any) -> Table:
    return {"id": "energy", "kind": "energy", "prices": {"*": list(prices)}, **keys}


def ladder(*limits: str, **keys: Any) -> Table:
    return {"mode": "graduated", "reset": "month", "limits": list(limits), **keys}


def every(first: str, count: int, minutes: int, *values: str) -> Reads:
    start = datetime.fromisoformat(first)
    return {(start + timedelta(minutes=minutes * n)).isoformat(): values for n in range(count)}


def one(at: str, *values: str) -> Reads:
    return {at: values}


def span(first: str, last: str) -> Table:
    return {"from": first, "to": last}


PEAK = {"default_period": "off", "periods": [{"period": "peak", "from": "08:00", "to": "20:00"}]}
NIGHT = {"default_period": "day", "periods": [{"period": "night", "from": "23:00", "to": "05:00"}]}
NOON = "2025-03-10T12:00:00"
BERLIN = {"timezone": "Europe/Berlin"}
SPRING, AUTUMN = span("2025-03-30", "2025-03-31"), span("2025-10-26", "2025-10-27")
FEBRUARY = span("2024-02-01", "2024-03-01")
