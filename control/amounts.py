"""A channel's decimal text goes in, exact micro-units come out; with what every channel refuses and counts with."""

import re
from dataclasses import dataclass
from datetime import datetime

from storage.records import Payment

PLACES = 6
RETURNED = "returned"  # first word of the reason of what a bank rejects: of a posted credit it is the return
LIMIT_MICRO = 10**18  # no single payment is larger: what is, is a mistake in the file
_DECIMAL = re.compile(r"([+-]?)([0-9]{1,15})(?:\.([0-9]{1,9}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class PaymentRefusal:
    """Why bytes are not payments: the HTTP status that fits, a stable reason, what to do; ``line`` from 1."""

    status: int
    reason: str
    detail: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class PaymentFile:
    """One whole, checked file: its hash, its rows in file order and their sum.

    ``whole``: nothing that the channel took is missing from it, so that its arrival reconciles the channel.
    """

    digest: str
    payments: tuple[Payment, ...]
    total_micro: int
    whole: bool = True


@dataclass(frozen=True, slots=True)
class ChannelReport:
    """What a channel counted: posted payments paid in (since, until], and their sum in micro-units."""

    channel: str
    until: datetime
    count: int
    total_micro: int
    since: datetime | None = None  # None: the last count that agreed


def micro(text: str) -> int | None:
    """Micro-units of a plain decimal, None if it is none or finer than a micro-unit.

    >>> micro("12.50"), micro("-0.000001"), micro("1e3"), micro("0.0000001")
    (12500000, -1, None, None)
    """
    match = _DECIMAL.fullmatch(text.strip())
    if match is None:
        return None
    sign, whole, part = match.group(1), match.group(2), (match.group(3) or "").rstrip("0")
    if len(part) > PLACES:
        return None
    value = int(whole) * 10**PLACES + int(part.ljust(PLACES, "0") or "0")
    return None if value > LIMIT_MICRO else (-value if sign == "-" else value)
