"""What ``benchmarks.cycle`` runs on: a home of so many accounts in 200 books, rated so far, and the next reads.

Every account has one meter, a ladder by month in three windows, two days of hourly registers, and money on its ledger
for days to weeks; one in fifty is within its last day, one in five hundred within its last hours.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.rating_load import book as tariff_book
from benchmarks.store import Clock as Host
from control import shadow
from control.policy import Policy, template
from control.records import Evidence, Service, Wanted
from control.signals import PAYMENTS, Signal
from ingest.records import MeterPoint, RelayState
from storage.records import Account, AccountState, Install, Posting
from storage.schemas import READS
from storage.unit import Unit
from storage.usage import ms_of
from tariff.model import Book

Ints = NDArray[np.int64]
BOOKS = 200
BEFORE = 48
"""Hours that are rated before the one that is measured."""
START = datetime(2026, 3, 31, 16)  # 1 April in Shanghai: the register of the month's first moment is the opening read
HOUR_MS = 3_600_000
BATCH = 10_000
MICRO_PER_WH = 620
SLICE = 1_000


class Clock(Host):
    """A clock that is set by hand."""

    def __init__(self, at: datetime) -> None:
        """Stand at ``at``."""
        self.at = at

    def now(self) -> datetime:
        """The time that was set."""
        return self.at


@cache
def books() -> Mapping[str, Book]:
    """200 books of one shape, each with a price of its own."""
    return {f"book{number}": tariff_book(number) for number in range(BOOKS)}


def policies() -> Mapping[str, Policy]:
    """The shipped rules of a town that switches remotely."""
    return dict(template("cn-remote"))


def account(number: int) -> str:
    """The name of an account."""
    return f"A{number:07d}"


def meter(number: int) -> str:
    """The name of its meter."""
    return f"M{number:07d}"


def found(unit: Unit, low: int, high: int) -> None:
    """Customers, meters, relays and money of accounts ``low`` to ``high`` - 1."""
    since, numbers = START - timedelta(days=40), range(low, high)
    unit.put_all(
        [MeterPoint(n, meter(n), f"S{n}", "dlms_generic", "dlms", f"G{n // 500}", "", 4059, n) for n in numbers]
    )
    unit.put_all(
        [
            Account(
                account(n), "", "residential", f"book{n % BOOKS}", "Asia/Shanghai", "CNY", feeder=f"F{n // 200}",
                contact_confirmed=since, agreement_from=since, opened=since,
            )
            for n in numbers
        ]
    )  # fmt: skip
    unit.put_all([Install(n, meter(n), account(n), f"S{n}", since, proved=since) for n in numbers])
    unit.put_all([Evidence(meter(n), RelayState.CLOSED, START, "poll", 400) for n in numbers])
    unit.put_all([Wanted(account(n), Service.CONNECTED, since, "opened") for n in numbers])
    money = paid(low, high).tolist()
    unit.put_all(
        [
            AccountState(account(n), balance_after_payment_micro=micro, last_payment_micro=micro, last_payment_at=since)
            for n, micro in zip(numbers, money, strict=True)
        ]
    )
    unit.post_all([_deposit(n, micro, since) for n, micro in zip(numbers, money, strict=True)])


def _deposit(number: int, micro: int, at: datetime) -> list[Posting]:
    legs = ((f"customer:{account(number)}", micro), ("cash:bank", -micro))
    return [Posting("payment", f"bank:{number}", name, amount, "CNY", at, at) for name, amount in legs]


def facts(unit: Unit, now: datetime) -> None:
    """The channel was reconciled just now, and no class is merely watched any more."""
    unit.put(Signal(PAYMENTS + "bank", "ok", now))
    unit.put(Signal(f"{shadow.SIGNAL}residential", shadow.OFF, START))


def paid(low: int, high: int) -> Ints:
    """What each account paid in: for its use so far, and so many hours more."""
    draw = np.random.default_rng([17, low])
    hours = draw.uniform(48, 24 * 40, high - low)
    luck = draw.random(high - low)
    hours = np.where(luck < 0.02, draw.uniform(4, 24, high - low), hours)
    hours = np.where(luck < 0.002, draw.uniform(-1, 4, high - low), hours)
    micro: Ints = ((hours + BEFORE + 1) * level(low, high) * MICRO_PER_WH).astype(np.int64)
    return micro


def level(low: int, high: int) -> NDArray[np.float64]:
    """Wh an hour that each account uses on average."""
    blocks = range((low - 1) // SLICE, (high - 2) // SLICE + 1)
    drawn = np.concatenate([np.random.default_rng([5, block]).lognormal(5.6, 0.5, SLICE) for block in blocks])
    first = low - 1 - blocks.start * SLICE
    return drawn[first : first + high - low]


def registers(low: int, high: int, first: int, hours: int) -> pa.Table:
    """Registers of meters ``low`` to ``high`` - 1 after hours ``first`` and on; 0 is the opening read at START."""
    count, shape = high - low, 1 + 0.6 * np.sin((np.arange(first + hours) % 24 - 8) / 24 * 2 * np.pi)
    energy = (level(low, high)[:, None] * shape).astype(np.int64)
    standing = energy.cumsum(axis=1)[:, first:]
    ends = ms_of(START) + np.arange(first, first + hours) * HOUR_MS
    columns = [
        np.repeat(np.arange(low, high, dtype=np.int32), hours),
        np.ones(count * hours, np.uint8),
        np.tile(ends.astype("datetime64[ms]"), count),
        standing.ravel(),
        np.zeros(count * hours, np.uint16),
        np.zeros(count * hours, np.int16),
    ]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, READS.schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=READS.schema)
