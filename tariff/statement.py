"""Energies of one bill's slots go in, the bill comes out: every line rounded as the book says, with what is missing.

``accrued`` is the same bill as if the period ended now, with fixed and minimum charges by their share of days, so it
rises to the bill's total without a jump at month end.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tariff import calendar as calendars
from tariff import money, rating
from tariff.components import kinds
from tariff.components.energy import Energy
from tariff.errors import RatingError
from tariff.facts import Facts, Ints, Line, Part, narrow
from tariff.lines import energy_lines, line_amounts
from tariff.model import Book, Spec
from tariff.rating import Plan, State
from tariff.records import Bill, BillLine, MissingSpan

ENGINE = "prewatt-tariff/1"
Carried = Mapping[str, int] | int | None


@dataclass(frozen=True, slots=True, eq=False)
class Usage:
    """What one account's meters counted in slots named by their ``ends`` (datetime64, UTC); the arrays are parallel."""

    ends: NDArray[Any]
    wh: Ints
    minutes: int
    export_wh: Ints | None = None
    reactive_varh: Ints | None = None


def period_of(book: Book, at: datetime, cycle_day: int | None = None) -> tuple[datetime, datetime]:
    """The billing period (UTC) that holds the instant ``at``: a local month from the cycle's day on."""
    day = cycle_day or book.cycle_day
    local = calendars.to_local(at, book.zone)
    first = local.replace(day=day, hour=0, minute=0, second=0, microsecond=0)
    if local < first:
        first = _month_on(first, -1)
    return calendars.to_utc(first, book.zone), calendars.to_utc(_month_on(first, 1), book.zone)


def _month_on(at: datetime, step: int) -> datetime:
    index = at.year * 12 + at.month - 1 + step
    return at.replace(year=index // 12, month=index % 12 + 1)


def ladder_start(book: Book, start: datetime) -> datetime:
    """From when on energy must be known to place ``start`` on every ladder of the book (``start`` itself if none runs)."""
    local = calendars.to_local(start, book.zone)
    resets = {
        spec.ladder.reset for version in book.versions for spec in version.components if isinstance(spec, Energy) and spec.ladder
    }
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    for reset, first in (("year", midnight.replace(month=1, day=1)), ("month", midnight.replace(day=1)), ("day", midnight)):
        if reset in resets:
            return min(start, calendars.to_utc(first, book.zone))
    return start


def carried(book: Book, start: datetime, usage: Usage, attributes: Mapping[str, str] | None = None) -> dict[str, int]:
    """Wh that each ladder has gone since it restarted, at ``start``, from the energy since ``ladder_start``."""
    begin = ladder_start(book, start)
    first = max(begin, calendars.to_utc(book.versions[0].start, book.zone))
    if first >= start:
        return {}
    plan = rating.compile(book, first, start, usage.minutes, attributes)
    wh, export, _ = _placed(plan, usage, start)
    after, _ = rating.advance(plan, plan.zero(1), 0, wh, export)
    return {
        stream.key: int(after.position[0, index])
        for index, stream in enumerate(plan.streams)
        if stream.ladder is not None and stream.ladder.reset != "bill" and _open(plan, start, stream.ladder.reset)
    }


def _open(plan: Plan, start: datetime, reset: str) -> bool:
    """Whether the span of the slot before ``start`` goes on at ``start``."""
    last = plan.calendar
    local = calendars.to_local(start, plan.book.zone)
    month = local.year * 12 + local.month - 1
    now = {"year": local.year, "month": month, "day": (local - calendars.EPOCH).days}[reset]
    before = {"year": last.year, "month": last.month, "day": last.day}[reset]
    return int(before[-1]) == now


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
    plan, state, found, holes = _run(book, (start, end), end, usage, attributes, carried)
    spans = tuple(missing) or _spans(plan, holes, ended)
    total, printed = _totals(book, found)
    return Bill(
        account=account,
        book=book.name,
        book_hash=book.hash,
        currency=book.currency,
        start=start,
        end=end,
        lines=tuple(line for line in (_printed(book, one) for one in found) if line is not None) + printed,
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
    _, _, found, _ = _run(book, (start, end), min(now, end), usage, attributes, carried)
    return _totals(book, found)[0]


def _run(
    book: Book,
    period: tuple[datetime, datetime],
    until: datetime,
    usage: Usage,
    attributes: Mapping[str, str] | None,
    before: Carried,
) -> tuple[Plan, State, list[Line], Ints]:
    """Plan, state at ``until``, lines, and which slots up to then have no interval."""
    plan = rating.compile(book, *period, usage.minutes, attributes)
    wh, export, present = _placed(plan, usage, until)
    state, _ = rating.advance(plan, plan.zero(1, before), 0, wh, export)
    reactive = None if usage.reactive_varh is None else _total(plan, usage, usage.reactive_varh, until)
    found = evaluate(plan, state, reactive_varh=reactive)
    return plan, state, found, np.flatnonzero(~present)


def _slots(plan: Plan, usage: Usage, until: datetime) -> tuple[Ints, NDArray[np.bool_], int]:
    """Slot of each interval, which of them count, and the number of slots up to ``until``."""
    calendar = plan.calendar
    count = min(max(0, (until - calendar.start) // timedelta(minutes=calendar.slot_min)), calendar.slots)
    ends = np.asarray(usage.ends, "datetime64[m]").astype(np.int64)
    offset = ends - calendars.minutes_of(calendar.start)
    slot = offset // calendar.slot_min - 1
    inside = (slot >= 0) & (slot < count)
    if (offset[inside] % calendar.slot_min).any():
        raise RatingError(f"intervals of {usage.minutes} minutes do not lie on the slots from {calendar.start} on")
    return slot, inside, count


def _placed(plan: Plan, usage: Usage, until: datetime) -> tuple[Ints, Ints | None, NDArray[np.bool_]]:
    """Energies [1, slots up to ``until``] and which slots have an interval; two intervals of one slot are refused."""
    slot, inside, count = _slots(plan, usage, until)
    present = np.zeros(count, np.bool_)
    present[slot[inside]] = True
    if int(present.sum()) != int(inside.sum()):
        raise RatingError("two intervals for one slot: resolve the conflict before rating")
    wh = np.zeros((1, count), np.int64)
    wh[0, slot[inside]] = np.asarray(usage.wh)[inside]
    if usage.export_wh is None:
        return wh, None, present
    export = np.zeros((1, count), np.int64)
    export[0, slot[inside]] = np.asarray(usage.export_wh)[inside]
    return wh, export, present


def _total(plan: Plan, usage: Usage, values: Ints, until: datetime) -> Ints:
    _, inside, _ = _slots(plan, usage, until)
    return np.array([np.asarray(values)[inside].sum()], np.int64)


def evaluate(plan: Plan, state: State, *, reactive_varh: Ints | None = None) -> list[Line]:
    """All lines of n bills at ``state``, in bill order, as if the period ended after ``state.done`` slots."""
    facts = Facts(
        plan.book,
        state.n,
        Part((), "", 0, 0, 1, 1),
        state.used,
        state.exported,
        plan.attributes,
        reactive_varh,
    )
    for ident in _order(plan):
        for part, spec in _parts(plan, state, ident):
            facts.part = part
            facts.lines += _energy(plan, state, ident) if isinstance(spec, Energy) else kinds()[spec.kind].price(spec, facts)
            if isinstance(spec, Energy):
                break
    return facts.lines


def _order(plan: Plan) -> tuple[str, ...]:
    versions = [plan.book.versions[int(index)] for index in np.unique(plan.calendar.version)]
    return tuple(dict.fromkeys(spec.id for version in versions for spec in version.components))


def _parts(plan: Plan, state: State, ident: str) -> Iterable[tuple[Part, Spec]]:
    """The component's stretches: neighbouring versions that write it alike are one, so an unchanged fee is one line."""
    calendar, book = plan.calendar, plan.book
    groups: list[tuple[Spec, list[int]]] = []
    for index in np.unique(calendar.version):
        spec = book.get(ident, book.versions[int(index)])
        if spec is None:
            continue
        if groups and groups[-1][0] == spec:
            groups[-1][1].append(int(index))
        else:
            groups.append((spec, [int(index)]))
    weights = np.diff(calendar.elapsed)
    for spec, versions in groups:
        inside = np.isin(calendar.version, versions)
        part = Part(
            versions=tuple(versions),
            label=book.versions[versions[0]].label,
            elapsed=int(weights[: state.done][inside[: state.done]].sum()),
            whole=int(weights[inside].sum()),
            total=int(calendar.elapsed[-1]),
            day_units=calendar.day_units,
        )
        if part.elapsed:
            yield part, spec


def _energy(plan: Plan, state: State, ident: str) -> list[Line]:
    found = energy_lines(plan, state, ident)
    result: list[Line] = []
    for line, amount in zip(found, line_amounts(plan, found), strict=True):
        label = plan.book.versions[line.version].label
        result.append(
            Line(ident, label, (line.version,), line.period, line.tier, line.wh, 3, "kWh", tuple(line.price), amount)
        )
    return result


def _totals(book: Book, found: Sequence[Line]) -> tuple[int, tuple[BillLine, ...]]:
    """The total of bill 0 in micro-units, and the printed rounding line where the total is rounded again."""
    total = int(totals(book, found)[0]) if found else 0
    plain = sum(int(line.amount_micro[0]) for line in found)
    if total == plain:
        return total, ()
    return total, (BillLine("rounding", "", "", None, "", "", "", total - plain),)


def totals(book: Book, found: Sequence[Line]) -> Ints:
    """[n] totals in micro-units: the sum of the rounded lines, rounded again if the book says so."""
    total: Ints = sum((line.amount_micro for line in found), np.zeros(1, np.int64))
    if book.total_decimals is None:
        return total
    return narrow(money.to_micro(total, 10**money.MICRO_SCALE, book.total_decimals, book.rounding))


def _printed(book: Book, line: Line) -> BillLine | None:
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


def _spans(plan: Plan, holes: Ints, ended: datetime | None) -> tuple[MissingSpan, ...]:
    """Neighbouring empty slots as spans; those from ``ended`` on are not missing."""
    calendar = plan.calendar
    step = timedelta(minutes=calendar.slot_min)
    if ended is not None:
        holes = holes[holes < max(0, (ended - calendar.start) // step)]
    spans: list[MissingSpan] = []
    for group in np.split(holes, np.flatnonzero(np.diff(holes) != 1) + 1):
        if len(group):
            first, last = calendar.start + step * int(group[0]), calendar.start + step * (int(group[-1]) + 1)
            spans.append(MissingSpan(first, last, len(group)))
    return tuple(spans)


def reads_hash(usage: Usage) -> str:
    """sha256 of what a bill was made of, in order of time."""
    ends = np.asarray(usage.ends, "datetime64[m]").astype(np.int64)
    order = np.argsort(ends, kind="stable")
    digest = hashlib.sha256(str(usage.minutes).encode())
    digest.update(np.ascontiguousarray(ends[order]).tobytes())
    for values in (usage.wh, usage.export_wh, usage.reactive_varh):
        digest.update(b"" if values is None else np.asarray(values, np.int64)[order].tobytes())
    return digest.hexdigest()
