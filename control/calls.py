"""Positions, routes and what was read go in; who is due on site, whom a position proposes, and punctuality come out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from control.fieldbook import Entry, Route, Site
from ingest.geodesy import metres
from ingest.records import HandheldMessage, MeterPoint
from ingest.rounds import PUNCTUAL_DAYS, Kept, kept, planned_days, visit_due
from ingest.walks import nearest_first
from storage.records import Account, Install
from storage.unit import Reader

BY_HAND: Final = ("mqtt", "file")
"""Protocols of meters that a person reads."""
READ_KINDS: Final = ("confirm", "read", "swap")
SEEN_KINDS: Final = ("confirm", "check", "swap")
"""Messages that say that a person stood before the meter."""
NEAR_M: Final = 500  # a candidate hangs within this, and the position's accuracy
MOST_CANDIDATES: Final = 60  # fifty meters hang in one box
MOST_STOPS: Final = 500
MONTH = timedelta(days=31)
Text = dict[str, str]


@dataclass(frozen=True, slots=True)
class Call:
    """One visit that is due: why, since when and by when (in the account's zone)."""

    meter: str
    account: str
    route: str
    reader: str
    stop: int
    reason: str  # reading | first_visit | verification
    since: date
    due: date
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """One meter's planned day and what became of it."""

    meter: str
    account: str
    route: str
    reader: str
    kept: Kept


@dataclass(frozen=True, slots=True)
class _Meter:
    """One installed meter with what calls need of it."""

    install: Install
    site: Site
    route: Route | None
    remote: bool
    zone: str

    def local(self, at: datetime) -> date:
        """The day of an instant where the meter hangs."""
        return at.replace(tzinfo=UTC).astimezone(ZoneInfo(self.zone)).date()


def due(reader: Reader, now: datetime, *, route: str = "", person: str = "") -> list[Call]:
    """Who is due on site, route by route, in order of the stops; ``person`` sees the own routes only."""
    found: list[Call] = []
    meters = [m for m in _meters(reader, now, route) if not person or (m.route and m.route.reader == person)]
    seen = _days(reader, meters, SEEN_KINDS, now - MONTH * 13, now + MONTH)
    for meter in meters:
        today, name = meter.local(now), meter.install.meter
        reading = _reading_due(meter, seen.get(name, []), today)
        if reading is not None:
            found.append(reading)
            continue
        last = max(
            [*seen.get(name, []), *([meter.local(meter.install.proved)] if meter.install.proved else [])], default=None
        )
        months = meter.route.months if meter.route else 1
        visit = visit_due(meter.local(meter.install.start), last, remote=meter.remote, months=months, today=today)
        if visit is not None:
            found.append(_call(meter, visit.reason, visit.since, visit.due))
    return sorted(found, key=lambda call: (call.route, call.stop, call.meter))


def punctuality(reader: Reader, since: date, until: date, now: datetime, *, route: str = "") -> list[Reading]:
    """What became of each planned day of [since, until), meter by meter; only of meters that stood there then."""
    meters = [m for m in _meters(reader, now, route) if m.route is not None and not m.remote]
    low, high = (datetime.combine(at, time()) for at in (since - MONTH, until + MONTH))
    read = _days(reader, meters, READ_KINDS, low, high)
    found: list[Reading] = []
    for meter in meters:
        assert meter.route is not None
        begun = meter.local(meter.install.start)
        days = [day for day in _planned(meter.route, since, until) if day >= begun]
        one, name = meter.route, meter.install.meter
        for row in kept(days, [day for day in read.get(name, []) if since - MONTH <= day], meter.local(now)):
            found.append(Reading(name, meter.install.account, one.route, one.reader, row))
    return found


def candidates(reader: Reader, message: HandheldMessage, position: tuple[float, float], now: datetime) -> list[Text]:
    """The customers near a position, the nearest first: a proposal, which the meter's number confirms."""
    reach = NEAR_M + (message.accuracy_m or 0.0)
    degrees = reach / 111_000  # of latitude; of longitude at most twice as many up to 60 degrees
    sites = reader.find(Site, latitude__ge=position[0] - degrees, latitude__le=position[0] + degrees)
    away = {
        site.meter: metres(*position, site.latitude, site.longitude)
        for site in sites
        if site.latitude is not None and site.longitude is not None
    }
    near = sorted((gone, name) for name, gone in away.items() if gone <= reach)[:MOST_CANDIDATES]
    rows = {m.install.meter: m for m in _meters(reader, now, names=[name for _, name in near])}
    names = {
        row.account: row.name for row in reader.find(Account, account__in=[m.install.account for m in rows.values()])
    }
    return [
        {
            "meter": name,
            "serial": rows[name].install.serial,
            "account": rows[name].install.account,
            "name": names.get(rows[name].install.account, ""),
            "away_m": str(round(gone)),
        }
        for gone, name in near
        if name in rows
    ]


def stops(reader: Reader, position: tuple[float, float] | None, now: datetime, *, person: str) -> list[Text]:
    """A reader's due calls as stops: from the position always to the nearest; without positions in route order."""
    calls = {call.meter: call for call in due(reader, now, person=person)}
    placed = {
        name: (call.latitude, call.longitude)
        for name, call in calls.items()
        if call.latitude is not None and call.longitude is not None
    }
    way = nearest_first(position, placed) if position else list(placed)
    order = [*way, *(name for name in calls if name not in placed)]
    return [_item(calls[name]) for name in order[:MOST_STOPS]]


def _item(call: Call) -> Text:
    shown = {"meter": call.meter, "account": call.account, "route": call.route, "reason": call.reason}
    shown["due"] = call.due.isoformat()
    if call.latitude is not None and call.longitude is not None:
        shown |= {"latitude": f"{call.latitude:.6f}", "longitude": f"{call.longitude:.6f}"}
    return shown


def _reading_due(meter: _Meter, read: Iterable[date], today: date) -> Call | None:
    """The last planned day that nobody has read yet, from two days before it on."""
    if meter.remote or meter.route is None:
        return None
    cycle = MONTH * meter.route.months  # a day that was missed is over when the next one comes near
    days = _planned(meter.route, today - cycle, today + timedelta(days=PUNCTUAL_DAYS + 1))[-1:]
    rows = [row for row in kept(days, [day for day in read if day > today - cycle], today) if row.read is None]
    if not rows or rows[0].planned < meter.local(meter.install.start):
        return None
    return _call(meter, "reading", rows[0].planned, rows[0].planned + timedelta(days=PUNCTUAL_DAYS))


def _planned(route: Route, since: date, until: date) -> list[date]:
    return planned_days(route.day, route.months, since, until)


def _call(meter: _Meter, reason: str, since: date, until: date) -> Call:
    site, route = meter.site, meter.route
    return Call(
        meter.install.meter, meter.install.account, site.route, route.reader if route else "", site.stop, reason, since,
        until, site.latitude, site.longitude,
    )  # fmt: skip


def _meters(reader: Reader, now: datetime, route: str = "", *, names: list[str] | None = None) -> list[_Meter]:
    """The meters that stand somewhere now (of one route, or of ``names``), each with position and route."""
    wanted: dict[str, Any] = {"route": route} if route else {}
    if names is not None:
        wanted["meter__in"] = names
    sites = {row.meter: row for row in reader.find(Site, **wanted)}
    routes = {row.route: row for row in reader.find(Route)}
    zones = {row.account: row.zone for row in reader.find(Account) if row.closed is None or row.closed > now}
    remote = {row.meter_id: row.protocol not in BY_HAND for row in reader.find(MeterPoint)}
    return [
        _Meter(row, site, routes.get(site.route), remote.get(row.meter_id, False), zones[row.account])
        for row in reader.find(Install, start__le=now, order="meter")
        if (row.end is None or row.end > now)
        and row.account in zones
        and (site := sites.get(row.meter) or (Site(row.meter) if not wanted else None)) is not None
    ]


def _days(
    reader: Reader, meters: list[_Meter], kinds: tuple[str, ...], since: datetime, until: datetime
) -> Mapping[str, list[date]]:
    """The local days on which each meter was read or seen by a person."""
    by_name = {meter.install.meter: meter for meter in meters}
    found: dict[str, list[date]] = {}
    rows = reader.find(Entry, kind__in=list(kinds), at__ge=since, at__lt=until, status__ne="refused", order="at")
    for row in rows:
        if row.meter in by_name:
            found.setdefault(row.meter, []).append(by_name[row.meter].local(row.at))
    return found
