"""One account's rows go in, its page as plain data comes out: balance back and ahead, bars, ladder, histories."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from control import credit
from control.records import Case, Command, Notice
from control.tiles import tile
from prewatt.console import usage
from prewatt.console.board import Snapshot, event_line, frame, hours_left, rated_line, read_age, snapshot
from prewatt.console.source import Source
from prewatt.console.usage import HOUR, hour_floor
from prewatt.console.views import AccountPage, Bar, CommandLine, EventLine, LedgerLine, NoticeLine, TierMeter, TierStep
from storage.records import Account, Event, Install, Posting
from storage.unit import Reader
from tariff import calendar as calendars
from tariff.components.energy import Energy
from tariff.model import Book
from tariff.periods import ladder_start, period_of

BACK = timedelta(days=14)
LOAD_BACK = timedelta(days=7)
AHEAD_H = 72
ROWS = 50
RELAYS = 400  # relay events of all meters that are looked through for this one's
RATED = 6
ACCRUED = ("bill", "correction")  # move money from accrued to the ledger: what is available stays
Point = tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class Histories:
    """What happened on one account, newest first except for the postings."""

    postings: Sequence[Posting]
    notices: Sequence[Notice]
    commands: Sequence[Command]
    events: Sequence[Event]
    installs: Sequence[Install]


def page(source: Source, name: str) -> AccountPage | None:
    """The page of one account; None when there is no such account or no policy covers it."""
    snap = snapshot(source)
    case = snap.cases.get(name)
    if case is None:
        return None
    holder, now = snap.accounts[name], snap.now
    told = source.store.read(lambda reader: _histories(reader, name, case.meter))
    meters = sorted({install.meter_id for install in told.installs})
    bars = usage.bars(source.store, meters, hour_floor(now) - BACK, now) if meters else ()
    return _page(source, snap, holder, told, bars, meters)


def _page(
    source: Source, snap: Snapshot, holder: Account, told: Histories, bars: Sequence[Bar], meters: Sequence[int]
) -> AccountPage:
    name, now = holder.account, snap.now
    case, policy = snap.cases[name], source.world().policies[holder.klass]
    recent = usage.recent(source.store, now, meters)
    point = snap.points.get(case.meter)
    return AccountPage(
        frame=frame(source, snap),
        account=name,
        name=holder.name or name,
        klass=holder.klass,
        book=holder.book,
        state=tile(case, policy),
        relay=case.relay.value,
        relay_at=case.relay_at,
        currency=case.currency,
        available_micro=credit.available(case),
        posted_micro=case.posted_micro,
        accrued_micro=case.accrued_micro,
        hours_left=hours_left(case, recent, point.meter_id if point else 0),
        burn_micro=recent.burn_micro(point.meter_id if point else 0),
        price=bars[-1].price if bars else "",
        read_age_s=read_age(case),
        warn_micro=max(policy.money_micro, default=policy.disconnection_balance_micro),
        cut_micro=policy.disconnection_balance_micro,
        balance=balance(case, bars, told.postings, now),
        projection=projection(bars, credit.available(case), now),
        bars=tuple(bar for bar in bars if bar.end > now - LOAD_BACK),
        tier=_tier(source, holder, meters, now),
        timeline=_timeline(snap, told.events, bars, holder),
        ledger=ledger(told.postings),
        notices=tuple(NoticeLine(n.created, n.rung, n.recipient, n.channel, n.state, n.text) for n in told.notices),
        commands=tuple(_command(c) for c in told.commands),
        approval=next((c.command for c in snap.waiting if c.account == name), ""),
    )


def _histories(reader: Reader, name: str, meter: str) -> Histories:
    events = reader.find(Event, account=name, order="-seq", limit=ROWS)
    relays = reader.find(Event, code="relay", order="-seq", limit=RELAYS)
    events += [event for event in relays if not event.account and event.params.get("meter") == meter]
    return Histories(
        postings=reader.find(Posting, ledger_account=f"customer:{name}", order=("at", "posted")),
        notices=reader.find(Notice, account=name, order="-created", limit=ROWS),
        commands=reader.find(Command, account=name, order="-requested", limit=ROWS),
        events=sorted(events, key=lambda event: -event.seq)[:ROWS],
        installs=reader.find(Install, account=name),
    )


def _timeline(snap: Snapshot, events: Iterable[Event], bars: Sequence[Bar], holder: Account) -> tuple[EventLine, ...]:
    """Events and the newest rated hours, newest first."""
    owners = snap.owners
    lines = [event_line(event, snap.accounts, owners) for event in events]
    lines += [rated_line(bar, holder) for bar in bars[-RATED:]]
    return tuple(sorted(lines, key=lambda line: line.at, reverse=True))


def ledger(postings: Sequence[Posting]) -> tuple[LedgerLine, ...]:
    """The newest postings, newest first, each with the balance after it."""
    lines, amount = [], 0
    for row in postings:
        amount += row.amount_micro
        lines.append(LedgerLine(row.at, row.source, row.source_id, row.memo, row.amount_micro, amount))
    return tuple(reversed(lines[-ROWS:]))


def balance(case: Case, bars: Sequence[Bar], postings: Sequence[Posting], now: datetime) -> tuple[Point, ...]:
    """What was available, oldest first: exact now, falling by each charged slot at its end, jumping at each payment.

    Walks back from now. A payment gives two points, one second before and at it.
    """
    start = hour_floor(now) - BACK
    steps = [(bar.end, -bar.amount_micro, False) for bar in bars if start < bar.end <= now]
    steps += [
        (row.at, row.amount_micro, True)
        for row in postings
        if start < row.at <= now and row.source.partition(":")[0] not in ACCRUED
    ]
    amount = credit.available(case)
    points = [(now, amount)]
    for at, change, jumps in sorted(steps, key=lambda step: (step[0], step[2]), reverse=True):
        points.append((at, amount))
        amount -= change
        if jumps:
            points.append((at - timedelta(seconds=1), amount))
    points.append((max(start, points[-1][0] - HOUR), amount))
    return tuple(sorted(dict(reversed(points)).items()))


def projection(bars: Sequence[Bar], available_micro: int, now: datetime) -> tuple[Point, ...]:
    """The next three days at the mean charge of each hour of the day: for the eye only."""
    sums, days = [0] * 24, [set[datetime]() for _ in range(24)]
    for bar in bars:
        hour = hour_floor(bar.end - timedelta(minutes=1))
        sums[hour.hour] += bar.amount_micro
        days[hour.hour].add(hour)
    if not bars:
        return ()
    at, amount, points = hour_floor(now), available_micro, []
    for _ in range(AHEAD_H):
        amount -= sums[at.hour] // max(1, len(days[at.hour]))
        at += HOUR
        points.append((at, amount))
    return tuple(points)


def _ladder(book: Book, at: datetime) -> Energy | None:
    """The first energy component with a ladder in force at ``at``."""
    local = calendars.to_local(at, book.zone)
    version = next((v for v in reversed(book.versions) if v.start <= local), None)
    specs = version.components if version is not None else ()
    return next((spec for spec in specs if isinstance(spec, Energy) and spec.ladder is not None), None)


def _tier(source: Source, holder: Account, meters: Sequence[int], now: datetime) -> TierMeter | None:
    """Where the account stands on a graduated kWh ladder of its book; None where the book has none to draw."""
    book = source.books.get(holder.book)
    spec = _ladder(book, now) if book is not None else None
    if book is None or not meters or spec is None or spec.ladder is None or spec.ladder.unit != "kWh":
        return None
    month = calendars.to_local(now, book.zone).month
    limits = next((found.values for found in spec.ladder.limits if month in (found.months or (month,))), ())
    prices = spec.prices[0][1]
    if len(prices) != len(limits) + 1:
        return None
    start = min(ladder_start(book, now), period_of(book, now)[0])
    wh = sum(source.store.intervals(start, now, meters)["energy_wh"].to_pylist())
    ends = [int(float(limit)) for limit in limits]
    current = sum(wh > end * 1000 for end in ends)
    steps = tuple(TierStep(ends[i] if i < len(ends) else None, price) for i, price in enumerate(prices))
    return TierMeter("year" if spec.ladder.reset == "year" else "month", wh, steps, current)


def _command(command: Command) -> CommandLine:
    took = None
    if command.verified_at is not None:
        took = int((command.verified_at - command.requested).total_seconds())
    return CommandLine(
        command.requested, command.command, command.action.value, command.state.value, command.reason, took
    )
