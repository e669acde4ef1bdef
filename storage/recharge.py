"""One account's intervals of one period go in, its charge rows and what it accrued come out, made anew.

The same group and the same step as the rater's, standing at the start of the period: what differs from the stored rows
was not made from the stored intervals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from storage import charging
from storage.charging import GroupCharges
from storage.folds import carried
from storage.positions import Group
from storage.usage import Energies, Master
from tariff import rating
from tariff.model import Book

VALUES = ("energy_wh", "amount_micro", "period", "tier", "price", "price_scale", "book_hash")
Key = tuple[int, datetime]  # meter, end of the slot
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Recharged:
    """Charges of the measured slots of one period, and the micro-units that they accrued."""

    charges: tuple[GroupCharges, ...]
    accrued_micro: int


def recharge(
    book: Book, span: tuple[datetime, datetime], own: Energies, *, master: Master, account: str,
    attributes: Mapping[str, str],
) -> Recharged:  # fmt: skip
    """Rate the period ``span`` of one account; ``own`` are its energies since the start of its ladders."""
    start, end = span
    minutes = master.minutes(account, start)
    group = Group.of(rating.compile(book, start, end, minutes, attributes), start, minutes)
    group.add([account], [carried(book, start, own, minutes, attributes)])
    group.put(0, own)
    moved = group.move(np.array([0]), np.array([0]))
    return Recharged(tuple(GroupCharges(group, part) for part in moved), int(group.accrued[0]))


def unlike(made: Recharged, master: Master, stored: Sequence[Row]) -> list[tuple[Key, Row | None, Row | None]]:
    """Slots whose stored charge is not what is made of the stored intervals: (slot, stored, made), by time."""
    table: pa.Table = charging.table(made.charges, master)
    now = {(row["meter_id"], row["end"]): row for row in table.to_pylist()}
    then = {(row["meter_id"], row["end"]): row for row in stored}
    return [
        (key, then.get(key), now.get(key))
        for key in sorted(now.keys() | then.keys(), key=lambda one: (one[1], one[0]))
        if _told(then.get(key)) != _told(now.get(key))
    ]


def _told(row: Row | None) -> tuple[Any, ...] | None:
    return None if row is None else tuple(row[name] for name in VALUES)
