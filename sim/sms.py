"""Notices go in, receipts come out: a gateway for messages on virtual time that loses nothing."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from control.ports import Delivery
from control.records import Notice


@dataclass(slots=True)
class SimSms:
    """A gateway for notices that takes every message and delivers it twenty seconds later."""

    name: str = "file"
    sent: dict[str, datetime] = field(default_factory=dict)

    async def send(self, notice: Notice, now: datetime) -> str:
        """Take one message."""
        self.sent.setdefault(notice.notice, now)
        return notice.notice

    async def receipt(self, message_id: str, now: datetime) -> Delivery:
        """Delivered twenty seconds after it was taken."""
        at = self.sent.get(message_id)
        if at is None or now - at < timedelta(seconds=20):
            return Delivery("pending")
        return Delivery("delivered", at + timedelta(seconds=20))
