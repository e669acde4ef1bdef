"""Accounts and their periods go in, the group and row of each come out: made where they are new, many at a time.

A plain account has one meter for good, counted once: its rows of an hour find their place by the meter's number in
arrays, and its period is opened with everything that is stored of it together with thousands of others.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

import numpy as np

from storage.customers import Customer, attributes_of
from storage.positions import Group
from storage.records import Account
from storage.store import Store
from storage.usage import Energies, Int, Master
from tariff import rating
from tariff.errors import RatingError
from tariff.model import Book
from tariff.statement import ladder_start, period_of

Slot = tuple[str, datetime]  # an account's period, by its start
Span = tuple[datetime, datetime]
MOST: Final = 1 << 24
"""Meters with a higher number go the long way."""
ROWS_AT_ONCE: Final = 3_000_000  # intervals that are read together: some 250 MB


class Quick:
    """The group and row of meters, by number."""

    def __init__(self) -> None:
        """Nobody is known."""
        self.groups: list[Group] = []
        self._number: dict[int, int] = {}
        self._group, self._row = np.zeros((2, 0), np.int32)  # 0: not known, else the group's number and one

    def note(self, meter: int, group: Group, row: int) -> None:
        """Know a meter by this row from now on."""
        if not 0 <= meter < MOST:
            return
        if meter >= self._group.size:
            size = max(meter + 1, min(2 * self._group.size, MOST), 1024)
            for name in ("_group", "_row"):
                old, new = getattr(self, name), np.zeros(size, np.int32)
                new[: old.size] = old
                setattr(self, name, new)
        if id(group) not in self._number:
            self._number[id(group)] = len(self.groups)
            self.groups.append(group)
        self._group[meter], self._row[meter] = self._number[id(group)] + 1, row

    def numbers(self, meters: Int) -> Int:
        """The number of each meter's group in ``groups``, -1 for who is not known."""
        inside = (meters >= 0) & (meters < self._group.size)
        found: Int = np.full(meters.size, -1, np.int64)
        found[inside] = self._group[meters[inside]].astype(np.int64) - 1
        return found

    def parts(self, meters: Int) -> Iterator[tuple[Group, Int, Int]]:
        """Group by group, which of ``meters`` are its own, and their rows."""
        group = self.numbers(meters)
        order = np.argsort(group, kind="stable")
        cuts = np.flatnonzero(np.diff(group[order])) + 1
        for pick in np.split(order, cuts) if order.size else ():
            if group[pick[0]] >= 0:
                yield self.groups[int(group[pick[0]])], pick, self._row[meters[pick]].astype(np.int64)


class Roster:
    """Every open period that is in memory."""

    def __init__(self, master: Master, accounts: Mapping[str, Account], books: Mapping[str, Book]) -> None:
        """Nobody has a place yet."""
        self._master, self._accounts, self._books = master, accounts, books
        self.groups: dict[tuple[object, ...], Group] = {}
        self.where: dict[Slot, Group] = {}
        self.quick = Quick()
        self._latest: dict[str, datetime] = {}
        self._spans: dict[str, Span] = {}

    def book(self, account: str) -> Book | None:
        """The book of an account, None without one."""
        known = self._accounts.get(account)
        return self._books.get(known.book) if known is not None else None

    def period(self, book: Book, at: datetime) -> Span:
        """The billing period of an instant; the last one asked for is kept per book."""
        span = self._spans.get(book.hash)
        if span is None or not span[0] <= at < span[1]:
            span = self._spans[book.hash] = period_of(book, at)
        return span

    def seat(self, account: str, span: Span, before: Mapping[str, int]) -> tuple[Group, int]:
        """Give an account's new period a row, empty but for what its ladders carried; RatingError of its book."""
        group = self._group(account, span)
        self._add(group, [account], [before], span)
        return group, group.row_of[account]

    def plain(self, account: str) -> int | None:
        """The number of the account's only meter, if it has one for good, counted once."""
        installs = self._master.by_account.get(account, [])
        if len(installs) != 1 or installs[0].end is not None or installs[0].multiplier != 1:
            return None
        meter = installs[0].meter_id
        return meter if len(self._master.by_meter[meter]) == 1 else None

    def opens(self, account: str, start: datetime) -> bool:
        """Whether a period from ``start`` on would be new, the account's latest, and rest on nothing before it."""
        book = self.book(account)
        if book is None or (account, start) in self.where or start < self._latest.get(account, start):
            return False
        return self.plain(account) is not None and ladder_start(book, start) >= start

    def fill(self, store: Store, accounts: Iterable[str], span: Span) -> tuple[list[tuple[Group, int, int]], list[str]]:
        """Seat accounts of which ``opens`` is true, with what is stored of them.

        Returns group, row and first slot of those that have any, and who must be filled the long way; whose book
        cannot be compiled is left out.
        """
        seats: dict[int, tuple[Group, list[str]]] = {}
        for account in accounts:
            try:
                group = self._group(account, span)
            except RatingError:
                continue
            seats.setdefault(id(group), (group, []))[1].append(account)
        for group, names in seats.values():
            self._add(group, names, [{}] * len(names), span)
        ordered = [(group, account) for group, names in seats.values() for account in names]
        hours = max(1, (min(span[1], store.clock.now()) - span[0]).total_seconds() // 3600)
        room = max(1, int(ROWS_AT_ONCE // hours))
        found: list[tuple[Group, int, int]] = []
        odd: list[str] = []
        for at in range(0, len(ordered), room):
            taken, others = self._put(store, ordered[at : at + room], span)
            found += taken
            odd += others
        return found, odd

    def _put(
        self, store: Store, seats: Sequence[tuple[Group, str]], span: Span
    ) -> tuple[list[tuple[Group, int, int]], list[str]]:
        """Put what is stored of some accounts in their empty rows."""
        here, account_of = Quick(), dict[int, str]()
        for group, account in seats:
            if (meter := self.plain(account)) is not None:
                here.note(meter, group, group.row_of[account])
                account_of[meter] = account
        energies = Energies.of(store.intervals(span[0], span[1], sorted(account_of), None))
        found, odd = list[tuple[Group, int, int]](), set[int]()
        for group, pick, rows in here.parts(energies.meter_id):
            good, slots = group.put_plain(rows, energies.take(pick))
            first = np.full(len(group.accounts), group.plan.slots, np.int64)
            np.minimum.at(first, rows[good], slots[good])
            some = np.unique(rows[good])
            found += [(group, row, slot) for row, slot in zip(some.tolist(), first[some].tolist(), strict=True)]
            odd |= set(energies.meter_id[pick[~good]].tolist())
        odd |= {meter for meter in account_of if meter >= MOST}
        return found, sorted(account_of[meter] for meter in odd)

    def _group(self, account: str, span: Span) -> Group:
        """The group of an account in a period, made if new."""
        book, known = self.book(account), self._accounts[account]
        assert book is not None
        attributes = attributes_of(self._master, Customer(account, book, known.attributes, known.closed), span)
        minutes = self._master.minutes(account, span[0])
        key = (book.hash, *span, minutes, tuple(sorted(attributes.items())))
        if key not in self.groups:
            self.groups[key] = Group.of(rating.compile(book, *span, minutes, attributes), span[0], minutes)
        return self.groups[key]

    def _add(self, group: Group, names: Sequence[str], before: Sequence[Mapping[str, int]], span: Span) -> None:
        """Give accounts a row of a group; plain ones in their latest period are found by their meter from now on."""
        since = np.array([self._master.first_slot(account, group.grid) for account in names], np.int64)
        group.add(names, before, since)
        for account in names:
            self.where[account, span[0]] = group
            meter = self.plain(account)
            if meter is not None and span[0] >= self._latest.get(account, span[0]):
                self._latest[account] = span[0]
                self.quick.note(meter, group, group.row_of[account])


def uncovered(quick: Quick, energies: Energies) -> list[tuple[int, int, int]]:
    """Meter, first and last end (ms) of those that are not within a period that their meter is known by."""
    if not energies.end.size:
        return []
    order = np.lexsort((energies.end, energies.meter_id))
    meter, end = energies.meter_id[order], energies.end[order]
    heads = np.flatnonzero(np.append(True, meter[1:] != meter[:-1]))
    lasts = np.append(heads[1:], meter.size) - 1
    number = quick.numbers(meter[heads])
    edges = [(g.grid.start, g.grid.start + g.grid.count * g.grid.slot_ms) for g in quick.groups] + [(1 << 62, 0)]
    low, high = np.array(edges, np.int64).T
    out = np.flatnonzero((end[heads] <= low[number]) | (end[lasts] > high[number]))
    return list(zip(meter[heads[out]].tolist(), end[heads[out]].tolist(), end[lasts[out]].tolist(), strict=True))
