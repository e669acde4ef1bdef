"""A person's word on positions, routes, outages or work orders goes in; what stands now comes out."""

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from control import outagedesk, outages, settings, workorders
from control.fieldbook import CANCELLED, OVER, SUM, Outage, Route, Site
from control.outagedesk import Word
from control.records import WorkOrder
from ingest.geodesy import wgs84
from ingest.records import MeterPoint
from ingest.wire.handheldfields import CAUSES, DATUMS, OUTCOMES
from prewatt.errors import ShellError, Usage
from prewatt.fieldwork import order_row
from prewatt.listing import outage_row
from prewatt.lookup import known
from prewatt.strict import suggest
from prewatt.wiring import Shell
from storage.unit import Reader, Unit
from storage.writer import Priority

COLUMNS = (
    "meter",
    "latitude",
    "longitude",
    "datum",
    "transformer",
    "feeder",
    "route",
    "stop",
    "role",
    "verified_until",
)
CLOSINGS = tuple(word for word in OUTCOMES if word != "no_access")


async def sites(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Take where meters hang from a CSV file: all of its good rows in one commit; the others are told."""
    path = Path(args["file"])
    if not path.is_file():
        raise Usage("no such file", which=str(path))
    rows = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig")))
    for name in rows.fieldnames or ["nothing"]:
        if name not in COLUMNS:
            raise Usage(f"unknown column {name!r}", which=str(path), attempt=suggest(name, COLUMNS))
    if "meter" not in (rows.fieldnames or []):
        raise Usage("no column 'meter'", which=str(path))
    given = list(enumerate(rows, 2))

    def work(unit: Unit) -> tuple[int, list[dict[str, Any]]]:
        taken, refused = 0, []
        for line, row in given:
            try:
                unit.put(_site(unit, {key: (value or "").strip() for key, value in row.items() if key}))
                taken += 1
            except ValueError as wrong:
                refused.append({"line": line, "reason": str(wrong)})
        unit.audit(shell.actor, "sites.import", path.name, {"rows": str(taken)}, shell.clock.now())
        return taken, refused

    taken, refused = await shell.store.commit(Priority.BATCH, work)
    return {"file": path.name, "rows": len(given), "accepted": taken, "refused": refused}


def _site(unit: Unit, cell: Mapping[str, str]) -> Site:
    """One row on top of what is known of its meter; ValueError says why it cannot be taken."""
    if not unit.find(MeterPoint, meter=cell["meter"], limit=1):
        raise ValueError(f"no meter {cell['meter']!r}")
    site = unit.get(Site, cell["meter"]) or Site(cell["meter"])
    site = replace(
        site,
        transformer=cell.get("transformer") or site.transformer,
        feeder=cell.get("feeder") or site.feeder,
        route=cell.get("route") or site.route,
        stop=int(cell.get("stop") or site.stop),
        role=cell.get("role") or site.role,
        verified_until=_day(cell.get("verified_until", "")) or site.verified_until,
    )
    if site.role not in ("", SUM):
        raise ValueError(f"no role {site.role!r}: {SUM}, or nothing")
    if bool(cell.get("latitude")) != bool(cell.get("longitude")):
        raise ValueError("a position has latitude and longitude")
    if cell.get("latitude"):
        north, east, datum = float(cell["latitude"]), float(cell["longitude"]), cell.get("datum") or DATUMS[0]
        if not (-90 <= north <= 90 and -180 <= east <= 180) or datum not in DATUMS:
            raise ValueError(f"no position: {cell['latitude']}, {cell['longitude']} {datum}")
        north, east = wgs84(north, east, datum)
        site = replace(site, latitude=north, longitude=east)
    return site


def _day(text: str) -> datetime | None:
    """A day of a file; ValueError says what is none."""
    return datetime.combine(date.fromisoformat(text), time()) if text else None


async def route(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Say who walks a route, and on which day of every how many months."""
    row = Route(str(args["route"]), str(args["reader"]), int(args["day"]), int(args.get("months") or 1))
    if not 1 <= row.day <= 31 or not 1 <= row.months <= 12:
        raise Usage("a day is 1 to 31, a cycle 1 to 12 months", which=row.route)
    body = {"reader": row.reader, "day": str(row.day), "months": str(row.months)}

    def work(unit: Unit) -> None:
        unit.put(row)
        unit.audit(shell.actor, "route.set", row.route, body, shell.clock.now())

    await shell.store.commit(Priority.BATCH, work)
    return {"route": row.route, "reader": row.reader, "day": row.day, "months": row.months}


async def outage(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Announce, begin, end or cancel an outage from the desk; ``word`` says which."""
    now, word = settings.to_ms(shell.clock.now()), str(args["word"])
    moment = _moments(args, shell.config.site.zone)
    name, cause = str(args.get("outage") or ""), str(args.get("cause") or "planned")
    if cause not in CAUSES:
        raise Usage(f"no cause {cause!r}", attempt=suggest(cause, CAUSES))
    if word in ("end", "cancel"):
        if shell.store.read(lambda reader: reader.get(Outage, name)) is None:
            raise Usage(f"no outage {name!r}", attempt="prewatt outages list --all")
        state = OVER if word == "end" else CANCELLED
        said = Word(name, shell.actor, state, ended=(moment("at") or now) if word == "end" else None)
    else:
        start = moment("start") or now
        where = {key: str(args.get(key) or "") for key in ("meter", "transformer", "feeder")}
        if sum(bool(value) for value in where.values()) != 1:
            raise Usage("say where: one of --meter, --transformer, --feeder")
        name = name or f"{cause}-{next(filter(None, where.values()))}-{start:%Y%m%dT%H%M}"
        said = Word(name, shell.actor, "", cause, start, moment("end"), None, work=str(args.get("work") or ""), **where)
    made = await shell.store.commit(Priority.COMMAND, lambda unit: outagedesk.take(unit, said, now))
    told = await shell.store.commit(Priority.COMMAND, lambda unit: outagedesk.sweep(unit, shell.engine.world()))
    touched = shell.store.read(lambda reader: outages.affected(reader, made, now))
    return {**outage_row(made, now), "accounts": touched, "notices": told}


def _moments(args: Mapping[str, Any], zone: str) -> Callable[[str], datetime | None]:
    def moment(name: str) -> datetime | None:
        text = str(args.get(name) or "")
        if not text:
            return None
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            raise Usage(f"{text!r} is no time", which=name, attempt="2026-07-01T08:00, or with Z") from None
        at = at if at.tzinfo is not None else at.replace(tzinfo=ZoneInfo(zone))
        return at.astimezone(UTC).replace(tzinfo=None)

    return moment


async def account_outages(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the hotline asks first: is this account without supply now, or will it be?"""
    now, name = shell.clock.now(), str(args["account"])

    def look(reader: Reader) -> list[dict[str, Any]]:
        known(reader, name)
        return [outage_row(one, now) for one in outages.of_account(reader, name, now)]

    return {"account": name, "outages": shell.store.read(look)}


async def assign(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give a work order to somebody."""
    name, owner, now = str(args["order"]), str(args["owner"]), shell.clock.now()
    return await _order(shell, name, lambda unit: workorders.assign(unit, name, now, by=shell.actor, owner=owner))


async def close(shell: Shell, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """End a work order with what was found on site."""
    name, now, outcome = str(args["order"]), settings.to_ms(shell.clock.now()), str(args.get("outcome") or "")
    if outcome not in CLOSINGS:
        raise Usage(f"no outcome {outcome!r}", which=name, attempt=suggest(outcome, CLOSINGS))
    by, found = str(args.get("by") or shell.actor), str(args.get("found") or "")
    return await _order(
        shell, name, lambda unit: workorders.close(unit, name, now, by=by, outcome=outcome, found=found)
    )


async def _order(shell: Shell, name: str, work: Callable[[Unit], WorkOrder | None]) -> Mapping[str, Any]:
    done = await shell.store.commit(Priority.COMMAND, work)
    if done is not None:
        return order_row(done)
    known = shell.store.read(lambda reader: reader.get(WorkOrder, name))
    if known is None:
        raise Usage(f"no work order {name!r}", attempt="prewatt orders list --all")
    raise ShellError(f"it is {known.state} already", which=name)


ACTIONS = {
    "sites.import": sites,
    "routes.set": route,
    "outages.say": outage,
    "outages.account": account_outages,
    "orders.assign": assign,
    "orders.close": close,
}
