"""Committed commands and the day's forecast go in; what the breaker compares with, and who must wait, come out.

The breaker is asked when a pass decides, and again when an order is about to leave: approvals, retries and earlier
passes may have queued more than one day may send. The window is the day (UTC).
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from control import breaker, pricebasis
from control.assemble import World
from control.breaker import Counts
from control.lookups import SEALED_AGO, SEALED_WITHIN
from control.records import Action, Case, Command, CommandState, SealedForecast
from control.signals import Signal
from storage.codec import to_ms
from storage.records import Account
from storage.unit import Reader, Unit

RELEASED = "breaker.released"
FORESEEN = "breaker.foreseen"
MEDIAN_WEEKS = 4
SETTLED = (CommandState.VERIFIED, CommandState.SUPERSEDED)


def foreseen_in(cases: Iterable[Case], now: datetime) -> int:
    """How many of ``cases`` the sealed forecasts see run out within a day from now, or before."""
    until = now + timedelta(days=1)
    return sum(1 for c in cases if c.forecast_exhausts_at is not None and c.forecast_exhausts_at <= until)


def foreseen_by(reader: Reader, now: datetime) -> list[str]:
    """The same from the rows alone: whom the newest forecast of those that may count saw run out by then."""
    until, latest, everybody = to_ms(now + timedelta(days=1)), now - SEALED_AGO, reader.tables.of(Account).spec.name
    changed = pricebasis.foreseen(reader, now, latest)  # prices changed of late: not every forecast counts
    sql = (
        f'SELECT account FROM "{everybody}" a WHERE (SELECT exhausts_at FROM'
        f' "{reader.tables.of(SealedForecast).spec.name}" s WHERE s.account = a.account AND s.sealed_at <= ?'
        " AND s.sealed_at > ? ORDER BY s.sealed_at DESC LIMIT 1) <= ?"
    )
    rows = reader.connection.execute(sql, (to_ms(latest), to_ms(now - SEALED_WITHIN), until))
    found = [account for (account,) in rows if account not in changed]
    return found + [account for account, at in changed.items() if at is not None and to_ms(at) <= until]


def remember_foreseen(unit: Unit, number: int, now: datetime) -> None:
    """Keep what a pass over everybody counted, for passes over some and for the send."""
    unit.put(Signal(FORESEEN, f"{now:%Y-%m-%d}:{number}", now))


def foreseen_today(reader: Reader, now: datetime) -> int:
    """The number of today's last pass over everybody; 0 before it, which leaves the floor."""
    row = reader.get(Signal, FORESEEN)
    day, _, number = row.value.partition(":") if row else ("", "", "")
    return int(number) if day == f"{now:%Y-%m-%d}" and number.isdigit() else 0


def released_today(reader: Reader, now: datetime) -> bool:
    """Whether two persons released today's disconnections."""
    row = reader.get(Signal, RELEASED)
    return row is not None and row.value == f"{now:%Y-%m-%d}"


def count(reader: Reader, world: World, foreseen: int, released: frozenset[str]) -> Counts:
    """What the breaker compares with, for today; ``released`` are those that two persons let go."""
    day = world.now.replace(hour=0, minute=0, second=0, microsecond=0)
    left = reader.count(Command, action=Action.DISCONNECT, sent_at__ge=day)
    return Counts(
        accounts=reader.count(Account),
        foreseen=foreseen,
        median_28d=_median(reader, world),
        left_window=left,
        left_day=left,
        settled_window=_settled(reader, day),
        feeder_accounts=_by_feeder(reader),
        feeder_left_hour=_left_by_feeder(reader, world),
        released=released,
    )


def held_back(reader: Reader, account: str, world: World, own: Command | None = None) -> str:
    """Why a disconnection of ``account`` must wait; "" = it may leave. Earlier drives of its ``own`` do not count."""
    day = world.now.replace(hour=0, minute=0, second=0, microsecond=0)
    mine = own is not None and own.sent_at is not None and own.sent_at >= day
    left = reader.count(Command, action=Action.DISCONNECT, sent_at__ge=day) - int(mine)
    if not released_today(reader, world.now):
        accounts, foreseen = reader.count(Account), foreseen_today(reader, world.now)
        limit = breaker.cap(Counts(accounts, foreseen, _median(reader, world), left, left))
        if left >= limit:
            return f"{left} of today's {limit} have left"
    ring = breaker.ring_limit(_settled(reader, day))
    if ring is not None and left >= ring:
        return f"{left} of the ring of {ring} have left, and are not settled yet"
    feeder = feeder_of(reader, account)
    gone = _left_by_feeder(reader, world, but=own.command if own else "").get(feeder, 0) if feeder else 0
    if gone and gone >= max(1, reader.count(Account, feeder=feeder) // breaker.FEEDER_SHARE):
        return f"{gone} have left on feeder {feeder} within the hour"
    return ""


def feeder_of(reader: Reader, account: str) -> str:
    """The feeder that an account hangs on, "" = not known."""
    row = reader.get(Account, account)
    return row.feeder if row else ""


def _by_feeder(reader: Reader) -> dict[str, int]:
    """How many accounts hang on each feeder that has a name."""
    table = reader.tables.of(Account).spec.name
    sql = f"SELECT feeder, count(*) FROM \"{table}\" WHERE feeder <> '' GROUP BY feeder ORDER BY feeder"
    return dict(reader.connection.execute(sql))


def _settled(reader: Reader, day: datetime) -> int:
    return reader.count(Command, action=Action.DISCONNECT, sent_at__ge=day, state__in=list(SETTLED))


def _median(reader: Reader, world: World) -> int | None:
    """Disconnections on this weekday over the last four weeks; None without any history."""
    day = world.now.replace(hour=0, minute=0, second=0, microsecond=0)
    counts = []
    for week in range(1, MEDIAN_WEEKS + 1):
        start = day - timedelta(days=7 * week)
        counts.append(
            reader.count(Command, action=Action.DISCONNECT, sent_at__ge=start, sent_at__lt=start + timedelta(days=1))
        )
    if not any(counts):
        return None
    ordered = sorted(counts)
    return (ordered[1] + ordered[2]) // 2


def _left_by_feeder(reader: Reader, world: World, but: str = "") -> dict[str, int]:
    """How many left on each feeder within the hour."""
    accounts, orders = (reader.tables.of(kind).spec.name for kind in (Account, Command))
    sql = (
        f'SELECT a.feeder, count(*) FROM "{orders}" c LEFT JOIN "{accounts}" a ON a.account = c.account'
        " WHERE c.action = ? AND c.sent_at >= ? AND c.command <> ? GROUP BY a.feeder"
    )
    since = to_ms(world.now - timedelta(hours=1))
    rows = reader.connection.execute(sql, (Action.DISCONNECT.value, since, but))
    return dict(sorted((feeder or "", count) for feeder, count in rows))
