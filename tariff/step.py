"""A plan, a state and energies go in, the next state and the exact running charge come out, for n accounts at once.

Many accounts go a few days at a time, few accounts many days: what is done at once fits a core's cache. Inside such a
tile each stream runs through the kernel.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tariff import kernel
from tariff.errors import RatingError
from tariff.kernel import Room
from tariff.lines import exact_total
from tariff.plan import MAX_SLOT_WH, Plan, State
from tariff.streams import Stream

Ints = NDArray[Any]
TILE = 3 << 15  # energies of one tile: its arrays stay in a core's second-level cache
ACROSS = 1 << 11  # accounts of one tile, where it has several slots
BLOCK_ROWS = 3 << 12  # and of one slot: an array of so many is used again, a larger one is given back and faulted
ARRAYS = ("position", "quantity", "dynamic", "used", "exported")


@dataclass(frozen=True, slots=True, eq=False)
class Energy:
    """What n accounts took and gave in some slots, [n, k] each; ``given`` is None for nothing."""

    taken: Ints
    given: Ints | None
    rises: bool  # none of it is negative

    def part(self, rows: slice, slots: slice) -> "Energy":
        """That of some accounts in some slots."""
        given = None if self.given is None else self.given[rows, slots]
        return Energy(self.taken[rows, slots], given, self.rises)


@dataclass(frozen=True, slots=True, eq=False)
class _Lane:
    """One stream on the slots of one tile: its own slots [low, high), shared by all accounts.

    ``gone`` [k] says how many of them have gone by after each slot of the tile; None where they are the tile's own.
    """

    index: int
    stream: Stream
    low: int
    high: int
    last_reset: int | None
    gone: Ints | None


@dataclass(frozen=True, slots=True, eq=False)
class _Tile:
    """Accounts ``part`` in the slots from ``first`` on, and their energies."""

    part: slice
    first: int
    energy: Energy


def advance(
    plan: Plan,
    state: State,
    first_slot: int,
    wh: Ints,
    export: Ints | None = None,
    *,
    spent: bool = False,
    room: Room | None = None,
) -> tuple[State, Ints]:
    """Take ``wh`` [n, k] of the slots from ``first_slot`` on; return the state after them and F(t) [n, k], exact.

    F(t) is the energy charge of the bill up to the end of slot t, at ``plan.scale`` decimals. ``export`` [n, k] is what
    was fed in. Slots must be taken in order (``first_slot`` == ``state.done``), however they are split. With ``spent``
    the arrays of ``state`` become the new state's and are its own no more; a refusal leaves them as they were. With a
    ``room`` F(t) lies in it: it holds until the next call with the same room.
    """
    if not plan.whole:
        energy = checked(plan, state, first_slot, wh, export)
        room = room or Room()
        result = room.array("running", wh.shape[::-1], plan.dtype).T
        return _taken(plan, state, energy, result, room, spent=spent), result
    result = np.zeros(wh.shape, object)
    for slot in range(wh.shape[1]):  # a class ladder prices the whole span again after every slot
        one = slice(slot, slot + 1)
        state = settle(plan, state, first_slot + slot, wh[:, one], None if export is None else export[:, one])
        result[:, slot] = exact_total(plan, state)
    return state, result


def settle(
    plan: Plan,
    state: State,
    first_slot: int,
    wh: Ints,
    export: Ints | None = None,
    *,
    spent: bool = False,
    room: Room | None = None,
) -> State:
    """The state after ``wh`` [n, k], as ``advance`` gives it, without the running charge."""
    energy = checked(plan, state, first_slot, wh, export)
    return _taken(plan, state, energy, None, room or Room(), spent=spent)


def join(states: Sequence[State]) -> State:
    """One state of several accounts' that stand at the same slot of one plan, in their order."""
    first = states[0]
    position, quantity, dynamic, used, exported = (
        np.concatenate([getattr(state, name) for state in states]) for name in ARRAYS
    )
    return State(position, quantity, dynamic, used, exported, first.resets, first.done)


def checked(plan: Plan, state: State, first: int, wh: Ints, export: Ints | None) -> Energy:
    """Energies of the slots from ``first`` on as the kernel takes them; RatingError for what does not fit ``state``."""
    if wh.ndim != 2 or wh.shape[0] != state.n or (export is not None and export.shape != wh.shape):
        raise RatingError(f"energies of shape {wh.shape} for {state.n} accounts")
    if first != state.done or first + wh.shape[1] > plan.slots:
        raise RatingError(f"slots {first} to {first + wh.shape[1]}: the state stands at {state.done} of {plan.slots}")
    rises = all(values is None or _rises(values) for values in (wh, export))
    given = None if export is None else export.astype(plan.dtype, copy=False)
    return Energy(wh.astype(plan.dtype, copy=False), given, rises)


def _rises(values: Ints) -> bool:
    """Whether no energy is negative; RatingError for more than a slot may have."""
    if values.dtype == np.int64 and int(values.view(np.uint64).max(initial=0)) <= MAX_SLOT_WH:
        return True  # seen without a sign, a negative number is a large one
    if values.size and max(int(values.max()), -int(values.min())) > MAX_SLOT_WH:
        raise RatingError(f"more than {MAX_SLOT_WH} Wh in one slot is refused; check multiplier and unit")
    return not values.size or int(values.min()) >= 0


def _taken(plan: Plan, state: State, energy: Energy, result: Ints | None, room: Room, *, spent: bool) -> State:
    """Tile after tile: move the state and, where it is wanted, fill the running charge ``result`` [n, k]."""
    n, count = energy.taken.shape
    wide = max(1, min(count, TILE // max(1, min(n, ACROSS))))
    rows = min(BLOCK_ROWS, max(1, TILE // wide))
    resets = list(state.resets)
    times = [slice(at, min(count, at + wide)) for at in range(0, count, wide)]
    lanes = [_lanes(plan, resets, energy, state.done, slots) for slots in times]
    after = _moved(state, resets, count, spent=spent)
    for low in range(0, n, rows):
        part = slice(low, min(n, low + rows))
        for slots, own in zip(times, lanes, strict=True):
            tile = _Tile(part, state.done + slots.start, energy.part(part, slots))
            charge = None
            if result is not None:
                before = result[part, slots.start - 1] if slots.start else _begun(plan, after, tile)
                charge = before, result[part, slots].T
            _block(after, own, tile, charge, room)
    return after


def _begun(plan: Plan, state: State, tile: _Tile) -> Ints:
    """[n] charge of the bill before the call's first slot."""
    return exact(plan, state, tile.part) if tile.first else np.zeros(len(tile.energy.taken), plan.dtype)


def _lanes(plan: Plan, resets: list[int | None], energy: Energy, done: int, slots: slice) -> list[_Lane]:
    """The streams that see some of a call's ``slots``, which begins at ``done``; ``resets`` go on to the last of them.

    Energy in a slot for which a series has no price is refused.
    """
    found = []
    begin, end = done + slots.start, done + slots.stop
    for index, stream in enumerate(plan.streams):
        low, high = own_slots(stream, begin, end)
        if low == high:
            continue
        for slot in stream.blind[(stream.blind >= low) & (stream.blind < high)].tolist():
            if own_energy(stream, energy, slice(slot, slot + 1), done).any():
                raise RatingError(f"component {stream.component}: its series has no price for some of these slots")
        gone = None
        if stream.columns is not None:
            gone = np.searchsorted(stream.columns[low:high], np.arange(begin, end), side="right")
        found.append(_Lane(index, stream, low, high, resets[index], gone))
        resets[index] = int(stream.reset[high - 1])
    return found


def _moved(state: State, resets: list[int | None], count: int, *, spent: bool) -> State:
    """The state after ``count`` slots but for its rows: a copy's, or the given one's own arrays, still to be moved."""
    arrays: list[Ints] = [getattr(state, name) for name in ARRAYS]
    if not spent:
        arrays = [array.copy(order="K") for array in arrays]
    position, quantity, dynamic, used, exported = arrays
    return State(position, quantity, dynamic, used, exported, tuple(resets), state.done + count)


def own_slots(stream: Stream, first: int, end: int) -> tuple[int, int]:
    """The stream's own slots inside [first, end) of the plan."""
    if stream.columns is None:
        return first, end
    low, high = np.searchsorted(stream.columns, [first, end])
    return int(low), int(high)


def own_energy(stream: Stream, energy: Energy, own: slice, first: int) -> Ints:
    """What the stream counts in its own slots: import, export or the difference; energies begin at slot ``first``."""
    values = energy.taken
    if stream.quantity == "export":
        values = np.zeros_like(values) if energy.given is None else energy.given
    elif stream.quantity != "import" and energy.given is not None:
        values = values - energy.given
    if stream.columns is None:
        return values[:, own.start - first : own.stop - first]
    return values[:, stream.columns[own] - first]


def _block(after: State, lanes: list[_Lane], tile: _Tile, charge: tuple[Ints, Ints] | None, room: Room) -> None:
    """Move the tile's accounts of ``after`` in place; ``charge``: what they were charged before it, and where to."""
    energy = tile.energy
    after.used[tile.part] += _sum(energy.taken)
    if energy.given is not None:
        after.exported[tile.part] += _sum(energy.given)
    begun = False
    for lane in lanes:
        own = own_energy(lane.stream, energy, slice(lane.low, lane.high), tile.first)
        rises = energy.rises and (lane.stream.quantity != "net" or energy.given is None)
        if charge is None:
            _move(after, lane, tile.part, own, room, rises=rises)
        elif lane.gone is None and not begun:
            _move(after, lane, tile.part, own, room, rises=rises, charge=charge)
            begun = True
        else:
            if not begun:
                charge[1][:] = charge[0]
                begun = True
            charge[1][:] += _beside(after, lane, tile.part, own, room, rises=rises)
    if charge is not None and not begun:
        charge[1][:] = charge[0]


def _beside(after: State, lane: _Lane, part: slice, wh: Ints, room: Room, *, rises: bool) -> Ints:
    """Move one stream; what it has charged since the tile's first slot after each of the tile's slots [k, n]."""
    n, m = wh.shape
    own = room.array("own", (m + 1, n), wh.dtype)
    own[0] = 0
    _move(after, lane, part, wh, room, rises=rises, charge=(own[0].copy(), own[1:]))
    return own[1:] if lane.gone is None else room.rows("beside", own, lane.gone)


def _sum(values: Ints) -> Ints:
    """[n] sums of rows."""
    total: Ints = values[:, 0] if values.shape[1] == 1 else values.sum(axis=1)
    return total


def _move(
    after: State,
    lane: _Lane,
    part: slice,
    wh: Ints,
    room: Room,
    *,
    rises: bool,
    charge: tuple[Ints, Ints] | None = None,
) -> None:
    """One stream's own slots for the accounts ``part``; ``charge``: what was charged before, and where to [m, n]."""
    stream, index = lane.stream, lane.index
    lines = after.quantity[part, stream.first_line : stream.first_line + stream.prices.size]
    start = after.position[part, index]
    if kernel.fresh(stream, lane.low, lane.last_reset):
        start = np.zeros_like(start)
    wanted = charge if stream.slot_prices is None else None
    if wh.shape[1] == 1:
        end, gained = kernel.one(stream, lane.low, start, wh[:, 0], lines)
        if wanted is not None:
            np.add(wanted[0], gained, out=wanted[1][0])
    else:
        runs = kernel.cut(stream, lane.low, lane.high, lane.last_reset, wh.dtype)
        if rises and runs.even:
            end = kernel.climb(runs, wh, start, lines, room, wanted)
        else:
            way = kernel.walk(runs, wh, start, room)
            kernel.line_energy(way, lines, room)
            end = way.end[-1]
            if wanted is not None:
                kernel.running(way, *wanted, room)
    if stream.slot_prices is not None:
        gained = wh * stream.slot_prices[lane.low : lane.high].astype(wh.dtype)
        after.dynamic[part, index] += _sum(gained)
        if charge is not None:
            gained[:, 0] += charge[0]
            np.cumsum(gained.T, axis=0, out=charge[1])
    after.position[part, index] = end


def exact(plan: Plan, state: State, part: slice = slice(None)) -> Ints:
    """[n] energy charge of the bill so far at ``plan.scale``; for plans without class ladders or pro-rata sharing."""
    total: Ints = np.zeros(state.used[part].shape, plan.dtype)
    for index, stream in enumerate(plan.streams):
        for line, price in enumerate(stream.prices.reshape(-1).tolist(), start=stream.first_line):
            if price:
                total += state.quantity[part, line] * price
        if stream.slot_prices is not None:
            total += state.dynamic[part, index]
    return total
