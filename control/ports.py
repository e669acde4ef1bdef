"""The sockets in control's wall: what a notice channel and a payment channel must look like to be plugged in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from control.records import Notice


class ChannelError(Exception):
    """The message did not leave; ``permanent`` says that trying again cannot help (bad address, refused content)."""

    def __init__(self, reason: str, *, permanent: bool = False) -> None:
        """Keep the stable ``reason`` word beside whether a retry makes sense."""
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a channel knows of one message: ``state`` is delivered, failed or pending."""

    state: str
    at: datetime | None = None
    detail: str = ""


class Channel(Protocol):
    """Carries notices to people. A message may be sent twice after a crash: its id stays the notice's own."""

    @property
    def name(self) -> str: ...

    async def send(self, notice: Notice, now: datetime) -> str:
        """Hand over ``notice``, its ``text`` rendered, and return the message id; ChannelError if it did not leave."""
        ...

    async def receipt(self, message_id: str, now: datetime) -> Delivery:
        """Ask what became of a message; pending while nothing is known."""
        ...


@dataclass(frozen=True, slots=True)
class ChannelKind:
    """One notice channel as a plug-in: ``make`` builds it from its settings (texts) and the secrets it names."""

    name: str
    make: Callable[[Mapping[str, str], Callable[[str], bytes]], Channel]
    settings: Mapping[str, str]  # each setting with a plain sentence


@dataclass(frozen=True, slots=True)
class PaymentChannel:
    """One payment channel as a plug-in: its name, and whether it is reconciled live or by its daily file (guard G3)."""

    name: str
    live: bool
    says: str
