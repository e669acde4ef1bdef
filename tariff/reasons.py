"""A bill and the energies that it was made of go in, why each of its lines is what it is comes out.

An energy line names its windows; a line made of other lines (percent, minimum, power factor, free kWh) names those; a
demand line names the window of the clock that set it. Every line carries the terms of its rule as the book writes them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from tariff import money
from tariff.model import Book, Spec, Version, Window
from tariff.plan import Plan, compile
from tariff.records import Bill, BillLine
from tariff.statement import with_demand
from tariff.usage import Usage, placed

ALL = "*"  # the window of a price that holds at all times


@dataclass(frozen=True, slots=True)
class Peak:
    """The window of the clock, UTC, whose average power was the largest, and that power in kW."""

    start: datetime
    end: datetime
    kw: str


@dataclass(frozen=True, slots=True)
class Reason:
    """Why one line is what it is. ``terms`` are the rule's own words, ``bases`` the lines that it was made of.

    ``windows`` are those of the line's period; ``default`` says that it also has every hour outside of all windows.
    """

    kind: str
    terms: Mapping[str, str]
    windows: tuple[Window, ...]
    default: bool
    bases: tuple[BillLine, ...]
    peak: Peak | None
    source: Mapping[str, str]


def reasons(book: Book, bill: Bill, usage: Usage, attributes: Mapping[str, str] | None = None) -> tuple[Reason, ...]:
    """One reason for each line of ``bill``, in order; a printed rounding line has the kind "rounding"."""
    span = bill.start, bill.end
    plan = compile(book, *span, usage.minutes, with_demand(book, usage, span, attributes))
    book = plan.book  # as it holds for the account
    versions = {version.label: version for version in book.versions}
    found = []
    for place, line in enumerate(bill.lines):
        version = versions.get(line.version)
        spec = book.get(line.id, version) if version is not None else None
        if version is None or spec is None:
            found.append(Reason("rounding", {}, (), False, bill.lines[:place], None, {}))
            continue
        covered = _covered(book, spec, version)
        always = (Window(line.period),)
        windows = tuple(window for window in version.windows or always if window.period == line.period)
        found.append(
            Reason(
                spec.kind,
                dict(_terms(spec)),
                windows,
                bool(version.windows) and line.period not in ("", ALL) and line.period == version.default_period,
                tuple(_bases(spec, bill.lines[:place], covered)),
                _peak(plan, spec, usage, covered) if spec.kind == "demand" else None,
                dict(version.source) or dict(book.source),
            )
        )
    return tuple(found)


def _covered(book: Book, spec: Spec, version: Version) -> frozenset[str]:
    """Labels of the neighbouring versions from ``version`` on that write the component alike: one line covers them."""
    labels = []
    for one in book.versions[book.versions.index(version) :]:
        if book.get(spec.id, one) != spec:
            break
        labels.append(one.label)
    return frozenset(labels)


def _bases(spec: Spec, above: Sequence[BillLine], covered: frozenset[str]) -> Iterator[BillLine]:
    """The lines above that a line was made of: those of the components it names, or all, of the versions it covers."""
    if not hasattr(spec, "of"):
        return
    named: Any = spec.of
    ids = (named,) if isinstance(named, str) else tuple(named)
    for line in above:
        if (not ids or line.id in ids) and line.version in covered:
            yield line


def _terms(spec: Spec) -> Iterator[tuple[str, str]]:
    """The spec's fields that say something, as text; those of a ladder behind ``ladder.``."""
    for field in fields(spec):  # type: ignore[arg-type]
        value = getattr(spec, field.name)
        if field.name in ("id", "kind", "series"):
            continue
        if field.name == "ladder" and value is not None:
            for name in ("mode", "reset", "allocate", "unit"):
                yield f"ladder.{name}", str(getattr(value, name))
            continue
        text = _text(value)
        if text:
            yield field.name, text


def _text(value: object) -> str:
    """A plain value or a list of them as text; "" for nothing, no, and nested records."""
    if value is None or value is False or is_dataclass(value):
        return ""
    if isinstance(value, tuple):
        return ", ".join(value) if all(isinstance(item, str) for item in value) else ""
    return str(value)


def _peak(plan: Plan, spec: Any, usage: Usage, covered: frozenset[str]) -> Peak | None:
    """The window that set a demand, the first of equals; None where a register did, or nothing was used."""
    if plan.attributes.get(getattr(spec, "register", ""), ""):
        return None
    calendar = plan.calendar
    wh, _, _ = placed(plan, usage, calendar.start + timedelta(minutes=calendar.slot_min * calendar.slots))
    minutes = max(getattr(spec, "window_min", 0), calendar.slot_min)
    length = minutes // calendar.slot_min
    first = np.flatnonzero(calendar.minute % minutes == 0) if length > 1 else np.arange(calendar.slots)
    first = first[first + length <= calendar.slots]
    labels = [version.label for version in plan.book.versions]
    inside = np.array([labels[int(number)] in covered for number in calendar.version[first]], np.bool_)
    if spec.periods:
        wanted = [number for number, name in enumerate(calendar.periods) if name in spec.periods]
        inside &= np.isin(calendar.period[first], wanted)
    first = first[inside]
    total = np.concatenate([[0], np.cumsum(wh[0])])
    if not first.size:
        return None
    windows = total[first + length] - total[first]
    place = int(np.argmax(windows))
    if not windows[place]:
        return None
    start = calendar.start + timedelta(minutes=calendar.slot_min * int(first[place]))
    kw = money.text(int(money.divide(int(windows[place]) * 60_000, minutes)), 6)
    return Peak(start, start + timedelta(minutes=minutes), kw)
