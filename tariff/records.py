"""What tariff hands on: charges, bills and their lines; money is integer micro-units of the account's currency."""

from dataclasses import dataclass
from datetime import datetime

MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class Charge:
    """One slot's charge: ``amount_micro`` = round(F(t)) - round(F(t-1)) at the line's decimals; they sum to the bill.

    ``price`` / 10**``price_scale`` is currency per kWh of the slot's last unit, ``tier`` counts from 0.
    """

    meter_id: int
    account: str
    end: datetime
    minutes: int
    energy_wh: int
    amount_micro: int
    period: str
    tier: int
    price: int
    price_scale: int
    book_hash: str


@dataclass(frozen=True, slots=True)
class BillLine:
    """One line of a bill. ``quantity`` is in ``unit`` (decimal string), ``amount_micro`` rounded as the book says.

    ``included_micro`` is tax that the amounts of other lines hold already: it is shown, and is in no sum.
    """

    id: str
    version: str
    period: str
    tier: int | None
    quantity: str
    unit: str
    price: str
    amount_micro: int
    included_micro: int = 0


@dataclass(frozen=True, slots=True)
class MissingSpan:
    """Neighbouring slots of a bill's period: without an interval that may be billed, or with an estimated one."""

    start: datetime
    end: datetime
    intervals: int


@dataclass(frozen=True, slots=True)
class Bill:
    """One account's bill for [start, end) in UTC, every line rounded, ``total_micro`` their sum as the book says.

    ``estimated`` are the slots that were billed on an estimate, ``estimated_micro`` what they put on the total.
    """

    account: str
    book: str
    book_hash: str
    currency: str
    start: datetime
    end: datetime
    lines: tuple[BillLine, ...]
    total_micro: int
    complete: bool
    missing: tuple[MissingSpan, ...] = ()
    ended: datetime | None = None
    reads_hash: str = ""
    engine: str = ""
    estimated: tuple[MissingSpan, ...] = ()
    estimated_micro: int = 0
