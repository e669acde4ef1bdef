"""Notices to the meter itself go in; its own arrears alarm (buzzer, lamp, display) goes on, and off when money came.

So does keep-power for those whom a hold protects (``control/keeppower.py``). The orders are the meter's own: DL/T 645
2A, 2B, 3A and 3B, over a serial line, or through a terminal of the Q/GDW 1376.1 family.
It moves no relay and asks for no guard. The meter's answer is the receipt that the alarm is in force; it says nothing
of whether anybody heard it, so guard G6 rests on the customer's notices alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from control import assemble
from control.notices import ALARM, ALL_CLEAR, KEEP, KEEP_OFF
from control.ports import ChannelError, ChannelKind, Delivery
from control.records import Notice
from ingest.records import MeterPoint
from storage.store import Store

ON = "alarm"
ORDERS = {ALL_CLEAR: "alarm-off", KEEP: "keep-power", KEEP_OFF: "keep-power-off"}
"""Code of a notice -> the order's word; every other code is the alarm."""
VALID = timedelta(minutes=10)
FOR_GOOD = frozenset({"not_here", "no_order", "no_signer"})


@dataclass(slots=True)
class MeterAlarm:
    """Tells meters over the gateways' own links, which whoever builds the engine lends it."""

    name: str = ALARM
    store: Store | None = None
    links: Callable[[], Mapping[str, Any]] = dict

    async def send(self, notice: Notice, now: datetime) -> str:
        """Give the order that the notice's code stands for; ChannelError where the meter did not take it."""
        point = self._point(notice.account, now)
        link = self.links().get(point.gateway)
        order = getattr(link, "orders", {}).get(ORDERS.get(notice.code, ON))
        if link is None or order is None:
            raise ChannelError("alarm_no_order", permanent=True)
        reason = await link.tell(point, order, now + VALID)
        if reason:
            raise ChannelError(f"alarm_{reason}", permanent=reason in FOR_GOOD)
        return notice.notice

    async def receipt(self, message_id: str, now: datetime) -> Delivery:
        """The meter answered that it is in force."""
        return Delivery("delivered", now, message_id)

    def _point(self, account: str, now: datetime) -> MeterPoint:
        if self.store is None:
            raise ChannelError("alarm_no_store")
        install = self.store.read(lambda reader: assemble.meter_of(reader, account, now))
        name = install.meter if install is not None else ""
        points = self.store.read(lambda reader: reader.find(MeterPoint, meter=name)) if name else []
        if not points:
            raise ChannelError("alarm_no_meter", permanent=True)
        return points[0]


def _make(settings: Mapping[str, str], secret: Callable[[str], bytes]) -> MeterAlarm:
    del settings, secret
    return MeterAlarm()


CHANNEL = ChannelKind(ALARM, _make, {"name": "must be alarm"})
