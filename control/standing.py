"""A snapshot goes in, every open account's standing comes out: what a look over everybody asks first, in columns.

A Case answers thirteen guards and costs some twenty queries' rows; most accounts of most hours need none of that. A
Standing has the fields of a Case that tell whether anything can be due at all (``control/screen.py``), under the same
names and with the same values; ``Standings`` holds everybody's as columns, table by table as they are read.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import repeat
from operator import gt
from typing import Final

import numpy as np

from control import journal
from control.assemble import World
from control.outlookbook import NONE, Ahead, Bools, Ints, Outlooks
from control.raised import Raised as Raised
from control.records import Command, Evidence, Service, Wanted
from ingest.records import RelayState
from storage.codec import from_ms, to_ms
from storage.errors import LedgerError
from storage.records import Account, AccountState, Install
from storage.uncollected import uncollected
from storage.unit import Reader
from storage.wide import columns

PREPAID = "prepaid"
RELAYS: Final = tuple(RelayState)
SERVICES: Final = tuple(Service)


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
    stop_told: datetime | None = None  # newest delivery of a stop notice; datetime.max while one is on its way


@dataclass(slots=True)
class Words:
    """Texts by number, in the order in which they came."""

    texts: list[str] = field(default_factory=list)
    _number: dict[str, int] = field(default_factory=dict)

    def numbers(self, texts: Sequence[str]) -> Ints:
        """The number of each text; a new one gets the next."""
        for text in set(texts) - self._number.keys():
            self._number[text] = len(self.texts)
            self.texts.append(text)
        return np.fromiter(map(self._number.__getitem__, texts), np.int64, len(texts))


class Standings(Mapping[str, Standing]):
    """Everybody's Standing by name, in order of account: one when it is asked for, all of them as columns.

    Times are ms; ``NONE`` is None; klass, mode and book_hash are numbers of ``words``, relay of RELAYS, service of
    SERVICES.
    """

    def __init__(
        self, names: list[str], klass: Ints, mode: Ints, closed: Ints, words: Words, at: dict[str, int] | None = None
    ) -> None:
        """Everything beside the account's own row is as for an account that has nothing; ``at`` numbers the names."""
        count = len(names)
        self.names, self.klass, self.mode, self.closed, self.words = names, klass, mode, closed, words
        self.at = at if at is not None else {name: row for row, name in enumerate(names)}
        self.posted, self.accrued, self.estimate, self.base, self.paid, self.epoch = np.zeros((6, count), np.int64)
        self.accrued_to = np.full(count, NONE, np.int64)
        self.book_hash = np.full(count, words.numbers([""])[0], np.int64)
        self.relay = np.full(count, RELAYS.index(RelayState.UNKNOWN), np.int64)
        self.service = np.full(count, SERVICES.index(Service.CONNECTED), np.int64)
        self.live: Bools = np.zeros(count, np.bool_)
        self.outlooks = Outlooks()
        self.ahead: Ahead = self.outlooks.ahead(())
        self.stops: Mapping[str, datetime] = {}
        self.told: Callable[[str, int], frozenset[str]] = lambda *_: frozenset()

    def __getitem__(self, account: str) -> Standing:
        """One account's standing."""
        row, texts = self.at[account], self.words.texts
        ahead, wh, tier = self.ahead, int(self.ahead.wh[row]), int(self.ahead.tier[row])
        p10, next_h = float(ahead.p10[row]), float(ahead.next_h[row])
        return Standing(
            account, texts[self.klass[row]], texts[self.mode[row]], _time(self.closed[row]), int(self.posted[row]),
            int(self.accrued[row]), _time(self.accrued_to[row]), int(self.estimate[row]), int(self.base[row]),
            int(self.paid[row]), texts[self.book_hash[row]], RELAYS[self.relay[row]], SERVICES[self.service[row]],
            bool(self.live[row]), self.told(account, int(self.epoch[row])), None if p10 != p10 else p10,
            wh if wh != NONE else None, tier if tier != NONE else None, self.period(row),
            None if next_h != next_h else next_h, stop_told=self.stops.get(account),
        )  # fmt: skip

    def period(self, row: int) -> str:
        """The span of the ladder that an account's tier is of."""
        return self.outlooks.periods[self.ahead.period[row]] if self.ahead.known[row] else ""

    def __iter__(self) -> Iterator[str]:
        """The names, in order."""
        return iter(self.names)

    def __len__(self) -> int:
        """How many accounts are open."""
        return len(self.names)


def standings(reader: Reader, world: World, raised: Raised, *, hashes: bool = False) -> Standings:
    """Everybody who is not closed and has a policy, in order of account; ``hashes``: with the book each was rated by.

    ``raised`` keeps the names between looks: most looks see those of the last one.
    """
    with uncollected():
        return _standings(reader, world, raised, hashes)


def _standings(reader: Reader, world: World, raised: Raised, hashes: bool) -> Standings:
    raised.follow(reader)
    found = _accounts(reader, world, raised)
    _states(reader, found, hashes)
    _balances(reader, found)
    _metal(reader, found, world.now)
    for row in reader.find(Command, state__in=journal.LIVE_STATES):
        if (at := found.at.get(row.account)) is not None:
            found.live[at] = True
    found.outlooks = Outlooks.of(world.outlooks)
    found.ahead = found.outlooks.ahead(found.names)
    found.told = raised.of
    epoch, at_of = found.epoch, found.at
    found.stops = raised.stops(reader, lambda name: int(epoch[at_of[name]]) if name in at_of else None)
    return found


def _accounts(reader: Reader, world: World, raised: Raised) -> Standings:
    """The accounts alone."""
    words, classes = Words(), sorted(world.policies)
    wide = columns(
        reader.connection, ["account", "klass", "mode"], ["coalesce(closed, 0)"],
        f'FROM "{reader.tables.of(Account).spec.name}" WHERE klass IN ({", ".join("?" * len(classes))})'
        " AND (closed IS NULL OR closed > ?)",
        (*classes, to_ms(world.now)),
    )  # fmt: skip
    names, closed = list(wide.texts[0]), np.where(wide.numbers[0] == 0, NONE, wide.numbers[0])
    klass, mode = (words.numbers(texts) for texts in wide.texts[1:])
    if any(map(gt, names, names[1:])):  # as they were written, which costs less than to ask for them in order
        order = np.array(sorted(range(len(names)), key=names.__getitem__), np.int64)
        names, klass, mode, closed = [names[row] for row in order.tolist()], klass[order], mode[order], closed[order]
    if raised.who is None or names != raised.who[0]:
        raised.who = names, {name: row for row, name in enumerate(names)}
    return Standings(raised.who[0], klass, mode, closed, words, raised.who[1])


def _states(reader: Reader, found: Standings, hashes: bool) -> None:
    """What the rater keeps of each account."""
    own = {
        "accrued_micro": found.accrued, "coalesce(accrued_to, ?)": found.accrued_to, "estimate_micro": found.estimate,
        "balance_after_payment_micro": found.base, "last_payment_micro": found.paid, "epoch": found.epoch,
    }  # fmt: skip
    texts = ["account", "book_hash"] if hashes else ["account"]
    wide = columns(reader.connection, texts, list(own), f'FROM "{reader.tables.of(AccountState).spec.name}"', (NONE,))
    rows, good = _rows(found, wide.texts[0])
    for column, value in zip(own.values(), wide.numbers, strict=True):
        column[rows] = value[good]
    if hashes:
        found.book_hash[rows] = found.words.numbers(wide.texts[1])[good]


def _balances(reader: Reader, found: Standings) -> None:
    """What is posted on each account; LedgerError where that is in several currencies."""
    prefix = "customer:"
    wide = columns(
        reader.connection, ["substr(ledger_account, ?)"], ["amount_micro"],
        "FROM ledger_balance WHERE ledger_account >= ? AND ledger_account < ?",
        (len(prefix) + 1, prefix, prefix + "\U0010ffff"),
    )  # fmt: skip
    rows, good = _rows(found, wide.texts[0])
    found.posted[rows] = wide.numbers[0][good]
    if rows.size > len(found) or (np.bincount(rows, minlength=1) > 1).any():
        raise LedgerError(f"accounts under {prefix!r} hold several currencies: ask for each")


def _metal(reader: Reader, found: Standings, now: datetime) -> None:
    """The service that is wanted, and what is known of the relay of the meter that stands at each account now."""
    install, evidence, wanted = (reader.tables.of(kind).spec.name for kind in (Install, Evidence, Wanted))
    service = {"": SERVICES.index(Service.CONNECTED)} | {one.value: number for number, one in enumerate(SERVICES)}
    sql = f'SELECT account, service FROM "{wanted}" WHERE service <> ?'
    for account, value in reader.connection.execute(sql, (Service.CONNECTED.value,)):
        if (at := found.at.get(account)) is not None:
            found.service[at] = service[value]
    states = [one.value for one in RELAYS]
    case = f"CASE state {' '.join(f'WHEN ? THEN {number}' for number in range(len(states)))} ELSE {len(states)} END"
    known = columns(reader.connection, ["meter"], [case], f'FROM "{evidence}"', states)
    rest, args = f'FROM "{install}" WHERE "start" <= ? AND ("end" IS NULL OR "end" > ?)', (to_ms(now), to_ms(now))
    stands = columns(reader.connection, ["account", "meter"], [], rest, args)
    if len(set(stands.texts[0])) < len(stands.texts[0]):  # the youngest of an account counts, and so comes last
        stands = columns(reader.connection, ["account", "meter"], [], f'{rest} ORDER BY "start", meter_id', args)
    relay = _beside(stands.texts[1], known.texts[0], known.numbers[0], RELAYS.index(RelayState.UNKNOWN))
    rows, good = _rows(found, stands.texts[0])
    found.relay[rows] = relay[good]


def _beside(asked: Sequence[str], names: Sequence[str], values: Ints, missing: int) -> Ints:
    """The value of each name that is asked for."""
    if asked == names:
        return values
    known = dict(zip(names, values.tolist(), strict=True))
    return np.fromiter(map(known.get, asked, repeat(missing)), np.int64, len(asked))


def _rows(found: Standings, accounts: Sequence[str]) -> tuple[Ints, Bools]:
    """The rows of those accounts that are open, and which of ``accounts`` they are."""
    if accounts == found.names:
        return np.arange(len(found)), np.ones(len(found), np.bool_)
    rows = np.fromiter(map(found.at.get, accounts, repeat(-1)), np.int64, len(accounts))
    good = rows >= 0
    return rows[good], good


def _time(ms: int) -> datetime | None:
    return from_ms(int(ms)) if ms != NONE else None
