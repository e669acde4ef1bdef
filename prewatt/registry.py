"""Rows of the account file go in; accounts, meters and installations come out, or the reason why a row is refused.

A row without ``from`` has held since the beginning. A row that brings another meter to an account from a later day is a
swap: the old installation ends there. Nothing is ever removed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from ingest.records import MeterPoint
from prewatt.config import Site
from prewatt.strict import suggest
from storage.records import Account, Install
from storage.unit import Unit

REQUIRED = ("account", "meter")
CONTRACT = ("account", "meter", "book", "class", "zone", "phone", "lang", "from")
OWN = ("name", "email", "collector", "currency", "mode", "feeder", "agreement_from", "contact_confirmed", "migrated")
WIRE = ("serial", "model", "protocol", "gateway", "host", "port", "unit", "slot_min", "max_power_w", "digits", "secret")
METAL = ("multiplier", "proved")
COLUMNS = (*CONTRACT, *OWN, *WIRE, *METAL)
ATTRIBUTE = "attribute."
ALWAYS = datetime(1970, 1, 1)
WHOLE = ("port", "unit", "slot_min", "max_power_w", "digits")


class Refusal(ValueError):
    """Why one row cannot be taken; the others can."""


@dataclass(frozen=True, slots=True)
class Known:
    """What rows are checked against: the house's defaults, books by name, policy classes, drivers, gateways."""

    site: Site
    book: str
    books: Mapping[str, str]  # name -> currency
    classes: Iterable[str]
    models: Iterable[str]
    gateways: Mapping[str, str]  # name -> protocol


@dataclass(frozen=True, slots=True)
class Entry:
    """One row, understood; ``start`` is the first moment at which this meter stands at this account."""

    account: Account
    point: Mapping[str, str | int]
    meter: str
    serial: str
    start: datetime
    multiplier: int = 1
    proved: datetime | None = None
    given: frozenset[str] = field(default=frozenset())


def columns(header: Iterable[str]) -> None:
    """Refuse a header that lacks a needed column or has an unknown one."""
    names = list(header)
    for name in names:
        if name not in COLUMNS and not name.startswith(ATTRIBUTE):
            raise Refusal(f"unknown column {name!r}: {suggest(name, COLUMNS)}")
    for name in REQUIRED:
        if name not in names:
            raise Refusal(f"no column {name!r}")


def understand(row: Mapping[str, str], known: Known) -> Entry:
    """One row of text as an entry; Refusal says what is wrong."""
    cell = {key: (value or "").strip() for key, value in row.items() if key is not None}
    if not cell["account"] or not cell["meter"]:
        raise Refusal("account and meter must be there")
    zone = _one_of(cell, "zone", known.site.zone)
    try:
        local = ZoneInfo(zone)
    except (OSError, KeyError, ValueError):  # ZoneInfoNotFoundError is a KeyError
        raise Refusal(f"no zone {zone!r}") from None
    book = _one_of(cell, "book", known.book, known.books)
    start = _moment(cell, "from", local)
    account = Account(
        account=cell["account"],
        name=cell.get("name", ""),
        klass=_one_of(cell, "class", "residential", known.classes),
        book=book,
        zone=zone,
        currency=cell.get("currency") or known.books[book],
        mode=_one_of(cell, "mode", "prepaid", ("prepaid", "postpaid")),
        lang=_one_of(cell, "lang", known.site.lang, ("en", "zh")),
        phone=cell.get("phone", ""),
        email=cell.get("email", ""),
        collector=cell.get("collector", ""),
        contact_confirmed=_moment(cell, "contact_confirmed", local),
        agreement_from=_moment(cell, "agreement_from", local),
        migrated=_moment(cell, "migrated", local),
        feeder=cell.get("feeder", ""),
        attributes={k.removeprefix(ATTRIBUTE): v for k, v in cell.items() if k.startswith(ATTRIBUTE) and v},
        opened=start,
    )
    return Entry(
        account=account,
        point=_point(cell, known),
        meter=cell["meter"],
        serial=cell.get("serial", ""),
        start=start or ALWAYS,
        multiplier=_number(cell, "multiplier", 1),
        proved=_moment(cell, "proved", local),
        given=frozenset(key for key, value in cell.items() if value),
    )


def _one_of(cell: Mapping[str, str], name: str, default: str, words: Iterable[str] = ()) -> str:
    value = cell.get(name) or default
    known = list(words)
    if known and value not in known:
        raise Refusal(f"{name} {value!r} is not known: {suggest(value, known)}")
    return value


def _moment(cell: Mapping[str, str], name: str, zone: ZoneInfo) -> datetime | None:
    """A day (its local midnight) or a time with its offset, in naive UTC."""
    text = cell.get(name, "")
    if not text:
        return None
    try:
        if len(text) == 10:
            at = datetime.combine(date.fromisoformat(text), time(), zone)
        else:
            at = datetime.fromisoformat(text.replace("Z", "+00:00"))
            at = at if at.tzinfo is not None else at.replace(tzinfo=zone)
        return at.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise Refusal(f"{name} {text!r} is no date: 2026-01-31, or 2026-01-31T08:00:00Z") from None


def _number(cell: Mapping[str, str], name: str, default: int) -> int:
    text = cell.get(name, "")
    if not text:
        return default
    if not text.isdecimal():
        raise Refusal(f"{name} {text!r} is no whole number")
    return int(text)


def _point(cell: Mapping[str, str], known: Known) -> dict[str, str | int]:
    """The wire side of a meter, as far as the row gives it."""
    given: dict[str, str | int] = {name: cell[name] for name in WIRE if cell.get(name)}
    for name in WHOLE:
        if name in given:
            given[name] = _number(cell, name, 0)
    if "model" in given:
        _one_of(cell, "model", "", (*known.models, "file"))
    if "gateway" in given:
        gateway = _one_of(cell, "gateway", "", known.gateways)
        given.setdefault("protocol", known.gateways[gateway])
    return given


def store(unit: Unit, entry: Entry, following: int) -> tuple[str, int]:
    """Write one entry, or raise Refusal and write nothing; returns new, changed or unchanged, and the next meter id."""
    before = unit.get(Account, entry.account.account)
    found = unit.find(MeterPoint, meter=entry.meter, limit=1)
    blank = MeterPoint(following, entry.meter, "", "file", "file", "", "", 0, 0, zone=entry.account.zone)
    wall = {"zone": entry.account.zone} if "zone" in entry.given else {}  # a meter's clock shows its customer's wall
    point = replace(found[0] if found else blank, **entry.point, **wall)  # type: ignore[arg-type]
    installs = _installs(unit, entry, point)
    account = _merged(before, entry)
    changes = [*([] if found and found[0] == point else [point]), *installs, *([] if before == account else [account])]
    for record in changes:
        unit.put(record)
    return ("new" if before is None else "changed" if changes else "unchanged"), following + (not found)


def _merged(before: Account | None, entry: Entry) -> Account:
    """What the row leaves empty stays as it was."""
    if before is None:
        return entry.account
    named = {"class": "klass", "from": "opened"}
    fields = {named.get(key, key) for key in entry.given if key in (*CONTRACT, *OWN) and key not in REQUIRED}
    changes = {name: getattr(entry.account, name) for name in sorted(fields) if name != "opened" or not before.opened}
    if entry.account.attributes:
        changes["attributes"] = {**before.attributes, **entry.account.attributes}
    return replace(before, **changes)


def _installs(unit: Unit, entry: Entry, point: MeterPoint) -> list[Install]:
    """What changes among installations: this meter stands here, and whatever else did ends where it begins."""
    current = [row for row in unit.find(Install, account=entry.account.account) if row.end is None]
    kept = next((row for row in current if row.meter_id == point.meter_id), None)
    if kept is not None:
        wanted = replace(
            kept,
            serial=entry.serial or kept.serial,
            multiplier=entry.multiplier if "multiplier" in entry.given else kept.multiplier,
            proved=entry.proved or kept.proved,
        )
        return [] if wanted == kept else [wanted]
    elsewhere = [row for row in unit.find(Install, meter_id=point.meter_id) if row.end is None]
    for row in (*current, *elsewhere):
        if row.start >= entry.start:
            raise Refusal(f"meter {row.meter} stands at {row.account} since {row.start}Z: a swap needs a later 'from'")
    ended = [replace(row, end=entry.start) for row in (*current, *elsewhere)]
    name, serial = entry.account.account, entry.serial
    new = Install(point.meter_id, entry.meter, name, serial, entry.start, None, entry.multiplier, entry.proved)
    return [*ended, new]
