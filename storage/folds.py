"""Stored and new intervals go in; the open periods they move, and the charge rows that follow, come out.

Folds is the rater's memory: a Group per book, period, slot length and attributes. Nothing in it is a truth of its own.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np
import pyarrow as pa

from ingest.records import Channel, Finding, MeterPoint
from storage import tiers
from storage.around import AT_ONCE, Around, by_meter, joined
from storage.charging import GroupCharges
from storage.positions import Group, measured
from storage.records import Account, Install, OpenPeriod, StoredBill
from storage.roster import Roster, Slot, uncovered
from storage.store import Store
from storage.usage import Bool, Energies, Grid, Int, Master, at_ms, ms_of, share
from tariff import gas, jumps, money, statement
from tariff.errors import RatingError
from tariff.model import Book
from tariff.statement import Usage, ladder_start

Quality = Callable[[Int], Bool]  # flags to which of them count
_MS = 1
UNWRITTEN = -1  # no provisional money is below zero


@dataclass(slots=True)
class Moved:
    """What new intervals did: charges, open periods to write, billed periods to correct, what could not be rated."""

    charged: list[GroupCharges] = field(default_factory=list)
    periods: list[OpenPeriod] = field(default_factory=list)
    billed: list[Slot] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


@dataclass(slots=True)
class _Touched:
    """Rows of one group with the first slot that is new or different in each."""

    group: Group
    first: dict[int, int] = field(default_factory=dict)

    def mark(self, row: int, slot: int) -> None:
        self.first[row] = min(slot, self.first.get(row, slot))


def carried(
    book: Book,
    start: datetime,
    energies: Energies,
    minutes: int,
    attributes: Mapping[str, str],
    *,
    counts: Quality = measured,
) -> dict[str, int]:
    """What the account's energy since ``ladder_start`` brings into the period on every ladder of the book.

    ``counts`` says by their flags which intervals count: the measured ones, or for a bill all that may be billed.
    """
    begin = ladder_start(book, start)
    if begin >= start:
        return {}
    grid = Grid(ms_of(begin), minutes, (ms_of(start) - ms_of(begin)) // (minutes * 60_000))
    channels = (Channel.GAS if gas.is_gas(book) else Channel.IMPORT, Channel.EXPORT, Channel.REACTIVE)
    taken = [share(energies.take(np.flatnonzero(energies.channel == channel)), grid) for channel in channels]
    good = [counts(one.flags) for one in taken]
    slots = np.unique(np.concatenate([one.slot[own] for one, own in zip(taken, good, strict=True)]))
    wh = np.zeros((len(channels), slots.size), np.int64)
    for row, (one, own) in enumerate(zip(taken, good, strict=True)):
        np.add.at(wh[row], np.searchsorted(slots, one.slot[own]), one.wh[own])
    ends = (grid.start + (slots + 1) * grid.slot_ms).astype("datetime64[ms]")
    return statement.carried(
        book, start, Usage(ends, wh[0], minutes, wh[1], wh[2] if wh[2].any() else None), attributes
    )


class Folds:
    """Every open period of every account, in memory."""

    def __init__(self, store: Store, books: Mapping[str, Book], stamp: tuple[int, ...]) -> None:
        """Read the master data; ``load`` reads the intervals."""
        self._store = store
        self._books = books
        self.stamp = stamp
        self.force = True  # intervals stored before the load but not yet rated: their slots count as new
        installs, points, accounts, periods = store.read(
            lambda r: (r.find(Install), r.find(MeterPoint), r.find(Account), r.find(OpenPeriod))
        )
        self.master = Master(installs, points)
        self.accounts = {account.account: account for account in accounts}
        self.open_of: dict[str, dict[datetime, OpenPeriod]] = {}
        for period in periods:
            self.open_of.setdefault(period.account, {})[period.start] = period
        self._roster = Roster(self.master, self.accounts, books)
        self._estimated: dict[int, int] = {}
        self._written: dict[int, Int] = {}  # by group and row: the provisional money of its open period
        self._bills = store.read(lambda reader: reader.find(StoredBill, limit=1)) != []  # later ones make folds anew

    def load(self) -> Moved:
        """Fold the stored intervals of every open period; accounts without a book or meters wait.

        Returns what periods that were rated with other books cost now, with their charges, to be committed.
        """
        wanted: dict[tuple[datetime, datetime], list[str]] = {}
        for account in sorted(self.open_of):
            for start in sorted(self.open_of[account]):
                if self._book(account) is not None and account in self.master.by_account:
                    wanted.setdefault((start, self.open_of[account][start].end), []).append(account)
        touched: dict[tuple[int, bool], _Touched] = {}
        around = Around(self._store, self.master)
        for (start, end), accounts in sorted(wanted.items()):
            new = [account for account in accounts if self._roster.opens(account, start)]
            self._fill(new, (start, end), around)
            for account in self._nearing(set(accounts) - set(new), around):
                try:
                    group, row = self._place(account, start, end, around)
                except RatingError:
                    continue  # its next intervals bring the finding; nobody else waits for it
                group.put(row, around.of(account, start, end))
            for account in accounts:
                if (found := self._roster.where.get((account, start))) is not None:
                    other = self.open_of[account][start].book_hash != found.plan.book.hash
                    touched.setdefault((id(found), other), _Touched(found)).mark(found.row_of[account], 0)
        self._move([one for (_, other), one in touched.items() if not other], Moved(), write=False)
        repriced = Moved()
        self._move([one for (_, other), one in touched.items() if other], repriced, write=True)
        return repriced

    def _nearing(self, accounts: Iterable[str], around: Around) -> Iterator[str]:
        """The accounts by book, so that those at hand at once share their spans."""
        ordered = sorted(accounts, key=lambda name: (self.accounts[name].book if name in self.accounts else "", name))
        for at in range(0, len(ordered), AT_ONCE):
            around.near(ordered[at : at + AT_ONCE])
            yield from ordered[at : at + AT_ONCE]

    def _fill(
        self, accounts: Iterable[str], span: tuple[datetime, datetime], around: Around
    ) -> list[tuple[Group, int, int]]:
        """Open the periods of plain accounts with all that is stored; rows that have any, from which slot on."""
        found, odd = self._roster.fill(self._store, accounts, span)
        for account in self._nearing(odd, around):
            group = self._roster.where[account, span[0]]
            row = group.row_of[account]
            found.append((group, row, group.put(row, around.of(account, *span))))
        return found

    def _book(self, account: str) -> Book | None:
        return self._roster.book(account)

    def _place(self, account: str, start: datetime, end: datetime, around: Around) -> tuple[Group, int]:
        """Return the group and row of an account's period, made if new (empty, with what its ladders carried)."""
        known = self._roster.where.get((account, start))
        if known is not None:
            return known, known.row_of[account]
        book = self._book(account)
        assert book is not None
        before = self._carry(account, book, start, self.master.minutes(account, start), around)
        return self._roster.seat(account, (start, end), before)

    def _carry(self, account: str, book: Book, start: datetime, minutes: int, around: Around) -> dict[str, int]:
        begin = ladder_start(book, start)
        if begin >= start:
            return {}
        energies = around.of(account, begin, start)
        return carried(book, start, energies, minutes, self.accounts[account].attributes)

    def take(self, fresh: pa.Table) -> Moved:
        """Take new intervals: place them, move their accounts, return what must be committed with them."""
        moved = Moved()
        touched: dict[int, _Touched] = {}
        energies, around = Energies.of(fresh), Around(self._store, self.master, fresh)
        self._open(energies, around, touched)
        own_of = by_meter(energies.take(np.flatnonzero(~self._take_plain(energies, touched))))
        accounts = {
            install.account for meter in own_of for install in self.master.by_meter.get(meter, []) if install.account
        }
        for account in self._nearing(accounts, around):
            parts = [own_of[meter] for meter in self.master.meters(account) if meter in own_of]
            own = self.master.of_account(joined(parts), account)
            try:
                self._take_account(account, own, around, touched, moved)
            except RatingError as error:
                moved.findings.append(_unrated(account, own, str(error)))
        self._move(sorted(touched.values(), key=lambda one: one.group.grid.start), moved, write=True)
        return moved

    def _take_account(
        self, account: str, own: Energies, around: Around, touched: dict[int, _Touched], moved: Moved
    ) -> None:
        """Put one account's new intervals into its periods."""
        book = self._book(account)
        if not own.end.size:
            return
        if book is None:
            name = self.accounts[account].book if account in self.accounts else ""
            moved.findings.append(_unrated(account, own, f"no tariff book {name!r}: give it or change the account"))
            return
        ends = own.end
        low, high = int(ends.min()), int(ends.max())
        while low <= high:
            start, end = self._roster.period(book, at_ms(low - _MS))
            inside = np.flatnonzero((ends > ms_of(start)) & (ends <= ms_of(end)))
            part = own if inside.size == ends.size else own.take(inside)
            self._take_period(account, (start, end), part, around, touched, moved)
            later = ends[ends > ms_of(end)]
            if not later.size:
                break
            low = int(later.min())

    def _take_period(
        self,
        account: str,
        span: tuple[datetime, datetime],
        own: Energies,
        around: Around,
        touched: dict[int, _Touched],
        moved: Moved,
    ) -> None:
        start, end = span
        if (account, start) not in self._roster.where and self._billed(account, start):
            moved.billed.append((account, start))
            self._go_on(account, span, around, touched, moved)
            return
        group, row = self._place(account, start, end, around)
        mark = touched.setdefault(id(group), _Touched(group))
        began = int((own.end - own.minutes * 60_000).min())
        first = max(0, (began - group.grid.start) // group.grid.slot_ms)
        changed = group.put(row, around.of(account, start, end))
        mark.mark(row, min(changed, first) if self.force else changed)
        self._go_on(account, span, around, touched, moved)

    def _go_on(
        self, account: str, span: tuple[datetime, datetime], around: Around, touched: dict[int, _Touched], moved: Moved
    ) -> None:
        """Later periods that rest on this one's energy: the open ones are rewound, the billed ones corrected.

        A bill rests on what its own book looks back on, whatever book the account has now.
        """
        book = self._book(account)
        goes_on = book is not None and ladder_start(book, span[1]) < span[1]
        if self._bills and (goes_on or (account, span[0]) in moved.billed[-1:]):
            later = self._store.read(lambda reader: reader.find(StoredBill, account=account, start__gt=span[0]))
            for one in later:
                own = self._books.get(one.book)
                if own is None or ladder_start(own, one.start) < span[1]:
                    moved.billed.append((account, one.start))
        if not goes_on:
            return
        for start in sorted(one for one in self.open_of.get(account, {}) if one > span[0]):
            self._carry_on(account, start, around, touched)

    def _carry_on(self, account: str, start: datetime, around: Around, touched: dict[int, _Touched]) -> None:
        """Rewind a later open period when an earlier one changed what its ladders carry over."""
        group, book = self._roster.where.get((account, start)), self._book(account)
        if group is None or book is None:
            return
        row = group.row_of[account]
        if group.carry(row, self._carry(account, book, start, group.grid.minutes, around)):
            touched.setdefault(id(group), _Touched(group)).mark(row, 0)

    def _open(self, energies: Energies, around: Around, touched: dict[int, _Touched]) -> None:
        """Open together the periods that plain accounts come into with these intervals."""
        wanted: dict[tuple[datetime, datetime], list[str]] = {}
        for meter, low, high in uncovered(self._roster.quick, energies):
            installs = self.master.by_meter.get(meter, [])
            account = installs[0].account if len(installs) == 1 else ""
            book = self._book(account) if account else None
            if book is None or low <= ms_of(installs[0].start):
                continue
            span = self._roster.period(book, at_ms(low - _MS))
            if high <= ms_of(span[1]) and self._roster.opens(account, span[0]):
                wanted.setdefault(span, []).append(account)
        for span, accounts in sorted(wanted.items()):
            billed = self._store.read(lambda r, at=span[0]: {b.account for b in r.find(StoredBill, start=at)})  # type: ignore[misc]
            for group, row, slot in self._fill([name for name in accounts if name not in billed], span, around):
                touched.setdefault(id(group), _Touched(group)).mark(row, slot)

    def _take_plain(self, energies: Energies, touched: dict[int, _Touched]) -> Bool:
        """Take actual slots of meters that are their account's only one, all at once; returns what was taken."""
        taken = np.zeros(energies.end.shape, np.bool_)
        for group, pick, rows in self._roster.quick.parts(energies.meter_id):
            good, slots = group.put_plain(rows, energies.take(pick))
            taken[pick[good]] = True
            first = touched.setdefault(id(group), _Touched(group)).first
            for one, slot in zip(rows[good].tolist(), slots[good].tolist(), strict=True):
                first[one] = min(slot, first.get(one, slot))
        return taken

    def _billed(self, account: str, start: datetime) -> bool:
        return self._store.read(lambda reader: reader.get(StoredBill, account, start)) is not None

    def _move(self, touched: list[_Touched], moved: Moved, *, write: bool) -> None:
        """Move the rows and note their open periods."""
        for one in touched:
            group = one.group
            rows = np.array(sorted(one.first), np.int64)
            changed = np.array([one.first[row] for row in rows.tolist()], np.int64)
            try:
                charged = group.move(rows, changed)
            except RatingError as error:
                for row in rows.tolist():
                    moved.findings.append(
                        Finding("unrated", at_ms(group.grid.start), group.accounts[row], "", str(error))
                    )
                continue
            if write:
                moved.charged += [GroupCharges(group, part) for part in charged]
                moved.periods += self._periods(group, rows)
                moved.findings += [_near(group, *one) for one in group.close]
                group.close = []
            self._estimated.pop(id(group), None)

    def _periods(self, group: Group, rows: Int) -> list[OpenPeriod]:
        """Open periods of rows as they stand, noted as the accounts' own."""
        until, start, slot_ms = group.last[rows], at_ms(group.grid.start), group.grid.slot_ms
        end, book = at_ms(group.grid.start + group.grid.count * slot_ms), group.plan.book.hash
        reached = {done: at_ms(group.grid.start + done * slot_ms) if done else None for done in set(until.tolist())}
        left = tiers.left(group, rows, until)
        found = []
        for row, done, micro in zip(rows.tolist(), until.tolist(), group.accrued[rows].tolist(), strict=True):
            account = group.accounts[row]
            mine = self.open_of.setdefault(account, {})
            before = mine.get(start)
            estimate = before.estimate_micro if before is not None else 0
            mine[start] = period = OpenPeriod(account, start, end, book, micro, reached[done], estimate, left[row])
            found.append(period)
        return found

    def estimate(self, now: datetime) -> list[OpenPeriod]:
        """Make the provisional money of unread slots again where time or reads moved; return what changed."""
        changed = []
        for group in self._roster.groups.values():
            slot = max(0, min((ms_of(now) - group.grid.start) // group.grid.slot_ms, group.grid.count))
            if self._estimated.get(id(group)) == slot:
                continue
            self._estimated[id(group)] = slot
            start = at_ms(group.grid.start)
            values = group.estimates(np.arange(len(group.accounts)), slot)
            written = self._written.get(id(group))
            if written is None or written.size != values.size:
                written = self._written[id(group)] = np.full(values.size, UNWRITTEN, np.int64)
            for row in np.flatnonzero(values != written).tolist():
                account, value = group.accounts[row], int(values[row])
                mine = self.open_of.get(account, {})
                if start not in mine:
                    continue
                written[row] = value
                if mine[start].estimate_micro != value:
                    mine[start] = replace(mine[start], estimate_micro=value)
                    changed.append(mine[start])
        return changed


def _unrated(account: str, own: Energies, why: str) -> Finding:
    """One finding per account and first slot that could not be rated."""
    return Finding("unrated", at_ms(int(own.end.min())), account, "", why)


def _near(group: Group, row: int, component: str, limit: int) -> Finding:
    """Who comes near a class's limit; the same words each time, so that it is kept once."""
    detail = f"{component}: {jumps.NEAR_PERCENT} % of {money.text(limit, 3)} kWh; above it all kWh cost more"
    return Finding("class_near", at_ms(group.grid.start), group.accounts[row], "", detail)
