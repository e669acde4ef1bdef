"""Customers of one book and their intervals go in, the bills of those come out of whom there is nothing to be asked.

That is: one meter for all of the time that counts, a plain measured import in every slot of it, an account that goes
on. Nearly all are so, and ``tariff.together`` prices them at once; the others' bills are made one by one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from ingest.records import Channel
from storage.customers import Customer
from storage.usage import Energies, Int, Master, ms_of
from tariff import together
from tariff.records import Bill
from tariff.statement import ladder_start

Key = tuple[int, tuple[tuple[str, str], ...]]


def billed(
    master: Master,
    customers: Sequence[Customer],
    span: tuple[datetime, datetime],
    energies: Energies,
    silent: Mapping[int, datetime],
) -> dict[str, Bill]:
    """Bills of ``span`` by account; ``energies`` are those of all meters since ``ladder_start``, by meter and time.

    ``silent``: meters that only files speak for and that said nothing any more.
    """
    book = customers[0].book
    look = _Look(master, (ladder_start(book, span[0]), span[1]), energies, _edges(energies), silent)
    groups: dict[Key, list[tuple[str, Int]]] = {}
    allowed: dict[Key, bool] = {}
    for one in customers:
        key = (master.minutes(one.account, span[0]), tuple(sorted(one.attributes.items())))
        if key not in allowed:
            allowed[key] = together.may(book, one.attributes)
        if not allowed[key] or (one.closed is not None and one.closed < span[1]):
            continue
        found = look.whole(one.account, key[0])
        if found is not None:
            groups.setdefault(key, []).append((one.account, found))
    bills: dict[str, Bill] = {}
    for (minutes, attributes), some in groups.items():
        names, wh = [account for account, _ in some], np.stack([found for _, found in some])
        before, own = np.split(wh, [wh.shape[1] - (span[1] - span[0]) // timedelta(minutes=minutes)], axis=1)
        own = np.ascontiguousarray(own)
        made = together.bills(book, names, span, own, before, minutes=minutes, attributes=dict(attributes))
        bills.update(zip(names, made, strict=True))
    return bills


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """Intervals of some meters in ``span``, with the rows of each; see ``billed``."""

    master: Master
    span: tuple[datetime, datetime]
    energies: Energies
    edges: Mapping[int, tuple[int, int]]
    silent: Mapping[int, datetime]

    def whole(self, account: str, minutes: int) -> Int | None:
        """Wh of every slot of the account's one meter; None where anything else is told of it."""
        installs, (begin, end) = self.master.by_account.get(account, []), self.span
        if len(installs) != 1 or installs[0].meter_id in self.silent:
            return None
        install = installs[0]
        if install.start > begin or (install.end is not None and install.end < end):
            return None
        low, high = self.edges.get(install.meter_id, (0, 0))
        step, found = minutes * 60_000, self.energies
        ends = np.arange(ms_of(begin) + step, ms_of(end) + 1, step)
        if high - low != ends.size or not (found.end[low:high] == ends).all():
            return None
        plain = found.channel[low:high] == int(Channel.IMPORT)
        plain &= (found.flags[low:high] == 0) & (found.minutes[low:high] == minutes)
        return found.energy_wh[low:high] * install.multiplier if plain.all() else None


def _edges(energies: Energies) -> dict[int, tuple[int, int]]:
    """First row of each meter and the one after its last."""
    meters, first = np.unique(energies.meter_id, return_index=True)
    after = np.append(first, energies.meter_id.size)[1:]
    return {
        meter: (low, high) for meter, low, high in zip(meters.tolist(), first.tolist(), after.tolist(), strict=True)
    }
