"""A plan, a state and energies go in, the next state and the exact running charge come out, for n accounts at once.

Accounts go in blocks that fit a core's cache; inside a block each stream runs through the kernel.
"""

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


def advance(plan: Plan, state: State, first_slot: int, wh: Ints, export: Ints | None = None) -> tuple[State, Ints]:
    """Take ``wh`` [n, k] of the slots from ``first_slot`` on; return the state after them and F(t) [n, k], exact.

    F(t) is the energy charge of the bill up to the end of slot t, at ``plan.scale`` decimals. ``export`` [n, k] is what
    was fed in. Slots must be taken in order (``first_slot`` == ``state.done``), however they are split.
    """
    wh, out = _checked(plan, state, first_slot, wh, export)
    if plan.whole:
        return _slot_by_slot(plan, state, wh, out)
    n, count = wh.shape
    result = np.empty((n, count), plan.dtype)
    after = _blank(plan, state, count)
    rows = max(1, BLOCK_WH // max(1, count))
    for low in range(0, n, rows):
        part = slice(low, min(n, low + rows))
        _block(plan, state, after, part, (wh[part], None if out is None else out[part]), result[part])
    return after, result


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
        state.position.copy(),
        state.quantity.copy(),
        state.dynamic.copy(),
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


def _block(plan: Plan, state: State, after: State, part: slice, energy: tuple[Ints, Ints | None], result: Ints) -> None:
    """Advance the accounts ``part``: fill their rows of ``after`` and of ``result``."""
    wh, out = energy
    after.used[part] = state.used[part] + wh.sum(axis=1)
    if out is not None:
        after.exported[part] = state.exported[part] + out.sum(axis=1)
    result[:] = exact(plan, state, part)[:, None]
    gains: Ints | None = None
    for index, stream in enumerate(plan.streams):
        low, high = own_slots(stream, state.done, after.done)
        if low == high:
            continue
        own = own_energy(stream, wh, out, slice(low, high), state.done)
        charge = _stream(plan, state, after, part, index=index, low=low, high=high, wh=own)
        if stream.columns is None:
            result += charge
        else:
            gains = np.zeros_like(result) if gains is None else gains
            gains[:, stream.columns[low:high] - state.done] += np.diff(charge, axis=1, prepend=0)
    if gains is not None:
        result += np.cumsum(gains, axis=1)


def own_energy(stream: Stream, wh: Ints, out: Ints | None, own: slice, first: int) -> Ints:
    """What the stream counts in its own slots: import, export or the difference."""
    exported = np.zeros_like(wh) if out is None else out
    values = wh if stream.quantity == "import" else exported if stream.quantity == "export" else wh - exported
    found = values if stream.columns is None else values[:, stream.columns[own] - first]
    blind = stream.blind[(stream.blind >= own.start) & (stream.blind < own.stop)] - own.start
    if len(blind) and found[:, blind].any():
        raise RatingError(f"component {stream.component}: its series has no price for some of these slots")
    return found


def _stream(plan: Plan, state: State, after: State, part: slice, *, index: int, low: int, high: int, wh: Ints) -> Ints:
    """One stream's step for the accounts ``part``: F(t) of its own slots, from the step's first slot on."""
    stream = plan.streams[index]
    columns = slice(stream.first_line, stream.first_line + stream.prices.size)
    runs = kernel.cut(stream, low, high, state.resets[index], plan.dtype)
    start = np.where(runs.fresh[0], 0, state.position[part, index])
    position = kernel.positions(runs, wh, start)
    begin, end = kernel.boundaries(runs, position, start)
    over = kernel.above(runs, begin, end)
    after.position[part, index] = end[:, -1]
    after.quantity[part, columns] += kernel.line_energy(stream, runs, over)
    if stream.slot_prices is not None:
        charge: Ints = np.cumsum(wh * stream.slot_prices[low:high].astype(plan.dtype), axis=1)
        after.dynamic[part, index] += charge[:, -1]
        return charge
    return kernel.running(runs, position, begin, over)


def exact(plan: Plan, state: State, part: slice = slice(None)) -> Ints:
    """[n] energy charge of the bill so far at ``plan.scale``; for plans without class ladders or pro-rata sharing."""
    prices = np.concatenate([stream.prices.reshape(-1) for stream in plan.streams] or [np.zeros(0, np.int64)])
    total: Ints = (state.quantity[part] * prices.astype(plan.dtype)).sum(axis=1) + state.dynamic[part].sum(axis=1)
    return total


def _slot_by_slot(plan: Plan, state: State, wh: Ints, out: Ints | None) -> tuple[State, Ints]:
    """Advance one slot at a time and price the whole span after each: what a class ladder needs."""
    result = np.zeros(wh.shape, object)
    for slot in range(wh.shape[1]):
        one = slice(slot, slot + 1)
        after = _blank(plan, state, 1)
        energy = (wh[:, one], None if out is None else out[:, one])
        _block(plan, state, after, slice(0, state.n), energy, np.empty((state.n, 1), plan.dtype))
        state = after
        result[:, slot] = exact_total(plan, state)
    return state, result
