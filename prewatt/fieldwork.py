"""What a reading verb asks of the field goes in; calls, the route record, punctuality, outages or orders come out."""

from collections import Counter
from dataclasses import asdict
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from control import accuracy, calls, entries, outages
from control import rotation as rotations
from control.fieldbook import STANDING, Entry, Outage, Route
from control.records import WorkOrder
from control.workorders import OPEN_STATES
from ingest.records import Finding
from prewatt.errors import Usage
from prewatt.listing import outage_row
from prewatt.lookup import config_of, known
from prewatt.wiring import reading
from storage.unit import Reader

Row = dict[str, Any]
SPAN = timedelta(days=31)


def day(text: str, name: str) -> date | None:
    """A day of a command line; None when none was given."""
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Usage(f"{text!r} is no day", which=name, attempt="2026-07-01") from None


def span(since: str, until: str, now: datetime) -> tuple[date, date]:
    """[from, to) in days; without words the last month up to tomorrow."""
    end = day(until, "--to") or now.date() + timedelta(days=1)
    begin = day(since, "--from") or end - SPAN
    if begin >= end:
        raise Usage("--from must lie before --to", which=f"{begin} to {end}")
    return begin, end


def instants(days: tuple[date, date], zone: str) -> tuple[datetime, datetime]:
    """The same as naive UTC instants: local midnights of the site's zone."""
    low, high = (datetime.combine(at, time(), ZoneInfo(zone)).astimezone(UTC).replace(tzinfo=None) for at in days)
    return low, high


def routes(option: Path | None) -> list[Row]:
    """Every route."""
    with reading(config_of(option)) as shell:
        found = shell.store.read(lambda reader: reader.find(Route, order="route"))
    return [{"route": r.route, "reader": r.reader, "day": r.day, "months": r.months} for r in found]


def due(option: Path | None, *, route: str = "", person: str = "") -> list[Row]:
    """Who is due on site now."""
    with reading(config_of(option)) as shell:
        now = shell.clock.now()
        found = shell.store.read(lambda reader: calls.due(reader, now, route=route, person=person))
    names = ("route", "stop", "meter", "account", "reader", "reason", "since", "due", "latitude", "longitude")
    return [{name: getattr(call, name) for name in names} for call in found]


def rotation(option: Path | None, months: int) -> list[Row]:
    """Meters whose verification ends within ``months``, with when to change them."""
    with reading(config_of(option)) as shell:
        now = shell.clock.now()
        found = shell.store.read(lambda reader: rotations.changes(reader, now, now + timedelta(days=30.44 * months)))
    return [asdict(one) for one in found]


def record(option: Path | None, since: str, until: str, *, device: str = "", person: str = "") -> list[Row]:
    """The route record of a span, with what is odd about each message."""
    with reading(config_of(option)) as shell:
        low, high = instants(span(since, until, shell.clock.now()), shell.config.site.zone)
        found = shell.store.read(lambda reader: entries.record(reader, low, high, device=device, person=person))
    return [
        {
            "at": entry.at,
            "device": entry.device,
            "reader": entry.person,
            "kind": entry.kind,
            "meter": entry.meter or None,
            "account": entry.account or None,
            "status": entry.status,
            "reason": entry.reason or None,
            "latitude": entry.latitude,
            "longitude": entry.longitude,
            "from_meter_m": seen.from_meter_m,
            "way_m": seen.way_m,
            "findings": list(seen.findings),
            "message_id": entry.message_id,
            "received": entry.received,
        }
        for entry, seen in found
    ]


def punctuality(option: Path | None, since: str, until: str, *, route: str = "") -> Row:
    """Planned days against what was read, meter by meter, and summed by route and reader."""
    with reading(config_of(option)) as shell:
        now = shell.clock.now()
        begin, end = span(since, until, now)
        found = shell.store.read(lambda reader: calls.punctuality(reader, begin, end, now, route=route))
    rows = [
        {
            "route": one.route,
            "reader": one.reader,
            "meter": one.meter,
            "account": one.account,
            "planned": one.kept.planned,
            "read": one.kept.read,
            "word": one.kept.word,
            "off_days": one.kept.off_days,
        }
        for one in found
    ]
    words = ("on_time", "early", "late", "missing", "open")
    summed = [
        {
            "route": route_,
            "reader": person,
            "planned": len(mine := [r for r in rows if (r["route"], r["reader"]) == (route_, person)]),
            **{word: sum(r["word"] == word for r in mine) for word in words},
        }
        for route_, person in sorted({(one.route, one.reader) for one in found})
    ]
    return {"from": begin, "to": end, "routes": summed, "days": rows}


def accuracy_of(option: Path | None, since: str, until: str) -> Row:
    """How well meters were read in a span."""
    with reading(config_of(option)) as shell:
        days = span(since, until, shell.clock.now())
        low, high = instants(days, shell.config.site.zone)
        table = shell.store.intervals(low, high, None, None)
        found = shell.store.read(lambda reader: accuracy.accuracy(reader, table, low, high))
    names = ("checks", "checks_differing", "swaps", "conflicts", "slots", "slots_by_quality", "findings")
    readers = [
        {"reader": r.reader, "reads": r.reads, "final": r.final, "held": r.held, "mended": r.mended}
        for r in found.readers
    ]
    return {"from": days[0], "to": days[1], "readers": readers, **{name: getattr(found, name) for name in names}}


def outage_rows(option: Path | None, *, account: str = "", everything: bool = False, **place: str) -> list[Row]:
    """Outages now and ahead (``everything``: over ones too), of everybody, an account or a place, with whom they touch.

    ``place`` is ``transformer=``, ``feeder=`` or ``meter=``.
    """
    with reading(config_of(option)) as shell:
        now = shell.clock.now()

        def look(reader: Reader) -> list[Row]:
            if account:
                known(reader, account)
                return [outage_row(one, now) for one in outages.of_account(reader, account, now)]
            wanted: dict[str, Any] = {} if everything else {"state__in": list(STANDING)}
            found = reader.find(Outage, order=("start", "outage"), **wanted)
            if any(place.values()):
                found = outages.of_place(reader, **place)
            return [outage_row(one, now) | {"accounts": outages.affected(reader, one, now)} for one in found]

        return shell.store.read(look)


def order_rows(option: Path | None, *, account: str = "", kind: str = "", everything: bool = False) -> list[Row]:
    """Work orders, the live ones unless ``everything`` is asked for, the first due first."""
    wanted: dict[str, Any] = {key: value for key, value in (("account", account), ("kind", kind)) if value}
    if not everything:
        wanted["state__in"] = list(OPEN_STATES)
    with reading(config_of(option)) as shell:
        found = shell.store.read(lambda reader: reader.find(WorkOrder, order=("due", "order"), **wanted))
    return [order_row(one) for one in found]


def order_row(one: WorkOrder) -> Row:
    """One work order."""
    names = ("order", "kind", "account", "meter", "state", "created", "due", "owner", "cause", "detail")
    return {name: getattr(one, name) for name in (*names, "closed", "closed_by", "outcome", "found")}


def raw_span(option: Path | None, since: str, until: str) -> tuple[datetime, datetime]:
    """[from, to) of the raw store as instants."""
    with reading(config_of(option)) as shell:
        return instants(span(since, until, shell.clock.now()), shell.config.site.zone)


def raw_rows(option: Path | None, since: str, until: str, *, meter: str, limit: int) -> tuple[list[Row], int]:
    """The newest frames of a span, and how many there are."""
    from ingest.drivers import drivers
    from ingest.rawpoll import PREFIX, registers, unpack

    known_drivers = drivers()
    low, high = raw_span(option, since, until)
    with reading(config_of(option)) as shell:
        kept = shell.store.raw(low, high).to_pylist()
    found = [row for row in kept if not meter or row["source"].endswith(f":{meter}")]
    rows: list[Row] = []
    for row in sorted(found, key=lambda row: (row["at"], row["source"]))[-limit:]:
        shown = {"at": row["at"], "source": row["source"], "reason": row["reason"], "bytes": len(row["frame"])}
        visit = unpack(row["frame"]) if row["source"].startswith(PREFIX) else None
        if visit is None:
            rows.append({**shown, "hex": row["frame"].hex()})
            continue
        driver = known_drivers.get(visit.model)
        now = registers(visit, driver) if driver is not None else {}
        pairs = [[request.hex(), answer.hex()] for request, answer in visit.pairs]
        shown |= {"meter": visit.meter, "slot_end": visit.slot_end, "model": visit.model, "profile": visit.profile}
        rows.append({**shown, "registers": {c.name.lower(): v for c, v in now.items()}, "pairs": pairs})
    return rows, len(found)


def device_rows(option: Path | None, since: str, until: str) -> Row:
    """Devices that have a key or sent something, how their messages were taken, and refusals by code."""
    with reading(config_of(option)) as shell:
        broker = shell.config.broker
        low, high = instants(span(since, until, shell.clock.now()), shell.config.site.zone)

        def look(reader: Reader) -> tuple[list[Entry], list[Finding]]:
            return (
                reader.find(Entry, received__ge=low, received__lt=high, order=("device", "seq")),
                reader.find(Finding, gateway="mqtt", at__ge=low, at__lt=high),
            )

        taken, found = shell.store.read(look)
    rows = []
    for device in sorted({*broker.devices, *(row.device for row in taken)}):
        own = [row for row in taken if row.device == device]
        statuses = Counter(row.status for row in own)
        rows.append(
            {
                "device": device,
                "key": "signs" if device in broker.devices else "unsigned" if broker.unsigned else "refused",
                "retiring": device in broker.retiring,
                "messages": len(own),
                **{word: statuses[word] for word in ("accepted", "held", "refused")},
                "last_seq": own[-1].seq if own else None,
                "last": max((row.received for row in own), default=None),
            }
        )
    return {"devices": rows, "findings": dict(sorted(Counter(row.code for row in found).items()))}
