"""Rated slots of groups of accounts go in, one table of charge rows comes out, as the lake keeps them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from storage import schemas
from storage.positions import Charged, Group
from storage.usage import Int, Master, ms_of

RUN = "live"  # rows of the rater; the same slot written again replaces the row


@dataclass(frozen=True, slots=True)
class GroupCharges:
    """What one group's move charged."""

    group: Group
    charged: Charged


def table(parts: Sequence[GroupCharges], master: Master) -> pa.Table:
    """Return the charge rows of every written slot, account by account, in order of time."""
    tables = [_part(part, master) for part in parts if part.charged.written.any()]
    return pa.concat_tables(tables) if tables else schemas.empty("charges")


def _part(part: GroupCharges, master: Master) -> pa.Table:
    group, charged = part.group, part.charged
    rated, grid = charged.rated, group.grid
    row, slot = np.nonzero(charged.written)
    end = grid.start + (slot + charged.first + 1) * grid.slot_ms
    accounts = [group.accounts[number] for number in charged.rows.tolist()]
    labels = pa.DictionaryArray.from_arrays(pa.array(rated.period[slot], pa.int32()), pa.array(list(rated.periods)))
    names = pa.DictionaryArray.from_arrays(pa.array(row, pa.int32()), pa.array(accounts))
    count = row.size
    return pa.table(
        {
            "meter_id": pa.array(_meters(accounts, row, end, master), pa.int32()),
            "account": names.cast(pa.string()),
            "end": pa.array(end, pa.int64()).cast(pa.timestamp("ms")),
            "minutes": pa.array(np.full(count, grid.minutes), pa.int16()),
            "energy_wh": pa.array(charged.wh[row, slot], pa.int64()),
            "amount_micro": pa.array(rated.amount_micro[row, slot].astype(np.int64), pa.int64()),
            "period": labels.cast(pa.string()),
            "tier": pa.array(rated.tier[row, slot], pa.int16()),
            "price": pa.array(rated.price[row, slot].astype(np.int64), pa.int64()),
            "price_scale": pa.array(np.full(count, rated.price_scale), pa.int16()),
            "book_hash": pa.array([group.plan.book.hash] * count, pa.string()),
            "run_id": pa.array([RUN] * count, pa.string()),
        },
        schema=schemas.CHARGES.schema,
    )


def _meters(accounts: Sequence[str], row: Int, end: Int, master: Master) -> Int:
    """The meter of each charge row: the one installed at the slot's end, the lowest number where there are several."""
    installs = [master.by_account[account] for account in accounts]
    only = np.array([one[0].meter_id if len(one) == 1 else 0 for one in installs], np.int64)
    since = np.array([ms_of(one[0].start) for one in installs], np.int64)
    meters: Int = np.where(end > since[row], only[row], 0)
    for number in [number for number, one in enumerate(installs) if len(one) > 1]:
        mine = row == number
        for install in sorted(installs[number], key=lambda one: -one.meter_id):
            low = ms_of(install.start)
            high = ms_of(install.end) if install.end is not None else 1 << 62
            meters[mine & (end > low) & ((end <= high) | (meters == 0))] = install.meter_id
    return meters
