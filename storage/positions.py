"""Energy by slot of accounts that share a plan goes in; charge rows and what each would owe now come out.

A Group is the in-memory fold of stored intervals for one book, period, slot length and set of attributes: one row per
account. The normal hour moves many accounts by one slot with one call of the tariff's step; a late or corrected slot
rewinds its account to the start of the period and takes all slots again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt

from ingest.records import Channel, Flag
from storage.usage import ESTIMATED, SUSPECT, Bool, Energies, Grid, Int, ms_of, share
from tariff import rating
from tariff.evaluation import evaluate, totals
from tariff.rating import Plan, State

CHANNELS = (Channel.IMPORT, Channel.EXPORT, Channel.REACTIVE)
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


@dataclass(slots=True)
class Group:
    """Accounts by row. ``has`` marks actual slots, ``guess`` estimated ones; ``done`` slots are taken."""

    plan: Plan
    grid: Grid
    accounts: list[str] = field(default_factory=list)
    row_of: dict[str, int] = field(default_factory=dict)
    wh: Int = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    out: Int = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    lag: Int = field(default_factory=lambda: np.zeros((0, 0), np.int64))  # varh
    has: Bool = field(default_factory=lambda: np.zeros((0, 0), np.bool_))
    guess: Bool = field(default_factory=lambda: np.zeros((0, 0), np.bool_))
    done: Int = field(default_factory=lambda: np.zeros(0, np.int64))
    accrued: Int = field(default_factory=lambda: np.zeros(0, np.int64))
    state: State | None = None
    zero: State | None = None

    @classmethod
    def of(cls, plan: Plan, start: datetime, minutes: int) -> "Group":
        """An empty group of the plan's slots."""
        return cls(plan, Grid(ms_of(start), minutes, plan.slots))

    @property
    def exports(self) -> bool:
        """Whether the plan prices what was fed in."""
        return any(stream.quantity != "import" for stream in self.plan.streams)

    def add(self, accounts: Sequence[str], carried: Sequence[Mapping[str, int]]) -> None:
        """Give each account a row, standing at the start of the period with what its ladders carried over."""
        count = self.plan.slots
        for account in accounts:
            self.row_of[account] = len(self.accounts)
            self.accounts.append(account)
        n = len(accounts)
        fresh = [self.plan.zero(1, before) for before in carried]
        zero = _stack(fresh)
        self.zero = zero if self.zero is None else _stack([self.zero, zero])
        self.state = _stack([zero] if self.state is None else [self.state, zero])
        self.wh = np.vstack([self.wh.reshape(-1, count), np.zeros((n, count), np.int64)])
        self.out = np.vstack([self.out.reshape(-1, count), np.zeros((n, count), np.int64)])
        self.lag = np.vstack([self.lag.reshape(-1, count), np.zeros((n, count), np.int64)])
        self.has = np.vstack([self.has.reshape(-1, count), np.zeros((n, count), np.bool_)])
        self.guess = np.vstack([self.guess.reshape(-1, count), np.zeros((n, count), np.bool_)])
        self.done = np.concatenate([self.done, np.zeros(n, np.int64)])
        self.accrued = np.concatenate([self.accrued, np.zeros(n, np.int64)])

    def carry(self, row: int, before: Mapping[str, int]) -> bool:
        """Set what an account's ladders brought into the period; returns whether that changed (then rewind it)."""
        assert self.zero is not None
        fresh = self.plan.zero(1, before)
        if (self.zero.position[row] == fresh.position[0]).all():
            return False
        _assign(self.zero, np.array([row]), fresh)
        return True

    def put(self, row: int, energies: Energies) -> int:
        """Replace one account's whole row; return the first slot that changed, ``plan.slots`` if none did."""
        count = self.plan.slots
        fresh = {channel: np.zeros(count, np.int64) for channel in CHANNELS}
        has, guess = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
        for channel in CHANNELS:
            taken = share(energies.take(np.flatnonzero(energies.channel == channel)), self.grid)
            bills, actual = _quality(taken.flags)
            np.add.at(fresh[channel], taken.slot[bills], taken.wh[bills])
            if channel == Channel.IMPORT:
                has[taken.slot[actual]] = True
                guess[taken.slot[bills & ~actual]] = True
        guess &= ~has
        changed = (has != self.has[row]) | (guess != self.guess[row])
        for channel, array in zip(CHANNELS, (self.wh, self.out, self.lag), strict=True):
            changed |= fresh[channel] != array[row]
            array[row] = fresh[channel]
        self.has[row], self.guess[row] = has, guess
        first = np.flatnonzero(changed)
        return int(first[0]) if first.size else count

    def put_one(self, row: int, slot: int, wh: int) -> bool:
        """Take one new actual slot; False (and nothing changed) when the slot holds something already."""
        if self.has[row, slot] or self.guess[row, slot] or self.out[row, slot] or self.lag[row, slot]:
            return False
        self.wh[row, slot] = wh
        self.has[row, slot] = True
        return True

    def until(self, rows: Int) -> Int:
        """The slot after the last actual one of each row."""
        count = self.plan.slots
        has = self.has[rows]
        last: Int = np.where(has.any(axis=1), count - np.argmax(has[:, ::-1], axis=1), 0)
        return last

    def move(self, rows: Int, changed: Int) -> list[Charged]:
        """Bring rows up to their last actual slot; ``changed`` is each row's first slot that is new or different."""
        back = rows[changed < self.done[rows]]
        self.done[back] = 0
        if back.size and self.state is not None and self.zero is not None:
            _assign(self.state, back, _rows(self.zero, back))
        ends = self.until(rows)
        charged = []
        for begin, end in sorted(set(zip(self.done[rows].tolist(), ends.tolist(), strict=True))):
            pick = np.flatnonzero((self.done[rows] == begin) & (ends == end))
            if end > begin:
                charged.append(self._advance(rows[pick], begin, end, changed[pick]))
        for end in sorted(set(ends.tolist())):
            own = rows[ends == end]
            self.accrued[own] = self._owed(own, self._at(own, end), self.actual(own)) if end else 0
        return charged

    def _advance(self, rows: Int, begin: int, end: int, changed: Int) -> Charged:
        """Take slots [begin, end) of rows that all stand at ``begin``."""
        wh, out = self.actual(rows)[:, begin:end], self.out[rows][:, begin:end]
        rated = rating.rate(self.plan, wh, state=self._at(rows, begin), export=out if self.exports else None)
        assert self.state is not None
        _assign(self.state, rows, rated.state)
        self.done[rows] = end
        written = self.has[rows][:, begin:end] & (np.arange(begin, end)[None, :] >= changed[:, None])
        return Charged(rows, begin, wh, written, rated)

    def actual(self, rows: Int) -> Int:
        """[rows, slots] Wh of actual slots; estimates count nothing here."""
        energy: Int = np.where(self.has[rows], self.wh[rows], 0)
        return energy

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

    def _owed(self, rows: Int, state: State, wh: Int) -> Int:
        """[rows] micro-units of the bill that would be printed at this state."""
        owed = np.zeros(rows.size, np.int64)
        lag = self.lag[rows][:, : state.done]
        reacts = lag.any(axis=1)
        for one in np.unique(reacts):
            pick = np.flatnonzero(reacts == one)
            part = _rows(state, pick)
            varh = lag[pick].sum(axis=1) if one else None
            lines = evaluate(self.plan, part, wh=wh[pick][:, : state.done], reactive_varh=varh)
            owed[pick] = totals(self.plan.book, lines) if lines else 0
        return owed

    def estimates(self, rows: Int, now_slot: int) -> Int:
        """[rows] micro-units that unread and estimated slots before ``now_slot`` would add; 0 where all was read."""
        now_slot = min(now_slot, self.plan.slots)
        result = np.zeros(rows.size, np.int64)
        open_ = ~self.has[rows][:, :now_slot].all(axis=1) if now_slot > 0 else np.zeros(rows.size, np.bool_)
        known = self.has[rows].any(axis=1) | self.guess[rows].any(axis=1)
        pick = np.flatnonzero(open_ & known)
        if not pick.size:
            return result
        own = rows[pick]
        wh = self._filled(own)[:, :now_slot]
        assert self.zero is not None
        state = _rows(self.zero, own)
        after, _ = rating.advance(self.plan, state, 0, wh, self.out[own][:, :now_slot] if self.exports else None)
        result[pick] = np.maximum(self._owed(own, after, wh) - self.accrued[own], 0)
        return result

    def _filled(self, rows: Int) -> Int:
        """[rows, slots] actual and estimated slots, and a mean of the last days where nothing is known."""
        wh, has, guess = self.wh[rows], self.has[rows], self.guess[rows]
        span = TYPICAL_DAYS * 1440 // self.grid.minutes
        filled = wh.copy()
        for number in range(rows.size):
            recent = np.flatnonzero(has[number])[-span:]
            mean = int(wh[number, recent].sum()) // recent.size if recent.size else 0
            filled[number, ~(has[number] | guess[number])] = mean
        return filled


def billable(flags: Int) -> Bool:
    """Which intervals bill: all but suspect ones that nobody confirmed."""
    return _quality(flags)[0]


def _quality(flags: Int) -> tuple[Bool, Bool]:
    """Which intervals bill, and which of these were measured rather than estimated."""
    certain = (flags & CERTAIN) != 0
    bills = ((flags & SUSPECT) == 0) | certain
    return bills, bills & (((flags & ESTIMATED) == 0) | certain)


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
