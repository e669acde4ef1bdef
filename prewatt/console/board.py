"""The store and the rules in force go in, the first page as plain data comes out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from control import assemble, credit, windows
from control.policy import Policy
from control.records import Case, Command, CommandState, WorkOrder
from control.tiles import TILES, tile
from control.workorders import OPEN_STATES
from ingest.records import MeterPoint
from prewatt import __version__
from prewatt.console import burndown, usage
from prewatt.console.source import Source
from prewatt.console.usage import HOUR, Recent
from prewatt.console.views import ApprovalCard, AttentionRow, Bar, Board, EventLine, Frame
from storage.records import Account, Event, Posting
from storage.unit import Reader

ROWS = 40
EVENTS = 24
RATED = 5  # newly rated hours among the live events
CALM = ("active",)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One consistent read of everything the board needs."""

    now: datetime
    accounts: Mapping[str, Account]
    cases: Mapping[str, Case]
    tiles: Mapping[str, str]
    points: Mapping[str, MeterPoint]
    events: Sequence[Event]
    waiting: Sequence[Command]
    orders: int
    every: int

    @property
    def owners(self) -> Mapping[str, str]:
        """Meter -> account."""
        return {case.meter: name for name, case in self.cases.items() if case.meter}


def snapshot(source: Source, only: Sequence[str] | None = None) -> Snapshot:
    """Read cases (of everybody, or of ``only``), events and waiting commands from one snapshot of the store."""
    world = source.world()

    def look(reader: Reader) -> Snapshot:
        cases = assemble.cases(reader, only, world)
        waiting = reader.find(Command, state=CommandState.REQUESTED, needs_approval=True, order="requested")
        return Snapshot(
            now=world.now,
            accounts={row.account: row for row in reader.find(Account, **_among("account", only))},
            cases=cases,
            tiles={name: tile(case, world.policies[case.klass]) for name, case in cases.items()},
            points={row.meter: row for row in reader.find(MeterPoint, **_among("meter", only and _meters(cases)))},
            events=reader.find(Event, order="-seq", limit=EVENTS),
            waiting=waiting,
            orders=reader.count(WorkOrder, state__in=list(OPEN_STATES)),
            every=reader.count(Account),
        )

    return source.store.read(look)


def _among(name: str, values: Sequence[str] | None) -> dict[str, Any]:
    return {} if values is None else {f"{name}__in": list(values)}


def _meters(cases: Mapping[str, Case]) -> list[str]:
    return [case.meter for case in cases.values() if case.meter]


def gone(source: Source, snap: Snapshot) -> dict[str, datetime]:
    """Of whoever is below zero, since when; one scan for them all."""
    start = usage.hour_floor(snap.now) - burndown.BACK
    below = {name: credit.available(case) for name, case in snap.cases.items() if credit.available(case) < 0}
    meters = {snap.points[m].meter_id: n for m, n in snap.owners.items() if n in below and m in snap.points}
    if not meters:
        return {}
    keys = [f"customer:{name}" for name in meters.values()]
    postings: dict[str, list[Posting]] = {}
    for row in source.store.read(lambda reader: reader.find(Posting, ledger_account__in=keys, at__ge=start)):
        postings.setdefault(row.ledger_account.partition(":")[2], []).append(row)
    charged = usage.charged(source.store, sorted(meters), start, snap.now)
    found = {}
    for meter_id, name in meters.items():
        since = burndown.gone_since(below[name], charged[meter_id], postings.get(name, ()), snap.now)
        if since is not None:
            found[name] = since
    return found


def frame(source: Source, snap: Snapshot) -> Frame:
    """What every page carries."""
    up, every = source.links()
    return Frame(
        site=source.site,
        version=__version__,
        now=snap.now,
        zone=source.zone,
        simulated=source.simulated,
        gateways_up=up,
        gateways=every,
        approvals=len(snap.waiting),
        orders=snap.orders,
        accounts=snap.every,
    )


def board(source: Source, chosen: str = "") -> Board:
    """The board; ``chosen`` shows one tile's accounts only."""
    snap = snapshot(source)
    recent, since = usage.recent(source.store, snap.now), gone(source, snap)
    counts = dict.fromkeys(TILES, 0)
    for name in snap.tiles.values():
        counts[name] += 1
    wanted = [name for name, state in snap.tiles.items() if (state == chosen if chosen else state not in CALM)]
    rows = sorted((attention(snap, recent, since, name) for name in wanted), key=urgency)
    return Board(
        frame=frame(source, snap),
        tiles=tuple(counts.items()),
        attention=tuple(rows[:ROWS]),
        attention_all=len(rows),
        approvals=tuple(
            _card(source, snap, attention(snap, recent, since, command.account), command)
            for command in snap.waiting
            if command.account in snap.cases
        ),
        events=_events(snap, recent),
        strips=usage.strips(recent, list(snap.points.values())),
    )


def everybody(source: Source, text: str = "") -> tuple[Frame, tuple[AttentionRow, ...]]:
    """All accounts, or those whose number, name, meter or phone contains ``text`` (phones with or without spaces)."""
    snap = snapshot(source)
    recent, since = usage.recent(source.store, snap.now), gone(source, snap)
    want = text.lower()
    found = []
    for name, case in snap.cases.items():
        holder = snap.accounts[name]
        phone = holder.phone.replace(" ", "")
        if want in "\n".join((name, holder.name, case.meter, holder.phone, phone)).lower():
            found.append(attention(snap, recent, since, name))
    return frame(source, snap), tuple(found)


def attention(snap: Snapshot, recent: Recent, since: Mapping[str, datetime], name: str) -> AttentionRow:
    """One account's row; ``since`` tells when the money of some was gone."""
    case = snap.cases[name]
    point = snap.points.get(case.meter)
    meter_id = point.meter_id if point else 0
    return AttentionRow(
        account=name,
        name=snap.accounts[name].name or name,
        protocol=point.protocol if point else "",
        state=snap.tiles[name],
        currency=case.currency,
        available_micro=credit.available(case),
        burn_micro=recent.burn_micro(meter_id),
        hours_left=hours_left(case, recent.burn_micro(meter_id), since.get(name)),
        tier=recent.tiers.get(meter_id),
        spark=recent.wh.get(meter_id, ()),
        read_age_s=read_age(case),
    )


def hours_left(case: Case, burn_micro: int, gone: datetime | None) -> float | None:
    """Hours until the money is gone by the engine's own forecast (median); negative: for how long it has been gone."""
    left = credit.available(case)
    if left < 0:
        return None if gone is None else (gone - case.now) / HOUR
    if case.hours_left_p50 is not None:
        return case.hours_left_p50
    return left / burn_micro if burn_micro > 0 else None


def read_age(case: Case) -> int | None:
    """Seconds since the end of the last actual read."""
    return None if case.read_end is None else max(0, int((case.now - case.read_end).total_seconds()))


def event_line(event: Event, accounts: Mapping[str, Account], owners: Mapping[str, str]) -> EventLine:
    """One event with its account's name; one that names a meter only is its account's."""
    account = event.account or owners.get(event.params.get("meter", ""), "")
    holder = accounts.get(account)
    name, currency = (holder.name, holder.currency) if holder else ("", "")
    return EventLine(event.at, event.code, account, name, tuple(event.params.items()), currency)


def urgency(row: AttentionRow) -> tuple[int, float, str]:
    """Least time left first; then what is unknown; last who is off already, where nothing runs out any more."""
    if row.state == "disconnected":
        return (2, 0.0, row.account)
    return (1, 0.0, row.account) if row.hours_left is None else (0, row.hours_left, row.account)


def _events(snap: Snapshot, recent: Recent) -> tuple[EventLine, ...]:
    """The newest lines of the timeline, and the largest of the newest rated hours among them."""
    owners = snap.owners
    lines = [event_line(event, snap.accounts, owners) for event in snap.events]
    ids = {point.meter_id: owners.get(meter, "") for meter, point in snap.points.items()}
    newest = max((bar.end for bar in recent.last.values()), default=None)
    bars = [(bar.amount_micro, ids.get(meter, ""), bar) for meter, bar in recent.last.items() if bar.end == newest]
    for _, name, bar in sorted(bars, key=lambda found: (-found[0], found[1]))[:RATED]:
        if holder := snap.accounts.get(name):
            lines.append(rated_line(bar, holder))
    return tuple(sorted(lines, key=lambda line: line.at, reverse=True)[:EVENTS])


def rated_line(bar: Bar, holder: Account) -> EventLine:
    """A charged slot as a line of the timeline."""
    params = (("energy_wh", str(bar.energy_wh)), ("amount_micro", str(bar.amount_micro)))
    return EventLine(bar.end, "rated", holder.account, holder.name, params, holder.currency)


def _card(source: Source, snap: Snapshot, row: AttentionRow, command: Command) -> ApprovalCard:
    case = snap.cases[command.account]
    policy = source.world().policies[case.klass]
    return ApprovalCard(
        command=command.command,
        account=command.account,
        name=row.name,
        currency=row.currency,
        available_micro=row.available_micro,
        expired_h=-row.hours_left if row.hours_left is not None and row.hours_left < 0 else None,
        read_age_s=row.read_age_s,
        notices=len(case.delivered),
        protected=not policy.remote or bool(case.holds),
        window_until=window_end(policy, case.now, case.zone),
        window_from=windows.next_open(policy, case.now, case.zone),
    )


def window_end(policy: Policy, now: datetime, zone: str) -> datetime | None:
    """When the window that is open at ``now`` closes; None outside it."""
    if windows.shut(policy, now, zone):
        return None
    midnight = windows.local(now, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return windows.utc(midnight + timedelta(minutes=policy.window_to_min), zone)
