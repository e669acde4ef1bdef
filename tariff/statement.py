"""Energies of one bill's slots go in, the bill comes out: every line rounded as the book says, with what is missing.

``accrued`` is the same bill as if the period ended now, with fixed and minimum charges by their share of days, so it
rises to the bill's total without a jump at month end.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tariff import money, rating
from tariff.components.energy import Energy
from tariff.evaluation import evaluate, totals
from tariff.facts import Ints, Line
from tariff.model import Book
from tariff.periods import carried, ladder_start, period_of
from tariff.plan import Plan
from tariff.records import Bill, BillLine, MissingSpan
from tariff.usage import Usage, missing_spans, placed, reads_hash, total_of

__all__ = ["ENGINE", "Usage", "accrued", "bill", "carried", "ladder_start", "period_of"]

ENGINE = "prewatt-tariff/1"
PER_KW = "kWh_per_kw"
Carried = Mapping[str, int] | int | None


def bill(
    book: Book,
    account: str,
    start: datetime,
    end: datetime,
    ends: NDArray[Any],
    wh: Ints,
    *,
    minutes: int,
    attributes: Mapping[str, str] | None = None,
    missing: Sequence[MissingSpan] = (),
    ended: datetime | None = None,
    carried: Carried = None,
    export_wh: Ints | None = None,
    reactive_varh: Ints | None = None,
) -> Bill:
    """The bill of [start, end) in UTC from intervals of ``minutes`` that end at ``ends``; the order does not matter.

    A slot without an interval counts as zero and is named in ``missing``; slots from ``ended`` on are not expected.
    """
    usage = Usage(ends, wh, minutes, export_wh, reactive_varh)
    plan, found, holes = _run(book, (start, end), end, usage, attributes, carried)
    spans = tuple(missing) or missing_spans(plan, holes, ended)
    total, printed = _totals(book, found)
    return Bill(
        account=account,
        book=book.name,
        book_hash=book.hash,
        currency=book.currency,
        start=start,
        end=end,
        lines=tuple(line for line in map(_printed, found) if line is not None) + printed,
        total_micro=total,
        complete=not spans,
        missing=spans,
        ended=ended,
        reads_hash=reads_hash(usage),
        engine=ENGINE,
    )


def accrued(
    book: Book,
    start: datetime,
    now: datetime,
    end: datetime,
    ends: NDArray[Any],
    wh: Ints,
    *,
    minutes: int,
    attributes: Mapping[str, str] | None = None,
    carried: Carried = None,
    export_wh: Ints | None = None,
    reactive_varh: Ints | None = None,
) -> int:
    """Micro-units of the bill that would be printed if the period [start, end) ended at ``now``."""
    usage = Usage(ends, wh, minutes, export_wh, reactive_varh)
    _, found, _ = _run(book, (start, end), min(now, end), usage, attributes, carried)
    return _totals(book, found)[0]


def _run(
    book: Book,
    period: tuple[datetime, datetime],
    until: datetime,
    usage: Usage,
    attributes: Mapping[str, str] | None,
    before: Carried,
) -> tuple[Plan, list[Line], Ints]:
    """Plan, lines at ``until``, and which slots up to then have no interval."""
    plan = rating.compile(book, *period, usage.minutes, with_demand(book, usage, period, attributes))
    wh, export, present = placed(plan, usage, until)
    state = rating.settle(plan, plan.zero(1, before), 0, wh, export)
    reactive = None if usage.reactive_varh is None else total_of(plan, usage, usage.reactive_varh, until)
    found = evaluate(plan, state, wh=wh, reactive_varh=reactive)
    return plan, found, np.flatnonzero(~present)


def with_demand(
    book: Book, usage: Usage, period: tuple[datetime, datetime], attributes: Mapping[str, str] | None
) -> Mapping[str, str] | None:
    """Attributes with the bill's largest kW, where a ladder's limits are per kW and the account has no such number."""
    specs = [spec for version in book.versions for spec in version.components]
    ladders = [spec.ladder for spec in specs if isinstance(spec, Energy) and spec.ladder]
    known = {**book.attributes, **(attributes or {})}
    names = [ladder.kw for ladder in ladders if ladder.unit == PER_KW and ladder.kw not in known]
    if not names:
        return attributes
    begin, end = (np.datetime64(at, "m") for at in period)
    ends = np.asarray(usage.ends, "datetime64[m]")
    inside = np.asarray(usage.wh)[(ends > begin) & (ends <= end)]
    largest = money.divide(int(inside.max(initial=0)) * 60_000, usage.minutes)
    return {**(attributes or {}), **dict.fromkeys(names, money.text(largest, 6))}


def _totals(book: Book, found: Sequence[Line]) -> tuple[int, tuple[BillLine, ...]]:
    """The total of bill 0 in micro-units, and the printed rounding line where the total is rounded again."""
    total = int(totals(book, found)[0]) if found else 0
    plain = sum(int(line.amount_micro[0]) for line in found)
    if total == plain:
        return total, ()
    return total, (BillLine("rounding", "", "", None, "", "", "", total - plain),)


def _printed(line: Line) -> BillLine | None:
    """Line of bill 0; energy lines without energy or money are left out."""
    amount, quantity = int(line.amount_micro[0]), line.quantity[0]
    if line.unit == "kWh" and not amount and not quantity:
        return None
    text = _quantity(quantity, line.quantity_scale)
    return BillLine(line.id, line.version, line.period, line.tier, text, line.unit, line.price[0], amount)


def _quantity(value: Any, scale: int) -> str:
    """Decimal text of a scaled quantity; a shared one (a Fraction) is shown to six more places."""
    if getattr(value, "denominator", 1) == 1:
        return money.text(int(value), scale)
    return money.text(money.divide(value.numerator * 10**6, value.denominator), scale + 6)
