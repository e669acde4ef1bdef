"""A rate of the OpenEI Utility Rate Database (API versions 7 and 8) goes in, the text of a book comes out.

What URDB says and a book can say is mapped; every other field is named with the reason. Nothing is guessed: tiers by
time of use need ``allocate``, a rate's zone is handed in, and energy that no rule can price is refused by field.
Source: https://openei.org/services/doc/rest/util_rates/
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tariff import booktext
from tariff.errors import ImportRefusedError
from tariff.urdb import charges, demand, energy
from tariff.urdb.fields import Item, Unmapped, unmapped
from tariff.urdb.schedule import Schedule

__all__ = ["Conversion", "Unmapped", "convert", "rates"]


@dataclass(frozen=True, slots=True)
class Conversion:
    """The book's name and text, and the fields that it does not say."""

    name: str
    text: str
    unmapped: tuple[Unmapped, ...]


def rates(text: str, label: str = "") -> Mapping[str, Any]:
    """The one rate of a file: an API answer with ``items``, or a rate alone; ``label`` picks one of several."""
    try:
        data = json.loads(text, parse_float=Decimal)
    except json.JSONDecodeError as error:
        raise ImportRefusedError("file", f"not JSON: {error}") from None
    items = data.get("items", [data]) if isinstance(data, dict) else data
    if not isinstance(items, list) or not all(isinstance(one, dict) for one in items):
        raise ImportRefusedError("items", "no rates in this file")
    labels = [str(one.get("label", "")) for one in items]
    chosen = [one for one in items if not label or one.get("label") == label]
    if len(chosen) != 1:
        raise ImportRefusedError("label", f"{len(chosen)} rates fit", f"--label with one of {', '.join(labels)}")
    found: Mapping[str, Any] = chosen[0]
    return found


def convert(item: Mapping[str, Any], *, zone: str, allocate: str = "") -> Conversion:
    """One rate as a book; ImportRefusedError names the field that makes it impossible."""
    rate = Item(item)
    if rate.raw("country", "USA") != "USA":
        raise ImportRefusedError("country", f"{rate.raw('country')!r}: the currency is not known")
    schedule = Schedule.of(rate)
    version: dict[str, Any] = {"from": _start(rate)}
    if schedule.windows:
        version["default_period"] = schedule.default
        version["window"] = list(schedule.windows)
    version["component"] = [
        *energy.components(rate, schedule, allocate),
        *demand.components(rate, schedule),
        *charges.components(rate),
    ]
    if not version["component"]:
        raise ImportRefusedError("energyratestructure", "the rate has no price at all")
    title = " - ".join(str(one) for one in (rate.raw("utility"), rate.raw("name")) if one)
    table = {
        "schema": "prewatt.book/1",
        "title": title or "Imported rate",
        "currency": "USD",
        "zone": zone,
        "decimals": 2,
        "source": dict(_source(rate, title)),
        "version": [version],
    }
    left = tuple(unmapped(rate))
    comment = "Imported from the Utility Rate Database. Not said by this book:\n" + _told(left)
    return Conversion(f"urdb-{rate.raw('label', 'rate')}", booktext.write(table, comment), left)


def _told(left: tuple[Unmapped, ...]) -> str:
    return "\n".join(f"  {one.field}: {one.why}" for one in left) or "  nothing: every field is mapped"


def _start(rate: Item) -> str:
    """The local day from which the rate holds; URDB stamps it in seconds since 1970."""
    seconds = rate.raw("startdate", 0)
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(seconds))).date().isoformat()


def _source(rate: Item, title: str) -> Iterator[tuple[str, str]]:
    yield "title", f"OpenEI Utility Rate Database: {title}"
    label = rate.raw("label")
    if rate.raw("uri") or label:
        yield "address", str(rate.raw("uri") or f"https://apps.openei.org/IURDB/rate/view/{label}")
    yield "date", _start(rate)
    published = rate.raw("source") or rate.raw("sourceparent")
    if published:
        yield "note", f"the utility published it at {published}"
