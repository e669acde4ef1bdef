"""One energy component and a calendar go in, Streams come out: per slot the cell and limits that the kernel reads.

A *cell* is what shares bill lines: a version and a period (and, where a class ladder looks at a whole span, the span).
The last cell of a stream that looks at whole spans counts what its first span had before the bill: it has no line.
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
from tariff.calendar import Calendar, under
from tariff.components.energy import Class, Energy, Ladder, Prices
from tariff.dynamic import BLIND, lookup
from tariff.model import Book, Version
from tariff.spans import days_of, share_of, spans_of

Ints = NDArray[Any]
FAR = 1 << 61  # a limit that no position reaches
BEFORE = -1  # version of the cell that holds what a span had before the bill


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

    @property
    def before(self) -> int:
        """The cell of what the first span had before the bill; -1 where the stream has none."""
        return len(self.cells) - 1 if self.cells and self.cells[-1][0] == BEFORE else -1


@dataclass(frozen=True, slots=True)
class _Group:
    """Versions that one ladder runs through: the specs by version index, and the slots of the plan that they rate."""

    specs: Mapping[int, Energy]
    columns: Ints
    calendar: Calendar
    attributes: Mapping[int, Mapping[str, str]]  # by version index
    canon: Mapping[int, int]  # the version under whose name a version's lines stand
    scale: int
    tag: str = ""  # ends the keys of ladders that other versions let restart or count otherwise

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
    named = canon(book, ident)
    for index in np.unique(calendar.version):
        spec = book.get(ident, book.versions[int(index)])
        if isinstance(spec, Energy):
            alone = named[int(index)] if spec.series_file and not spec.banded else -1  # one exact sum for each version
            alike.setdefault((alone, *_signature(spec)), {})[int(index)] = spec
    streams: list[Stream] = []
    attributes = {index: dict(version.attributes) for index, version in enumerate(book.versions)}
    for specs in alike.values():
        first = next(iter(specs.values()))
        silent = {} if first.ladder is None else _others(book, ident, calendar, specs)
        columns = np.flatnonzero(np.isin(calendar.version, [*silent, *specs]))
        seen = dict(sorted({**silent, **specs}.items()))
        group = _Group(seen, columns, calendar, attributes, named, scale, _tag(book, first))
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


def canon(book: Book, ident: str) -> dict[int, int]:
    """For each version the one under whose name the lines of this component stand.

    It is the first of neighbours that one version of the text became, that price the component alike, and in which
    whatever acts on lines (a tax, a minimum, a bank) is the same: else that would not find its own energy.
    """
    found: dict[int, int] = {}
    for index, version in enumerate(book.versions):
        before = book.versions[index - 1]
        same = index and version.origin and version.origin == before.origin
        found[index] = found[index - 1] if same and _alike(version, ident) == _alike(before, ident) else index
    return found


def _alike(version: Version, ident: str) -> list[object]:
    """What must stay for the lines of a component to go on."""
    return [(one, reads(one, version)) for one in version.components if one.id == ident or hasattr(one, "of")]


def covered(plan_versions: list[int], book: Book, ident: str, version: int) -> tuple[int, ...]:
    """Which of the versions of a plan stand on the lines of ``version``."""
    names = canon(book, ident)
    return tuple(index for index in plan_versions if names[index] == version)


def _others(book: Book, ident: str, calendar: Calendar, specs: Mapping[int, Energy]) -> dict[int, Energy]:
    """Versions before the last of ``specs`` that price this component by another rule: its ladder counts them too."""
    found: dict[int, Energy] = {}
    free = _unpriced(next(iter(specs.values())))
    for index in np.unique(calendar.version[calendar.version < max(specs)]).tolist():
        if index not in specs and isinstance(book.get(ident, book.versions[index]), Energy):
            found[index] = free
    return found


def _tag(book: Book, spec: Energy) -> str:
    """What tells the position of ``spec``'s ladder from that of versions which count or restart otherwise."""
    specs = (book.get(spec.id, version) for version in book.versions)
    ladders = {(one.quantity, one.ladder.reset) for one in specs if isinstance(one, Energy) and one.ladder is not None}
    return f"~{spec.quantity}~{spec.ladder.reset}" if spec.ladder is not None and len(ladders) > 1 else ""


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
    ladder, key = spec.ladder, f"{spec.id}{group.tag}"
    if ladder is None or ladder.allocate != "per_period":
        return _classes(group, key)
    labels = _labels(group, 0)
    found: list[Stream] = []
    for label in dict.fromkeys(labels.tolist()):
        found += _classes(replace(group, columns=group.columns[labels == label]), f"{key}/{label}")
    return found


def _classes(group: _Group, key: str) -> list[Stream]:
    """One stream, or one for each class of a by-total ladder."""
    ladder = next(iter(group.specs.values())).ladder
    if ladder is None or ladder.mode != "by_total":
        return [_stream(group, key=key)]
    return [_stream(group, klass=index, key=f"{key}#{index}") for index in range(len(ladder.classes))]


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
    tops = _tops(group, cells, cell, labels, reset)
    if spec.whole and len(columns):
        first = int(reset[0] != spans_of(calendar, spec.ladder)[0])  # the plan's first span, if the stream sees it
        cells = (*cells, (BEFORE, cells[0][1], -first))
        prices, texts = np.vstack([prices, np.zeros_like(prices[:1])]), (*texts, ("0",) * tiers)
        tops = np.vstack([tops, tops[:1]])
    limits = np.full((tiers - 1, len(columns)), FAR, np.int64)
    pro_rata = spec.ladder is not None and spec.ladder.allocate == "pro_rata" and tiers > 1
    for rows, values in _limit_rows(group, labels, reset, klass):
        limits[: len(values), rows] = np.array(values, np.int64)[:, None]
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
        tops=tops,
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
            found = lookup(spec, calendar, columns[rows])
            labels[rows] = found if spec.banded else "*"
        else:
            known = dict(_prices(spec, klass))
            names = np.array([name if name in known else "*" for name in calendar.periods], object)
            labels[rows] = names[calendar.period[columns[rows]]]
    return labels


def _blind(group: _Group, spec: Energy) -> Ints:
    """The stream's slots for which the series has no price."""
    if not spec.series_file:
        return np.zeros(0, np.int64)
    version = group.calendar.version[group.columns]
    missing = [
        np.flatnonzero(version == index)[lookup(one, group.calendar, group.columns[version == index]) == BLIND]
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
        found = lookup(spec, calendar, columns[rows])
        values = [0 if text == BLIND else money.scaled(text, group.scale) for text in found]
        prices[rows] = sign * np.array(values, np.int64)
    return prices


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
        known = dict(_prices(spec, klass))  # what another version's calendar names otherwise is counted, never priced
        places: dict[tuple[int, int, str], list[int]] = {}
        for row in own.tolist():
            if labels[row] in known:
                places.setdefault((int(reset[row]), int(month[row]), str(labels[row])), []).append(row)
        for key, rows in places.items():
            values = ladder_limits.select(spec.ladder, key[1], key[2]) if one is None else one.limits
            found.append((np.array(rows), _in_wh(group, index, key[0], values)))
    return found


def _in_wh(group: _Group, version: int, span: int, values: tuple[str, ...]) -> tuple[int, ...]:
    """Limits of ``version``'s ladder in Wh, for one span."""
    ladder = group.specs[version].ladder
    assert ladder is not None
    attributes = group.attributes[version]
    days, share = days_of(group.calendar, ladder, span, attributes), share_of(group.calendar, ladder, attributes)
    return ladder_limits.in_wh(ladder, values, days=days, attributes=attributes, share=share)


def _tops(
    group: _Group, cells: tuple[tuple[int, str, int], ...], cell: Ints, labels: NDArray[np.object_], reset: Ints
) -> Ints:
    """[C, classes-1]: totals in Wh up to which each class holds, for the span and version of each cell."""
    rows: list[tuple[int, ...]] = []
    for number, (version, _, _) in enumerate(cells):
        ladder = group.specs[version].ladder
        if ladder is None or ladder.mode != "by_total":
            return np.zeros((len(cells), 0), np.int64)
        first = int(np.flatnonzero(cell == number)[0])
        month = int(group.calendar.month[group.columns[first]]) % 12 + 1
        period = str(labels[first]) if ladder.allocate == "per_period" else ""
        values = ladder_limits.select(ladder, month, period)
        rows.append(_in_wh(group, version, int(reset[first]), values))
    return np.array(rows, np.int64).reshape(len(cells), -1)


def _runs(cell: Ints, reset: Ints, limits: Ints) -> Ints:
    """First slot of every run."""
    change = np.ones(len(cell), np.bool_)
    change[1:] = (np.diff(cell) != 0) | (np.diff(reset) != 0) | (np.diff(limits, axis=1) != 0).any(axis=0)
    return np.flatnonzero(change)
