"""The store and the rules in force go in, the first page as plain data comes out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from control import assemble, credit, windows
from control.policy import Policy
from control.records import Case, Command, CommandState, Notice, WorkOrder
from control.tiles import TILES, tile
from ingest.records import MeterPoint
from prewatt import __version__
from prewatt.console import usage
from prewatt.console.source import Source
from prewatt.console.usage import Recent
from prewatt.console.views import ApprovalCard, AttentionRow, Board, EventLine, Frame
from storage.records import Account, Event
from storage.unit import Reader

ROWS = 40
EVENTS = 20
CALM = ("active",)
WAITING = (CommandState.REQUESTED.value,)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One consistent read of everything the board needs."""

    accounts: Mapping[str, Account]
    cases: Mapping[str, Case]
    tiles: Mapping[str, str]
    points: Mapping[str, MeterPoint]
    events: Sequence[Event]
    waiting: Sequence[Command]
    notices: Mapping[str, int]
    orders: int


def snapshot(source: Source) -> Snapshot:
    """Read accounts, cases, events and waiting commands from one snapshot of the store."""
    world = source.world()

    def look(reader: Reader) -> Snapshot:
        cases = assemble.cases(reader, None, world)
        waiting = reader.find(Command, state__in=list(WAITING), needs_approval=True, order="requested")
        delivered: dict[str, int] = {}
        for row in reader.find(Notice, account__in=[c.account for c in waiting], delivered_at__null=False):
            delivered[row.account] = delivered.get(row.account, 0) + 1
        return Snapshot(
            accounts={row.account: row for row in reader.find(Account)},
            cases=cases,
            tiles={name: tile(case, world.policies[case.klass]) for name, case in cases.items()},
            points={row.meter: row for row in reader.find(MeterPoint)},
            events=reader.find(Event, order="-seq", limit=EVENTS),
            waiting=waiting,
            notices=delivered,
            orders=reader.count(WorkOrder, state__in=["open", "assigned"]),
        )

    return source.store.read(look)


def frame(source: Source, snap: Snapshot) -> Frame:
    """What every page carries."""
    up, every = source.links()
    return Frame(
        site=source.site,
        version=__version__,
        now=source.now,
        zone=source.zone,
        simulated=source.simulated,
        gateways_up=up,
        gateways=every,
        approvals=len(snap.waiting),
        orders=snap.orders,
        accounts=len(snap.cases),
    )


def board(source: Source, chosen: str = "") -> Board:
    """The board; ``chosen`` shows one tile's accounts only."""
    snap = snapshot(source)
    recent = usage.recent(source.store, source.now)
    counts = dict.fromkeys(TILES, 0)
    for name in snap.tiles.values():
        counts[name] += 1
    wanted = [name for name, state in snap.tiles.items() if (state == chosen if chosen else state not in CALM)]
    rows = sorted((attention(snap, recent, name) for name in wanted), key=_urgency)
    return Board(
        frame=frame(source, snap),
        tiles=tuple(counts.items()),
        attention=tuple(rows[:ROWS]),
        approvals=tuple(_card(source, snap, recent, command) for command in snap.waiting),
        events=tuple(event_line(event, snap.accounts) for event in snap.events),
        strips=usage.strips(source.store, source.now, list(snap.points.values())),
    )


def everybody(source: Source, text: str = "") -> tuple[Snapshot, tuple[AttentionRow, ...]]:
    """All accounts, or those whose number, name, meter or phone contains ``text``."""
    snap = snapshot(source)
    recent = usage.recent(source.store, source.now)
    found = []
    for name, case in snap.cases.items():
        holder = snap.accounts[name]
        hay = " ".join((name, holder.name, case.meter, holder.phone)).lower()
        if text.lower() in hay:
            found.append(attention(snap, recent, name))
    return snap, tuple(found)


def attention(snap: Snapshot, recent: Recent, name: str) -> AttentionRow:
    """One account's row."""
    case = snap.cases[name]
    point = snap.points.get(case.meter)
    meter_id = point.meter_id if point else 0
    burn = recent.burn_micro.get(meter_id, 0)
    return AttentionRow(
        account=name,
        name=snap.accounts[name].name,
        protocol=point.protocol.upper() if point else "—",
        state=snap.tiles[name],
        currency=case.currency,
        available_micro=credit.available(case),
        burn_micro=burn,
        hours_left=hours_left(case, burn),
        tier=recent.tiers.get(meter_id),
        spark=recent.sparks.get(meter_id, ()),
        read_age_s=read_age(case),
    )


def hours_left(case: Case, burn_micro: int) -> float | None:
    """Hours until the money is gone by the engine's own forecast (median); negative: how long the debt took to grow."""
    left = credit.available(case)
    if left < 0 and burn_micro > 0:
        return left / burn_micro
    if case.hours_left_p50 is not None:
        return case.hours_left_p50
    return left / burn_micro if burn_micro > 0 else None


def read_age(case: Case) -> int | None:
    """Seconds since the end of the last actual read."""
    return None if case.read_end is None else max(0, int((case.now - case.read_end).total_seconds()))


def event_line(event: Event, accounts: Mapping[str, Account]) -> EventLine:
    """One event with its account's name."""
    holder = accounts.get(event.account)
    return EventLine(event.at, event.code, event.account, holder.name if holder else "", tuple(event.params.items()))


def _urgency(row: AttentionRow) -> tuple[int, float]:
    """Least time left first; what is unknown last."""
    return (1, 0.0) if row.hours_left is None else (0, row.hours_left)


def _card(source: Source, snap: Snapshot, recent: Recent, command: Command) -> ApprovalCard:
    row = attention(snap, recent, command.account)
    case = snap.cases[command.account]
    policy: Policy = source.world().policies[case.klass]
    return ApprovalCard(
        command=command.command,
        account=command.account,
        name=row.name,
        currency=row.currency,
        available_micro=row.available_micro,
        expired_h=-row.hours_left if row.hours_left is not None and row.hours_left < 0 else None,
        read_age_s=row.read_age_s,
        notices=snap.notices.get(command.account, 0),
        protected=row.state == "protected",
        window_until=None if windows.shut(policy, case.now, case.zone) else command.valid_until + timedelta(0),
    )
