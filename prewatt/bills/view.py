"""What a bill shows, as frozen data: gathered by ``dossier``, drawn by the console's page, written by ``tables``."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from tariff.reasons import Reason
from tariff.records import Bill, BillLine
from tariff.standing import Standing


@dataclass(frozen=True, slots=True)
class Earlier:
    """Another period of the account beside this bill's: what it used, and what it cost where it was billed."""

    start: datetime
    end: datetime
    wh: int | None  # None: nothing is stored
    total_micro: int | None

    @property
    def days(self) -> int:
        """Length in whole days; a day of 23 or 25 hours is one."""
        return round((self.end - self.start).total_seconds() / 86400)


@dataclass(frozen=True, slots=True)
class Revised:
    """One earlier form of the bill, until a correction replaced it."""

    revision: int
    total_micro: int
    posted: datetime
    superseded: datetime


@dataclass(frozen=True, slots=True)
class BillView:
    """One bill with all that explains it. Times naive UTC, ``zone`` the book's; money in micro-units."""

    bill: Bill
    name: str
    lang: str
    site: str
    title: str  # the book's
    zone: str
    meters: tuple[str, ...]
    posted: datetime | None  # None: a draft
    wh: int
    lines: tuple[tuple[BillLine, Reason], ...]
    standings: tuple[Standing, ...]
    previous: Earlier
    year_before: Earlier
    days: tuple[tuple[date, int], ...]  # local day, Wh
    sources: Mapping[str, Mapping[str, str]]  # by version
    revised: tuple[Revised, ...]
    changes_micro: int  # what corrections have added since the bill was first posted

    @property
    def draft(self) -> bool:
        """Whether the bill has not been posted."""
        return self.posted is None

    @property
    def number(self) -> str:
        """The bill's number, as it stands in the ledger."""
        return f"{self.bill.account}:{self.bill.start.isoformat()}"
