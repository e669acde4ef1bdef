"""A handheld's message goes in; committed reads, orders and, for a confirm, the bill and balance in the reply come out.

The reply is made after the commit, never before: only then is the message acknowledged to the broker. A confirmed read
is final; a value that cannot be right is kept all the same, and held. Every message is an entry of the route record,
and a repetition of one does again only what did not come to its end.
"""

from collections.abc import Awaitable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from control import assemble, calls, credit, entries, onsite, outagedesk, workorders
from control.alerts import decimal
from control.assemble import World
from control.canonical import dumps
from control.fieldbook import Entry
from control.records import WorkOrder
from control.signals import Visit
from ingest.geodesy import wgs84
from ingest.records import Channel, Finding, Flag, HandheldMessage, HandheldReply, MeterPoint, MeterRead
from ingest.wire.handheld import KINDS
from storage.conversion import reads_of
from storage.errors import Conflict
from storage.inbox import ReadInbox
from storage.rater import RateReport
from storage.records import AccountState, Install
from storage.store import Store
from storage.unit import Reader, Unit
from storage.writer import Priority

READS = ("read", "confirm")
ABOUT_A_METER = ("read", "confirm", "mend", "check", "swap")
ORDERS = {"no_access": "on_site_check", "swap": "meter_swap", "outage": "outage"}


class Desk(Protocol):
    """The part of the engine that a handheld needs."""

    @property
    def store(self) -> Store: ...
    @property
    def inbox(self) -> ReadInbox: ...
    def world(self) -> World: ...
    def rate(self) -> Awaitable[RateReport]: ...


@dataclass(frozen=True, slots=True)
class Place:
    """The meter that a message is about, and whose it is."""

    point: MeterPoint
    account: str


@dataclass(frozen=True, slots=True)
class Read:
    """What a message brings to the reads: rows under one number, and what is said of them."""

    rows: tuple[MeterRead, ...]
    held: str = ""
    taken: bool = False  # the rows were committed by this very message, before its effects


async def take(desk: Desk, message: HandheldMessage) -> HandheldReply:
    """Take one message of any kind; what cannot be taken is refused with a stable reason."""
    world = desk.world()
    place = desk.store.read(lambda reader: find(reader, message, world.now))
    account = place.account if place else ""
    reason = "unknown_kind" if message.kind not in KINDS else _unfit(message, place)
    read = Read(())
    if not reason and place is not None:
        read, reason = _reads(desk.store, message, place)
    entry = entries.entry_of(
        message, world.now, account, status="refused" if reason else "held" if read.held else "accepted",
        reason=reason or read.held,
    )  # fmt: skip
    entry = replace(entry, meter=place.point.meter if place else message.meter)
    if message.kind == "resolve" and read.rows and not desk.store.read(lambda reader: entries.replayed(reader, entry)):
        await desk.inbox.accept(_source(message), message.message_id, list(read.rows), world.now)  # before it is closed

    word, said = await desk.store.commit(Priority.COMMAND, lambda unit: _enter(unit, message, place, entry, world))
    known = word in (entries.NEW, entries.AGAIN)
    if not known or reason:
        return _reply(message, "refused", reason if known else word, account)
    if read.rows and place is not None and not said:
        return await _keep(desk, message, place, replace(read, taken=word == entries.NEW and message.kind == "resolve"))
    status = "duplicate" if word == entries.AGAIN else "held" if said else "accepted"
    return desk.store.read(
        lambda reader: _answer(reader, message, place, world, _reply(message, status, said, account))
    )


def _enter(unit: Unit, message: HandheldMessage, place: Place | None, entry: Entry, world: World) -> tuple[str, str]:
    """Admit a message and do what it changes beside reads: ``entries.admit``'s word, and why it is held ("" = not)."""
    word = entries.admit(unit, entry)
    if word == entries.AGAIN:
        known = unit.get(Entry, entry.device, entry.message_id)
        return word, known.reason if known is not None and message.kind not in READS else ""
    if word != entries.NEW or entry.status == "refused":
        return word, ""
    said = _effects(unit, message, place, world)
    if said:
        unit.put(replace(entry, status="held", reason=said))
    return word, said


def _source(message: HandheldMessage) -> str:
    return f"handheld:{message.device}"


def find(reader: Reader, message: HandheldMessage, now: datetime) -> Place | None:
    """The meter by its number, else by its serial; the number or barcode decides, never the position."""
    points = reader.find(MeterPoint, meter=message.meter) if message.meter else []
    if not points and message.serial:
        points = reader.find(MeterPoint, serial=message.serial)
    if not points and message.order:
        order = reader.get(WorkOrder, message.order)
        points = reader.find(MeterPoint, meter=order.meter) if order is not None and order.meter else []
    if len(points) != 1:
        return None
    installs = reader.find(Install, meter_id=points[0].meter_id, start__le=now, order="start")
    current = [row for row in installs if row.end is None or row.end > message.at]
    return Place(points[0], current[-1].account if current else "")


def _unfit(message: HandheldMessage, place: Place | None) -> str:
    """Why a message about a meter cannot be about this one; "" when it can."""
    if message.kind not in ABOUT_A_METER:
        return ""
    if place is None:
        return "unknown_meter"
    if message.kind != "swap" and message.serial and place.point.serial and message.serial != place.point.serial:
        return "wrong_serial"
    return "no_register" if message.register_wh is None or message.register_wh < 0 else ""


def _reads(store: Store, message: HandheldMessage, place: Place) -> tuple[Read, str]:
    """The rows that a message brings, and why it is refused ("" = it is not)."""
    point, register = place.point, message.register_wh
    if message.kind == "mend":
        mend = store.read(lambda reader: onsite.mended(reader, message, point))
        if mend.read is not None and not _between(store, mend.read).agrees(mend.read.register_wh):
            return Read(()), "does_not_fit"
        return Read((mend.read,) if mend.read else ()), mend.reason
    if message.kind == "swap":
        return Read(tuple(onsite.swap_reads(message, point))), ""
    if message.kind == "resolve":
        row = store.read(lambda reader: onsite.suspect_confirmed(reader, message, point))
        return Read((row,) if row else ()), ""
    if message.kind not in READS or register is None:
        return Read(()), ""
    flags = onsite.FINAL if message.kind == "confirm" else Flag.MANUAL
    held = store.read(lambda reader: _suspect(reader, message, point.meter, register))
    flags |= Flag.SUSPECT if held else Flag.NONE
    return Read((MeterRead(point.meter_id, Channel.IMPORT, onsite.minute(message.at), register, int(flags)),), held), ""


def _suspect(reader: Reader, message: HandheldMessage, meter: str, register_wh: int) -> str:
    """What the last session with the meter says against it; a burst brings reads from before that session."""
    visit = reader.get(Visit, meter)
    if visit is None or visit.register_wh is None:
        return ""
    later = message.at >= visit.at - timedelta(minutes=1)
    wrong = register_wh < visit.register_wh if later else register_wh > visit.register_wh
    return "suspect, read again" if wrong else ""


def _between(store: Store, read: MeterRead) -> onsite.Span:
    """What the stored reads on both sides of an instant allow; the instant's own and suspect ones say nothing."""
    table = store.reads(read.end - onsite.AROUND * 20, read.end + onsite.AROUND * 20, [read.meter_id], read.channel)
    rows = [row for row in reads_of([table]) if row.end != read.end and not row.flags & Flag.SUSPECT]
    swaps = [row.end for row in rows if row.flags & Flag.SWAP]
    low = max((at for at in swaps if at <= read.end), default=datetime.min)
    high = min((at for at in swaps if at > read.end), default=datetime.max)
    before = [row.register_wh for row in rows if low <= row.end < read.end]
    after = [row.register_wh for row in rows if read.end < row.end < high]
    return onsite.Span(before[-1] if before else None, after[0] if after else None)


async def _keep(desk: Desk, message: HandheldMessage, place: Place, read: Read) -> HandheldReply:
    """Commit the reads, rate them, and answer with what the customer owes as of them."""
    try:
        receipt = await desk.inbox.accept(_source(message), message.message_id, list(read.rows), desk.world().now)
    except Conflict:
        return _reply(message, "refused", "message_id_used", place.account)
    await desk.rate()
    status = "accepted" if receipt.new or receipt.conflict or read.taken else "duplicate"
    if receipt.conflict or read.held:
        status = "held"
    return desk.store.read(lambda reader: _statement(reader, message, place, status, read.held, desk.world()))


def _effects(unit: Unit, message: HandheldMessage, place: Place | None, world: World) -> str:
    """What a message changes beside reads, in its own transaction; why it is held, "" when all is well."""
    account = place.account if place else ""
    if message.kind in ("outage", "restored"):
        outagedesk.take(unit, outagedesk.of_message(message), world.now)
    elif message.kind == "resolve":
        return onsite.resolve(unit, message, world.now)
    elif message.kind == "check" and place is not None:
        return _checked(unit, message, place, world)
    elif message.kind == "swap" and place is not None:
        why = onsite.swap(unit, message, place.point, account, world.now)
        if why:
            _order(unit, message, account, world, f"{why}: {message.detail}")
        return why
    if message.kind in ("no_access", "outage"):
        _order(unit, message, account, world, message.detail or message.photo)
    return ""


def _order(unit: Unit, message: HandheldMessage, account: str, world: World, detail: str) -> None:
    kind = ORDERS[message.kind]
    unit.event(f"handheld_{message.kind}", world.now, account, device=message.device, message=dumps(message))
    workorders.order(unit, kind, account, message.meter, cause=message.message_id, at=world.now, detail=detail)


def _checked(unit: Unit, message: HandheldMessage, place: Place, world: World) -> str:
    """Lay an on-site check beside the meter's last session; what differs is an order to look at the meter."""
    visit = unit.get(Visit, place.point.meter)
    register = message.register_wh
    if visit is None or visit.register_wh is None or register is None:
        return ""
    most = place.point.max_power_w * abs((message.at - visit.at) // timedelta(seconds=1)) // 3600 + onsite.CHECK_WH
    if abs(register - visit.register_wh) <= most:
        return ""
    detail = f"{register} Wh on site, {visit.register_wh} Wh over the air at {visit.at.isoformat()}Z"
    unit.add(Finding("check_differs", world.now, place.point.meter, "mqtt", detail))
    workorders.order(
        unit, "meter_check", place.account, place.point.meter, cause=message.message_id, at=world.now, detail=detail
    )
    return "differs from the remote read"


def _answer(
    reader: Reader, message: HandheldMessage, place: Place | None, world: World, reply: HandheldReply
) -> HandheldReply:
    """The reply to a message that brought no reads, with what it asked for; a mended bill is shown again."""
    position = None
    if message.latitude is not None and message.longitude is not None:
        position = wgs84(message.latitude, message.longitude, message.datum)
    items: list[dict[str, str]] = []
    if message.kind == "candidates" and position is not None:
        items = calls.candidates(reader, message, position, world.now)
    elif message.kind == "route":
        items = calls.stops(reader, position, world.now, person=message.person or message.device)
    elif place is not None and message.kind == "resolve":
        return _statement(reader, message, place, reply.status, reply.reason, world)
    return replace(reply, items=tuple(items))


def _statement(
    reader: Reader, message: HandheldMessage, place: Place, status: str, reason: str, world: World
) -> HandheldReply:
    """Bill so far (as if the period ended at the last actual read) and balance, as committed."""
    case = assemble.case(reader, place.account, world) if place.account else None
    if case is None:
        return _reply(message, status, reason or "no_account", place.account)
    state = reader.get(AccountState, place.account) or AccountState(place.account)
    return HandheldReply(
        message.message_id, message.device, status, reason, place.account, decimal(state.accrued_micro),
        decimal(credit.available(case)), case.currency, case.tier,
    )  # fmt: skip


def _reply(message: HandheldMessage, status: str, reason: str = "", account: str = "") -> HandheldReply:
    return HandheldReply(message.message_id, message.device, status, reason, account)
