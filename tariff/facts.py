"""What one bill is made of, as arrays over the accounts that share a plan: energy, elapsed share, lines so far."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tariff import money
from tariff.model import Book, Spec

Ints = NDArray[Any]  # int64, or Python integers where 64 bits could overflow


@dataclass(slots=True)
class Line:
    """One line of n bills: ``amount_micro`` is rounded; ``quantity`` / 10**``quantity_scale`` is in ``unit``.

    ``versions`` are the indexes of the book's versions that the line covers.
    """

    id: str
    version: str
    versions: tuple[int, ...]
    period: str
    tier: int | None
    quantity: Ints
    quantity_scale: int
    unit: str
    price: tuple[str, ...]
    amount_micro: Ints


@dataclass(frozen=True, slots=True)
class Part:
    """The stretch of a bill in which one component holds unchanged: its versions and its exact share of days.

    ``elapsed`` of the bill's ``total`` day units have gone by inside the stretch, which has ``whole`` of them.
    """

    versions: tuple[int, ...]
    label: str
    elapsed: int
    whole: int
    total: int
    day_units: int


@dataclass(slots=True)
class Facts:
    """Everything that a component may price by. ``n`` accounts; ``used_wh`` is their import of the bill so far."""

    book: Book
    n: int
    part: Part
    used_wh: Ints
    export_wh: Ints
    attributes: Mapping[str, str]
    reactive_varh: Ints | None = None
    largest: Callable[[int, tuple[str, ...]], tuple[Ints, int]] | None = None  # of a window
    lines: list[Line] = field(default_factory=list)

    def micro(self, numerator: Any, denominator: int) -> Ints:
        """n amounts of currency ``numerator / denominator``, rounded once as the book's lines are."""
        values = numerator if isinstance(numerator, np.ndarray) else np.full(self.n, numerator, object)
        rounded = money.to_micro(values, denominator, self.book.decimals, self.book.rounding)
        return narrow(rounded)

    def base(self, ids: tuple[str, ...]) -> Ints:
        """Sum of the rounded lines of ``ids`` (empty: all lines so far) that fall into this part, in micro-units."""
        total: Ints = np.zeros(self.n, np.int64)
        for line in self.lines:
            if (not ids or line.id in ids) and set(line.versions) <= set(self.part.versions):
                total = total + line.amount_micro
        return total

    def line(self, spec: Spec, amount_micro: Ints, quantity: tuple[Any, int, str], price: str = "") -> Line:
        """A line of ``spec`` over this part; ``quantity`` is (scaled integers, scale, unit)."""
        values, scale, unit = quantity
        counts = values if isinstance(values, np.ndarray) else np.full(self.n, values, np.int64)
        return Line(
            spec.id, self.part.label, self.part.versions, "", None, counts, scale, unit, (price,) * self.n, amount_micro
        )


def narrow(values: Ints) -> Ints:
    """int64 where every value fits; what does not stays Python integers."""
    if values.dtype != object or (values.size and max(abs(int(value)) for value in values.flat) >= 1 << 62):
        return values
    return values.astype(np.int64)
