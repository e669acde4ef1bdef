"""A history, rules and whoever pays go in; the engine lives through it on a clock of its own, event by event.

The engine is the product's: rating, forecast, ladder, guards, breaker, commands, fences, ledger, in a store of its own
that is thrown away. What a replay takes for granted: payment channels count as reconciled, the relay obeys at once,
notices are delivered at once, nothing is consumed while supply is off, and papers that the home does not hold (a signed
agreement, a confirmed contact, the on-site proof) are taken as given and named in the summary. Nobody sits before a
replay: what waits for persons (an approval, a tripped breaker) has their word at once, and the summary counts it.
"""

import heapq
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path

import pyarrow as pa

from control import journal, signals, visits
from control.engine import Engine
from control.fences import Fences
from control.policy import Policy
from control.ports import Delivery
from control.records import Command, CommandState, Notice
from control.replay.history import History, Series, consumed, filled, rows
from control.replay.line import DRIVERS, GATEWAY, MODEL, ReplayClock, ReplayLink, Stand
from control.replay.report import Report, Row, amount, kwh
from control.replay.rule import CHANNEL, Paying
from control.settings import Settings
from control.signals import Signal
from control.tables import TABLES
from ingest.records import Channel, MeterPoint
from storage import batches, billing
from storage.codec import from_ms
from storage.records import Account, AccountState, Install, OpenPeriod, Payment, Posting
from storage.schemas import INTERVALS
from storage.store import Store
from storage.unit import Reader, Unit
from storage.writer import Priority
from tariff.calendar import to_local
from tariff.model import Book
from tariff.statement import period_of

STEP = timedelta(minutes=15)
HOUR = timedelta(hours=1)
FILE = "file"
BROUGHT = "carried:replay"
BATCH = 500_000
PERSONS = ("replay-1", "replay-2")


class Doorbell:
    """A notice channel on which everything is delivered at once."""

    name = FILE

    async def send(self, notice: Notice, now: datetime) -> str:
        """The notice's own id."""
        del now
        return notice.notice

    async def receipt(self, message_id: str, now: datetime) -> Delivery:
        """Delivered."""
        del message_id
        return Delivery("delivered", now)


@dataclass(frozen=True, slots=True)
class Rules:
    """What is in force: books by name, policies by class."""

    books: Mapping[str, Book]
    policies: Mapping[str, Policy]

    def with_shares(self, paying: Paying) -> "Rules":
        """The same, warning at the shares that the payments' rule names and at nothing else."""
        if not paying.shares:
            return self
        changed = {
            klass: replace(
                policy, share_percent=paying.shares, share_of=paying.shares_of, money_micro=(), kwh_wh=(), hours=()
            )
            for klass, policy in self.policies.items()
        }
        return replace(self, policies=changed)


@dataclass(slots=True)
class _Stage:
    """One replay under way: its store, engine and clock, and where every meter stands."""

    store: Store
    engine: Engine
    clock: ReplayClock
    history: History
    stands: dict[str, Stand]
    report: Report
    rows: list[Row] = field(default_factory=list)
    due: list[tuple[datetime, int, Payment]] = field(default_factory=list)
    numbers: "count[int]" = field(default_factory=lambda: count(1))
    fed: int = 0
    words: dict[str, int] = field(default_factory=lambda: {"approved": 0, "released": 0})


async def replay(
    history: History, rules: Rules, paying: Paying, start: datetime, end: datetime, *, home: Path
) -> AsyncIterator[Row]:
    """Live through [start, end) and yield every event in order, at last the summary; ``home`` is for the own store."""
    rules = rules.with_shares(paying)
    history, assumed = _papers(history, start)
    clock, stands = ReplayClock(start), {point.meter: Stand() for point in history.points}
    limits = Settings(offload=False, catalog=False, payment_channels={CHANNEL: True}, trust_clock=True)
    with Store.open(home, TABLES, clock=clock, writer="inline", durable=False) as store:
        line = ReplayLink(clock, stands, Fences(store))
        engine = Engine(
            store, clock, rules.books, rules.policies, {GATEWAY: line}, {FILE: Doorbell()},
            settings=limits, drivers=DRIVERS,
        )  # fmt: skip
        stage = _Stage(store, engine, clock, history, stands, Report())
        await _open(stage, paying, start)
        for row in _taken(stage):
            yield row
        at = looked = start
        while at < end:
            at = min(at + STEP, end)
            paid = await _payments(stage, until=at)
            clock.reach(at)
            whole = at.minute == 0 or (at - start) % HOUR < STEP
            if not (whole or paid or at == end or store.read(lambda r, now=at: _waits(r, now))):  # type: ignore[misc]
                continue
            before, looked = looked, at
            await _step(stage, line, at, whole=whole)
            told = store.read(lambda r, since=before, h=at.minute == 0: stage.report.since(r, since, balances=h))  # type: ignore[misc]
            stage.rows += told
            _top_up(stage, paying, told, end)
            for row in _taken(stage):
                yield row
        zero = store.read(lambda reader: reader.ledger_sum())
    names = ("read", "alert", "notice", "payment", "disconnect", "reconnect", "held")
    yield {
        "event": "summary", "from": start, "to": end, "accounts": len(history.accounts),
        "counts": {name: stage.report.counts[name] for name in names}, "assumed": assumed, "ledger_sum": str(zero),
        "persons": stage.words,
        "policies": {klass: policy.id for klass, policy in rules.policies.items()},
    }  # fmt: skip


def _papers(history: History, start: datetime) -> tuple[History, dict[str, int]]:
    """The same accounts with the papers that the home does not hold, and how many of each that were."""
    accounts = []
    for one in history.accounts:
        agreed, confirmed = one.agreement_from or start, one.contact_confirmed or start
        phone = one.phone or one.account
        accounts.append(replace(one, agreement_from=agreed, contact_confirmed=confirmed, phone=phone))
    installs = [
        replace(row, start=begun, proved=max(row.proved or begun, begun), serial=row.serial or row.meter)
        for row in history.installs
        for begun in [_begun(history, row)]
    ]
    counts = {
        "agreement": sum(one.agreement_from is None for one in history.accounts),
        "contact": sum(one.contact_confirmed is None for one in history.accounts),
        "phone": sum(not one.phone for one in history.accounts),
        "proof": sum(row.proved is None for row in history.installs),
    }
    return replace(history, accounts=tuple(accounts), installs=tuple(installs)), counts


def _begun(history: History, row: Install) -> datetime:
    """When its stored reads begin: what was never stored is no gap of the replay."""
    ends = [from_ms(int(one.end[0] - one.minutes[0] * 60_000)) for one in history.by_meter.get(row.meter_id, ())]
    return max(row.start, min(ends, default=row.start))


async def _open(stage: _Stage, paying: Paying, start: datetime) -> None:
    """Master data, the use before the start (carried, owed by nobody), and the opening credits."""
    points = [
        replace(point, model=MODEL, gateway=GATEWAY, serial=_serial(stage.history, point))
        for point in stage.history.points
    ]
    stage.history = replace(stage.history, points=tuple(points))
    records: Sequence[Account | MeterPoint | Install] = (*stage.history.accounts, *points, *stage.history.installs)
    stage.store.write(Priority.BATCH, lambda unit: [unit.add(record) for record in records])
    _accept(stage, [_past(stage, one, start) for one in stage.history.series])
    await stage.engine.rate()
    owed = {row.account: row.accrued_micro for row in stage.store.read(lambda r: r.find(AccountState))}
    _close(stage, start)
    for account in stage.history.accounts:
        if account.account in paying.balances:
            posted = paying.balances[account.account]
            stage.store.write(Priority.MONEY, lambda unit, a=account, p=posted: unit.post(_brought(a, p, start)))  # type: ignore[misc]
        elif owed.get(account.account):
            stage.store.write(Priority.MONEY, lambda unit, a=account: unit.post(_brought(a, owed[a.account], start)))  # type: ignore[misc]
        if paying.opening_micro:
            await _pay(stage, _payment(account, "opening", paying.opening_micro, start))
    stage.due += [(one.at, next(stage.numbers), one) for one in paying.payments if one.at >= start]
    heapq.heapify(stage.due)


def _past(stage: _Stage, one: Series, start: datetime) -> Series:
    """A series up to ``start``, with nothing used where the period at hand has holes: what is not owed warns nobody."""
    past, point = one.between(datetime(1970, 1, 1), start), _point(stage.history, one.meter_id)
    book = stage.engine.books.get(_book(stage.history, point)) if one.channel == Channel.IMPORT else None
    return filled(past, period_of(book, start)[0], start) if book is not None else past


def _close(stage: _Stage, start: datetime) -> None:
    """Post the bills of periods that were over before the replay: their holes are no estimates of it either."""
    over = stage.store.read(lambda r: r.find(OpenPeriod, end__le=start, order="start"))
    books = {book.hash: book for book in stage.engine.books.values()}
    months = {f"{to_local(row.start, books[row.book_hash].zone):%Y-%m}" for row in over if row.book_hash in books}
    for month in sorted(months):
        billing.post(stage.store, billing.compute(stage.store, month, stage.engine.books), start)


def _point(history: History, meter_id: int) -> MeterPoint:
    return next(point for point in history.points if point.meter_id == meter_id)


def _book(history: History, point: MeterPoint) -> str:
    name = _account(history, point)
    return next((one.book for one in history.accounts if one.account == name), "")


def _serial(history: History, point: MeterPoint) -> str:
    return next((row.serial for row in history.installs if row.meter_id == point.meter_id), point.serial) or point.meter


def _brought(account: Account, owed_micro: int, at: datetime) -> list[Posting]:
    """What was used before the start is no debt of the replay; or the balance that was posted then."""
    first = Posting(
        "replay", f"brought-{account.account}", f"customer:{account.account}", owed_micro, account.currency, at, at
    )
    return [first, replace(first, ledger_account=BROUGHT, amount_micro=-owed_micro)]


def _payment(account: Account, ident: str, amount_micro: int, at: datetime) -> Payment:
    return Payment(CHANNEL, f"{ident}-{account.account}", account.account, amount_micro, account.currency, at, at)


async def _pay(stage: _Stage, payment: Payment) -> None:
    result = await stage.engine.pay(payment)
    more = {"amount": amount(payment.amount_micro), "status": result.status, "external_id": payment.external_id}
    more["available"] = amount(result.available_micro)
    stage.rows.append(stage.report.row(stage.clock.now(), payment.account, "payment", **more))


def _waits(reader: Reader, now: datetime) -> bool:
    """Whether a quarter of an hour has any work: a live command, or a notice that is due."""
    if journal.live(reader):
        return True
    return any(row.not_before is None or row.not_before <= now for row in reader.find(Notice, state="queued"))


async def _payments(stage: _Stage, *, until: datetime) -> bool:
    """Take what is paid before the next step, each at its own time; supply comes back at that time."""
    taken = bool(stage.due) and stage.due[0][0] <= until
    while stage.due and stage.due[0][0] <= until:
        at, _, payment = heapq.heappop(stage.due)
        stage.clock.reach(at)
        await _pay(stage, payment)
        await stage.engine.dispatch()
        await stage.engine.dispatch()
    return taken


async def _step(stage: _Stage, line: ReplayLink, at: datetime, *, whole: bool) -> None:
    """A quarter of an hour's work; on the hour the whole cycle, with what was stored of that hour."""
    engine = stage.engine
    await engine.reconciled(CHANNEL, by="replay")
    if whole:
        _feed(stage, at)
        kept = [(line.visit(point), _account(stage.history, point)) for point in stage.history.points]
        stage.store.write(
            Priority.COMMAND, lambda unit: [visits.keep(unit, poll, name, engine.settings) for poll, name in kept]
        )
        await engine.rate()
        await engine.decide()
        await _agree(stage)
    await engine.notify()
    await engine.reconcile()
    await engine.dispatch()
    await engine.dispatch()
    await engine.notify()
    if at.weekday() == 0 and at.hour == 0 and at.minute == 0:
        await engine.publish()


async def _agree(stage: _Stage) -> None:
    """Two persons let go what waits for them; every guard is asked all the same."""
    engine, store = stage.engine, stage.store
    if signals.breaker_word(store.read(lambda r: r.get(Signal, signals.BREAKER)), engine.now()) == signals.OPEN:
        stage.words["released"] += await engine.release(list(PERSONS))
        await engine.decide()
    asked = store.read(lambda r: r.find(Command, state=CommandState.REQUESTED, needs_approval=True))
    for command in asked:
        for person in PERSONS:
            stage.words["approved"] += await engine.approve(command.command, person)


def _account(history: History, point: MeterPoint) -> str:
    return next((row.account for row in history.installs if row.meter_id == point.meter_id), "")


def _feed(stage: _Stage, at: datetime) -> None:
    """Hand on what ended up to ``at``, less what would not have been used in the dark."""
    taken = []
    for point in stage.history.points:
        stand = stage.stands[point.meter]
        for one in stage.history.by_meter.get(point.meter_id, ()):
            part = consumed(one.between(at - HOUR, at), stand.off)[0]
            if not part.end.size:
                continue
            taken.append(part)
            if part.channel == Channel.IMPORT:
                stand.register_wh += int(part.energy.sum())
                if not stand.off or stand.off[-1][1] is not None:
                    stand.power_w = int(part.energy[-1]) * 60 // int(part.minutes[-1])
                _told(stage, point, part)
    _accept(stage, taken)


def _told(stage: _Stage, point: MeterPoint, part: Series) -> None:
    account = _account(stage.history, point)
    for row in rows([part]):
        more = {"meter": point.meter, "minutes": row["minutes"], "kwh": kwh(row["energy_wh"]), "flags": row["flags"]}
        stage.rows.append(stage.report.row(row["end"], account, "read", **more))


def _accept(stage: _Stage, taken: Sequence[Series]) -> None:
    """Commit intervals as a delivery would; the rater takes them from there."""
    found = rows(taken)
    for at in range(0, len(found), BATCH):
        packed = batches.pack("intervals", pa.Table.from_pylist(found[at : at + BATCH], schema=INTERVALS.schema))
        stage.fed += 1
        stage.store.write(Priority.INBOX, partial(_append, stage, packed))


def _append(stage: _Stage, packed: batches.Packed, unit: Unit) -> bool:
    return unit.append_batch("intervals", CHANNEL, str(stage.fed), packed, stage.clock.now())


def _top_up(stage: _Stage, paying: Paying, told: Sequence[Row], end: datetime) -> None:
    """Whoever was just cut pays so many hours later."""
    if paying.after is None:
        return
    by_name = {account.account: account for account in stage.history.accounts}
    for row in told:
        if row["event"] == "disconnect" and (at := row["at"] + paying.after) < end:
            number = next(stage.numbers)
            payment = _payment(by_name[row["account"]], f"topup-{number}", paying.topup_micro, at)
            heapq.heappush(stage.due, (at, number, payment))


def _taken(stage: _Stage) -> list[Row]:
    """What happened since it was last asked, in order of time."""
    found, stage.rows = stage.rows, []
    return sorted(found, key=lambda row: (row["at"], row["account"]))
