"""One bill's energies go in, where its ladders stand at the end comes out: tier, position, limits, how far to the next.

A ladder that looks at the whole span's total has its classes for tiers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from tariff.model import Book
from tariff.plan import Plan, compile
from tariff.statement import with_demand
from tariff.step import settle
from tariff.streams import FAR, Stream
from tariff.usage import Usage, placed


@dataclass(frozen=True, slots=True)
class Standing:
    """One ladder at one instant: Wh since it restarted, its limits in Wh, and by window the price of each tier.

    ``period`` is the window that the ladder belongs to, "" where one ladder holds for all. A quantity on a limit
    is below it.
    """

    component: str
    quantity: str
    reset: str
    period: str
    position_wh: int
    limits_wh: tuple[int, ...]
    prices: Mapping[str, tuple[str, ...]]

    @property
    def tier(self) -> int:
        """The tier of the last unit, from 0."""
        return sum(self.position_wh > limit for limit in self.limits_wh)

    @property
    def next_wh(self) -> int | None:
        """Wh that the tier still has; None in the last one."""
        return self.limits_wh[self.tier] - self.position_wh if self.tier < len(self.limits_wh) else None


def standings(
    book: Book,
    span: tuple[datetime, datetime],
    usage: Usage,
    *,
    until: datetime,
    attributes: Mapping[str, str] | None = None,
    carried: Mapping[str, int] | None = None,
) -> tuple[Standing, ...]:
    """Every ladder of the bill ``span`` (UTC) as it stands at ``until``, in the book's order."""
    plan = compile(book, *span, usage.minutes, with_demand(book, usage, span, attributes))
    wh, export, _ = placed(plan, usage, until)
    if not wh.shape[1]:
        return ()
    state = settle(plan, plan.zero(1, carried), 0, wh, export)
    found: dict[tuple[str, str], Standing] = {}
    for index, stream in enumerate(plan.streams):
        slot = _slot(stream, state.done)
        if stream.ladder is None or slot is None:
            continue
        period = stream.key.partition("/")[2]
        key = (stream.component, period)
        if key not in found:
            position = int(state.position[0, index])
            found[key] = _standing(plan, stream, slot, position, period)
    return tuple(found.values())


def _slot(stream: Stream, done: int) -> int | None:
    """The stream's own number of its last slot before ``done``; None before its first."""
    own = done if stream.columns is None else int(np.searchsorted(stream.columns, done))
    return own - 1 if own else None


def _standing(plan: Plan, stream: Stream, slot: int, position: int, period: str) -> Standing:
    cell = int(stream.cell[slot])
    version = stream.cells[cell][0]
    assert stream.ladder is not None
    if stream.tops.shape[1]:
        limits = [int(top) for top in stream.tops[cell]]
        classes = [one for one in plan.streams if one.component == stream.component]
        labels = dict.fromkeys(label for number, label, _ in stream.cells if number == version)
        prices = {label: tuple("/".join(_texts(one, version, label)) for one in classes) for label in labels}
    else:
        limits = [int(limit) for limit in stream.limits[:, slot] if int(limit) < FAR]
        labels = dict.fromkeys(label for number, label, _ in stream.cells if number == version)
        prices = {label: _texts(stream, version, label)[: len(limits) + 1] for label in labels}
    return Standing(stream.component, stream.quantity, stream.ladder.reset, period, position, tuple(limits), prices)


def _texts(stream: Stream, version: int, label: str) -> tuple[str, ...]:
    """Prices of a version's window, tier by tier, as the book writes them; () where the stream has none."""
    places = [place for place, (number, name, _) in enumerate(stream.cells) if (number, name) == (version, label)]
    return stream.texts[places[-1]] if places else ()
