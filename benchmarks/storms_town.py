"""A number of accounts goes in, a store full of them comes out, and an engine whose hours pass without meters.

Ledger, decisions, breaker, notices, outbox and dispatch are the product's own. Only the wire is replaced: ``Answering``
answers every session after ``ANSWER_S``, moves a relay when it is told to, and keeps fences. What the rater would have
found is written instead of it: each account uses the same money every hour, times ``factor`` where another tariff rates
it from the first hour on, and the forecasts of each day are sealed with what was believed on that day.

Three ways lead to other prices: a wrong ``book`` for some accounts, a release whose ``code`` rates some of them wrongly
by the same book, and a ``rise``: a dearer book for everybody, which is right.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt

from control import commands, pricebasis, signals
from control.assemble import Outlook
from control.engine import Engine
from control.forecast import HORIZON_H
from control.foresight import NEAR_H
from control.ports import Delivery
from control.records import Action, Command, CommandState, Evidence, Notice, SealedForecast, Service, Wanted
from control.signals import Signal, Visit
from ingest.ports import Clock
from ingest.records import Drive, DriveOutcome, DriveResult, MeterPoint, MeterRead, Poll, RelayReport, RelayState
from storage.codec import to_ms
from storage.ledger import POST_LIMIT
from storage.records import Account, AccountState, Install, Posting
from storage.store import Store
from storage.unit import Unit
from storage.writer import Priority

ZONE, BOOK, HASH, CODE = "Asia/Shanghai", "town", "hash-town", "code-town"
NEW_BOOK, NEW_HASH, NEW_CODE = "town-new", "hash-new", "code-new"
MICRO = 1_000_000
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ANSWER_S = 2.0
FACTOR = 8  # the wrong tariff
BEHIND_GATEWAY, ON_FEEDER = 400, 200
USUAL_SHARE = 5_000  # one in so many is cut on an ordinary day
WEEKS = 4
TOLD_BEFORE = timedelta(days=4)  # stop notices of those who run out in the first days
CHUNK = 20_000
BOOK_FAULT, CODE_FAULT, RISE = "book", "code", "rise"
WINDOW = range(1, 9)  # UTC hours of the policy's window, and one after it
Ints = npt.NDArray[np.int64]


@dataclass(slots=True)
class People:
    """Money of everybody, in micro-units: what is used an hour, what is left at the start, and who is rated anew."""

    start: datetime
    rate: Ints
    left: Ints
    wrong: npt.NDArray[np.bool_]
    percent: int = FACTOR * 100  # of the right price
    fault: str = BOOK_FAULT

    def believed(self, at: datetime) -> Ints:
        """Accrued since the start as the store is told."""
        return self.pace * int((at - self.start) / HOUR)

    @property
    def pace(self) -> Ints:
        """Micro-units an hour as everybody is rated."""
        found: Ints = self.rate * np.where(self.wrong, self.percent, 100) // 100
        return found

    def truly_left(self, number: int, at: datetime) -> int:
        """What one account really has, had it been rated rightly and paid nothing."""
        pace = self.pace if self.fault == RISE else self.rate
        return int(self.left[number]) - int(pace[number]) * int((at - self.start) / HOUR)


def name(number: int) -> str:
    """Account number as text; its meter is the same with an M before it."""
    return f"{number:07d}"


def people(
    accounts: int, start: datetime, *, days: int, seed: int, herd: int = 0, wrong: int = 0, percent: int = FACTOR * 100,
    fault: str = BOOK_FAULT,
) -> People:  # fmt: skip
    """Money that lasts from now on for 5 to 60 days, and runs out for the usual few each day.

    The first ``herd`` accounts run out within the first eight days, the ``wrong`` after them are rated wrong. The usual
    few are drawn from everybody, so that some of them are among those rated wrong.
    """
    draw = np.random.default_rng(seed)
    rate = draw.integers(50_000, 400_000, accounts)  # micro-units an hour
    hours = draw.integers((days + 8) * 24, 60 * 24, accounts)
    usual = draw.choice(accounts, max(accounts // USUAL_SHARE, 1) * days, replace=False)
    hours[usual] = draw.integers(6, days * 24, len(usual))
    hours[:herd] = draw.integers(12, 8 * 24, herd)
    mask = np.zeros(accounts, dtype=bool)
    mask[herd : herd + wrong] = True
    return People(start, rate, rate * hours, mask, percent, fault)


@dataclass(slots=True)
class Answering:
    """``ingest.ports.Link`` of every gateway: whoever is asked answers, and relays move."""

    clock: Clock
    relays: dict[str, RelayState] = field(default_factory=dict)
    fences: dict[str, int] = field(default_factory=dict)
    moves: list[tuple[datetime, str, RelayState]] = field(default_factory=list)

    async def poll(self, point: MeterPoint, slot_end: datetime) -> Poll:
        """One session."""
        await self.clock.sleep(ANSWER_S)
        now = self.clock.now()
        wh = int((now - datetime(2020, 1, 1)) / HOUR) * 100
        read = MeterRead(point.meter_id, 1, slot_end, wh)
        report = self._report(point.meter)
        return Poll(point.meter, now, point.serial, (read,), report, report.power_w, 230, 0)

    async def profile(self, point: MeterPoint, start: datetime, end: datetime) -> Poll:
        """Nobody asks for it here."""
        del start, end
        return Poll(point.meter, self.clock.now())

    def _report(self, meter: str) -> RelayReport:
        state = self.relays.get(meter, RelayState.CLOSED)
        return RelayReport(meter, self.clock.now(), state, 400 if state is RelayState.CLOSED else 0)

    async def relay(self, point: MeterPoint) -> RelayReport:
        """The relay's own word and load."""
        await self.clock.sleep(ANSWER_S)
        return self._report(point.meter)

    async def drive(self, point: MeterPoint, order: Drive) -> DriveOutcome:
        """Obey what is not below the fence and not past its time."""
        await self.clock.sleep(ANSWER_S)
        now = self.clock.now()
        if order.fence < self.fences.get(point.meter, 0):
            return DriveOutcome(order.command, now, DriveResult.FENCED)
        if now >= order.valid_until:
            return DriveOutcome(order.command, now, DriveResult.EXPIRED)
        self.fences[point.meter] = order.fence
        state = RelayState.OPEN if order.action == Action.DISCONNECT else RelayState.CLOSED
        if self.relays.get(point.meter, RelayState.CLOSED) is not state:
            self.relays[point.meter] = state
            self.moves.append((now, point.meter.removeprefix("M"), state))
        return DriveOutcome(order.command, now, DriveResult.ACKNOWLEDGED)

    async def close(self) -> None:
        """Nothing is open."""


class Heard:
    """A notice channel that delivers at once."""

    name = "file"

    async def send(self, notice: Notice, now: datetime) -> str:
        """The message's id."""
        del now
        return notice.notice

    async def receipt(self, message_id: str, now: datetime) -> Delivery:
        """Delivered."""
        del message_id
        return Delivery("delivered", now)


@dataclass(frozen=True, slots=True)
class Metal:
    """The driver of every meter: a relay with a verified read-back."""

    name: str = "storm"
    protocol: str = "modbus"
    title: str = "storm"
    switchable: bool = True
    load_profile: bool = False
    max_power_w: int = 100_000
    proven: str = "unproven"


class StormEngine(Engine):
    """The engine with an hour's rating written instead of read and rated; all that follows is its own."""

    folk: People
    window_h: Sequence[int] = range(24)  # UTC hours in which a cycle decides
    released: datetime | None = None  # from then on every hour of the window does
    names: Sequence[str] = ()
    looked: datetime | None = None

    async def cycle_work(self) -> None:
        """One hour: money, visits and outlooks of everybody; the day's seal; the decision."""
        now = self.now().replace(minute=0, second=0, microsecond=0)
        sealing = self.store.read(lambda reader: reader.get(Signal, "storm.sealed"))
        today = f"{now:%Y-%m-%d}"
        fresh = sealing is None or sealing.value != today
        released = self.released is not None and now >= self.released and now.hour in WINDOW
        if not (fresh or released or now.hour in self.window_h):
            return
        hours = self.rated(now)
        if fresh:
            code = NEW_CODE if self.folk.fault == CODE_FAULT else CODE
            await self._commit(Priority.BATCH, lambda unit: pricebasis.mark(unit, now, code))
            seal(self.store, self.names, hours, now)
            await self._commit(Priority.BATCH, lambda unit: unit.put(Signal("storm.sealed", today, now)))
        await self.decide()
        self.wake()

    def rated(self, now: datetime) -> npt.NDArray[np.float64]:
        """What the hour's reads would have left in the store; the hours that everybody has left."""
        if not self.names:
            self.names = [name(number) for number in range(len(self.folk.rate))]
        accrued = self.folk.believed(now).tolist()
        given = zip(accrued, repeat(to_ms(now)), self.names, strict=False)

        def work(unit: Unit) -> None:
            state, visit = (unit.tables.of(kind).spec.name for kind in (AccountState, Visit))
            sql = f'UPDATE "{state}" SET accrued_micro = ?, accrued_to = ? WHERE account = ?'
            unit.connection.executemany(sql, given)
            if now == self.folk.start:
                _other_book(unit, self.folk)
            unit.connection.execute(f'UPDATE "{visit}" SET at = ?', (to_ms(self.now()),))
            unit.put(Signal(signals.PAYMENTS + "webhook", "ok", self.now()))

        self.store.write(Priority.BATCH, work)
        posted = self.store.read(lambda reader: reader.balances("customer:"))
        names = self.names
        money = np.fromiter((posted[f"customer:{one}"] for one in names), np.int64, len(names))
        hours = hours_left(self.folk, money - np.array(accrued, dtype=np.int64))
        last, self.looked = self.looked, now
        if last is None or last.date() != now.date():
            anew = np.arange(len(names))
        else:  # in between, as the product does: the hours that have passed are taken off, who is near is looked at
            self._outlooks.age((now - last) / HOUR)
            anew = np.flatnonzero(hours <= NEAR_H)
        rows = np.round(hours, 1)[anew].tolist()
        self._outlooks.update({names[n]: Outlook(left, left) for n, left in zip(anew.tolist(), rows, strict=True)})
        return hours


def hours_left(folk: People, left: Ints) -> npt.NDArray[np.float64]:
    """How long everybody's money lasts as the tariff is believed to be."""
    found: npt.NDArray[np.float64] = np.maximum(left / folk.pace, 0.0)
    return found


def seal(store: Store, names: Sequence[str], hours: npt.NDArray[np.float64], now: datetime, book: str = HASH) -> None:
    """Everybody's forecast, sealed with what is believed now, in the columns in which ``forecast.seal`` is kept."""
    at = to_ms(now) + (hours * 60).astype(np.int64) * 60_000
    ends = [one if left < HORIZON_H else None for one, left in zip(at.tolist(), hours.tolist(), strict=True)]

    def work(unit: Unit) -> None:
        table = unit.tables.of(SealedForecast).spec.name
        sql = f'INSERT INTO "{table}" (account, sealed_at, exhausts_at, p10_at, book_hash) VALUES (?, ?, ?, ?, ?)'
        unit.connection.executemany(sql, zip(names, repeat(to_ms(now)), ends, ends, repeat(book), strict=False))

    store.write(Priority.BATCH, work)


def _other_book(unit: Unit, folk: People) -> None:
    """Whoever is rated by another book is on it from the first hour on."""
    if folk.fault == CODE_FAULT or not folk.wrong.any():
        return
    rows = [(NEW_HASH, name(number)) for number in np.flatnonzero(folk.wrong).tolist()]
    state, account = (unit.tables.of(kind).spec.name for kind in (AccountState, Account))
    unit.connection.executemany(f'UPDATE "{state}" SET book_hash = ? WHERE account = ?', rows)
    unit.connection.executemany(
        f"UPDATE \"{account}\" SET book = '{NEW_BOOK}' WHERE account = ?", [(n,) for _, n in rows]
    )


def fill(store: Store, folk: People) -> None:
    """Master data, opening money, evidence, four days of sealed forecasts and four weeks of ordinary disconnections."""
    start, count = folk.start, len(folk.rate)
    names = [name(number) for number in range(count)]
    for first in range(0, count, CHUNK):
        part = range(first, min(first + CHUNK, count))
        store.write(Priority.BATCH, lambda unit, part=part: _accounts(unit, folk, part))  # type: ignore[misc]
    for days in (4, 3, 2, 1):
        at = start - days * DAY
        if days == 4:
            store.write(Priority.BATCH, lambda unit, at=at: pricebasis.mark(unit, at, CODE))  # type: ignore[misc]
        seal(store, names, folk.left / folk.rate + days * 24.0, at)
    store.write(Priority.BATCH, lambda unit: _history(unit, start, max(count // USUAL_SHARE, 1)))


def _accounts(unit: Unit, folk: People, part: range) -> None:
    start, records = folk.start, _records(folk.start)
    for kind in range(len(records(0))):
        unit.put_all([records(number)[kind] for number in part])
    money = folk.left[part.start : part.stop].tolist()
    legs = []
    for number, amount in zip(part, money, strict=True):
        at, customer = start - 20 * DAY, f"customer:{name(number)}"
        pair = [Posting("opening", name(number), customer, amount, "CNY", at, at)]
        pair.append(Posting("opening", name(number), "cash:opening", -amount, "CNY", at, at))
        legs.append(pair)
    for first in range(0, len(legs), POST_LIMIT):
        unit.post_all(legs[first : first + POST_LIMIT])
    states = [
        AccountState(name(n), 0, start, start - 15 * DAY, amount, amount, start - 20 * DAY, 1, HASH)
        for n, amount in zip(part, money, strict=True)
    ]
    unit.put_all(states)
    hours = (folk.left[part.start : part.stop] / folk.rate[part.start : part.stop]).tolist()
    told = [(name(n), left) for n, left in zip(part, hours, strict=True) if left < 4 * 24]
    for account, left in told:
        _told(unit, account, start + timedelta(hours=left) - TOLD_BEFORE)


def _told(unit: Unit, account: str, at: datetime) -> None:
    """Warning and stop notice of somebody who runs out in the first days."""
    for rung, code in (("hours.168", "warning"), ("stop.1", "stop")):
        row = Notice(f"n-{account}-{rung}", account, 1, rung, "customer", "file", "+86", "zh", code, {}, at)
        unit.put(replace(row, state="delivered", sent_at=at, delivered_at=at))


def _records(start: datetime) -> Any:
    """Gives the master records of one account by its number."""
    account = Account(
        "", "Li", "residential", BOOK, ZONE, "CNY", phone="+8613800000000", contact_confirmed=start - 30 * DAY,
        agreement_from=start - 300 * DAY,
    )  # fmt: skip
    since = start - 200 * DAY

    def of(number: int) -> tuple[Any, ...]:
        who, meter = name(number), f"M{name(number)}"
        gateway = f"G{number // BEHIND_GATEWAY}"
        return (
            replace(account, account=who, feeder=f"F{number // ON_FEEDER}"),
            MeterPoint(number + 1, meter, f"S{number}", "storm", "modbus", gateway, "host", 502, number % 247 + 1),
            Install(number + 1, meter, who, f"S{number}", since, proved=since + DAY),
            Evidence(meter, RelayState.CLOSED, start - HOUR, "read_back", 400),
            Wanted(who, Service.CONNECTED, since),
            Visit(meter, start, f"S{number}", 1_000, 400, 0, True),
        )

    return of


def _history(unit: Unit, start: datetime, usual: int) -> None:
    """Ordinary days of four weeks: ``usual`` disconnections each, verified."""
    for day in range(1, WEEKS * 7 + 1):
        at = start.replace(hour=3, minute=0) - day * DAY
        rows: list[Command] = []
        for number in range(usual):
            made = commands.make(
                Action.DISCONNECT, account=f"old{number}", meter=f"old{number}", fence=day, at=at,
                decision=f"d{day}", policy_version="p", reason="exhausted",
            )  # fmt: skip
            rows.append(replace(made, state=CommandState.VERIFIED, sent_at=at, verified_at=at, attempts=1))
        unit.put_all(rows)
