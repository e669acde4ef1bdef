"""A store, books and policies go in; everybody's hours left come out, worked out anew only for whom it matters.

A forecast is made again every ``EVERY``, and at each look where the money ends within ``NEAR``, after a payment, and
when the day's forecasts are sealed. In between the hours that have passed are taken off: what was foreseen was used.
"""

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np

from control import assemble, outlooks
from control.assemble import Outlook, World
from control.credit import Owing
from control.histories import Histories
from control.outlookbook import NONE, Ahead, Ints, Outlooks
from control.policy import Policy
from control.prices import Lists
from control.raised import Raised
from control.standing import PREPAID, Standings, standings
from storage.codec import to_ms
from storage.records import Install
from storage.store import Store
from storage.unit import Reader
from tariff.model import Book

EVERY = timedelta(hours=6)
NEAR_H = 30.0  # within it every look forecasts anew: a rung, a final notice or a cut may depend on it


class Foresight:
    """The outlook of every account, as of the last look; ``raised`` follows what everybody was told."""

    def __init__(self, store: Store, raised: Raised) -> None:
        """Nothing is foreseen yet."""
        self.outlooks = Outlooks()
        self._store = store
        self._raised = raised
        self._aged: datetime | None = None
        self._lists = Lists()
        self._histories: Histories | None = None

    def look(self, world: World, books: Mapping[str, Book], *, whole: bool) -> Mapping[str, Owing]:
        """Bring every outlook up to ``world.now`` (``whole``: each made anew); returns whose they are, with money."""
        now = world.now
        with self._raised.lock:
            rows, cases = self._store.read(lambda reader: self._owing(reader, world, whole))
        ahead = self.outlooks.ahead(rows.names)
        names = rows.names if whole else [rows.names[row] for row in due(rows, ahead, world).tolist()]
        self._age(rows, now)
        prices = self._store.read(lambda reader: outlooks.ahead(reader, books, now, self._lists))
        meters = self._store.read(_meters)
        if self._histories is None or self._histories.days != world.settings.history_days:
            self._histories = Histories(self._store, world.settings.history_days)
        fresh = {name: cases[name] for name in names}
        made = outlooks.outlooks(self._histories, fresh, meters, world.policies, prices)
        gone = fresh.keys() - made.keys()
        self.outlooks.keep(lambda name: name not in gone)
        self.outlooks.update(made)
        self.outlooks.mark(list(made), now)
        return cases

    def paid(self, account: str) -> None:
        """What was left before a payment is not what is left after it."""
        known = self.outlooks.get(account)
        if known is not None:
            self.outlooks[account] = replace(known, hours_p10=None, hours_p50=None, wh_left=None)

    def _age(self, rows: Standings, now: datetime) -> None:
        """Take the hours since the last look off every outlook, and drop those of accounts that are gone."""
        since, self._aged = self._aged, now
        self.outlooks.keep(rows.at.__contains__)
        if since is not None and now > since:
            self.outlooks.age((now - since) / timedelta(hours=1))

    def _owing(self, reader: Reader, world: World, whole: bool) -> tuple[Standings, Mapping[str, Owing]]:
        """Everybody's money at a glance, or as a Case where bills are looked at for it; ``whole``: to be sealed."""
        rows = standings(reader, world, self._raised, hashes=whole)
        prepaid = np.array([mode == PREPAID for mode in rows.words.texts], np.bool_)
        others = [rows.names[row] for row in np.flatnonzero(~prepaid[rows.mode]).tolist()]
        if not others:
            return rows, rows
        cases: dict[str, Owing] = dict(assemble.cases(reader, others, world))
        return rows, ChainMap(cases, rows)  # type: ignore[arg-type]  # rows are only read


def due(rows: Standings, ahead: Ahead, world: World) -> Ints:
    """The rows whose outlook must be made anew: also where the money is gone before it was foreseen.

    Guard G2 looks at the flags of the last interval, which come with the outlook: nobody is cut on old ones.
    """
    texts, now = rows.words.texts, to_ms(world.now)
    lines = [credit_line(world.policies[text]) if text in world.policies else 0 for text in texts]
    prepaid = np.array([text == PREPAID for text in texts], np.bool_)
    wanted = ~ahead.known | np.isnan(ahead.p10) | (ahead.made == NONE) | ~prepaid[rows.mode]
    wanted |= rows.posted - rows.accrued <= np.array(lines, np.int64)[rows.klass]
    age = now - np.where(ahead.made == NONE, now, ahead.made)
    wanted |= (ahead.p10 <= NEAR_H) | (age < 0) | (age >= EVERY // timedelta(milliseconds=1))
    return np.flatnonzero(wanted)


def _meters(reader: Reader) -> dict[str, list[int]]:
    """The meters that each account has or had, by number."""
    found: dict[str, list[int]] = {}
    table = reader.tables.of(Install).spec.name
    for account, meter in reader.connection.execute(
        f'SELECT account, meter_id FROM "{table}" ORDER BY meter_id, "start"'
    ):
        found.setdefault(account, []).append(meter)
    return found


def credit_line(policy: Policy) -> int:
    """At or below this balance anything may be due at once."""
    return policy.disconnection_balance_micro + policy.emergency_credit_micro


def aged(known: Outlook, hours: float) -> Outlook:
    """The outlook after ``hours`` that went as foreseen.

    >>> aged(Outlook(10.0, 20.0, 4000), 5.0).wh_left
    3000
    """
    if known.hours_p10 is None or known.hours_p50 is None:
        return known
    left = max(known.hours_p50 - hours, 0.0)
    share = left / known.hours_p50 if known.hours_p50 > 0 else 0.0
    return replace(
        known,
        hours_p10=round(max(known.hours_p10 - hours, 0.0) * 1000) / 1000,
        hours_p50=round(left * 1000) / 1000,
        wh_left=int(known.wh_left * share) if known.wh_left is not None else None,
    )
