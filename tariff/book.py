"""The text of a TOML tariff book goes in, a checked Book with a content hash comes out.

What the book's keys mean is written in docs/howto/tariff-book.md; each kind of component documents its own. Nothing is
guessed: an unknown key or kind, or a rule that cannot be priced, is a BookError with file, line and a suggestion.
"""

import hashlib
import re
import tomllib
from collections.abc import Callable
from datetime import datetime
from importlib import resources
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tariff import money, spelling
from tariff.components import kinds
from tariff.components.energy import Energy
from tariff.components.free_kwh import FreeKwh
from tariff.components.net_metering import NetMetering
from tariff.components.percent import Percent
from tariff.errors import BookError
from tariff.late_fee import LateFeeRule
from tariff.locate import Path, lines_of
from tariff.model import PRICE_CHANGES, Book, Gas, Spec, Version, When, Window
from tariff.section import Section, suggest
from tariff.series import Context

__all__ = ["Book", "load", "shipped", "shipped_text"]

SCHEMA = "prewatt.book/1"
ROUND_LINES = ("line", "component", "total")
_CLOCK = re.compile(r"([01]\d|2[0-4]):([0-5]\d)\Z")
_DATE = re.compile(r"(\d{4}-)?\d{2}-\d{2}\Z")
_TOML_PLACE = re.compile(r"\(at line (\d+), column \d+\)")
MAX_TEXT = 4_000_000


def load(text: str, name: str, *, path: str = "", series: Callable[[str], bytes] | None = None) -> Book:
    """Read one book. ``series`` opens the files that dynamic components name (raise OSError where there is none).

    A book whose series file is absent loads, and cannot price that component until it is there.
    """
    file = path or f"{name}.toml"
    if len(text) > MAX_TEXT:
        raise BookError(file, 0, f"a book may have at most {MAX_TEXT} characters")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _TOML_PLACE.search(str(error))
        raise BookError(file, int(place[1]) if place else text.count("\n") + 1, f"not TOML: {error}") from None
    root = Section(table, (), file, lines_of(text))
    return _book(root, text, name, series)


def shipped() -> tuple[str, ...]:
    """Names of the books that come with the package."""
    folder = resources.files("tariff").joinpath("books")
    return tuple(sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".toml")))


def shipped_text(name: str) -> str:
    """The TOML text of a book that comes with the package; KeyError if there is none."""
    if name not in shipped():
        raise KeyError(name)
    return resources.files("tariff").joinpath("books", f"{name}.toml").read_text(encoding="utf-8")


def _book(root: Section, text: str, name: str, series: Callable[[str], bytes] | None) -> Book:
    spelling.check(root)
    root.text("schema", SCHEMA, choices=(SCHEMA,))
    zone = _zone(root)
    versions = tuple(_version(item, zone, series) for item in root.children("version", required=True))
    if not versions:
        root.fail("version", "a book needs at least one [[version]]")
    for earlier, later in pairwise(versions):
        if later.start <= earlier.start:
            raise BookError(root.file, later.line, f"version {later.label} does not start after {earlier.label}")
    if len({version.gas is None for version in versions}) > 1:
        root.fail("version", "some versions convert gas and some do not", "give every version its [version.gas]")
    change = root.text("price_change", "timestamp", choices=PRICE_CHANGES)
    netted = [spec.id for version in versions for spec in version.components if isinstance(spec, NetMetering)]
    if netted and change == "average_per_day" and len(versions) > 1:
        root.fail(
            "price_change",
            f"component {netted[0]!r} nets the hours of each version, and price_change = {change!r} knows no hours",
            'price_change = "timestamp", or a book of one version',
        )
    source = root.child("source")
    attributes = root.child("attributes")
    total_decimals = root.integer("total_decimals", 0, high=6) if root.has("total_decimals") else None
    book = Book(
        name=root.text("name", name),
        title=root.text("title", name),
        currency=root.text("currency"),
        zone=zone,
        decimals=root.integer("decimals", 2, high=6),
        rounding=_rounding(root),
        round_lines=root.text("round_lines", "line", choices=ROUND_LINES),
        total_decimals=total_decimals,
        cycle_day=root.integer("cycle_day", 1, low=1, high=28),
        source=_source(source),
        versions=versions,
        hash=_hash(text, versions),
        path=root.file,
        attributes={key: str(value) for key, value in (attributes.table if attributes else {}).items()},
        warnings=(),
        price_change=change,
        cycle_months=_cycle_months(root),
        cycle_first=root.integer("cycle_first", 1, low=1, high=12),
    )
    root.done()
    return book


def _rounding(root: Section) -> money.Rounding:
    value = root.text("rounding", "half_up", choices=money.ROUNDINGS)
    return next(mode for mode in money.ROUNDINGS if mode == value)


def _cycle_months(root: Section) -> int:
    months = root.integer("cycle_months", 1, low=1, high=12)
    if 12 % months:
        root.fail("cycle_months", f"cycle_months = {months}: a year has no whole number of such periods")
    return months


def _zone(root: Section) -> str:
    zone = root.text("zone")
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        root.fail("zone", f"zone {zone!r} is not a name of the time zone database", 'e.g. "Asia/Shanghai"')
    return zone


def _source(section: Section | None) -> dict[str, str]:
    if section is None:
        return {}
    found = {key: section.text(key) for key in ("title", "address", "date", "note") if section.has(key)}
    section.done()
    return found


def _hash(text: str, versions: tuple[Version, ...]) -> str:
    """sha256 of the text, its line ends made alike, and of every series that it reads."""
    digest = hashlib.sha256(text.replace("\r\n", "\n").encode())
    for version in versions:
        for spec in version.components:
            if isinstance(spec, Energy) and spec.series is not None:
                digest.update(f"{version.label}/{spec.id}/{spec.series.sha256}".encode())
    return digest.hexdigest()


def _version(section: Section, zone: str, series: Callable[[str], bytes] | None) -> Version:
    start = section.text("from")
    try:
        begins = datetime.fromisoformat(start)
    except ValueError:
        section.fail("from", f"from = {start!r} is no date", 'e.g. "2025-01-01" or "2025-01-01T06:00"')
    if begins.tzinfo is not None:
        section.fail("from", "'from' is the wall clock of the book's zone: leave the offset away")
    default_period = section.text("default_period", "*")
    windows = tuple(_window(item) for item in section.children("window"))
    known: list[str] = []
    specs: list[Spec] = []
    when: list[tuple[str, When]] = []
    periods = {default_period, *(window.period for window in windows)}
    for item in section.children("component", required=True):
        specs.append(_component(item, Context(tuple(known), zone, series, tuple(sorted(periods)))))
        known.append(specs[-1].id)
        condition = _when(item)
        when += [(known[-1], condition)] if condition is not None else []
        item.done()
    version = Version(
        label=section.text("label", start),
        start=begins,
        windows=windows,
        default_period=default_period,
        holidays=_holidays(section),
        holiday_as=_holiday_as(section, periods),
        components=tuple(specs),
        line=section.places.get(section.path, 0),
        source=tuple(sorted(_source(section.child("source")).items())),
        when=tuple(when),
        gas=_gas(section),
        late_fee=_late_fee(section),
    )
    _check_periods(section, version, periods)
    _check_included(section, version)
    _check_free(section, version)
    _check_netting(section, version)
    section.done()
    return version


def _component(section: Section, context: Context) -> Spec:
    kind = section.text("kind")
    ident = section.text("id")
    if kind not in kinds():
        section.fail("kind", f"component {ident!r}: kind {kind!r} is not known", suggest(kind, sorted(kinds())))
    if ident in context.known:
        section.fail("id", f"component {ident!r} is there twice in this version")
    spec: Spec = kinds()[kind].parse(section, context)
    return spec


def _when(section: Section) -> When | None:
    """The component's condition on an attribute of the account."""
    table = section.child("when")
    if table is None:
        return None
    when = When(
        table.text("attribute"),
        equals=table.text("equals", ""),
        differs=table.text("differs", ""),
        at_least=table.number("at_least") if table.has("at_least") else "",
        at_most=table.number("at_most") if table.has("at_most") else "",
    )
    table.done()
    if not (when.equals or when.differs or when.at_least or when.at_most):
        table.fail("", f"{table.name}: say what the attribute must be", "equals, differs, at_least or at_most")
    return when


def _late_fee(section: Section) -> LateFeeRule | None:
    """What a bill of this version bears for each day that it is overdue."""
    table = section.child("late_fee")
    if table is None:
        return None
    rule = LateFeeRule(
        daily=table.number("daily"),
        daily_next_year=table.number("daily_next_year", "") if table.has("daily_next_year") else "",
        minimum=table.number("minimum", "0"),
        grace_days=table.integer("grace_days", 0, high=366),
        due_days=table.integer("due_days", 0, high=366),
    )
    table.done()
    for key, value in (("daily", rule.daily), ("daily_next_year", rule.daily_next_year), ("minimum", rule.minimum)):
        if value.startswith("-") or (value and money.scale_of(value) > 6):
            table.fail(key, f"{key} = {value!r} must be 0 or more with at most 6 decimals", 'e.g. "0.002" for 0.2 %')
    return rule


def _gas(section: Section) -> Gas | None:
    """The version's conversion of gas, if its book is one of gas."""
    table = section.child("gas")
    if table is None:
        return None
    gas = Gas(table.number("correction", "1"), table.number("calorific_mj"))
    table.done()
    for key, value in (("correction", gas.correction), ("calorific_mj", gas.calorific_mj)):
        if money.scale_of(value) > 6 or money.scaled(value, 6) <= 0:
            table.fail(key, f"{key} = {value!r} must be above 0 with at most 6 decimals")
    return gas


def _check_periods(section: Section, version: Version, periods: set[str]) -> None:
    """Every period of the calendar has a price in every energy component, and every priced period exists."""
    for index, spec in enumerate(version.components):
        if not isinstance(spec, Energy) or spec.series_file or not spec.prices:
            continue
        prices = dict(spec.prices)
        item = Section(
            section.table["component"][index], (*section.path, "component", index), section.file, section.places
        )
        for period in sorted(set(prices) - periods - {"*"}):
            table = item.child("prices") or item
            table.fail(period, f"no window gives period {period!r}", suggest(period, sorted(periods)))
        for period in sorted(periods - set(prices) if "*" not in prices else ()):
            item.fail("prices", f"component {spec.id!r} has no price for period {period!r}")


def _check_included(section: Section, version: Version) -> None:
    """A price holds one tax at most: two would each be reckoned as if the other were not in it."""
    taxes = [spec for spec in version.components if isinstance(spec, Percent) and spec.included]
    for place, tax in enumerate(taxes):
        for other in taxes[:place]:
            if not tax.of or not other.of or set(tax.of) & set(other.of):
                section.fail("component", f"{tax.id!r} and {other.id!r} are both included in the same lines")


def _check_free(section: Section, version: Version) -> None:
    """An allowance is of energy, and has a price where the energy has one for each slot only."""
    for index, spec in enumerate(version.components):
        of = next((one for one in version.components if isinstance(spec, FreeKwh) and one.id == spec.of), None)
        if not isinstance(spec, FreeKwh) or of is None:
            continue
        item = Section(
            section.table["component"][index], (*section.path, "component", index), section.file, section.places
        )
        if not isinstance(of, Energy):
            energies = ", ".join(one.id for one in version.components if isinstance(one, Energy))
            item.fail("of", f"component {of.id!r} is no energy: nothing of it can be free", f"of: {energies}")
        if of.series_file and not of.banded and not spec.price:
            item.fail(
                "",
                f"component {spec.id!r}: {of.id!r} has a price for each slot: say what free kWh are worth",
                'price = "0.12"',
            )


def _check_netting(section: Section, version: Version) -> None:
    """Export of a window takes back kWh of its prices, whatever class the total reaches: all must name it alike."""
    for index, spec in enumerate(version.components):
        of = next((one for one in version.components if isinstance(spec, NetMetering) and one.id == spec.of), None)
        if not isinstance(spec, NetMetering) or spec.by != "period" or not isinstance(of, Energy) or of.ladder is None:
            continue
        if len({frozenset(name for name, _ in one.prices) for one in of.ladder.classes}) > 1:
            item = Section(
                section.table["component"][index], (*section.path, "component", index), section.file, section.places
            )
            item.fail("by", f"component {spec.id!r}: the classes of {of.id!r} have prices of different periods")


def _holidays(section: Section) -> tuple[str, ...]:
    days = section.names("holidays", ())
    for day in days:
        _date(section, "holidays", day, full=True)
    return days


def _holiday_as(section: Section, periods: set[str]) -> str:
    value = section.raw("holiday_as", "")
    text = str(value)
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 7:
        return text
    if text and text not in periods:
        hint = suggest(text, sorted(periods))
        section.fail("holiday_as", f"holiday_as = {value!r} is neither a weekday 1-7 nor a period", hint)
    return text


def _window(section: Section) -> Window:
    holidays = section.flag("holidays") if section.has("holidays") else None
    window = Window(
        period=section.text("period"),
        begin=_clock(section, "from"),
        end=_clock(section, "to") % 1440,
        months=section.integers("months", low=1, high=12),
        days=section.integers("days", low=1, high=7),
        dates=_dates(section),
        holidays=holidays,
    )
    section.done()
    if section.has("from") != section.has("to"):
        section.fail("", f"{section.name}: give both 'from' and 'to', or neither")
    return window


def _clock(section: Section, key: str) -> int:
    text = section.text(key, "00:00")
    match = _CLOCK.match(text)
    if not match or (match[1] == "24" and match[2] != "00"):
        section.fail(key, f"{key} = {text!r} is no time of day", 'e.g. "08:00"')
    return int(match[1]) * 60 + int(match[2])


def _dates(section: Section) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    for text in section.names("dates", ()):
        first, _, last = text.partition("..")
        for part in (first, last or first):
            _date(section, "dates", part)
        if len(first) != len(last or first):
            section.fail("dates", f"{text!r} mixes a date with a year and one without")
        found.append((first, last or first))
    return tuple(found)


def _date(section: Section, key: str, text: str, *, full: bool = False) -> None:
    """Refuse what is neither YYYY-MM-DD nor (unless ``full``) MM-DD."""
    try:
        datetime.fromisoformat(text if len(text) == 10 else f"2000-{text}")
        good = bool(_DATE.match(text)) and (len(text) == 10 or not full)
    except ValueError:
        good = False
    if not good:
        section.fail(key, f"{text!r} is no date", '"2025-10-01", "10-01" or "06-01..09-30"')


def places(text: str) -> dict[Path, Any]:
    """Lines of every key of a book's text, for editors and ``tariff check``."""
    return dict(lines_of(text))
