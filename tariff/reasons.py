"""A bill and the energies that it was made of go in, why each of its lines is what it is comes out.

An energy line names its windows; a line made of other lines (percent, minimum, power factor, free kWh) names those; a
demand line names the window of the clock that set it. Every line carries the terms of its rule as the book writes them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from typing import Any

from tariff.components import kinds
from tariff.facts import Facts
from tariff.history import facts_at, with_demand
from tariff.inputs import Input, shared
from tariff.model import Book, Spec, Version, Window
from tariff.plan import Plan, compile
from tariff.records import Bill, BillLine
from tariff.usage import Usage

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
    ``inputs`` are what a line that is no energy was made of; energy's hours are told by ``tariff.explain``.
    """

    kind: str
    terms: Mapping[str, str]
    windows: tuple[Window, ...]
    default: bool
    bases: tuple[BillLine, ...]
    peak: Peak | None
    source: Mapping[str, str]
    inputs: tuple[Input, ...] = ()


def reasons(
    book: Book,
    bill: Bill,
    usage: Usage,
    attributes: Mapping[str, str] | None = None,
    carried: Mapping[str, int] | int | None = None,
) -> tuple[Reason, ...]:
    """One reason for each line of ``bill``, in order; a printed rounding line has the kind "rounding"."""
    span = bill.start, bill.end
    plan = compile(book, *span, usage.minutes, with_demand(book, usage, span, attributes))
    book = plan.book  # as it holds for the account
    made = _made(plan, usage, bill.end, carried)
    versions = {version.label: version for version in book.versions}
    found = []
    for place, line in enumerate(bill.lines):
        version = versions.get(line.version)
        spec = book.get(line.id, version) if version is not None else None
        if version is None or spec is None:
            found.append(Reason("rounding", {}, (), False, bill.lines[:place], None, {}))
            continue
        covered = _covered(book, spec, version)
        inputs = _of_line(made.get((line.id, line.version), ()), line, book)
        always = (Window(line.period),)
        windows = tuple(window for window in version.windows or always if window.period == line.period)
        found.append(
            Reason(
                spec.kind,
                dict(_terms(spec)),
                windows,
                bool(version.windows) and line.period not in ("", ALL) and line.period == version.default_period,
                tuple(_bases(spec, bill.lines[:place], covered)),
                _peak(inputs),
                dict(version.source) or dict(book.source),
                inputs,
            )
        )
    return tuple(found)


def _made(
    plan: Plan, usage: Usage, end: datetime, carried: Mapping[str, int] | int | None
) -> dict[tuple[str, str], tuple[Input, ...]]:
    """What each component that is no energy was made of, by its id and version."""
    found: dict[tuple[str, str], tuple[Input, ...]] = {}

    def asked(spec: Spec, facts: Facts) -> None:
        tell = getattr(kinds()[spec.kind], "inputs", None)
        if tell is not None:
            found[spec.id, facts.part.label] = tuple(tell(spec, facts))

    facts_at(plan, usage, end, carried, asked)
    return found


def _of_line(made: Sequence[Input], line: BillLine, book: Book) -> tuple[Input, ...]:
    """The inputs that are the line's, with their rounded parts of it."""
    own = [one for one in made if one.period in ("", line.period)]
    return shared(own, line.included_micro or line.amount_micro, book)


def _peak(inputs: Sequence[Input]) -> Peak | None:
    """The window that set a demand; None where a register did, or nothing was used."""
    for one in inputs:
        if one.what == "window" and one.start is not None and one.end is not None:
            return Peak(one.start, one.end, one.quantity)
    return None


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
