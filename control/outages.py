"""Standing outages and a snapshot go in; whom each touches, and the hold and safety lock of those it touches, come out.

While an outage is under way its accounts carry a hold (guard G5): nobody is cut who has no supply. Where a crew may be
at work (planned works and faults) they carry a safety lock too (RG1): no relay is closed behind its back. Both are
derived from the outage in the snapshot that the rest of a case is read from, so that none is ever left behind.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from control.fieldbook import STANDING, Outage, Site
from control.records import Hold, SafetyLock
from storage.records import Account, Install
from storage.unit import Reader

CHUNK = 500  # variables of one query: far below SQLite's limit
KIND = "outage"
CREW_AT_WORK = ("planned", "fault")


def live(outage: Outage, now: datetime) -> bool:
    """Whether supply is off now: it has begun, whoever said so, and nobody has said that it is over."""
    return outage.state in STANDING and outage.start <= now


def affected(reader: Reader, outage: Outage, now: datetime) -> list[str]:
    """The accounts whose meters hang on it, in order of name; closed ones not."""
    meters: set[str] = {outage.meter} if outage.meter else set()
    for name in ("transformer", "feeder"):
        if value := getattr(outage, name):
            meters |= {row.meter for row in reader.find(Site, **{name: value})}
    found = {row.account for row in _find(reader, Install, "meter", sorted(meters)) if row.end is None or row.end > now}
    if outage.feeder:
        found |= {row.account for row in reader.find(Account, feeder=outage.feeder)}
    rows = _find(reader, Account, "account", sorted(found))
    return sorted(row.account for row in rows if row.closed is None or row.closed > now)


def touching(reader: Reader, installs: Mapping[str, Install], outages: Sequence[Outage]) -> dict[str, list[Outage]]:
    """Which of ``outages`` touch each account, by the meters in ``installs`` (account -> installation)."""
    if not outages or not installs:
        return {}
    sites = {row.meter: row for row in _find(reader, Site, "meter", sorted({row.meter for row in installs.values()}))}
    feeders: dict[str, str] = {}
    if any(outage.feeder for outage in outages):
        feeders = {row.account: row.feeder for row in _find(reader, Account, "account", sorted(installs))}
    found: dict[str, list[Outage]] = {}
    for account, install in installs.items():
        site = sites.get(install.meter) or Site(install.meter)
        on = {
            "meter": {install.meter},
            "transformer": {site.transformer},
            "feeder": {site.feeder, feeders.get(account)},
        }
        hit = [one for one in outages if any(getattr(one, name) and getattr(one, name) in on[name] for name in on)]
        if hit:
            found[account] = hit
    return found


def of_account(reader: Reader, account: str, now: datetime) -> list[Outage]:
    """An account's outages that stand, now and ahead, the first to begin first."""
    rows = reader.find(Install, account=account, start__le=now, order="start")
    current = [row for row in rows if row.end is None or row.end > now]
    standing = reader.find(Outage, state__in=list(STANDING), order=("start", "outage"))
    return touching(reader, {account: current[-1]}, standing).get(account, []) if current else []


def of_place(reader: Reader, *, transformer: str = "", feeder: str = "", meter: str = "") -> list[Outage]:
    """Outages that stand, now and ahead, and touch any meter of a transformer's area, of a feeder, or one meter."""
    asked: dict[str, Any] = {"transformer": transformer, "feeder": feeder, "meter": meter}
    sites: list[Site] = [site for name, value in asked.items() if value for site in _find(reader, Site, name, [value])]
    on = {name: {getattr(site, name) for site in sites} | {value} for name, value in asked.items()}
    standing = reader.find(Outage, state__in=list(STANDING), order=("start", "outage"))
    return [one for one in standing if any(getattr(one, name) and getattr(one, name) in on[name] for name in on)]


def holds(reader: Reader, names: Sequence[str], installs: Mapping[str, Install], now: datetime) -> list[Hold]:
    """Holds on file on ``names`` or on everybody, and one for each account that an outage touches now."""
    return reader.find(Hold, account__in=["", *names], order="hold") + [
        Hold(f"{KIND}.{one.outage}", account, KIND, one.by, one.start, reason=one.work or one.cause)
        for account, one in _now(reader, installs, now)
    ]


def locks(reader: Reader, names: Sequence[str], installs: Mapping[str, Install], now: datetime) -> list[SafetyLock]:
    """Locks on file on ``names`` or on everybody, and one for each account behind which a crew may be at work now."""
    return reader.find(SafetyLock, account__in=["", *names], order="lock") + [
        SafetyLock(f"{KIND}.{one.outage}", account, "crew", one.by, one.start)
        for account, one in _now(reader, installs, now)
        if one.cause in CREW_AT_WORK
    ]


def _now(reader: Reader, installs: Mapping[str, Install], now: datetime) -> Iterable[tuple[str, Outage]]:
    standing = reader.find(Outage, state__in=list(STANDING), start__le=now, order=("start", "outage"))
    hit = touching(reader, installs, standing)
    return [(account, one) for account in sorted(hit) for one in hit[account]]


def _find(reader: Reader, record: type[Any], field: str, values: Sequence[str]) -> list[Any]:
    """Rows whose ``field`` is one of ``values``, however many those are."""
    found: list[Any] = []
    for start in range(0, len(values), CHUNK):
        part: dict[str, Any] = {f"{field}__in": list(values[start : start + CHUNK])}
        found += reader.find(record, **part)
    return found
