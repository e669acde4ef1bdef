"""One account's rows go in, its page as plain data comes out: balance back and ahead, bars, ladder, histories."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from control import credit
from control.records import Case, Command, Notice
from control.tiles import tile
from ingest.records import MeterPoint
from prewatt.console import usage
from prewatt.console.board import Snapshot, event_line, frame, hours_left, read_age, snapshot
from prewatt.console.source import Source
from prewatt.console.usage import HOUR, hour_floor
from prewatt.console.views import (
    AccountPage,
    Bar,
    CommandLine,
    LedgerLine,
    NoticeLine,
    TierMeter,
    TierStep,
)
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
Point = tuple[datetime, int]


def page(source: Source, name: str) -> AccountPage | None:
    """The page of one account; None when there is no such account or no policy covers it."""
    snap = snapshot(source)
    case = snap.cases.get(name)
    if case is None:
        return None
    holder, point = snap.accounts[name], snap.points.get(case.meter)
    now, policy = source.now, source.world().policies[case.klass]
    bars = usage.bars(source.store, point.meter_id, hour_floor(now) - BACK, now) if point else ()
    ledger, notices, commands, events = _histories(source, name)
    burn = sum(bar.amount_micro for bar in bars if bar.end > now - timedelta(days=1)) // 24
    balance = _balance(case, bars, ledger, now)
    return AccountPage(
        frame=frame(source, snap),
        account=name,
        name=holder.name,
        klass=holder.klass,
        book=holder.book,
        state=tile(case, policy),
        relay=case.relay.value,
        relay_at=case.relay_at,
        currency=case.currency,
        available_micro=credit.available(case),
        posted_micro=case.posted_micro,
        accrued_micro=case.accrued_micro,
        hours_left=hours_left(case, burn),
        burn_micro=burn,
        price=_price_now(source, snap, point, now),
        read_age_s=read_age(case),
        warn_micro=max(policy.money_micro, default=0),
        cut_micro=policy.disconnection_balance_micro,
        balance=balance,
        projection=_projection(bars, credit.available(case), now),
        bars=tuple(bar for bar in bars if bar.end > now - LOAD_BACK),
        tier=_tier(source, holder, point, now),
        timeline=tuple(event_line(event, snap.accounts) for event in events),
        ledger=ledger,
        notices=tuple(NoticeLine(n.created, n.rung, n.recipient, n.channel, n.state, n.text) for n in notices),
        commands=tuple(_command(c) for c in commands),
    )


def _histories(
    source: Source, name: str
) -> tuple[tuple[LedgerLine, ...], Sequence[Notice], Sequence[Command], Sequence[Event]]:
    def look(
        reader: Reader,
    ) -> tuple[Sequence[Posting], Sequence[Notice], Sequence[Command], Sequence[Event]]:
        return (
            reader.find(Posting, ledger_account=f"customer:{name}", order=("at", "posted")),
            reader.find(Notice, account=name, order="-created", limit=ROWS),
            reader.find(Command, account=name, order="-requested", limit=ROWS),
            reader.find(Event, account=name, order="-seq", limit=ROWS),
        )

    postings, notices, commands, events = source.store.read(look)
    lines, balance = [], 0
    for row in postings:
        balance += row.amount_micro
        lines.append(LedgerLine(row.at, row.source, row.source_id, row.memo, row.amount_micro, balance))
    return tuple(reversed(lines[-ROWS:])), notices, commands, events


def _balance(case: Case, bars: Sequence[Bar], ledger: Sequence[LedgerLine], now: datetime) -> tuple[Point, ...]:
    """What was available at each hour: from today back, adding what was charged and taking away what was paid."""
    amount, points = credit.available(case), []
    paid = [line for line in ledger if line.source.startswith(("payment", "reversal"))]
    hour, top = hour_floor(now), now
    charged = {bar.end: bar.amount_micro for bar in bars}
    points.append((now, amount))
    while hour > now - BACK:
        amount -= sum(line.amount_micro for line in paid if hour < line.at <= top)
        points.append((hour, amount))
        amount += sum(charged.pop(end) for end in sorted(charged) if hour - HOUR < end <= hour)
        top, hour = hour, hour - HOUR
    return tuple(reversed(points))


def _projection(bars: Sequence[Bar], available_micro: int, now: datetime) -> tuple[Point, ...]:
    """The next three days at the mean charge of each hour of the day: for the eye only."""
    sums, counts = [0] * 24, [0] * 24
    for bar in bars:
        sums[(bar.end - HOUR).hour] += bar.amount_micro
        counts[(bar.end - HOUR).hour] += 1
    if not any(counts):
        return ()
    at, amount, points = hour_floor(now), available_micro, []
    for _ in range(AHEAD_H):
        amount -= sums[at.hour] // counts[at.hour] if counts[at.hour] else 0
        at += HOUR
        points.append((at, amount))
    return tuple(points)


def _price_now(source: Source, snap: Snapshot, point: MeterPoint | None, now: datetime) -> str:
    """The price of the last charged unit, per kWh."""
    del snap
    if point is None:
        return ""
    rows = source.store.charges(now - timedelta(days=2), now, [point.meter_id])
    if not rows.num_rows:
        return ""
    last = rows.slice(rows.num_rows - 1, 1).to_pylist()[0]
    if last["price"] is None:
        return ""
    scale = int(last["price_scale"])
    whole, part = divmod(abs(int(last["price"])), 10**scale)
    return f"{'-' if last['price'] < 0 else ''}{whole}.{part:0{scale}d}" if scale else str(last["price"])


def _ladder(book: Book, at: datetime) -> Energy | None:
    """The first energy component with a ladder in force at ``at``."""
    local = calendars.to_local(at, book.zone)
    version = next((v for v in reversed(book.versions) if v.start <= local), None)
    specs = version.components if version is not None else ()
    return next((spec for spec in specs if isinstance(spec, Energy) and spec.ladder is not None), None)


def _tier(source: Source, holder: Account, point: MeterPoint | None, now: datetime) -> TierMeter | None:
    """Where the account stands on a graduated kWh ladder of its book; None where the book has none to draw."""
    book = source.books.get(holder.book)
    spec = _ladder(book, now) if book is not None else None
    if book is None or point is None or spec is None or spec.ladder is None or spec.ladder.unit != "kWh":
        return None
    month = calendars.to_local(now, book.zone).month
    limits = next((found.values for found in spec.ladder.limits if month in (found.months or (month,))), ())
    prices = spec.prices[0][1]
    if len(prices) != len(limits) + 1:
        return None
    start = min(ladder_start(book, now), period_of(book, now)[0])
    installs = source.store.read(lambda r: r.find(Install, account=holder.account))
    used = source.store.intervals(start, now, sorted({i.meter_id for i in installs}) or [point.meter_id])
    wh = sum(used["energy_wh"].to_pylist())
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
