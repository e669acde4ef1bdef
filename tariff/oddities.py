"""A checked Book and the lines of its text go in, what is legal in it and yet odd comes out, each with its line.

What cannot be priced is a BookError and never gets here. An oddity is for a person to look at: it may be meant.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from tariff import money
from tariff.components.energy import Energy, Ladder, Limits, Prices
from tariff.dayplan import DEFAULT, at_minute, clock, days_of, kinds_of_day, on_day
from tariff.locate import Path, line_of
from tariff.model import Book, Series, Spec, Version

WORST_SHOWN = 3  # holes of a series that are told one by one


@dataclass(frozen=True, slots=True)
class Oddity:
    """``code`` names the rule, ``line`` where it is (0: the whole book), ``text`` what was found."""

    code: str
    line: int
    text: str


def oddities(book: Book, places: Mapping[Path, int], today: date) -> tuple[Oddity, ...]:
    """Everything odd in ``book``, in order of its lines; ``places`` are the lines of its keys, ``today`` the date."""
    found = list(_sources(book))
    for index, version in enumerate(book.versions):
        following = book.versions[index + 1] if index + 1 < len(book.versions) else None
        for code, key, text in (*_windows(version, today), *_holidays(version, following, today)):
            path: Path = ("version", index, *key)
            found.append(Oddity(code, line_of(dict(places), path), f"version {version.label}: {text}"))
        for place, spec in enumerate(version.components):
            path = ("version", index, "component", place)
            for code, key, text in _component(spec):
                at = line_of(dict(places), (*path, *key))
                found.append(Oddity(code, at, f"version {version.label}: component {spec.id!r}: {text}"))
    found += _gone(book, places)
    return tuple(sorted(found, key=lambda one: one.line))


_Found = Iterator[tuple[str, Path, str]]


def _sources(book: Book) -> Iterator[Oddity]:
    for version in book.versions:
        if not (dict(version.source) or dict(book.source)).get("title"):
            yield Oddity("no_source", version.line, f"version {version.label}: no [source] says where it was published")


# ---- windows and holidays
def _windows(version: Version, today: date) -> _Found:
    """Windows that never hold, that overlap by a part, and hours that none covers although no default is named."""
    year = max(version.start.year, today.year)
    kinds = [kind for one in (year, year + 1) for kind in kinds_of_day(version, one)]
    reached = {piece.window for kind in kinds for piece in kind.stretches}
    dated = any(len(first) == 10 for window in version.windows for first, _ in window.dates)
    for place, window in enumerate(version.windows):
        if place not in reached and not (dated and window.dates):
            yield (
                "window_never",
                ("window", place),
                f"window {place + 1} ({window.period}) never holds: the ones above it cover it",
            )
    if version.windows and DEFAULT in reached and version.default_period == "*":
        gap = next(piece for kind in kinds for piece in kind.stretches if piece.window == DEFAULT)
        yield (
            "window_gap",
            (),
            f"no window covers {clock(gap.begin)}-{clock(gap.end)} and no default_period is named",
        )
    if version.windows and DEFAULT not in reached and version.default_period != "*":
        yield ("default_never", ("default_period",), f"default_period {version.default_period!r} never holds")
    yield from _overlaps(version, year)


def _overlaps(version: Version, year: int) -> _Found:
    """Pairs of windows that share hours while neither lies inside the other: was the order meant?"""
    hours = [_hours(version, place, year) for place in range(len(version.windows))]
    for low in range(len(hours)):
        for high in range(low + 1, len(hours)):
            both = hours[low] & hours[high]
            alike = version.windows[low].period == version.windows[high].period
            if both and not alike and both != hours[low] and both != hours[high]:
                text = f"windows {low + 1} ({version.windows[low].period}) and {high + 1}"
                text += f" ({version.windows[high].period}) overlap by a part: the first wins"
                yield ("window_overlap", ("window", high), text)


def _hours(version: Version, place: int, year: int) -> frozenset[tuple[date, int]]:
    """The days of ``year`` and the edges of the clock at which a window may hold, were it alone."""
    window = version.windows[place]
    edges = sorted({0, *(edge for one in version.windows for edge in (one.begin, one.end))})
    inside = [edge for edge in edges if at_minute(window, edge)]
    return frozenset((day, edge) for day in days_of(year) if on_day(window, version, day) for edge in inside)


def _holidays(version: Version, following: Version | None, today: date) -> _Found:
    """A list of holidays that ends before the version does: days of later years are no holidays."""
    until = following.start.date().year if following is not None else max(today.year, version.start.year)
    used = bool(version.holiday_as) or any(window.holidays is not None for window in version.windows)
    if version.holidays and int(max(version.holidays)[:4]) < until:
        last = max(version.holidays)
        yield "holidays_old", ("holidays",), f"the holidays end with {last}, the version goes on to {until}"
    if used and not version.holidays:
        yield "holidays_none", (), "windows or holiday_as speak of holidays, and none is listed"
    if version.holidays and not used:
        yield "holidays_unused", ("holidays",), "holidays are listed, and neither a window nor holiday_as uses them"


# ---- components
def _component(spec: Spec) -> _Found:
    if not isinstance(spec, Energy):
        return
    if spec.series_file and spec.series is None:
        yield "series_missing", ("series",), f"series {spec.series_file!r} is not there: it cannot be priced"
    if spec.series is not None:
        yield from _holes(spec.series)
    ladder = spec.ladder
    if ladder is None:
        return
    tables: list[tuple[Prices, Path]] = [(spec.prices, ("prices",))] if ladder.mode == "graduated" else []
    tables += [(one.prices, ("ladder", "classes")) for one in ladder.classes if one.limits]
    for prices, key in tables:
        yield from _falling(prices, key, credit=spec.credit)
    if ladder.mode == "by_total" and not any(one.limits for one in ladder.classes):
        yield from _falling(_by_class(ladder), ("ladder", "classes"), credit=spec.credit)
    yield from _limits(ladder)


def _falling(prices: Prices, key: Path, *, credit: bool) -> _Found:
    """A tier that is cheaper than the one below it; for a credit, one that pays more."""
    for period, tiers in prices:
        for number, (low, high) in enumerate(pairwise(tiers), start=2):
            scale = max(money.scale_of(low), money.scale_of(high))
            step = money.scaled(high, scale) - money.scaled(low, scale)
            if (step > 0) if credit else (step < 0):
                where = "" if period == "*" else f" of {period}"
                moves = "rises" if credit else "falls"
                yield "price_falls", key, f"the price{where} {moves} from {low} to {high} at tier {number}"


def _by_class(ladder: Ladder) -> Prices:
    """The one price of each class, as if the classes were tiers."""
    periods = dict.fromkeys(period for one in ladder.classes for period, _ in one.prices)
    return tuple(
        (name, tuple(tiers[-1] for one in ladder.classes for period, tiers in one.prices if period == name))
        for name in periods
    )


def _limits(ladder: Ladder) -> _Found:
    """Limits that no longer rise once an adder counts, and months that no list of limits names."""
    for limits in ladder.limits:
        for place, adder in enumerate(ladder.adders):
            added = [
                money.scaled(limit, 9) + money.scaled(adder.kwh[min(index, len(adder.kwh) - 1)], 9)
                for index, limit in enumerate(limits.values)
                if money.scale_of(limit) <= 9
            ]
            if any(low >= high for low, high in pairwise(added)):
                text = f"limits {', '.join(limits.values)} do not rise with what {adder.attribute!r} adds"
                yield "limits_fall", ("ladder", "adders", place), text
    missing = _months_without(ladder.limits)
    if missing:
        text = f"no limits for months {', '.join(map(str, missing))}: bills of them are refused"
        yield "limits_gap", ("ladder", "limits_by_months", 0), text


def _months_without(limits: tuple[Limits, ...]) -> list[int]:
    if not limits or any(not one.months for one in limits):
        return []
    return sorted(set(range(1, 13)) - {month for one in limits for month in one.months})


def _holes(series: Series) -> _Found:
    """Stretches between the stamps of a series that have no price, the first few by name."""
    holes = [
        (before + series.minutes, after) for before, after in pairwise(series.starts) if after > before + series.minutes
    ]
    for begin, end in holes[:WORST_SHOWN]:
        text = f"the series has no value for {end - begin} minutes from {_stamp(begin)} on"
        yield "series_hole", ("series",), text
    if len(holes) > WORST_SHOWN:
        yield "series_hole", ("series",), f"and {len(holes) - WORST_SHOWN} more holes in the series"


def _stamp(minute: int) -> str:
    return f"{date.fromordinal(date(1970, 1, 1).toordinal() + minute // 1440)}T{clock(minute % 1440)}Z"


def _gone(book: Book, places: Mapping[Path, int]) -> Iterator[Oddity]:
    """Components that a version lacks while the ones before and after it have them."""
    for index, (before, version, after) in enumerate(
        zip(book.versions, book.versions[1:], book.versions[2:], strict=False)
    ):
        own = {spec.id for spec in version.components}
        for spec in before.components:
            if spec.id not in own and book.get(spec.id, after) is not None:
                text = f"version {version.label}: component {spec.id!r} is missing, and the versions around it have it"
                yield Oddity("version_gap", line_of(dict(places), ("version", index + 1)), text)
