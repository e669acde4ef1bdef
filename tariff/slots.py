"""The intervals of n bills so far go in, what components ask of them comes out: windows, sums by period, crossings."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tariff.calendar import Calendar
from tariff.errors import RatingError

Ints = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Wh [n, w] of w windows of ``minutes``, each known after slot ``last`` [w]."""

    wh: Ints
    last: Ints
    minutes: int


@dataclass(frozen=True, slots=True, eq=False)
class Slots:
    """Energies [n, done] of a plan's first slots; export and reactive energy where there is any."""

    calendar: Calendar
    wh: Ints
    export: Ints | None = None
    varh: Ints | None = None

    @property
    def done(self) -> int:
        """Number of slots."""
        return int(self.wh.shape[1])

    def take(self, rows: Ints) -> "Slots":
        """The chosen accounts."""
        export = None if self.export is None else self.export[rows]
        return Slots(self.calendar, self.wh[rows], export, None if self.varh is None else self.varh[rows])

    def of(self, quantity: str) -> Ints:
        """[n, done] of ``import``, ``export``, ``net`` or ``reactive``; zeros for what the bill does not have."""
        if quantity == "import":
            return self.wh
        export = np.zeros_like(self.wh) if self.export is None else self.export
        if quantity == "reactive":
            return np.zeros_like(self.wh) if self.varh is None else self.varh
        return export if quantity == "export" else self.wh - export

    def windows(self, versions: tuple[int, ...], minutes: int, periods: tuple[str, ...], *, sliding: bool) -> Windows:
        """Whole windows of ``minutes`` (0: a slot) that begin in ``versions`` and ``periods`` (empty: all).

        A window belongs to the version and period of its first slot; the one that has not ended yet does not count.
        ``sliding``: one from every slot on, not only on whole multiples of the clock.
        """
        calendar = self.calendar
        minutes = minutes or calendar.slot_min
        if minutes % calendar.slot_min:
            raise RatingError(f"demand windows of {minutes} minutes are not made of {calendar.slot_min}-minute slots")
        length = minutes // calendar.slot_min
        begins = sliding or length == 1
        first = np.arange(self.done) if begins else np.flatnonzero(calendar.minute[: self.done] % minutes == 0)
        first = first[first + length <= self.done]
        first = first[np.isin(calendar.version[first], versions) & self.inside(first, periods)]
        total = np.concatenate([np.zeros((self.wh.shape[0], 1), self.wh.dtype), np.cumsum(self.wh, axis=1)], axis=1)
        return Windows(total[:, first + length] - total[:, first], first + length - 1, minutes)

    def inside(self, slots: Ints, periods: tuple[str, ...]) -> NDArray[np.bool_]:
        """Which of ``slots`` lie in one of ``periods``; all do if there are none."""
        known = self.calendar.periods
        if not periods:
            return np.ones(len(slots), np.bool_)
        wanted = [known.index(period) for period in periods if period in known]
        found: NDArray[np.bool_] = np.isin(self.calendar.period[slots], wanted)
        return found

    def sums(self, quantity: str, versions: tuple[int, ...], periods: tuple[str, ...] = ()) -> Ints:
        """[n] what was counted in slots of ``versions`` and ``periods``."""
        slots = np.arange(self.done)
        slots = slots[np.isin(self.calendar.version[slots], versions) & self.inside(slots, periods)]
        total: Ints = self.of(quantity)[:, slots].sum(axis=1)
        return total

    def crossed(self, edge: Ints, *, first: int = 0) -> Ints:
        """[n] the slot after which the import since slot ``first`` is above ``edge`` [n]; ``done`` if it never is."""
        above = np.cumsum(self.wh[:, first:], axis=1) > edge[:, None]
        found: Ints = np.where(above.any(axis=1), above.argmax(axis=1) + first, self.done)
        return found

    def ramp(self, slots: Ints, end: int = -1) -> tuple[Ints, Ints]:
        """What part of the days after each of ``slots`` has gone by: as numerators over denominators.

        What rises at once, such as a new peak or a dearer class, accrues over the days that are left up to slot
        ``end`` (the bill's last); at the end all of it has.
        """
        elapsed = self.calendar.elapsed
        stop = self.calendar.slots if end < 0 else end
        at = elapsed[np.minimum(slots + 1, stop)]
        left = elapsed[stop] - at
        gone = np.minimum(elapsed[self.done], elapsed[stop]) - at
        none = left <= 0
        return np.where(none, 1, np.maximum(gone, 0)), np.where(none, 1, left)
