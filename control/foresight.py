"""A store, books and policies go in; everybody's hours left come out, worked out anew only for whom it matters.

A forecast is made again every ``EVERY``, and at each look where the money ends within ``NEAR``, after a payment, and
when the day's forecasts are sealed. In between the hours that have passed are taken off: what was foreseen was used.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from control import assemble, credit, outlooks
from control.assemble import Outlook, World
from control.credit import Owing
from control.histories import Histories
from control.policy import Policy
from control.prices import Lists
from control.standing import PREPAID, Raised, standings
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
        self.outlooks: dict[str, Outlook] = {}
        self._store = store
        self._raised = raised
        self._made: dict[str, datetime] = {}
        self._aged: datetime | None = None
        self._lists = Lists()
        self._histories: Histories | None = None

    def look(self, world: World, books: Mapping[str, Book], *, whole: bool) -> Mapping[str, Owing]:
        """Bring every outlook up to ``world.now`` (``whole``: each made anew); returns whose they are, with money."""
        now = world.now
        rows = self._store.read(lambda reader: self._owing(reader, world))
        fresh = {name: row for name, row in rows.items() if whole or self._due(name, row, world)}
        self._age(rows, now)
        prices = self._store.read(lambda reader: outlooks.ahead(reader, books, now, self._lists))
        meters = self._store.read(_meters)
        if self._histories is None or self._histories.days != world.settings.history_days:
            self._histories = Histories(self._store, world.settings.history_days)
        made = outlooks.outlooks(self._histories, fresh, meters, world.policies, prices)
        for name in fresh:
            self.outlooks.pop(name, None)
        self.outlooks.update(made)
        self._made.update(dict.fromkeys(made, now))
        return rows

    def paid(self, account: str) -> None:
        """What was left before a payment is not what is left after it."""
        known = self.outlooks.get(account)
        if known is not None:
            self.outlooks[account] = replace(known, hours_p10=None, hours_p50=None, wh_left=None)

    def _due(self, name: str, row: Owing, world: World) -> bool:
        """Whether one account's outlook must be made anew: also where the money is gone before it was foreseen.

        Guard G2 looks at the flags of the last interval, which come with the outlook: nobody is cut on old ones.
        """
        known, at, now = self.outlooks.get(name), self._made.get(name), world.now
        if known is None or known.hours_p10 is None or at is None:
            return True
        if row.mode != PREPAID or credit.available(row) <= credit_line(world.policies[row.klass]):
            return True
        return known.hours_p10 <= NEAR_H or not timedelta(0) <= now - at < EVERY

    def _age(self, rows: Mapping[str, Owing], now: datetime) -> None:
        """Take the hours since the last look off every outlook, and drop those of accounts that are gone."""
        since, self._aged = self._aged, now
        for name in [name for name in self.outlooks if name not in rows]:
            del self.outlooks[name]
        if since is None or now <= since:
            return
        passed = (now - since) / timedelta(hours=1)
        self.outlooks.update({name: aged(known, passed) for name, known in self.outlooks.items()})

    def _owing(self, reader: Reader, world: World) -> Mapping[str, Owing]:
        """Everybody's money: at a glance, and as a whole Case where bills must be looked at for it."""
        rows = standings(reader, world, self._raised)
        others = [name for name, row in rows.items() if row.mode != PREPAID]
        return {**rows, **(assemble.cases(reader, others, world) if others else {})}


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
        hours_p10=round(max(known.hours_p10 - hours, 0.0), 3),
        hours_p50=round(left, 3),
        wh_left=int(known.wh_left * share) if known.wh_left is not None else None,
    )
