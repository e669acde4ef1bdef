"""A plan, a state and energies go in, the next state and the exact running charge come out, for n accounts at once.

Accounts go in blocks that fit a core's cache; inside a block each stream runs through the kernel.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tariff import kernel
from tariff.errors import RatingError
from tariff.lines import exact_total
from tariff.plan import MAX_SLOT_WH, Plan, State
from tariff.streams import Stream

Ints = NDArray[Any]
BLOCK_WH = 1 << 15  # energies of one block: its arrays stay in a core's second-level cache


@dataclass(frozen=True, slots=True, eq=False)
class _Lane:
    """One stream on the slots of one call: its own slots [low, high) and their runs, shared by all blocks."""

    index: int
    stream: Stream
    low: int
    high: int
    runs: kernel.Cut


def advance(plan: Plan, state: State, first_slot: int, wh: Ints, export: Ints | None = None) -> tuple[State, Ints]:
    """Take ``wh`` [n, k] of the slots from ``first_slot`` on; return the state after them and F(t) [n, k], exact.

    F(t) is the energy charge of the bill up to the end of slot t, at ``plan.scale`` decimals. ``export`` [n, k] is what
    was fed in. Slots must be taken in order (``first_slot`` == ``state.done``), however they are split.
    """
    if not plan.whole:
        result = np.empty(wh.shape, plan.dtype)
        return _taken(plan, state, first_slot, (wh, export), result), result
    result = np.zeros(wh.shape, object)
    for slot in range(wh.shape[1]):  # a class ladder prices the whole span again after every slot
        one = slice(slot, slot + 1)
        state = settle(plan, state, first_slot + slot, wh[:, one], None if export is None else export[:, one])
        result[:, slot] = exact_total(plan, state)
    return state, result


def settle(plan: Plan, state: State, first_slot: int, wh: Ints, export: Ints | None = None) -> State:
    """The state after ``wh`` [n, k], as ``advance`` gives it, without the running charge."""
    return _taken(plan, state, first_slot, (wh, export), None)


def _taken(plan: Plan, state: State, first: int, energy: tuple[Ints, Ints | None], result: Ints | None) -> State:
    """Block after block: fill a new state and, where it is wanted, the running charge ``result`` [n, k]."""
    wh, out = _checked(plan, state, first, *energy)
    n, count = wh.shape
    after = _blank(plan, state, count)
    lanes = _lanes(plan, state, count)
    rows = max(1, BLOCK_WH // max(1, count))
    for low in range(0, n, rows):
        part = slice(low, min(n, low + rows))
        counted = (wh[part], None if out is None else out[part])
        _block(plan, state, after, lanes, part=part, energy=counted, result=None if result is None else result[part])
    return after


def _lanes(plan: Plan, state: State, count: int) -> list[_Lane]:
    found = []
    for index, stream in enumerate(plan.streams):
        low, high = own_slots(stream, state.done, state.done + count)
        if low < high:
            found.append(
                _Lane(index, stream, low, high, kernel.cut(stream, low, high, state.resets[index], plan.dtype))
            )
    return found


def _checked(plan: Plan, state: State, first: int, wh: Ints, export: Ints | None) -> tuple[Ints, Ints | None]:
    if wh.ndim != 2 or wh.shape[0] != state.n or (export is not None and export.shape != wh.shape):
        raise RatingError(f"energies of shape {wh.shape} for {state.n} accounts")
    if first != state.done or first + wh.shape[1] > plan.slots:
        raise RatingError(f"slots {first} to {first + wh.shape[1]}: the state stands at {state.done} of {plan.slots}")
    for values in (wh, export):
        if values is not None and values.size and (values.max() > MAX_SLOT_WH or values.min() < -MAX_SLOT_WH):
            raise RatingError(f"more than {MAX_SLOT_WH} Wh in one slot is refused; check multiplier and unit")
    return wh.astype(plan.dtype, copy=False), None if export is None else export.astype(plan.dtype, copy=False)


def _blank(plan: Plan, state: State, count: int) -> State:
    """A state to be filled row by row: what the streams do not touch is copied."""
    end = state.done + count
    resets: list[int | None] = []
    for index, stream in enumerate(plan.streams):
        low, high = own_slots(stream, state.done, end)
        resets.append(int(stream.reset[high - 1]) if high > low else state.resets[index])
    return State(
        state.position.copy(order="K"),
        state.quantity.copy(order="K"),
        state.dynamic.copy(order="K"),
        state.used.copy(),
        state.exported.copy(),
        tuple(resets),
        end,
    )


def own_slots(stream: Stream, first: int, end: int) -> tuple[int, int]:
    """The stream's own slots inside [first, end) of the plan."""
    if stream.columns is None:
        return first, end
    low, high = np.searchsorted(stream.columns, [first, end])
    return int(low), int(high)


def _block(
    plan: Plan,
    state: State,
    after: State,
    lanes: list[_Lane],
    *,
    part: slice,
    energy: tuple[Ints, Ints | None],
    result: Ints | None,
) -> None:
    """Advance the accounts ``part``: fill their rows of ``after`` and of ``result``."""
    wh, out = energy
    after.used[part] = state.used[part] + wh.sum(axis=1)
    if out is not None:
        after.exported[part] = state.exported[part] + out.sum(axis=1)
    running = result is not None
    full: list[Ints] = []  # charges of lanes that see every slot
    gains: Ints | None = None  # by slot, of lanes that see some
    for lane in lanes:
        own = own_energy(lane.stream, wh, out, slice(lane.low, lane.high), state.done)
        charge = _move(plan, state, after, lane, part=part, wh=own, running=running)
        if charge is None:
            continue
        if lane.stream.columns is None:
            full.append(charge)
            continue
        gains = np.zeros(wh.shape, plan.dtype) if gains is None else gains
        gains[:, lane.stream.columns[lane.low : lane.high] - state.done] += np.diff(charge, axis=1, prepend=0)
    if result is None:
        return
    if gains is not None:
        full.append(np.cumsum(gains, axis=1))
    np.add(full[0] if full else 0, exact(plan, state, part)[:, None], out=result)
    for charge in full[1:]:
        result += charge


def own_energy(stream: Stream, wh: Ints, out: Ints | None, own: slice, first: int) -> Ints:
    """What the stream counts in its own slots: import, export or the difference."""
    values = wh
    if stream.quantity != "import":
        exported = np.zeros_like(wh) if out is None else out
        values = exported if stream.quantity == "export" else wh - exported
    found = values if stream.columns is None else values[:, stream.columns[own] - first]
    blind = stream.blind[(stream.blind >= own.start) & (stream.blind < own.stop)] - own.start
    if len(blind) and found[:, blind].any():
        raise RatingError(f"component {stream.component}: its series has no price for some of these slots")
    return found


def _move(plan: Plan, state: State, after: State, lane: _Lane, *, part: slice, wh: Ints, running: bool) -> Ints | None:
    """One stream's step for the accounts ``part``: F(t) of its own slots, from the step's first slot on, if wanted."""
    stream, runs, index = lane.stream, lane.runs, lane.index
    columns = slice(stream.first_line, stream.first_line + stream.prices.size)
    start = np.zeros_like(state.position[part, index]) if runs.fresh[0] else state.position[part, index]
    position = kernel.positions(runs, wh, start)
    begin, end = kernel.boundaries(runs, position, start)
    over = kernel.above(runs, begin, end)
    after.position[part, index] = end[:, -1]
    kernel.line_energy(runs, over, after.quantity[part, columns])
    if stream.slot_prices is not None:
        charge: Ints = np.cumsum(wh * stream.slot_prices[lane.low : lane.high].astype(plan.dtype), axis=1)
        after.dynamic[part, index] += charge[:, -1]
        return charge if running else None
    return kernel.running(runs, position, begin, over) if running else None


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
