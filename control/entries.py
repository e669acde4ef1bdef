"""One handheld message goes in; it is kept as an entry of the route record, or refused as a replay, with a finding.

Known again is an id with the same content (a repetition: harmless) or with another one (refused). A sequence number
belongs to one message for ever, one far below the highest is refused, and so is what is older than a handheld may have
been offline, or ahead of our clock. Within these limits a burst may come in any order.
"""

import hashlib
from datetime import datetime, timedelta
from typing import Any, Final

from control import settings
from control.canonical import dumps
from control.fieldbook import Entry, Site
from ingest.geodesy import wgs84
from ingest.records import Finding, HandheldMessage
from ingest.walks import Seen, Stop, judge
from storage.unit import Reader, Unit

OFFLINE_DAYS: Final = 45  # a handheld that was away for longer is asked to enter it anew
AHEAD: Final = timedelta(minutes=15)
SEQ_WINDOW: Final = 10_000
NEIGHBOURS: Final = timedelta(hours=2)  # of a message, for the way from the one before
NEW, AGAIN = "new", "again"


def digest_of(message: HandheldMessage) -> str:
    """What a repetition is known by: the whole message."""
    return hashlib.sha256(dumps(message).encode()).hexdigest()[:32]


def admit(unit: Unit, entry: Entry) -> str:
    """Keep ``entry`` (made by ``entry_of``): ``new``, ``again`` for a repetition, or why it is refused.

    A message that was refused and can be taken now (its meter is on file since) is a new one.
    """
    why = replayed(unit, entry)
    if why == AGAIN:
        known = unit.get(Entry, entry.device, entry.message_id)
        if known is None or known.status != "refused" or entry.status == "refused":
            return AGAIN
        why = ""
    if why:
        unit.add(
            Finding(
                f"handheld_{why}", entry.received, entry.meter, "mqtt",
                f"{entry.device} {entry.message_id} seq {entry.seq}: refused",
            )
        )  # fmt: skip
        return why
    unit.put(entry)
    for seen in _around(unit, entry):
        for word in seen.findings:
            detail = f"{entry.device} {seen.stop.message_id}: {_said(seen, word)}"
            unit.add(Finding(f"handheld_{word}", seen.stop.at, seen.stop.meter, "mqtt", detail))
    return NEW


def entry_of(message: HandheldMessage, received: datetime, account: str, *, status: str, reason: str = "") -> Entry:
    """A message as it is kept: position in WGS84, everything that tells when, where and who."""
    north = east = None
    if message.latitude is not None and message.longitude is not None:
        north, east = wgs84(message.latitude, message.longitude, message.datum)
    return Entry(
        device=message.device,
        message_id=message.message_id,
        seq=message.seq,
        kind=message.kind,
        at=settings.to_ms(message.at),
        received=received,
        digest=digest_of(message),
        status=status,
        reason=reason,
        account=account,
        meter=message.meter,
        register_wh=message.register_wh,
        person=message.person,
        latitude=north,
        longitude=east,
        accuracy_m=message.accuracy_m,
        supersedes=message.supersedes,
        detail=message.detail or message.photo,
    )


def record(
    reader: Reader, since: datetime, until: datetime, *, device: str = "", person: str = ""
) -> list[tuple[Entry, Seen]]:
    """The route record of [since, until): each entry with what is odd about it, device by device, in order of time."""
    wanted: dict[str, Any] = {key: value for key, value in (("device", device), ("person", person)) if value}
    rows = reader.find(Entry, at__ge=since, at__lt=until, order=("device", "at", "message_id"), **wanted)
    found: list[tuple[Entry, Seen]] = []
    for name in sorted({row.device for row in rows}):
        own = {row.message_id: row for row in rows if row.device == name}
        found += [(own[seen.stop.message_id], seen) for seen in _judged(reader, list(own.values()))]
    return found


def replayed(reader: Reader, entry: Entry) -> str:
    """Why a message is no new one: "" when it is."""
    known = reader.get(Entry, entry.device, entry.message_id)
    if known is not None:
        return AGAIN if known.digest == entry.digest else "message_id_used"
    if reader.find(Entry, device=entry.device, seq=entry.seq, limit=1):
        return "seq_used"
    newest = reader.find(Entry, device=entry.device, order="-seq", limit=1)
    if newest and entry.seq < newest[0].seq - SEQ_WINDOW:
        return "stale_seq"
    if entry.at < entry.received - timedelta(days=OFFLINE_DAYS):
        return "too_old"
    return "clock_ahead" if entry.at > entry.received + AHEAD else ""


def _around(reader: Reader, entry: Entry) -> list[Seen]:
    """The entry and the one after it on the same device's way, judged: a burst may fill in between."""
    low, high = entry.at - NEIGHBOURS, entry.at + NEIGHBOURS
    rows = reader.find(Entry, device=entry.device, at__ge=low, at__le=high, order=("at", "message_id"))
    judged = _judged(reader, rows)
    place = next(i for i, seen in enumerate(judged) if seen.stop.message_id == entry.message_id)
    return judged[place : place + 2]


def _judged(reader: Reader, rows: list[Entry]) -> list[Seen]:
    meters = sorted({row.meter for row in rows if row.meter})
    sites = [site for start in range(0, len(meters), 500) for site in reader.find(Site, meter__in=meters[start:][:500])]
    places = {s.meter: (s.latitude, s.longitude) for s in sites if s.latitude is not None and s.longitude is not None}
    stops = [Stop(r.message_id, r.kind, r.at, r.meter, r.latitude, r.longitude, r.accuracy_m or 0.0) for r in rows]
    return judge(stops, places)


def _said(seen: Seen, word: str) -> str:
    if word == "far":
        return f"{seen.from_meter_m} m from the meter's position"
    if word == "fast":
        return f"{seen.way_m} m from the message before, at {seen.speed_m_s:.0f} m/s"
    return "final without a position"
