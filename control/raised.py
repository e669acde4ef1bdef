"""Snapshots go in one after the other, what each account was told comes out: rungs by epoch, stop notices delivered."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock

import numpy as np

from control.ladder import STOP
from control.outlookbook import Bools, Ints
from control.policy import Policy
from control.records import Notice
from control.shadow import CHANNEL
from storage.codec import from_ms
from storage.unit import Reader

LASTING = 2  # dots in the rung of a notice that was told for longer than its epoch: over_tier.1.2026-07
AT_ONCE = 500


@dataclass
class Columns:
    """What each of ``names`` was told, as ``control/loud.py`` keeps it: the highest rung, this tier and the next."""

    names: list[str] = field(default_factory=list)
    policies: Mapping[str, Policy] = field(default_factory=dict)
    keys: Ints = field(default_factory=lambda: np.zeros((0, 4), np.int64))
    level: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    this: Bools = field(default_factory=lambda: np.zeros(0, np.bool_))
    next: Bools = field(default_factory=lambda: np.zeros(0, np.bool_))
    numbers: dict[str, int] = field(default_factory=dict)


class Raised:
    """Which rungs each account was told, by epoch: follows the notices by what was written since the last look."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self.lock = Lock()  # held by a look: passes and forecasts run beside the loop
        self._row = 0
        self._told: dict[str, dict[int, frozenset[str]]] = {}
        self._lasting: dict[str, frozenset[str]] = {}
        self._stops: dict[str, dict[int, list[tuple[int, str]]]] = {}
        self._arrived: dict[int, int] = {}
        self._same: dict[frozenset[str], frozenset[str]] = {}
        self.news: set[str] = set()  # who was told something since ``columns`` were brought up to date
        self.columns = Columns()
        self.who: tuple[list[str], dict[str, int]] | None = None  # the accounts of the last look, by row

    def follow(self, reader: Reader) -> None:
        """Take in what is new; a row that is written again is the same rung of the same epoch."""
        table = reader.tables.of(Notice).spec.name
        sql = (
            f'SELECT rowid, account, epoch, rung, recipient FROM "{table}" WHERE rowid > ? AND channel <> ? ORDER BY 1'
        )
        for row, account, epoch, rung, recipient in reader.connection.execute(sql, (self._row, CHANNEL)):
            self._row = row
            self.news.add(account)
            told = self._told.setdefault(account, {})
            told[epoch] = self._with(told.get(epoch), rung)
            if rung.startswith("over_tier") and rung.count(".") == LASTING:
                self._lasting[account] = self._with(self._lasting.get(account), rung)
            if rung.partition(".")[0] == STOP:
                own = row if recipient == "customer" else 0  # what others got never counts
                self._stops.setdefault(account, {}).setdefault(epoch, []).append((own, rung))

    def _with(self, rungs: frozenset[str] | None, rung: str) -> frozenset[str]:
        """One more rung; equal sets are one object, however many accounts were told the same."""
        both = (rungs or frozenset()) | {rung}
        return self._same.setdefault(both, both)

    def of(self, account: str, epoch: int) -> frozenset[str]:
        """The rungs that count in this epoch."""
        told, lasting = self._told.get(account, {}).get(epoch, _NOTHING), self._lasting.get(account)
        return told | lasting if lasting else told

    def anything(self, account: str) -> bool:
        """Whether the account was ever told anything."""
        return account in self._told

    def stops(self, reader: Reader, epoch_of: Callable[[str], int | None]) -> dict[str, datetime]:
        """When the newest stop notice of the epoch reached each customer; datetime.max while one has not arrived.

        Accounts without a stop notice in their epoch are missing. A notice that several recipients got counts when the
        customer has it.
        """
        own = {name: by_epoch.get(_number(epoch_of(name))) for name, by_epoch in self._stops.items()}
        asked = {account: rows for account, rows in own.items() if rows}
        self._ask(reader, [row for rows in asked.values() for row, _ in rows if row and row not in self._arrived])
        found: dict[str, datetime] = {}
        for account, rows in asked.items():
            first: dict[str, int] = {}
            for row, rung in rows:
                first[rung] = min(self._arrived.get(row, _NEVER), first.get(rung, _NEVER))
            told = max(first.values())
            found[account] = from_ms(told) if told < _NEVER else datetime.max
        return found

    def _ask(self, reader: Reader, rows: Sequence[int]) -> None:
        """Note which of these notices have arrived by now; what has arrived is asked for no more."""
        table = reader.tables.of(Notice).spec.name
        for at in range(0, len(rows), AT_ONCE):
            part = rows[at : at + AT_ONCE]
            sql = f'SELECT rowid, delivered_at FROM "{table}" WHERE rowid IN ({", ".join("?" * len(part))})'
            known = reader.connection.execute(f"{sql} AND delivered_at IS NOT NULL", part)
            self._arrived.update(dict(known.fetchall()))


_NOTHING: frozenset[str] = frozenset()
_NEVER = 1 << 62


def _number(epoch: int | None) -> int:
    return -1 if epoch is None else epoch
