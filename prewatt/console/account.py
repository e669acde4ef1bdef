"""One account's rows go in, its page as plain data comes out: balance back and ahead, bars, ladder, histories."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from control import credit
from control.records import Command, Notice
from control.tiles import tile
from prewatt.console import usage
from prewatt.console.board import Snapshot, event_line, frame, hours_left, rated_line, read_age, snapshot
from prewatt.console.burndown import BACK, balance, gone_since, projection
from prewatt.console.source import Source
from prewatt.console.usage import hour_floor
from prewatt.console.views import AccountPage, Bar, CommandLine, EventLine, LedgerLine, NoticeLine, TierMeter, TierStep
from storage.records import Account, Event, Install, Posting
from storage.unit import Reader
from tariff import calendar as calendars
from tariff.components.energy import Energy
from tariff.model import Book
from tariff.periods import ladder_start, period_of

LOAD_BACK = timedelta(days=7)
ROWS = 50
RELAYS = 400  # relay events of all meters that are looked through for this one's
RATED = 6


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
    snap = snapshot(source, [name])
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
    meter_id, left = point.meter_id if point else 0, credit.available(case)
    charged = [(bar.end, bar.amount_micro) for bar in bars]
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
        available_micro=left,
        posted_micro=case.posted_micro,
        accrued_micro=case.accrued_micro,
        hours_left=hours_left(case, recent.burn_micro(meter_id), gone_since(left, charged, told.postings, now)),
        burn_micro=recent.burn_micro(meter_id),
        price=bars[-1].price if bars else "",
        read_age_s=read_age(case),
        warn_micro=max(policy.money_micro, default=policy.disconnection_balance_micro),
        cut_micro=policy.disconnection_balance_micro,
        balance=balance(left, charged, told.postings, now),
        projection=projection(bars, left, now),
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
