"""Energies of a plan's slots go in, what a charge row holds comes out: rounded money, period, tier and price.

A row's money is round(F(t)) - round(F(t-1)) of each bill line, so that rows add up to the bill; a slot is never rounded
alone.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tariff import kernel
from tariff.lines import energy_micro, rounded
from tariff.plan import Plan, State
from tariff.step import checked, own_energy, own_slots, settle

Ints = NDArray[Any]


def charges(plan: Plan, state: State, wh: Ints, export: Ints | None) -> Ints:
    """[n, k] round(F(t)) - round(F(t-1)) in micro-units, summed over the energy lines; slots add up to the bill."""
    if plan.whole or plan.book.round_lines != "line":
        return _stepped(plan, state, wh, export)
    result = np.zeros(wh.shape, np.int64)
    energy = checked(plan, state, state.done, wh, export)
    for index, stream in enumerate(plan.streams):
        low, high = own_slots(stream, state.done, state.done + wh.shape[1])
        if low == high:
            continue
        own = own_energy(stream, energy, slice(low, high), state.done)
        columns = np.arange(low, high) if stream.columns is None else stream.columns[low:high]
        result[:, columns - state.done] += _stream_charges(plan, state, index, own, low)
    return result


def _stepped(plan: Plan, state: State, wh: Ints, export: Ints | None) -> Ints:
    result = np.zeros(wh.shape, np.int64)
    before = energy_micro(plan, state)
    for slot in range(wh.shape[1]):
        one = slice(slot, slot + 1)
        state = settle(plan, state, state.done, wh[:, one], None if export is None else export[:, one])
        after = energy_micro(plan, state)
        result[:, slot], before = after - before, after
    return result


def _stream_charges(plan: Plan, state: State, index: int, wh: Ints, low: int) -> Ints:
    """[n, m] rounded charge of one stream's own slots, line by line."""
    stream = plan.streams[index]
    high = low + wh.shape[1]
    result = np.zeros(wh.shape, np.int64)
    if stream.slot_prices is not None:
        moved = np.cumsum(wh * stream.slot_prices[low:high].astype(plan.dtype), axis=1)
        return _differences(plan, moved + state.dynamic[:, index][:, None], state.dynamic[:, index])
    runs = kernel.cut(stream, low, high, state.resets[index], plan.dtype)
    start = np.where(runs.fresh, 0, state.position[:, index])
    position = kernel.positions(runs, wh, start)
    before = position - wh
    tiers = stream.prices.shape[1]
    edges = [kernel.FLOOR, *stream.limits[:, low:high].astype(plan.dtype)]
    for tier in range(tiers):
        gained = _above(position, before, wh, edges[tier])
        if tier + 1 < tiers:
            gained = gained - _above(position, before, wh, edges[tier + 1])
        for cell in np.unique(stream.cell[low:high]):
            own = np.flatnonzero(stream.cell[low:high] == cell)
            line = stream.first_line + int(cell) * tiers + tier
            price = int(stream.prices[cell, tier])
            count = state.quantity[:, line]
            total = np.cumsum(gained[:, own], axis=1) + count[:, None]
            result[:, own] += _differences(plan, total * price, count * price)
    return result


def _above(position: Ints, before: Ints, wh: Ints, edge: Any) -> Ints:
    """Wh of each slot above ``edge``."""
    if edge is kernel.FLOOR:
        return wh
    gained: Ints = np.maximum(position, edge) - np.maximum(before, edge)
    return gained


def _differences(plan: Plan, exact: Ints, before: Ints) -> Ints:
    """[n, m] rise of the rounded charge from slot to slot; ``before`` [n] stands before the first."""
    micro: Ints = rounded(plan, exact)
    micro[:, 1:] -= micro[:, :-1].copy()
    micro[:, 0] -= rounded(plan, before)
    return micro


def marks(
    plan: Plan, state: State, wh: Ints, export: Ints | None
) -> tuple[Ints, Ints, tuple[str, ...], NDArray[np.int64]]:
    """Tier and price [n, k] of every slot's last unit in the primary stream, and the slots' periods."""
    count = wh.shape[1]
    tier, price = np.zeros(wh.shape, np.int64), np.zeros(wh.shape, np.int64)
    if plan.primary < 0:
        return tier, price, ("*",), np.zeros(count, np.int64)
    stream = plan.streams[plan.primary]
    labels = (*dict.fromkeys(label for _, label, _ in stream.cells), "*")
    period = np.full(count, len(labels) - 1, np.int64)
    low, high = own_slots(stream, state.done, state.done + count)
    if low == high:
        return tier, price, labels, period
    columns = np.arange(low, high) if stream.columns is None else stream.columns[low:high] - state.done
    columns = columns - state.done if stream.columns is None else columns
    own = own_energy(stream, checked(plan, state, state.done, wh, export), slice(low, high), state.done)
    runs = kernel.cut(stream, low, high, state.resets[plan.primary], plan.dtype)
    start = np.where(runs.fresh, 0, state.position[:, plan.primary])
    position = kernel.positions(runs, own, start)
    found = (position[:, :, None] > stream.limits.T[None, low:high]).sum(axis=2)
    cell = stream.cell[low:high]
    tier[:, columns] = found + stream.first_tier
    price[:, columns] = stream.prices[cell[None, :], found]
    if stream.slot_prices is not None:
        price[:, columns] = stream.slot_prices[low:high]
    names = np.array([labels.index(label) for _, label, _ in stream.cells], np.int64)
    period[columns] = names[cell]
    return tier, price, labels, period
