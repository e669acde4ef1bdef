"""A book and a span of slots become a Plan; a state and energies become the next state and the exact running charge.

``advance`` is the one step: the daemon calls it with one slot, a batch with a month, and both give the same integers.
``rate`` adds what a charge row holds: round(F(t)) - round(F(t-1)) in micro-units, so that slots add up to the bill.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tariff import calendar as calendars
from tariff import kernel, money
from tariff.calendar import Calendar
from tariff.components.energy import Energy
from tariff.errors import RatingError
from tariff.model import Book
from tariff.streams import Stream, compile_streams, price_scale

Ints = NDArray[Any]
MAX_SLOT_WH = 100_000_000  # 100 MWh in one slot: more is refused, and the proof against overflow rests on it
MAX_SLOTS = 140_000  # four years of quarter hours
BLOCK_WH = 1 << 15  # energies of one block: its arrays stay in a core's second-level cache
_LIMIT = (1 << 63) - 1


@dataclass(frozen=True, slots=True, eq=False)
class EnergyKey:
    """What one line of the kernel counts: component, version, period, tier, and the price as the book writes it."""

    component: str
    version: int
    period: str
    tier: int
    price: str


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Where n accounts stand after ``done`` slots of their plan; every array has n rows, ``resets`` one entry a stream.

    ``position`` is the Wh since each ladder restarted, ``quantity`` the Wh of each line, ``dynamic`` the exact charge of
    each numeric price series, ``used`` and ``exported`` the Wh of the bill so far.
    """

    position: Ints
    quantity: Ints
    dynamic: Ints
    used: Ints
    exported: Ints
    resets: tuple[int | None, ...]
    done: int = 0

    @property
    def n(self) -> int:
        """Number of accounts."""
        return int(self.position.shape[0])


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """One book compiled for the slots of one bill and one set of attributes; the same for every account that shares them.

    Exact charges are integers at ``scale`` decimals of the currency (Wh x price). ``dtype`` is int64 where the largest
    possible bill provably fits, else object (Python integers).
    """

    book: Book
    calendar: Calendar
    attributes: Mapping[str, str]
    streams: tuple[Stream, ...]
    lines: tuple[EnergyKey, ...]
    price_scale: int
    dtype: Any
    primary: int  # the stream whose tier and price a charge row names, -1: none

    @property
    def scale(self) -> int:
        """Decimals of an exact charge: those of the prices, and three because a price is per kWh."""
        return self.price_scale + 3

    @property
    def slots(self) -> int:
        """Number of slots."""
        return self.calendar.slots

    @property
    def whole(self) -> bool:
        """Whether some component prices a span by its total, so that earlier slots are priced again."""
        return any(stream.whole for stream in self.streams)

    def zero(self, n: int, carried: Mapping[str, Any] | int | None = None) -> State:
        """The state before the first slot. ``carried``: Wh in the open ladder span before it, by component or for all."""
        count = len(self.streams)
        position = np.zeros((n, count), self.dtype)
        for index, stream in enumerate(self.streams):
            if isinstance(carried, Mapping):
                position[:, index] = carried.get(stream.key, carried.get(stream.component, 0))
            elif carried is not None and stream.ladder is not None and stream.ladder.reset != "bill":
                position[:, index] = carried
        resets = tuple(int(stream.reset[0]) if len(stream.reset) else None for stream in self.streams)
        empty = np.zeros(n, self.dtype)
        return State(
            position, np.zeros((n, len(self.lines)), self.dtype), np.zeros((n, count), self.dtype), empty, empty, resets
        )


@dataclass(frozen=True, slots=True, eq=False)
class Rated:
    """Charge rows of [n, slots]: micro-units, and the period, tier and price of each slot's last unit."""

    state: State
    amount_micro: Ints
    exact: Ints
    scale: int
    periods: tuple[str, ...]
    period: Ints  # [slots] index into periods
    tier: Ints
    price: Ints
    price_scale: int


def compile(
    book: Book,
    start: datetime,
    end: datetime,
    slot_min: int = 60,
    attributes: Mapping[str, str] | None = None,
) -> Plan:
    """The plan of [start, end) in UTC; RatingError for what cannot be priced. Plans are kept and shared."""
    merged = {**book.attributes, **(attributes or {})}
    return _compile(book, start, end, slot_min, tuple(sorted(merged.items())))


@lru_cache(maxsize=512)
def _compile(book: Book, start: datetime, end: datetime, slot_min: int, attributes: tuple[tuple[str, str], ...]) -> Plan:
    table = dict(attributes)
    rows = calendars.build(book, start, end, slot_min)
    if rows.slots > MAX_SLOTS:
        raise RatingError(f"{rows.slots} slots in one plan; at most {MAX_SLOTS}")
    used = [book.versions[int(index)] for index in np.unique(rows.version)]
    ids = tuple(dict.fromkeys(spec.id for one in used for spec in one.components if isinstance(spec, Energy)))
    scale = price_scale(book, ids)
    streams: list[Stream] = []
    keys: list[EnergyKey] = []
    for ident in ids:
        for stream in compile_streams(book, ident, rows, table, scale):
            streams.append(_numbered(stream, len(keys)))
            keys += _keys(stream)
    dtype = np.int64 if _fits(streams, rows.slots) else object
    return Plan(book, rows, table, tuple(streams), tuple(keys), scale, dtype, _primary(streams))


def _numbered(stream: Stream, first_line: int) -> Stream:
    values = {name: getattr(stream, name) for name in Stream.__slots__}
    return Stream(**{**values, "first_line": first_line})


def _keys(stream: Stream) -> list[EnergyKey]:
    return [
        EnergyKey(stream.component, version, label, stream.first_tier + tier, text)
        for (version, label, _), texts in zip(stream.cells, stream.texts, strict=True)
        for tier, text in enumerate(texts)
    ]


def _primary(streams: list[Stream]) -> int:
    """The first stream with a ladder, else the first of imported energy, else the first."""
    ranked = [index for index, stream in enumerate(streams) if stream.ladder is not None]
    ranked += [index for index, stream in enumerate(streams) if stream.quantity == "import"]
    return (ranked + list(range(len(streams))))[0] if streams else -1


def _fits(streams: list[Stream], slots: int) -> bool:
    """Whether no sum of this plan can pass int64: every slot at MAX_SLOT_WH, every stream at its highest price."""
    total = 0
    for stream in streams:
        highest = [int(np.abs(stream.prices).max(initial=0))]
        if stream.slot_prices is not None:
            highest.append(int(np.abs(stream.slot_prices).max(initial=0)))
        total += 2 * max(highest) * MAX_SLOT_WH * slots
    return total <= _LIMIT


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
        low, high = _own(stream, state.done, end)
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


def _own(stream: Stream, first: int, end: int) -> tuple[int, int]:
    """The stream's own slots inside [first, end) of the plan."""
    if stream.columns is None:
        return first, end
    low, high = np.searchsorted(stream.columns, [first, end])
    return int(low), int(high)


def _block(
    plan: Plan, state: State, after: State, part: slice, energy: tuple[Ints, Ints | None], result: Ints
) -> None:
    """Advance the accounts ``part``: fill their rows of ``after`` and of ``result``."""
    wh, out = energy
    after.used[part] = state.used[part] + wh.sum(axis=1)
    if out is not None:
        after.exported[part] = state.exported[part] + out.sum(axis=1)
    result[:] = exact(plan, state, part)[:, None]
    gains: Ints | None = None
    for index, stream in enumerate(plan.streams):
        low, high = _own(stream, state.done, after.done)
        if low == high:
            continue
        own = _energy(stream, wh, out, slice(low, high), state.done)
        charge = _stream(plan, state, after, part, index=index, low=low, high=high, wh=own)
        if stream.columns is None:
            result += charge
        else:
            gains = np.zeros_like(result) if gains is None else gains
            gains[:, stream.columns[low:high] - state.done] += np.diff(charge, axis=1, prepend=0)
    if gains is not None:
        result += np.cumsum(gains, axis=1)


def _energy(stream: Stream, wh: Ints, out: Ints | None, own: slice, first: int) -> Ints:
    """What the stream counts in its own slots: import, export or the difference."""
    exported = np.zeros_like(wh) if out is None else out
    values = wh if stream.quantity == "import" else exported if stream.quantity == "export" else wh - exported
    found = values if stream.columns is None else values[:, stream.columns[own] - first]
    blind = stream.blind[(stream.blind >= own.start) & (stream.blind < own.stop)] - own.start
    if len(blind) and found[:, blind].any():
        raise RatingError(f"component {stream.component}: its series has no price for some of these slots")
    return found


def _stream(
    plan: Plan, state: State, after: State, part: slice, *, index: int, low: int, high: int, wh: Ints
) -> Ints:
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
    from tariff.lines import exact_total

    result = np.zeros(wh.shape, object)
    for slot in range(wh.shape[1]):
        one = slice(slot, slot + 1)
        after = _blank(plan, state, 1)
        energy = (wh[:, one], None if out is None else out[:, one])
        _block(plan, state, after, slice(0, state.n), energy, np.empty((state.n, 1), plan.dtype))
        state = after
        result[:, slot] = exact_total(plan, state)
    return state, result


def rate(plan: Plan, wh: Ints, *, state: State | None = None, export: Ints | None = None) -> Rated:
    """Charge rows of ``wh`` [n, k] from ``state`` on (default: the start of the bill, nothing carried)."""
    from tariff.lines import charges

    begin = state if state is not None else plan.zero(wh.shape[0])
    after, running = advance(plan, begin, begin.done, wh, export)
    amounts = charges(plan, begin, wh, export)
    tier, price, labels, period = _marks(plan, begin, wh, export)
    return Rated(after, amounts, running, plan.scale, labels, period, tier, price, plan.price_scale)


def _marks(
    plan: Plan, state: State, wh: Ints, export: Ints | None
) -> tuple[Ints, Ints, tuple[str, ...], NDArray[np.int64]]:
    """Tier and price [n, k] of every slot's last unit in the primary stream, and the slots' periods."""
    count = wh.shape[1]
    tier, price = np.zeros(wh.shape, np.int64), np.zeros(wh.shape, np.int64)
    if plan.primary < 0:
        return tier, price, ("*",), np.zeros(count, np.int64)
    stream = plan.streams[plan.primary]
    labels = tuple(dict.fromkeys(label for _, label, _ in stream.cells)) + ("*",)
    period = np.full(count, len(labels) - 1, np.int64)
    low, high = _own(stream, state.done, state.done + count)
    if low == high:
        return tier, price, labels, period
    columns = np.arange(low, high) if stream.columns is None else stream.columns[low:high] - state.done
    columns = columns - state.done if stream.columns is None else columns
    own = _energy(stream, wh.astype(plan.dtype), export, slice(low, high), state.done)
    runs = kernel.cut(stream, low, high, state.resets[plan.primary], plan.dtype)
    start = np.where(runs.fresh[0], 0, state.position[:, plan.primary])
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


def decimals(plan: Plan, amount: int) -> str:
    """The decimal spelling of an exact charge of ``plan``."""
    return money.text(int(amount), plan.scale)
