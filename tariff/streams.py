"""One energy component and a calendar go in, Streams come out: per slot the cell and limits that the kernel reads.

A *cell* is what shares bill lines: a version and a period (and, where a class ladder looks at a whole span, the span).
A *run* is a stretch of slots in which cell, limits and ladder span stay the same; the kernel works run by run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tariff import limits as ladder_limits
from tariff import money
from tariff.applied import reads
from tariff.calendar import Calendar, minutes_of, under
from tariff.components.energy import Class, Energy, Ladder, Prices
from tariff.errors import RatingError
from tariff.model import Book

Ints = NDArray[Any]
FAR = 1 << 61  # a limit that no position reaches
BLIND = "?"  # period of slots for which a series has no price


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """What one ladder (or one flat price) sees. ``m`` slots, K tiers, R runs, C cells.

    ``columns`` are its slots in the plan, None for all; ``limits`` is [K-1, m], ``prices`` [C, K] at the plan's scale
    with the sign of a credit; ``slot_prices`` [m] holds the prices of a numeric series. ``texts`` are the prices as the
    book writes them.
    """

    key: str
    component: str
    klass: int
    quantity: str
    columns: Ints | None
    cell: Ints
    reset: Ints
    limits: Ints
    prices: Ints
    texts: tuple[tuple[str, ...], ...]
    cells: tuple[tuple[int, str, int], ...]
    runs: Ints
    blind: Ints
    first_tier: int = 0
    slot_prices: Ints | None = None
    pro_rata: bool = False
    whole: bool = False
    first_line: int = 0
    ladder: Ladder | None = None
    silent: frozenset[int] = frozenset()  # versions that move the ladder and that another stream prices
    share: tuple[int, int] = (1, 1)  # of the bill's days, where prices change by average per day
    tops: Ints = field(default_factory=lambda: np.zeros((0, 0), np.int64))  # [C, classes-1] totals of the classes in Wh


@dataclass(frozen=True, slots=True)
class _Group:
    """Versions that one ladder runs through: the specs by version index, and the slots of the plan that they rate."""

    specs: Mapping[int, Energy]
    columns: Ints
    calendar: Calendar
    attributes: Mapping[int, Mapping[str, str]]  # by version index
    canon: Mapping[int, int]  # the version under whose name a version's lines stand
    scale: int

    @property
    def named(self) -> Ints:
        """Version of each slot, by the name that its lines bear."""
        version = self.calendar.version[self.columns]
        return np.array([self.canon[int(index)] for index in range(int(version.max(initial=0)) + 1)], np.int64)[version]


def price_scale(book: Book, ids: tuple[str, ...]) -> int:
    """Decimal places that hold every energy price of the book's components ``ids``."""
    found = [0]
    for version in book.versions:
        for spec in version.components:
            if isinstance(spec, Energy) and spec.id in ids:
                found += [money.scale_of(text) for text in _texts(spec)]
    return max(found)


def _texts(spec: Energy) -> list[str]:
    tables = [spec.prices] + ([one.prices for one in spec.ladder.classes] if spec.ladder else [])
    own = [text for table in tables for _, tiers in table for text in tiers]
    if spec.series is not None and not spec.banded:
        own += spec.series.values
    return own


def compile_streams(book: Book, ident: str, calendar: Calendar, scale: int) -> list[Stream]:
    """Streams of the energy component ``ident``; a ladder goes on through versions that build it alike."""
    used = np.unique(calendar.version).tolist()
    if book.price_change == "average_per_day" and len({book.versions[index].origin for index in used}) > 1:
        return _averaged(book, ident, calendar, scale)
    return _by_slot(book, ident, calendar, scale)


def _by_slot(book: Book, ident: str, calendar: Calendar, scale: int) -> list[Stream]:
    alike: dict[tuple[object, ...], dict[int, Energy]] = {}
    canon = _canon(book, ident)
    for index in np.unique(calendar.version):
        spec = book.get(ident, book.versions[int(index)])
        if isinstance(spec, Energy):
            alone = canon[int(index)] if spec.series_file and not spec.banded else -1  # one exact sum for each version
            alike.setdefault((alone, *_signature(spec)), {})[int(index)] = spec
    streams: list[Stream] = []
    attributes = {index: dict(version.attributes) for index, version in enumerate(book.versions)}
    for specs in alike.values():
        first = next(iter(specs.values()))
        silent = {} if first.ladder is None else _earlier(book, ident, calendar, first, min(specs))
        columns = np.flatnonzero(np.isin(calendar.version, [*silent, *specs]))
        group = _Group({**silent, **specs}, columns, calendar, attributes, canon, scale)
        streams += [replace(stream, silent=frozenset(silent)) for stream in _group(group)]
    return streams


def _averaged(book: Book, ident: str, calendar: Calendar, scale: int) -> list[Stream]:
    """Each version's streams see the whole bill as if it had held throughout, and bear its share of the days."""
    streams: list[Stream] = []
    weights = np.diff(calendar.elapsed)
    for index in np.unique(calendar.version).tolist():
        share = int(weights[calendar.version == index].sum()), int(calendar.elapsed[-1])
        for stream in _by_slot(book, ident, under(calendar, book, index), scale):
            streams.append(replace(stream, share=share, whole=True))
    return streams


def _canon(book: Book, ident: str) -> dict[int, int]:
    """The first of neighbouring versions that one version of the text became and that price this component alike."""
    found: dict[int, int] = {}
    before: tuple[object, ...] = ()
    for index, version in enumerate(book.versions):
        spec = book.get(ident, version)
        alike = (version.origin, spec, reads(spec, version) if spec is not None else ())
        found[index] = found[index - 1] if index and alike == before else index
        before = alike
    return found


def _earlier(book: Book, ident: str, calendar: Calendar, spec: Energy, before: int) -> dict[int, Energy]:
    """Versions before ``before`` that price this component by another rule: the ladder counts them, at no price."""
    found: dict[int, Energy] = {}
    for index in np.unique(calendar.version[calendar.version < before]):
        if isinstance(book.get(ident, book.versions[int(index)]), Energy):
            found[int(index)] = _unpriced(spec)
    return found


def _unpriced(spec: Energy) -> Energy:
    def free(prices: Prices) -> Prices:
        return tuple((period, ("0",) * len(tiers)) for period, tiers in prices)

    assert spec.ladder is not None
    classes = tuple(replace(one, prices=free(one.prices)) for one in spec.ladder.classes)
    return replace(spec, prices=free(spec.prices), ladder=replace(spec.ladder, classes=classes))


def _signature(spec: Energy) -> tuple[object, ...]:
    ladder = spec.ladder
    shape = (ladder.mode, ladder.reset, ladder.allocate, len(ladder.classes)) if ladder else ()
    return (spec.quantity, bool(spec.series_file), spec.banded, shape)


def _group(group: _Group) -> list[Stream]:
    spec = next(iter(group.specs.values()))
    ladder = spec.ladder
    if ladder is not None and ladder.mode == "by_total":
        return [_stream(group, klass=index, key=f"{spec.id}#{index}") for index in range(len(ladder.classes))]
    if ladder is not None and ladder.allocate == "per_period":
        labels = _labels(group, 0)
        found = []
        for label in dict.fromkeys(labels.tolist()):
            own = _Group(
                group.specs, group.columns[labels == label], group.calendar, group.attributes, group.canon, group.scale
            )
            found.append(_stream(own, key=f"{spec.id}/{label}"))
        return found
    return [_stream(group, key=spec.id)]


def _stream(group: _Group, *, key: str, klass: int = 0) -> Stream:
    calendar, columns = group.calendar, group.columns
    spec = next(iter(group.specs.values()))
    labels = _labels(group, klass)
    reset = spans_of(calendar, spec.ladder)[columns]
    version = group.named
    spans = np.unique(reset, return_inverse=True)[1] if spec.whole else np.zeros(len(columns), np.int64)
    cells, cell = _cells(version, labels, spans)
    tiers = max(len(row) for one in group.specs.values() for _, row in _prices(one, klass))
    prices, texts = _price_rows(group, cells, tiers, klass)
    limits = np.full((tiers - 1, len(columns)), FAR, np.int64)
    pro_rata = spec.ladder is not None and spec.ladder.allocate == "pro_rata" and spec.ladder.mode == "graduated"
    for rows, values in _limit_rows(group, labels, reset, klass):
        limits[: len(values), rows] = np.array(values, np.int64)[:, None]
    tops = _tops(group, cells, cell, reset) if spec.ladder is not None and spec.ladder.mode == "by_total" else None
    return Stream(
        key=key,
        component=spec.id,
        klass=klass,
        quantity=spec.quantity,
        columns=None if len(columns) == calendar.slots else columns,
        cell=cell,
        reset=reset,
        limits=limits,
        prices=prices,
        texts=texts,
        cells=cells,
        runs=_runs(cell, reset, limits),
        blind=_blind(group, spec),
        first_tier=spec.ladder.classes[klass].first_tier if spec.ladder and spec.ladder.classes else 0,
        slot_prices=_slot_prices(group) if spec.series_file and not spec.banded else None,
        pro_rata=pro_rata,
        whole=spec.whole,
        ladder=spec.ladder,
        tops=tops if tops is not None else np.zeros((len(cells), 0), np.int64),
    )


def _prices(spec: Energy, klass: int) -> Prices:
    return spec.ladder.classes[klass].prices if spec.ladder is not None and spec.ladder.classes else spec.prices


def _class(spec: Energy, klass: int) -> Class | None:
    return spec.ladder.classes[klass] if spec.ladder is not None and spec.ladder.classes else None


def _labels(group: _Group, klass: int) -> NDArray[np.object_]:
    """The period under which each slot is priced: its own, "*" if one price holds for all, a band's name, or BLIND."""
    calendar, columns = group.calendar, group.columns
    labels = np.empty(len(columns), object)
    version = calendar.version[columns]
    for index, spec in group.specs.items():
        rows = version == index
        if spec.series_file:
            found = _lookup(spec, calendar, columns[rows])
            labels[rows] = found if spec.banded else "*"
        else:
            known = dict(_prices(spec, klass))
            names = np.array([name if name in known else "*" for name in calendar.periods], object)
            labels[rows] = names[calendar.period[columns[rows]]]
    return labels


def _lookup(spec: Energy, calendar: Calendar, columns: Ints) -> NDArray[np.object_]:
    """The series' value of each slot, BLIND where it has none."""
    series = spec.series
    if series is None:
        raise RatingError(
            f"component {spec.id}: its series file {spec.series_file!r} is not there; put it beside the book"
        )
    if calendar.slot_min > series.minutes:
        raise RatingError(
            f"component {spec.id}: slots of {calendar.slot_min} minutes cannot be priced by a series of "
            f"{series.minutes} minutes; give shorter intervals"
        )
    at = minutes_of(calendar.start) + columns * calendar.slot_min
    starts = np.array(series.starts, np.int64)
    index = np.searchsorted(starts, at, side="right") - 1
    known = (index >= 0) & (at + calendar.slot_min <= starts[index] + series.minutes)
    values = np.array(series.values, object)[np.maximum(index, 0)]
    found: NDArray[np.object_] = np.where(known, values, BLIND)
    return found


def _blind(group: _Group, spec: Energy) -> Ints:
    """The stream's slots for which the series has no price."""
    if not spec.series_file:
        return np.zeros(0, np.int64)
    version = group.calendar.version[group.columns]
    missing = [
        np.flatnonzero(version == index)[_lookup(one, group.calendar, group.columns[version == index]) == BLIND]
        for index, one in group.specs.items()
    ]
    return np.sort(np.concatenate(missing))


def _slot_prices(group: _Group) -> Ints:
    calendar, columns = group.calendar, group.columns
    prices = np.zeros(len(columns), np.int64)
    version = calendar.version[columns]
    for index, spec in group.specs.items():
        rows = np.flatnonzero(version == index)
        sign = -1 if spec.credit else 1
        found = _lookup(spec, calendar, columns[rows])
        values = [0 if text == BLIND else money.scaled(text, group.scale) for text in found]
        prices[rows] = sign * np.array(values, np.int64)
    return prices


def spans_of(calendar: Calendar, ladder: Ladder | None) -> Ints:
    """The span of each slot in which a ladder's position rises; it restarts where this number changes."""
    reset = ladder.reset if ladder is not None else "bill"
    return {
        "bill": np.zeros(calendar.slots, np.int64),
        "day": calendar.day,
        "month": calendar.month,
        "year": calendar.year,
    }[reset]


def _cells(version: Ints, labels: NDArray[np.object_], spans: Ints) -> tuple[tuple[tuple[int, str, int], ...], Ints]:
    found: dict[tuple[int, str, int], int] = {}
    names: dict[str, int] = {}
    codes = np.array([names.setdefault(label, len(names)) for label in labels.tolist()], np.int64)
    width, depth = max(1, len(names)), int(spans.max(initial=0)) + 1
    packed = (version * depth + spans) * width + codes
    unique, first, inverse = np.unique(packed, return_index=True, return_inverse=True)
    for index in first:
        found[(int(version[index]), str(labels[index]), int(spans[index]))] = len(found)
    del unique
    return tuple(found), inverse.astype(np.int64)


def _price_rows(
    group: _Group, cells: tuple[tuple[int, str, int], ...], tiers: int, klass: int
) -> tuple[Ints, tuple[tuple[str, ...], ...]]:
    """[C, K] scaled prices, and their texts; tiers that a version does not have repeat its last price."""
    rows: list[list[int]] = []
    texts: list[tuple[str, ...]] = []
    for version, label, _ in cells:
        spec = group.specs[version]
        known = dict(_prices(spec, klass))
        row = known.get(label, known.get("*", ("0",)))
        padded = (*row, *(row[-1],) * (tiers - len(row)))
        sign = -1 if spec.credit else 1
        texts.append(padded)
        rows.append([sign * money.scaled(text, group.scale) for text in padded])
    return np.array(rows, np.int64).reshape(len(cells), tiers), tuple(texts)


def _days(calendar: Calendar, ladder: Ladder, span: int) -> tuple[int, int]:
    """Exact days of a ladder's ``span``, as far as it lies inside the bill, whatever slots a stream has of it."""
    inside = spans_of(calendar, ladder) == span
    return int(np.diff(calendar.elapsed)[inside].sum()), calendar.day_units


def _limit_rows(
    group: _Group, labels: NDArray[np.object_], reset: Ints, klass: int
) -> list[tuple[Ints, tuple[int, ...]]]:
    """Slots (in the stream) and the limits in Wh that hold there."""
    found: list[tuple[Ints, tuple[int, ...]]] = []
    version = group.calendar.version[group.columns]
    month = group.calendar.month[group.columns] % 12 + 1
    for index, spec in group.specs.items():
        if spec.ladder is None:
            continue
        one = _class(spec, klass)
        own = np.flatnonzero(version == index)
        keys = [(int(reset[row]), int(month[row]), str(labels[row])) for row in own] if one is None else []
        if one is not None:
            plain = Ladder("graduated", "bill", "chronological", ())
            found.append((own, ladder_limits.in_wh(plain, one.limits, days=(1, 1), attributes=group.attributes[index])))
        for key in dict.fromkeys(keys):
            rows = own[np.array([other == key for other in keys])]
            values = ladder_limits.select(spec.ladder, key[1], key[2])
            days = _days(group.calendar, spec.ladder, key[0])
            found.append(
                (rows, ladder_limits.in_wh(spec.ladder, values, days=days, attributes=group.attributes[index]))
            )
    return found


def _tops(group: _Group, cells: tuple[tuple[int, str, int], ...], cell: Ints, reset: Ints) -> Ints:
    """[C, classes-1]: totals in Wh up to which each class holds, for the span and version of each cell."""
    rows: list[tuple[int, ...]] = []
    for number, (version, _, _) in enumerate(cells):
        ladder = group.specs[version].ladder
        assert ladder is not None
        own = np.flatnonzero(cell == number)
        month = int(group.calendar.month[group.columns[own[0]]]) % 12 + 1
        days = _days(group.calendar, ladder, int(reset[own[0]]))
        values = ladder_limits.select(ladder, month, "")
        rows.append(ladder_limits.in_wh(ladder, values, days=days, attributes=group.attributes[version]))
    return np.array(rows, np.int64)


def _runs(cell: Ints, reset: Ints, limits: Ints) -> Ints:
    """First slot of every run."""
    change = np.ones(len(cell), np.bool_)
    change[1:] = (np.diff(cell) != 0) | (np.diff(reset) != 0) | (np.diff(limits, axis=1) != 0).any(axis=0)
    return np.flatnonzero(change)
