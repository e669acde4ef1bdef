"""Two books or two versions go in, the keys that differ come out, and what a reference load costs on each by month."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from tariff import calendar as calendars
from tariff import estimate, statement
from tariff.model import Book, Version

NAMED_BY = {"version": "from", "component": "id"}  # lists whose items are told by a key, not by their place
LONG_AGO = datetime(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Change:
    """One key: where it is, and its value before and after as TOML would write it ("" : not there)."""

    key: str
    before: str
    after: str


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """The keys that differ between two parsed books, in their order; versions are told by date, components by id."""
    return tuple(_table("", before, after))


def _table(path: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for key in dict.fromkeys([*before, *after]):
        yield from _value(f"{path}.{key}" if path else key, key, before.get(key), after.get(key))


def _value(path: str, key: str, before: Any, after: Any) -> Iterator[Change]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _table(path, before, after)
    elif isinstance(before, list) and isinstance(after, list) and key in NAMED_BY:
        yield from _named(path, NAMED_BY[key], before, after)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for place, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _value(f"{path}[{place}]", "", old, new)
    else:
        yield Change(path, written(before), written(after))


def _named(path: str, name: str, before: list[Any], after: list[Any]) -> Iterator[Change]:
    """Items that bear the same name are compared; the others came or went whole."""
    old, new = ({str(item.get(name)): item for item in items} for items in (before, after))
    for ident in dict.fromkeys([*old, *new]):
        here = f"{path}[{ident}]"
        if ident in old and ident in new:
            yield from _table(here, old[ident], new[ident])
        else:
            yield Change(here, written(old.get(ident)), written(new.get(ident)))
    kept = [ident for ident in old if ident in new]
    if kept != [ident for ident in new if ident in old]:
        yield Change(f"{path} (order)", ", ".join(old), ", ".join(new))


def written(value: Any) -> str:
    """A TOML value on one line; "" where there is none.

    >>> written(["0.5", 2, True]), written({"a": "b"}), written(None)
    ('["0.5", 2, true]', '{a = "b"}', '')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {written(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(written(inner) for inner in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def version_at(book: Book, at: datetime) -> Version:
    """The version in force at the local time ``at``; the first one for any time before it."""
    return next((one for one in reversed(book.versions) if one.start <= at), book.versions[0])


def held(book: Book, version: Version) -> Book:
    """``book`` as if ``version`` had always been in force; a book of its own, with a hash of its own."""
    digest = hashlib.sha256(f"{book.hash}@{version.label}".encode()).hexdigest()
    return replace(book, versions=(replace(version, start=LONG_AGO),), hash=digest)


def year_by_rows(
    book: Book,
    year: int,
    month_wh: int,
    row_months: int = 1,
    *,
    attributes: Mapping[str, str] | None = None,
    profile: estimate.Profile = estimate.FLAT,
    reactive_varh: int | None = None,
) -> tuple[int, ...]:
    """Micro-units of a year's bills of ``month_wh`` a month, by rows of ``row_months``; annual ladders go on.

    A bill covers the book's own cycle, counted from January; ``row_months`` must be a multiple of it.
    """
    edges = [calendars.to_utc(datetime(year + month // 12, month % 12 + 1, 1), book.zone) for month in range(13)]
    rows = [0] * (12 // row_months)
    for month in range(0, 12, book.cycle_months):
        start, end = edges[month], edges[month + book.cycle_months]
        used = month * month_wh if month and statement.ladder_start(book, start) == edges[0] else 0
        bill = estimate.bill(
            book,
            (start, end),
            month_wh * book.cycle_months,
            attributes=attributes,
            profile=profile,
            used_wh=used,
            reactive_varh=reactive_varh,
        )
        rows[month // row_months] += bill.total_micro
    return tuple(rows)
