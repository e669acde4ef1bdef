"""What one bill is made of, as arrays over the accounts that share a plan: energy, elapsed share, lines so far."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tariff import money
from tariff.errors import RatingError
from tariff.model import Book, Spec
from tariff.slots import Slots, Windows

Ints = NDArray[Any]  # int64, or Python integers where 64 bits could overflow; Fractions where only the total is rounded


@dataclass(slots=True)
class Line:
    """One line of n bills: ``amount_micro`` is rounded; ``quantity`` / 10**``quantity_scale`` is in ``unit``.

    ``versions`` are the indexes of the book's versions that the line covers. ``included_micro`` is a tax that the
    amounts of the lines above hold already. Of energy, ``exact`` / 10**``exact_scale`` is the charge before rounding.
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
    included_micro: Ints | None = None
    exact: Ints | None = None
    exact_scale: int = 0

    def worth(self, wh: Ints) -> Ints:
        """[n] currency, as Fractions, of ``wh`` of the line's energy: at its price, or the mean of several.

        Several it has at prices by slot, and where spans of a class ladder reach different classes.
        """
        found: Ints = np.full(len(wh), Fraction(0), object)
        for row, taken in enumerate(wh):
            if taken and self.exact is not None:
                mean = money.fraction(self.exact[row]) / money.fraction(self.quantity[row])
                found[row] = mean * money.fraction(taken)
        worth: Ints = found / 10**self.exact_scale
        return worth


@dataclass(frozen=True, slots=True)
class Part:
    """The stretch of a bill in which one component holds unchanged: its versions and its exact share of days.

    ``elapsed`` of the bill's ``total`` day units have gone by inside the stretch, which has ``whole`` of them; it
    is the plan's slots [``begin``, ``stop``).
    """

    versions: tuple[int, ...]
    label: str
    elapsed: int
    whole: int
    total: int
    day_units: int
    begin: int = 0
    stop: int = 0


@dataclass(slots=True)
class Facts:
    """Everything that a component may price by. ``n`` accounts; ``used_wh`` is their import of the bill so far.

    ``before`` is what earlier bills left (see ``tariff.history``), by "component:YYYY-MM"; a component leaves what the
    next bill must know in ``after``. ``month`` counts local months since year 0, at the bill's start; ``closing`` is
    whether the bill reaches its end, and ``ends_on`` the local days after its start up to it, as MM-DD.
    """

    book: Book
    n: int
    part: Part
    used_wh: Ints
    attributes: Mapping[str, str]
    reactive_varh: Ints | None = None
    slots: Slots | None = None
    before: Mapping[str, Ints] = field(default_factory=dict)
    after: dict[str, Ints] = field(default_factory=dict)
    month: int = 0
    closing: bool = True
    ends_on: frozenset[str] = frozenset()
    weights: Mapping[int, int] = field(default_factory=dict)  # day units gone by, by version
    lines: list[Line] = field(default_factory=list)

    def micro(self, numerator: Any, denominator: int) -> Ints:
        """n amounts of currency ``numerator / denominator``, rounded once as the book's lines are."""
        values = numerator if isinstance(numerator, np.ndarray) else np.full(self.n, numerator, object)
        if self.book.round_lines == "total":
            exact: Ints = money.fractions(values.astype(object) * 10**money.MICRO_SCALE, denominator)
            return exact
        return narrow(money.to_micro(values, denominator, self.book.decimals, self.book.rounding))

    def base(self, ids: tuple[str, ...]) -> Ints:
        """Sum of the rounded lines of ``ids`` (empty: all lines so far) that fall into this part, in micro-units.

        Of a line that goes on beyond the part, the share of the line's days that lies inside it.
        """
        total: Ints = np.zeros(self.n, np.int64)
        for _, amount in self.bases(ids):
            total = total + amount
        return total

    def bases(self, ids: tuple[str, ...]) -> Iterator[tuple[Line, Ints]]:
        """The lines that ``base`` sums, each with what of it falls into this part."""
        for line in self.lines:
            inside = [index for index in line.versions if index in self.part.versions]
            if inside and (not ids or line.id in ids):
                yield line, self._share(line, inside)

    def _share(self, line: Line, inside: Sequence[int]) -> Ints:
        """The line's amount by the days of ``inside``, some or all of its versions."""
        whole = sum(self.weights[index] for index in line.versions)
        if len(inside) == len(line.versions) or not whole:
            return line.amount_micro
        share = line.amount_micro.astype(object) * sum(self.weights[index] for index in inside)
        found: Ints = money.fractions(share, whole)
        return found if self.book.round_lines == "total" else money.nearest(found, money.MICRO_SCALE)

    def line(self, spec: Spec, amount_micro: Ints, quantity: tuple[Any, int, str], price: str = "") -> Line:
        """A line of ``spec`` over this part; ``quantity`` is (scaled integers, scale, unit)."""
        values, scale, unit = quantity
        counts = values if isinstance(values, np.ndarray) else np.full(self.n, values, np.int64)
        return Line(
            spec.id, self.part.label, self.part.versions, "", None, counts, scale, unit, (price,) * self.n, amount_micro
        )

    def windows(self, spec: Spec, minutes: int, periods: tuple[str, ...], *, sliding: bool = False) -> Windows:
        """The whole clock windows of the part so far; RatingError where the bill's intervals are not known."""
        return self.intervals(spec).windows(self.part.versions, minutes, periods, sliding=sliding)

    def intervals(self, spec: Spec) -> Slots:
        """The bill's intervals so far; RatingError where they are not known."""
        if self.slots is None:
            raise RatingError(f"component {spec.id}: a {spec.kind} charge needs the intervals of the bill")
        return self.slots

    def held(self, ident: str) -> dict[str, Ints]:
        """What earlier parts or bills left under ``ident``, by what follows the colon."""
        head = f"{ident}:"
        own = {key: value for key, value in self.after.items() if key.startswith(head)}
        found = own or {key: value for key, value in self.before.items() if key.startswith(head)}
        return {key.removeprefix(head): value for key, value in found.items()}

    def leave(self, ident: str, lots: Mapping[str, Ints]) -> None:
        """Leave ``lots`` to the next part or bill under ``ident``, and nothing of what an earlier part left there."""
        head = f"{ident}:"
        for key in [key for key in self.after if key.startswith(head)]:
            del self.after[key]
        self.after.update({head + text: values for text, values in lots.items()})
        self.after.setdefault(f"{head}0000-01", np.zeros(self.n, np.int64))


def narrow(values: Ints) -> Ints:
    """int64 where every value fits; what does not stays Python integers."""
    if values.dtype != object or (values.size and max(abs(int(value)) for value in values.flat) >= 1 << 62):
        return values
    return values.astype(np.int64)


def month_text(month: int) -> str:
    """``YYYY-MM`` of a count of months since year 0.

    >>> month_text(2025 * 12 + 2)
    '2025-03'
    """
    return f"{month // 12:04d}-{month % 12 + 1:02d}"


def month_of(text: str) -> int:
    """The count of months since year 0 of ``YYYY-MM``."""
    return int(text[:4]) * 12 + int(text[5:7]) - 1
