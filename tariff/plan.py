"""A book and a span of slots go in, a Plan comes out: the calendar, the streams of energy and the lines they fill.

A plan is the same for every account that shares its book and attributes; a State says where accounts stand in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tariff import calendar as calendars
from tariff.applied import applied
from tariff.calendar import Calendar
from tariff.components.energy import Energy
from tariff.errors import RatingError
from tariff.model import Book
from tariff.spans import spans_of
from tariff.streams import Stream, compile_streams, price_scale

Ints = NDArray[Any]
MAX_SLOT_WH = 100_000_000  # 100 MWh in one slot: more is refused, and the proof against overflow rests on it
MAX_SLOTS = 140_000  # four years of quarter hours
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

    ``position`` is the Wh since each ladder restarted, ``quantity`` the Wh of each line, ``dynamic`` the exact charge
    of each numeric price series, ``used`` and ``exported`` the Wh of the bill so far.
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
    """One book compiled for one bill's slots and one set of attributes; the same for every account that shares them.

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
        """The state before the first slot. ``carried``: Wh in the open ladder span before it, by component or all."""
        count = len(self.streams)
        position = np.zeros((n, count), self.dtype, order="F")  # by column: a step touches few of them
        for index, stream in enumerate(self.streams):
            if isinstance(carried, Mapping):
                position[:, index] = carried.get(stream.key, carried.get(stream.component, 0))
            elif carried is not None and stream.ladder is not None and stream.ladder.reset != "bill":
                position[:, index] = carried
        # The span of the plan's first slot, not of the stream's: one that first counts later starts from zero there.
        first = [spans_of(self.calendar, stream.ladder)[:1] for stream in self.streams]
        resets = tuple(int(span[0]) if len(span) else None for span in first)
        quantity = np.zeros((n, len(self.lines)), self.dtype, order="F")
        for index, stream in enumerate(self.streams):
            if stream.before >= 0:
                quantity[:, stream.first_line + stream.before * stream.prices.shape[1]] = position[:, index]
        return State(
            position,
            quantity,
            np.zeros((n, count), self.dtype, order="F"),
            np.zeros(n, self.dtype),
            np.zeros(n, self.dtype),
            resets,
        )


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
def _compile(
    book: Book, start: datetime, end: datetime, slot_min: int, attributes: tuple[tuple[str, str], ...]
) -> Plan:
    book = applied(book, dict(attributes), start, end)
    rows = calendars.build(book, start, end, slot_min)
    table = dict(book.versions[int(rows.version[0])].attributes)
    if rows.slots > MAX_SLOTS:
        raise RatingError(f"{rows.slots} slots in one plan; at most {MAX_SLOTS}")
    used = [book.versions[int(index)] for index in np.unique(rows.version)]
    ids = tuple(dict.fromkeys(spec.id for one in used for spec in one.components if isinstance(spec, Energy)))
    scale = price_scale(book, ids)
    streams: list[Stream] = []
    keys: list[EnergyKey] = []
    for ident in ids:
        for stream in compile_streams(book, ident, rows, scale):
            streams.append(_numbered(stream, len(keys)))
            keys += _keys(stream)
    dtype = np.int64 if _fits(streams, rows.slots) else object
    return Plan(book, rows, table, tuple(streams), tuple(keys), scale, dtype, _primary(streams))


def _numbered(stream: Stream, first_line: int) -> Stream:
    return replace(stream, first_line=first_line)


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
