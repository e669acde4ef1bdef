"""A handheld's message goes in; committed reads, orders and, for a confirm, the bill and balance in the reply come out.

The reply is made after the commit, never before: only then is the message acknowledged to the broker. A confirmed read
is final; a value that cannot be right is kept all the same, and held.
"""

from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from control import assemble, credit, settings, workorders
from control.alerts import decimal
from control.assemble import World
from control.canonical import dumps
from control.signals import Signal, Visit
from ingest.records import Channel, Flag, HandheldMessage, HandheldReply, MeterPoint, MeterRead
from storage.errors import Conflict
from storage.inbox import ReadInbox
from storage.rater import RateReport
from storage.records import AccountState, Install
from storage.store import Store
from storage.unit import Reader, Unit
from storage.writer import Priority

READS = ("read", "confirm")
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


async def take(desk: Desk, message: HandheldMessage) -> HandheldReply:
    """Take one message of any kind; what cannot be taken is refused with a stable reason."""
    world = desk.world()
    place = desk.store.read(lambda reader: find(reader, message, world.now))
    if message.kind not in READS:
        return await _other(desk, message, place, world)
    if place is None:
        return _reply(message, "refused", "unknown_meter")
    if message.serial and place.point.serial and message.serial != place.point.serial:
        return _reply(message, "refused", "wrong_serial", place.account)
    if message.register_wh is None or message.register_wh < 0:
        return _reply(message, "refused", "no_register", place.account)
    return await _read(desk, message, place, world)


def find(reader: Reader, message: HandheldMessage, now: datetime) -> Place | None:
    """The meter by its number, else by its serial; the number or barcode decides, never the position."""
    points = reader.find(MeterPoint, meter=message.meter) if message.meter else []
    if not points and message.serial:
        points = reader.find(MeterPoint, serial=message.serial)
    if len(points) != 1:
        return None
    installs = reader.find(Install, meter_id=points[0].meter_id, start__le=now, order="start")
    current = [row for row in installs if row.end is None or row.end > message.at]
    return Place(points[0], current[-1].account if current else "")


async def _read(desk: Desk, message: HandheldMessage, place: Place, world: World) -> HandheldReply:
    """Commit the read, rate it, and answer with what the customer owes as of it."""
    register = message.register_wh
    assert register is not None
    flags = Flag.MANUAL | (Flag.FINAL if message.kind == "confirm" else Flag.NONE)
    suspect = desk.store.read(lambda reader: _suspect(reader, place.point.meter, register))
    if suspect:
        flags |= Flag.SUSPECT
    at = settings.to_ms(message.at).replace(second=0, microsecond=0)
    read = MeterRead(place.point.meter_id, Channel.IMPORT, at, register, int(flags))
    source = f"handheld:{message.device}"
    try:
        receipt = await desk.inbox.accept(source, message.message_id, [read], world.now)
    except Conflict:
        return _reply(message, "refused", "message_id_used", place.account)
    await desk.rate()
    status = "duplicate" if not receipt.new and not receipt.conflict else "accepted"
    if receipt.conflict:
        status = "held"
    if suspect:
        status = "held"
    return desk.store.read(lambda reader: _statement(reader, message, place, status, suspect, desk.world()))


def _suspect(reader: Reader, meter: str, register_wh: int) -> str:
    visit = reader.get(Visit, meter)
    if visit is not None and visit.register_wh is not None and register_wh < visit.register_wh:
        return "suspect, read again"
    return ""


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


async def _other(desk: Desk, message: HandheldMessage, place: Place | None, world: World) -> HandheldReply:
    """No access, a swap, an outage: an event and a work order, once per message."""
    kind = ORDERS.get(message.kind)
    if kind is None:
        return _reply(message, "refused", "unknown_kind")
    account = place.account if place else ""

    def work(unit: Unit) -> bool:
        name = f"handheld.{message.device}.{message.message_id}"
        if unit.get(Signal, name) is not None:
            return False
        unit.put(Signal(name, message.kind, world.now, message.person or message.device))
        unit.event(f"handheld_{message.kind}", world.now, account, device=message.device, message=dumps(message))
        workorders.order(
            unit, kind, account, message.meter, cause=message.message_id, at=world.now, detail=message.detail
        )
        return True

    new = await desk.store.commit(Priority.COMMAND, work)
    return _reply(message, "accepted" if new else "duplicate", "", account)


def _reply(message: HandheldMessage, status: str, reason: str = "", account: str = "") -> HandheldReply:
    return HandheldReply(message.message_id, message.device, status, reason, account)
