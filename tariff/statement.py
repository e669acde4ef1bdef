"""Energies of one bill's slots go in, the bill comes out: every line rounded as the book says, with what is missing.

``accrued`` is the same bill as if the period ended now, with fixed and minimum charges by their share of days, so it
rises to the bill's total without a jump at month end.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from numpy.typing import NDArray

from tariff import money, rating
from tariff.evaluation import totals
from tariff.facts import Ints, Line
from tariff.history import after, carried, facts_at, with_demand
from tariff.model import Book
from tariff.periods import ladder_start, period_of
from tariff.plan import Plan
from tariff.records import Bill, BillLine, MissingSpan
from tariff.usage import Usage, missing_spans, reads_hash

__all__ = ["ENGINE", "Usage", "accrued", "after", "bill", "carried", "ladder_start", "period_of", "with_demand"]

ENGINE = "prewatt-tariff/1"
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
    total, rest = _totals(book, found)
    return Bill(
        account=account,
        book=book.name,
        book_hash=book.hash,
        currency=book.currency,
        start=start,
        end=end,
        lines=tuple(line for line in map(printed, found) if line is not None) + rest,
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
    facts, holes = facts_at(plan, usage, until, before)
    return plan, facts.lines, holes


def _totals(book: Book, found: Sequence[Line]) -> tuple[int, tuple[BillLine, ...]]:
    """The total of bill 0 in micro-units, and the printed rounding line where the total is rounded again."""
    total = int(totals(book, found)[0]) if found else 0
    return total, rounding(found, total)


def rounding(found: Sequence[Line], total: int, row: int = 0) -> tuple[BillLine, ...]:
    """The printed line of what bill ``row`` of ``total`` micro-units has beside its lines, if anything."""
    plain = sum(int(line.amount_micro[row]) for line in found)
    return () if total == plain else (BillLine("rounding", "", "", None, "", "", "", total - plain),)


def printed(line: Line, row: int = 0) -> BillLine | None:
    """Line of bill ``row``; energy lines without energy or money are left out."""
    amount, quantity = int(line.amount_micro[row]), line.quantity[row]
    if line.unit == "kWh" and not amount and not quantity:
        return None
    text = _quantity(quantity, line.quantity_scale)
    held = int(line.included_micro[row]) if line.included_micro is not None else 0
    return BillLine(line.id, line.version, line.period, line.tier, text, line.unit, line.price[row], amount, held)


def _quantity(value: Any, scale: int) -> str:
    """Decimal text of a scaled quantity; a shared one (a Fraction) is shown to six more places."""
    if getattr(value, "denominator", 1) == 1:
        return money.text(int(value), scale)
    return money.text(money.divide(value.numerator * 10**6, value.denominator), scale + 6)
