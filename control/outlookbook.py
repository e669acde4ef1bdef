"""Accounts' outlooks go in, the same outlooks and their columns come out: hours pass over all of them in arrays.

To whoever asks for one account it is a mapping of Outlooks; what looks over everybody takes columns. One lock is held
for each touch, so that nobody sees an outlook half written.
"""

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import repeat
from threading import Lock
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from control.assemble import Outlook
from storage.codec import to_ms

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
NONE: Final = -(1 << 62)
"""Stands for None among integers; nan does among floats."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """The outlooks of some accounts as columns: as in Outlook, ``period`` a number of ``periods``; ``made`` in ms."""

    known: Bools
    p10: Floats
    p50: Floats
    wh: Ints
    tier: Ints
    period: Ints
    next_h: Floats
    flags: Ints
    made: Ints


class Outlooks(MutableMapping[str, Outlook]):
    """The outlook of every account, by name; ``made`` beside it says when it was worked out, not merely aged."""

    def __init__(self, outlooks: Mapping[str, Outlook] | None = None) -> None:
        """Start with these."""
        self._lock = Lock()
        self._row_of: dict[str, int] = {}
        self._columns = _columns(0)
        self.periods: list[str] = []
        self.update(outlooks or {})

    @classmethod
    def of(cls, outlooks: Mapping[str, Outlook]) -> "Outlooks":
        """These outlooks as columns, whatever mapping they are."""
        return outlooks if isinstance(outlooks, cls) else cls(outlooks)

    def __getitem__(self, account: str) -> Outlook:
        """What lies ahead of one account."""
        with self._lock:
            return self._at(self._row_of[account])

    def _at(self, row: int) -> Outlook:
        own = self._columns
        wh, tier = int(own.wh[row]), int(own.tier[row])
        p10, p50, next_h = (None if value != value else value for value in _floats(own, row))
        return Outlook(
            p10, p50, wh if wh != NONE else None, tier if tier != NONE else None,
            self.periods[int(own.period[row])], next_h, int(own.flags[row]),
        )  # fmt: skip

    def __setitem__(self, account: str, outlook: Outlook) -> None:
        """Keep one account's outlook; when it was made is not touched."""
        with self._lock:
            row = self._row_of.get(account)
            if row is None:
                row = self._row_of[account] = len(self._row_of)
                self._room(row + 1)
            own = self._columns
            own.known[row] = True
            for column, value in zip((own.p10, own.p50, own.next_h), _hours(outlook), strict=True):
                column[row] = np.nan if value is None else value
            own.wh[row] = NONE if outlook.wh_left is None else outlook.wh_left
            own.tier[row] = NONE if outlook.tier is None else outlook.tier
            own.period[row] = self._period(outlook.tier_period)
            own.flags[row] = outlook.read_flags

    def __delitem__(self, account: str) -> None:
        """Forget one account."""
        with self._lock:
            del self._row_of[account]
            self._repack()

    def __iter__(self) -> Iterator[str]:
        """The accounts, in the order in which they came."""
        return iter(list(self._row_of))

    def __len__(self) -> int:
        """How many accounts have one."""
        return len(self._row_of)

    def keep(self, wanted: Callable[[str], bool]) -> None:
        """Forget every account that is not wanted."""
        with self._lock:
            kept = {account: row for account, row in self._row_of.items() if wanted(account)}
            if len(kept) < len(self._row_of):
                self._row_of = kept
                self._repack()

    def mark(self, accounts: Sequence[str], at: datetime) -> None:
        """These accounts' outlooks were worked out at ``at``."""
        with self._lock:
            self._columns.made[[self._row_of[account] for account in accounts]] = to_ms(at)

    def age(self, hours: float) -> None:
        """Let ``hours`` go by that went as foreseen; equal to ``foresight.aged`` for each."""
        with self._lock:
            own = self._columns
            rows = np.flatnonzero(own.known & ~np.isnan(own.p10) & ~np.isnan(own.p50))
            before = own.p50[rows]
            left = np.maximum(before - hours, 0.0)
            share = np.divide(left, before, out=np.zeros_like(left), where=before > 0)
            own.p10[rows] = np.rint(np.maximum(own.p10[rows] - hours, 0.0) * 1000) / 1000
            own.p50[rows] = np.rint(left * 1000) / 1000
            counted = own.wh[rows] != NONE
            own.wh[rows[counted]] = (own.wh[rows[counted]] * share[counted]).astype(np.int64)

    def ahead(self, accounts: Sequence[str]) -> Ahead:
        """The columns of ``accounts``, in their order; ``known`` is false for those without an outlook."""
        with self._lock:
            own, rows = self._columns, np.array(list(map(self._row_of.get, accounts, repeat(-1))), np.int64)
            if not self._row_of:
                return _columns(len(accounts))
            found = Ahead(*(getattr(own, name)[rows] for name in Ahead.__slots__))
        gone = rows < 0
        for name, empty in _EMPTY.items():
            getattr(found, name)[gone] = empty
        return found

    def _period(self, period: str) -> int:
        if period not in self.periods:
            self.periods.append(period)
        return self.periods.index(period)

    def _room(self, rows: int) -> None:
        room = self._columns.known.size
        if rows > room:
            more = _columns(room + room // 2 + 16 - room)
            self._columns = Ahead(
                *(np.concatenate([getattr(self._columns, name), getattr(more, name)]) for name in Ahead.__slots__)
            )

    def _repack(self) -> None:
        rows = np.array(list(self._row_of.values()), np.int64)
        self._columns = Ahead(*(getattr(self._columns, name)[rows] for name in Ahead.__slots__))
        self._row_of = {account: row for row, account in enumerate(self._row_of)}


_EMPTY: Mapping[str, Any] = {
    "known": False, "p10": np.nan, "p50": np.nan, "wh": NONE, "tier": NONE, "period": 0, "next_h": np.nan,
    "flags": 0, "made": NONE,
}  # fmt: skip
_TYPES: Mapping[str, Any] = {"known": np.bool_, "p10": np.float64, "p50": np.float64, "next_h": np.float64}


def _columns(count: int) -> Ahead:
    return Ahead(*(np.full(count, _EMPTY[name], _TYPES.get(name, np.int64)) for name in Ahead.__slots__))


def _hours(outlook: Outlook) -> tuple[float | None, float | None, float | None]:
    return outlook.hours_p10, outlook.hours_p50, outlook.next_tier_h


def _floats(own: Ahead, row: int) -> tuple[float, float, float]:
    return float(own.p10[row]), float(own.p50[row]), float(own.next_h[row])
