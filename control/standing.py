"""A snapshot goes in, every open account's standing comes out: what a look over everybody asks first, in few columns.

A Case answers thirteen guards and costs some twenty queries' rows; most accounts of most hours need none of that. A
Standing has the fields of a Case that tell whether anything can be due at all (``control/screen.py``), under the same
names and with the same values.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from control import journal
from control.assemble import Outlook, World
from control.records import Command, Evidence, Notice, Service, Wanted
from control.shadow import CHANNEL
from ingest.records import RelayState
from storage.codec import from_ms, to_ms
from storage.records import Account, AccountState, Install
from storage.unit import Reader

PREPAID = "prepaid"
LASTING = 2  # dots in the rung of a notice that was told for longer than its epoch: over_tier.1.2026-07


@dataclass(frozen=True, slots=True)
class Standing:
    """One account at a glance; the fields are those of a Case. ``raised`` are the rungs told in this epoch."""

    account: str
    klass: str
    mode: str
    closed: datetime | None
    posted_micro: int
    accrued_micro: int
    accrued_to: datetime | None
    estimate_micro: int
    balance_after_payment_micro: int
    last_payment_micro: int
    book_hash: str
    relay: RelayState
    service: Service
    live: bool
    raised: frozenset[str] = frozenset()
    hours_left: float | None = None
    kwh_left: int | None = None
    tier: int | None = None
    tier_period: str = ""
    next_tier_h: float | None = None
    overdue_micro: int | None = None  # not told here: a post-paid account is always looked at in full


class Raised:
    """Which rungs each account was told, by epoch: follows the notices by what was written since the last look."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._row = 0
        self._told: dict[str, dict[int, set[str]]] = {}
        self._lasting: dict[str, set[str]] = {}

    def follow(self, reader: Reader) -> None:
        """Take in what is new; a row that is written again is the same rung of the same epoch."""
        table = reader.tables.of(Notice).spec.name
        sql = f'SELECT rowid, account, epoch, rung FROM "{table}" WHERE rowid > ? AND channel <> ? ORDER BY rowid'
        for row, account, epoch, rung in reader.connection.execute(sql, (self._row, CHANNEL)):
            self._row = row
            self._told.setdefault(account, {}).setdefault(epoch, set()).add(rung)
            if rung.startswith("over_tier") and rung.count(".") == LASTING:
                self._lasting.setdefault(account, set()).add(rung)

    def of(self, account: str, epoch: int) -> frozenset[str]:
        """The rungs that count in this epoch."""
        return frozenset(self._told.get(account, {}).get(epoch, ())) | self._lasting.get(account, set())


_NONE = Outlook()


def standings(reader: Reader, world: World, raised: Raised) -> dict[str, Standing]:
    """Everybody who is not closed and has a policy, in order of account."""
    raised.follow(reader)
    balances = reader.balances("customer:")
    relays = _relays(reader, world.now)
    live = {row.account for row in reader.find(Command, state__in=journal.LIVE_STATES)}
    found: dict[str, Standing] = {}
    for row in reader.connection.execute(_sql(reader)):
        name, klass, mode, closed, accrued, upto, estimate, base, paid, epoch, book_hash, service = row
        ended = from_ms(closed) if closed is not None else None
        if klass not in world.policies or (ended is not None and ended <= world.now):
            continue
        ahead = world.outlooks.get(name, _NONE)
        found[name] = Standing(
            name, klass, mode, ended, balances.get(f"customer:{name}", 0), accrued or 0,
            from_ms(upto) if upto is not None else None, estimate or 0, base or 0, paid or 0, book_hash or "",
            RelayState(relays.get(name) or RelayState.UNKNOWN), Service(service or Service.CONNECTED), name in live,
            raised.of(name, epoch or 0), ahead.hours_p10, ahead.wh_left, ahead.tier, ahead.tier_period,
            ahead.next_tier_h,
        )  # fmt: skip
    return found


def _sql(reader: Reader) -> str:
    account, state, wanted = (reader.tables.of(kind).spec.name for kind in (Account, AccountState, Wanted))
    return (
        "SELECT a.account, a.klass, a.mode, a.closed, s.accrued_micro, s.accrued_to, s.estimate_micro,"
        " s.balance_after_payment_micro, s.last_payment_micro, s.epoch, s.book_hash, w.service"
        f' FROM "{account}" a LEFT JOIN "{state}" s ON s.account = a.account'
        f' LEFT JOIN "{wanted}" w ON w.account = a.account ORDER BY a.account'
    )


def _relays(reader: Reader, now: datetime) -> Mapping[str, str]:
    """What is known of the relay of the meter that stands at each account now."""
    install, evidence = (reader.tables.of(kind).spec.name for kind in (Install, Evidence))
    sql = (
        f'SELECT i.account, e.state FROM "{install}" i LEFT JOIN "{evidence}" e ON e.meter = i.meter'
        ' WHERE i."start" <= ? AND (i."end" IS NULL OR i."end" > ?) ORDER BY i.account, i."start"'
    )
    at = to_ms(now)
    return dict(reader.connection.execute(sql, (at, at)))
