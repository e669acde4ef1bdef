"""Accounts and spans of time go in, what their meters counted in them comes out: stored and new intervals, merged.

A span is read once for all accounts at hand, not once for each: a thousand accounts that are filled in together cost
one look at the lake.
"""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage.merge import merge
from storage.schemas import INTERVALS
from storage.store import Store
from storage.usage import Energies, Master

AT_ONCE = 250
"""Accounts that are read together: a year of their hours is some 105 MB."""


def gather(store: Store, meters: Sequence[int], start: datetime, end: datetime, fresh: pa.Table | None) -> pa.Table:
    """Intervals of all channels in [start, end): stored and not yet stored ones, merged by the store's own rule."""
    held = store.intervals(start, end, meters, None)
    if fresh is None or not fresh.num_rows:
        return held
    stamp = pa.timestamp("ms")
    own = pc.field("meter_id").isin(pa.array(meters, pa.int32()))
    inside = (pc.field("end") > pa.scalar(start, stamp)) & (pc.field("end") <= pa.scalar(end, stamp))
    return merge(INTERVALS, [held, fresh.filter(own & inside)])


class Around:
    """The intervals of the accounts at hand (``near``), by span."""

    def __init__(self, store: Store, master: Master, fresh: pa.Table | None = None) -> None:
        """``fresh`` are intervals that are not stored yet."""
        self._store, self._master, self._fresh = store, master, fresh
        self._meters: list[int] = []
        self._spans: dict[tuple[datetime, datetime], dict[int, Energies]] = {}

    def near(self, accounts: Sequence[str]) -> None:
        """Have these accounts at hand, and forget the ones before."""
        self._meters = sorted({meter for account in accounts for meter in self._master.meters(account)})
        self._spans = {}

    def of(self, account: str, start: datetime, end: datetime) -> Energies:
        """What the account's meters counted in [start, end) while they were its own."""
        meters = self._master.meters(account)
        known = self._spans.get((start, end))
        if known is None or not known.keys() >= set(meters):
            wanted = sorted({*self._meters, *meters})
            table = gather(self._store, wanted, start, end, self._fresh)
            known = self._spans[start, end] = dict.fromkeys(wanted, _NOTHING) | by_meter(Energies.of(table))
        return self._master.of_account(joined([known[meter] for meter in meters]), account)


def by_meter(energies: Energies) -> dict[int, Energies]:
    """The intervals of each meter, by meter number."""
    order = np.argsort(energies.meter_id, kind="stable")
    if not order.size:
        return {}
    cuts = np.flatnonzero(np.diff(energies.meter_id[order])) + 1
    return {int(energies.meter_id[part[0]]): energies.take(part) for part in np.split(order, cuts)}


def joined(parts: Sequence[Energies]) -> Energies:
    """Several meters' intervals as one."""
    if len(parts) == 1:
        return parts[0]
    return Energies(*(np.concatenate([_EMPTY, *(getattr(part, name) for part in parts)]) for name in _NAMES))


_NAMES = Energies.__slots__
_EMPTY = np.zeros(0, np.int64)
_NOTHING = Energies(_EMPTY, _EMPTY, _EMPTY, _EMPTY, _EMPTY, _EMPTY)
