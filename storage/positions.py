"""Energy by slot of accounts that share a plan goes in; charge rows and what each would owe now come out.

A Group is the in-memory fold of stored intervals for one book, period, slot length and set of attributes: one row per
account. The normal hour moves many accounts by one slot with one call of the tariff's step; a late or corrected slot
rewinds its account to the start of the period and takes all slots again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ingest.records import Channel, Flag
from storage.usage import ESTIMATED, SUSPECT, Bool, Energies, Grid, Int, ms_of, share
from tariff import gas, jumps, rating
from tariff.components import lookback, slots_needed
from tariff.evaluation import evaluate, totals
from tariff.rating import Plan, State
from tariff.slots import Slots

T = TypeVar("T", bound=np.generic)
TYPICAL_DAYS = 7  # how far back the mean of the provisional estimate looks
CERTAIN = int(Flag.CONFIRMED | Flag.FINAL)


@dataclass(frozen=True, slots=True)
class Charged:
    """Charge rows of one call: [rows, slots] from slot ``first`` on, to be written where ``written``."""

    rows: Int
    first: int
    wh: Int
    written: Bool
    rated: rating.Rated


@dataclass
class Group:
    """Accounts by row. ``has`` marks actual slots, ``guess`` estimated ones; ``done`` slots are taken.

    What is kept per slot is an array [slots, rows] with room for more rows: memory is touched only for hours that came.
    """

    plan: Plan
    grid: Grid
    accounts: list[str] = field(default_factory=list)
    row_of: dict[str, int] = field(default_factory=dict)
    wh: Int = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    out: Int = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    lag: Int = field(default_factory=lambda: np.zeros((0, 0), np.int64))  # varh
    has: Bool = field(default_factory=lambda: np.zeros((0, 0), np.bool_))
    guess: Bool = field(default_factory=lambda: np.zeros((0, 0), np.bool_))
    beside: Bool = field(default_factory=lambda: np.zeros((0, 0), np.bool_))  # export or reactive rows are stored
    full: Int = field(default_factory=lambda: np.zeros(0, np.int64))  # actual slots from ``since`` on
    done: Int = field(default_factory=lambda: np.zeros(0, np.int64))
    since: Int = field(default_factory=lambda: np.zeros(0, np.int64))  # the first slot with a meter
    last: Int = field(default_factory=lambda: np.zeros(0, np.int64))  # the slot after the last actual one
    accrued: Int = field(default_factory=lambda: np.zeros(0, np.int64))
    reacts: bool = False  # some account has reactive energy
    held: list[Mapping[str, int]] = field(default_factory=list)  # what earlier bills left each account
    close: list[tuple[int, str, int]] = field(default_factory=list)  # rows near a class's limit, not told yet
    warned: set[tuple[int, str, int]] = field(default_factory=set)
    state: State | None = None
    zero: State | None = None

    @classmethod
    def of(cls, plan: Plan, start: datetime, minutes: int) -> "Group":
        """An empty group of the plan's slots."""
        return cls(plan, Grid(ms_of(start), minutes, plan.slots))

    @property
    def _arrays(self) -> tuple[npt.NDArray[Any], ...]:
        """What is kept per slot."""
        return (self.wh, self.out, self.lag, self.has, self.guess, self.beside)

    @property
    def exports(self) -> bool:
        """Whether the plan prices what was fed in."""
        return any(stream.quantity != "import" for stream in self.plan.streams)

    def add(self, accounts: Sequence[str], carried: Sequence[Mapping[str, int]], since: Int | int = 0) -> None:
        """Give each account a row, standing at the start of the period with what earlier ones left it.

        Before slot ``since`` (one for all, or each its own) they had no meter: nothing is unread there.
        """
        n, at = len(accounts), len(self.accounts)
        self._make_room(at + n)
        self.held += carried
        for account in accounts:
            self.row_of[account] = len(self.accounts)
            self.accounts.append(account)
        assert self.zero is not None and self.state is not None
        rows = np.arange(at, at + n)
        brought = _stack([self.plan.zero(1, before) for before in carried]) if any(carried) else self.plan.zero(n, {})
        for state in (self.zero, self.state):
            _assign(state, rows, brought)
        self.since[rows] = since

    def _make_room(self, rows: int) -> None:
        """Have room for so many rows: at least half as many again as before, so that growing costs little a row."""
        room = self.done.size
        if rows <= room:
            return
        more = max(rows, room + room // 2 + 4) - room
        for name in ("wh", "out", "lag", "has", "guess", "beside"):
            old = getattr(self, name)
            new = np.zeros((self.plan.slots, room + more), old.dtype)
            for slot in np.flatnonzero(old.any(axis=1)) if room else ():
                new[slot, :room] = old[slot]
            setattr(self, name, new)
        for name in ("full", "done", "since", "last", "accrued"):
            setattr(self, name, np.concatenate([getattr(self, name), np.zeros(more, np.int64)]))
        empty = self.plan.zero(more)
        self.zero = empty if self.zero is None else _stack([self.zero, empty])
        self.state = _stack([empty] if self.state is None else [self.state, empty])

    def carry(self, row: int, before: Mapping[str, int]) -> bool:
        """Set what earlier bills left an account; returns whether that changed (then rewind it)."""
        assert self.zero is not None
        fresh = self.plan.zero(1, before)
        if (self.zero.position[row] == fresh.position[0]).all() and self.held[row] == before:
            return False
        self.held[row] = before
        _assign(self.zero, np.array([row]), fresh)
        return True

    def put(self, row: int, energies: Energies) -> int:
        """Replace one account's whole row; return the first slot that changed, ``plan.slots`` if none did."""
        count = self.plan.slots
        fresh = {channel: np.zeros(count, np.int64) for channel in self.channels}
        has, guess, beside = (np.zeros(count, np.bool_) for _ in range(3))
        for channel in self.channels:
            taken = share(energies.take(np.flatnonzero(energies.channel == channel)), self.grid)
            bills, actual = _quality(taken.flags)
            counts = bills if channel == self.channels[0] else actual  # what is fed in or reactive is never guessed
            np.add.at(fresh[channel], taken.slot[counts], taken.wh[counts])
            if channel == self.channels[0]:
                has[taken.slot[actual]] = True
                guess[taken.slot[bills & ~actual]] = True
            else:
                beside[taken.slot] = True
        guess &= ~has
        changed = (has != self.has[:, row]) | (guess != self.guess[:, row])
        news = [fresh[channel] for channel in self.channels]
        for new, array in zip([*news, has, guess, beside], self._arrays, strict=True):
            differ = np.flatnonzero(new != array[:, row])
            array[differ, row] = new[differ]
            changed[differ] |= array.dtype != np.bool_
        self.last[row] = int(np.flatnonzero(has)[-1]) + 1 if has.any() else 0
        self.full[row] = int(has[self.since[row] :].sum())
        self.reacts = self.reacts or bool(news[2].any())
        first = np.flatnonzero(changed)
        return int(first[0]) if first.size else count

    def put_plain(self, rows: Int, energies: Energies) -> tuple[Bool, Int]:
        """Take actual slots that are whole, free and told of once; returns which of ``energies`` were taken, and slots.

        A slot that began before the account had a meter is not taken.
        ``rows`` are the rows of the intervals' accounts. A slot needs its import; export and reactive energy come with
        it or not at all. What is not taken is left alone, for ``put``.
        """
        after = energies.end - self.grid.start
        slots = after // self.grid.slot_ms - 1
        taken = (after % self.grid.slot_ms == 0) & (energies.minutes * 60_000 == self.grid.slot_ms)
        taken &= (
            (slots >= self.since[rows]) & (slots < self.grid.count) & ((energies.flags & (SUSPECT | ESTIMATED)) == 0)
        )
        taken &= np.isin(energies.channel, self.channels)
        some = np.flatnonzero(taken)
        places, of = np.unique(rows[some] * self.grid.count + slots[some], return_inverse=True)
        at = (places % self.grid.count, places // self.grid.count)
        channel = energies.channel[some]
        free: Bool = ~(self.has[at] | self.guess[at] | self.beside[at])
        for own in self.channels:
            told = np.bincount(of[channel == own], minlength=places.size)
            free &= (told == 1) if own == self.channels[0] else (told <= 1)
        taken[some] = free[of]
        for own, array in zip(self.channels, (self.wh, self.out, self.lag), strict=True):
            pick = np.flatnonzero(taken & (energies.channel == own))
            array[slots[pick], rows[pick]] = energies.energy_wh[pick]
            if own == self.channels[0]:
                self.has[slots[pick], rows[pick]] = True
                np.maximum.at(self.last, rows[pick], slots[pick] + 1)
                np.add.at(self.full, rows[pick], slots[pick] >= self.since[rows[pick]])
            else:
                self.beside[slots[pick], rows[pick]] = True
                self.reacts = self.reacts or (own == Channel.REACTIVE and bool(energies.energy_wh[pick].any()))
        return taken, slots

    def move(self, rows: Int, changed: Int) -> list[Charged]:
        """Bring rows up to their last actual slot; ``changed`` is each row's first slot that is new or different."""
        back = rows[changed < self.done[rows]]
        self.done[back] = 0
        if back.size and self.state is not None and self.zero is not None:
            _assign(self.state, back, _rows(self.zero, back))
        ends = self.last[rows]
        charged = []
        for begin, end in sorted(set(zip(self.done[rows].tolist(), ends.tolist(), strict=True))):
            pick = np.flatnonzero((self.done[rows] == begin) & (ends == end))
            if end > begin:
                charged.append(self._advance(rows[pick], begin, end, changed[pick]))
        for end in sorted(set(ends.tolist())):
            own = rows[ends == end]
            self.accrued[own] = self._owed(own, self._at(own, end), self.has) if end else 0
            if end and self.plan.whole:
                self._warn(own, self._at(own, end))
        return charged

    def _warn(self, rows: Int, state: State) -> None:
        """Note, once each, who comes near the limit above which the whole span is priced anew."""
        for row, component, limit in jumps.near(self.plan, state):
            if (int(rows[row]), component, limit) not in self.warned:
                self.warned.add((int(rows[row]), component, limit))
                self.close.append((int(rows[row]), component, limit))

    def _advance(self, rows: Int, begin: int, end: int, changed: Int) -> Charged:
        """Take slots [begin, end) of rows that all stand at ``begin``."""
        has = _cut(self.has, rows, begin, end)
        wh = np.where(has, _cut(self.wh, rows, begin, end), 0)
        if gas.is_gas(self.plan.book):
            wh = self._energy(np.where(_cut(self.has, rows, 0, end), _cut(self.wh, rows, 0, end), 0), begin)
        out = _cut(self.out, rows, begin, end) if self.exports else None
        rated = rating.rate(self.plan, wh, state=self._at(rows, begin), export=out)
        assert self.state is not None
        _assign(self.state, rows, rated.state)
        self.done[rows] = end
        written = has & (np.arange(begin, end)[None, :] >= changed[:, None])
        return Charged(rows, begin, wh, written, rated)

    def _at(self, rows: Int, done: int) -> State:
        """The state of rows that all stand at ``done``."""
        assert self.state is not None
        taken = _rows(self.state, rows)
        return State(
            taken.position, taken.quantity, taken.dynamic, taken.used, taken.exported, self._resets(done), done
        )

    def _resets(self, done: int) -> tuple[int | None, ...]:
        """The ladder span of each stream's last slot before ``done``."""
        assert self.zero is not None
        found: list[int | None] = []
        for index, stream in enumerate(self.plan.streams):
            own = done if stream.columns is None else int(np.searchsorted(stream.columns, done))
            found.append(int(stream.reset[own - 1]) if own else self.zero.resets[index])
        return tuple(found)

    @cached_property
    def looks(self) -> bool:
        """Whether the book prices by intervals, such as demand, and not only by their sums."""
        return slots_needed(self.plan.book)

    @cached_property
    def channels(self) -> tuple[Channel, Channel, Channel]:
        """What stands for import, export and reactive energy: gas is counted where the book is one of gas."""
        return (Channel.GAS if gas.is_gas(self.plan.book) else Channel.IMPORT, Channel.EXPORT, Channel.REACTIVE)

    def _energy(self, wh: Int, first: int = 0) -> Int:
        """Wh of slots from ``first`` on, of what was counted since the period's start [rows, slots]."""
        return gas.energies(self.plan.book, self.plan.calendar, wh)[:, first:]

    def _owed(self, rows: Int, state: State, counted: Bool) -> Int:
        """[rows] micro-units of the bill that would be printed at this state, made of the ``counted`` slots."""
        done = state.done
        slots = None
        lag = _cut(self.lag, rows, 0, done) if self.reacts else None
        if self.looks:
            wh = self._energy(np.where(_cut(counted, rows, 0, done), _cut(self.wh, rows, 0, done), 0))
            slots = Slots(self.plan.calendar, wh, _cut(self.out, rows, 0, done), lag)
        if lag is None or not lag.any():
            return self._total(rows, state, slots, None)
        owed = np.zeros(rows.size, np.int64)
        some = np.asarray(lag.any(axis=1))
        for pick in (np.flatnonzero(some), np.flatnonzero(~some)):
            varh = lag[pick].sum(axis=1) if some[pick].any() else None
            part = slots.take(pick) if slots is not None else None
            owed[pick] = self._total(rows[pick], _rows(state, pick), part, varh)
        return owed

    def _total(self, rows: Int, state: State, slots: Slots | None, varh: Int | None) -> Int:
        names = {name for row in rows.tolist() for name in self.held[row] if ":" in name} if self.rests else ()
        before = {name: np.array([self.held[row].get(name, 0) for row in rows.tolist()], np.int64) for name in names}
        lines = evaluate(self.plan, state, slots=slots, reactive_varh=varh, before=before)
        total: Int = totals(self.plan.book, lines) if lines else np.zeros(state.n, np.int64)
        return total

    @cached_property
    def rests(self) -> bool:
        """Whether the bill rests on earlier ones by more than its ladders: a ratchet, or a bank."""
        return lookback(self.plan.book) > 0

    def estimates(self, rows: Int, now_slot: int) -> Int:
        """[rows] micro-units that unread and estimated slots before ``now_slot`` would add; 0 where all was read."""
        now_slot = min(now_slot, self.plan.slots)
        result = np.zeros(rows.size, np.int64)
        some = np.flatnonzero((self.last[rows] > now_slot) | (self.full[rows] < now_slot - self.since[rows]))
        early = np.arange(now_slot) < self.since[rows[some], None]
        open_ = ~(_cut(self.has, rows[some], 0, now_slot) | early).all(axis=1)
        known = self.has[:, rows[some]].any(axis=0) | self.guess[:, rows[some]].any(axis=0)
        pick = some[open_ & known]
        if not pick.size:
            return result
        own = rows[pick]
        filled = self._filled(own)
        assert self.zero is not None
        state = _rows(self.zero, own)
        out = _cut(self.out, own, 0, now_slot) if self.exports else None
        after = rating.settle(self.plan, state, 0, self._energy(filled[:, :now_slot]), out)
        result[pick] = np.maximum(self._owed(own, after, self.has | self.guess) - self.accrued[own], 0)
        return result

    def _filled(self, rows: Int) -> Int:
        """[rows, slots] actual and estimated slots, and a mean of the last days where nothing is known."""
        own = np.arange(self.plan.slots) >= self.since[rows, None]
        wh, has = _cut(self.wh, rows, 0, self.plan.slots), _cut(self.has, rows, 0, self.plan.slots)
        guess = _cut(self.guess, rows, 0, self.plan.slots)
        later = has[:, ::-1].cumsum(axis=1)[:, ::-1]  # actual slots from each one on, itself among them
        recent = has & (later <= TYPICAL_DAYS * 1440 // self.grid.minutes)
        mean = np.where(recent, wh, 0).sum(axis=1) // np.maximum(recent.sum(axis=1), 1)
        return np.where(has | guess | ~own, wh, mean[:, None])


def billable(flags: Int) -> Bool:
    """Which intervals bill: all but suspect ones that nobody confirmed."""
    return _quality(flags)[0]


def measured(flags: Int) -> Bool:
    """Which intervals bill and are no estimates: what hourly charges and disconnections rest on."""
    return _quality(flags)[1]


def _quality(flags: Int) -> tuple[Bool, Bool]:
    """Which intervals bill, and which of these were measured rather than estimated."""
    certain = (flags & CERTAIN) != 0
    bills = ((flags & SUSPECT) == 0) | certain
    return bills, bills & (((flags & ESTIMATED) == 0) | certain)


def _cut(array: npt.NDArray[T], rows: Int, begin: int, end: int) -> npt.NDArray[T]:
    """[rows, end - begin] of what is kept per slot."""
    return np.ascontiguousarray(array[begin:end, rows].T)


def _rows(state: State, rows: Int) -> State:
    return State(
        state.position[rows],
        state.quantity[rows],
        state.dynamic[rows],
        state.used[rows],
        state.exported[rows],
        state.resets,
        state.done,
    )


def _assign(state: State, rows: Int, values: State) -> None:
    for name in ("position", "quantity", "dynamic", "used", "exported"):
        array: npt.NDArray[np.int64] = getattr(state, name)
        array[rows] = getattr(values, name)


def _stack(states: Sequence[State]) -> State:
    parts = [
        np.concatenate([getattr(state, name) for state in states])
        for name in ("position", "quantity", "dynamic", "used", "exported")
    ]
    return State(parts[0], parts[1], parts[2], parts[3], parts[4], states[0].resets, states[0].done)
