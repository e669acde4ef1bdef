"""A slow exact reference for London's year: files and price bands in, Decimal bills by home and month out.

It shares no code with the engine: csv, gzip, Decimal and zoneinfo only; prices as the trial published them.
"""

import csv
import gzip
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

UTC = timezone.utc  # noqa: UP017
LONDON = ZoneInfo("Europe/London")
HALF_HOUR = timedelta(minutes=30)
FLAT = Decimal("0.14228")  # GBP per kWh
BANDS = {"High": Decimal("0.6720"), "Normal": Decimal("0.1176"), "Low": Decimal("0.0399")}
CENT = Decimal("0.01")
Slots = dict[str, dict[datetime, Decimal]]  # home -> slot start (UTC) -> kWh, whole Wh


@dataclass
class ExactBill:
    """One home's month: kWh and money by band, missing half hours, and where its data end."""

    flat: Decimal = Decimal(0)
    dynamic: Decimal = Decimal(0)
    kwh: Decimal = Decimal(0)
    bands: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    missing: list[datetime] = field(default_factory=list)
    ended: datetime | None = None


def homes(paths: Iterable[Path]) -> Slots:
    """Every home's half hours, each value to the Wh that the meter counted."""
    found: Slots = defaultdict(dict)
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            rows = csv.reader(lines)
            next(rows)
            for home, stamp, value in rows:
                at = datetime.fromisoformat(stamp).replace(tzinfo=UTC)
                found[home][at] = Decimal(value.strip()).quantize(Decimal("0.001"), ROUND_HALF_EVEN)
    return found


def bands(path: Path) -> dict[datetime, str]:
    """The published band of every half hour, by its start (GMT)."""
    with path.open(encoding="utf-8") as lines:
        rows = csv.reader(lines)
        next(rows)
        return {datetime.strptime(stamp, "%d/%m/%Y %H:%M").replace(tzinfo=UTC): band for stamp, band in rows}


def month(year: int, number: int) -> tuple[datetime, datetime]:
    """A London calendar month in UTC."""
    first = datetime(year, number, 1, tzinfo=LONDON)
    after = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=LONDON)
    return first.astimezone(UTC), after.astimezone(UTC)


def year_of(slots: dict[datetime, Decimal], band_of: dict[datetime, str], year: int) -> dict[int, ExactBill]:
    """One home's bills by month; months after its last half hour are left out."""
    last = max(slots) + HALF_HOUR
    bills: dict[int, ExactBill] = {}
    for number in range(1, 13):
        start, end = month(year, number)
        bill = ExactBill(ended=last if last < end else None)
        at = start
        while at < min(end, last):
            if at in slots:
                bill.kwh += slots[at]
                bill.bands[band_of[at]] += slots[at]
            else:
                bill.missing.append(at)
            at += HALF_HOUR
        if last <= start:
            continue
        bill.flat = (bill.kwh * FLAT).quantize(CENT, ROUND_HALF_UP)
        for band, kwh in bill.bands.items():
            bill.dynamic += (kwh * BANDS[band]).quantize(CENT, ROUND_HALF_UP)
        bills[number] = bill
    return bills


def spans(starts: list[datetime]) -> list[tuple[datetime, datetime, int]]:
    """Neighbouring half hours as naive UTC spans."""
    found: list[tuple[datetime, datetime, int]] = []
    for at in starts:
        begin = at.replace(tzinfo=None)
        if found and found[-1][1] == begin:
            found[-1] = (found[-1][0], begin + HALF_HOUR, found[-1][2] + 1)
        else:
            found.append((begin, begin + HALF_HOUR, 1))
    return found
