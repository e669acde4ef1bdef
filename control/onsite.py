"""What a person found before a meter goes in; a mended record, a check's verdict, a swap, a closed order come out.

A final record is never edited: another person's word on it is a second record of the same instant, which outranks it.
A swap is carried out when the meter that was taken down is the one on file and its last register goes on from what was
read before; anything else is an order for the office. A suspect read is confirmed by whoever stood before the meter.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from control import settings, workorders
from control.fieldbook import Entry
from control.records import WorkOrder
from control.signals import Visit
from ingest.records import Channel, Flag, HandheldMessage, MeterPoint, MeterRead
from storage.records import Install, RegisterPlace
from storage.unit import Reader, Unit

MENDED: Final = Flag.MANUAL | Flag.FINAL | Flag.CONFIRMED
FINAL: Final = Flag.MANUAL | Flag.FINAL
CHECK_WH: Final = 1_000  # a display shows whole kWh
AROUND: Final = timedelta(days=3)  # remote reads beside which an on-site check is laid
FINAL_KINDS: Final = ("confirm", "mend")
SUSPICIONS: Final = frozenset({"spike", "surge", "drop", "stuck", "reverse", "tamper"})


@dataclass(frozen=True, slots=True)
class Mend:
    """The read that puts a final record right, or why it is refused."""

    read: MeterRead | None
    reason: str = ""


def mended(reader: Reader, message: HandheldMessage, point: MeterPoint) -> Mend:
    """The right value of a misread record: of the same instant, by another person than the one who misread it."""
    known = reader.find(Entry, message_id=message.supersedes, status__ne="refused")
    final = [row for row in known if row.kind in FINAL_KINDS and row.meter in (point.meter, message.meter)]
    if len(final) != 1:
        return Mend(None, "unknown_record")
    if final[0].person.strip().casefold() == message.person.strip().casefold():
        return Mend(None, "same_person")
    assert message.register_wh is not None
    first = _first(reader, final[0])
    return Mend(MeterRead(point.meter_id, Channel.IMPORT, minute(first.at), message.register_wh, int(MENDED)))


def _first(reader: Reader, entry: Entry) -> Entry:
    """The record at the beginning of a chain of mends: its instant is that of them all."""
    for _ in range(8):
        before = reader.find(Entry, message_id=entry.supersedes, limit=1) if entry.supersedes else []
        if not before:
            break
        entry = before[0]
    return entry


def minute(at: datetime) -> datetime:
    """The slot of a read by hand: its own minute."""
    return settings.to_ms(at).replace(second=0, microsecond=0)


@dataclass(frozen=True, slots=True)
class Span:
    """What the stored reads around an instant allow a register to show; None: nothing stored on that side."""

    least_wh: int | None
    most_wh: int | None

    def agrees(self, register_wh: int) -> bool:
        """Whether a register read on site fits, to a display's last digit."""
        low = self.least_wh is None or register_wh >= self.least_wh - CHECK_WH
        return low and (self.most_wh is None or register_wh <= self.most_wh + CHECK_WH)

    @property
    def known(self) -> bool:
        """Whether anything was stored to compare with."""
        return self.least_wh is not None or self.most_wh is not None


def swap(unit: Unit, message: HandheldMessage, point: MeterPoint, account: str, now: datetime) -> str:
    """Put the new meter in the old one's place; why not, "" when it was done. The reads follow in ``swap_reads``."""
    assert message.register_out_wh is not None
    standing = unit.find(Install, meter_id=point.meter_id, end__null=True, order="start")
    if len(standing) != 1 or standing[0].start >= message.at:
        return "no_installation"
    if standing[0].serial and standing[0].serial != message.serial_out:
        return "other_meter_taken_down"
    place = unit.get(RegisterPlace, point.meter_id, int(Channel.IMPORT))
    if place is not None and place.end <= message.at and message.register_out_wh < place.register_wh:
        return "last_register_below_what_was_read"
    at = minute(message.at)
    unit.put(replace(standing[0], end=at))
    unit.put(replace(standing[0], serial=message.serial, start=at, end=None, proved=None))
    unit.put(replace(point, serial=message.serial))
    unit.delete(Visit, point.meter)  # what the old meter's last session said is nothing to lay the new one beside
    body = {"out": message.serial_out, "in": message.serial, "register_out_wh": str(message.register_out_wh)}
    unit.audit(message.person or message.device, "meter.swap", point.meter, body, now)
    unit.event("meter_swapped", now, account, meter=point.meter, out=message.serial_out, into=message.serial)
    return ""


def swap_reads(message: HandheldMessage, point: MeterPoint) -> list[MeterRead]:
    """The old meter's last register a minute before the new one's first, so that each has its own slot."""
    assert message.register_wh is not None and message.register_out_wh is not None
    at = minute(message.at)
    last = MeterRead(point.meter_id, Channel.IMPORT, at - timedelta(minutes=1), message.register_out_wh, int(FINAL))
    return [last, MeterRead(point.meter_id, Channel.IMPORT, at, message.register_wh, int(FINAL | Flag.SWAP))]


def resolve(unit: Unit, message: HandheldMessage, now: datetime) -> str:
    """Close the order that somebody looked into; why not, "" when it is. No access leaves it open."""
    known = unit.get(WorkOrder, message.order)
    if known is None:
        return "unknown_order"
    by = message.person or message.device
    if message.outcome == "no_access":
        unit.put(replace(known, detail=f"{known.detail}; no access on {message.at:%Y-%m-%d}".removeprefix("; ")))
        return ""
    if workorders.close(unit, message.order, now, by=by, outcome=message.outcome, found=message.detail) is None:
        return "order_ended"
    unit.event("order_resolved", now, known.account, order=known.order, kind=known.kind, outcome=message.outcome, by=by)
    return ""


def suspect_confirmed(reader: Reader, message: HandheldMessage, point: MeterPoint) -> MeterRead | None:
    """The suspect read as it now bills, when the person found that the meter really counted it; the order is open yet.

    A register that fell is never confirmed like this: what was used in between nobody knows.
    """
    order = reader.get(WorkOrder, message.order)
    place = reader.get(RegisterPlace, point.meter_id, int(Channel.IMPORT))
    if order is None or order.state not in workorders.OPEN_STATES or order.kind not in SUSPICIONS:
        return None
    if message.outcome != "confirmed" or place is None or place.suspect_end is None:
        return None
    if place.suspect_wh < place.register_wh:
        return None
    flags = int(Flag.MANUAL | Flag.CONFIRMED)
    return MeterRead(point.meter_id, Channel.IMPORT, place.suspect_end, place.suspect_wh, flags)
