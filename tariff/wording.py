"""Versions and components of a book go in, the words and day strips that a person reads come out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import date

from tariff.components.energy import Energy, Ladder, Limits, Prices
from tariff.dayplan import DayKind, clock, is_holiday, kinds_of_day
from tariff.model import Spec, Version

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
STRIP_MIN = 30  # minutes that one letter of a strip stands for
LADDERS = {"graduated": "tiers", "by_total": "classes by the total"}
UNITS = {"kWh": "kWh", "kWh_per_day": "kWh a day", "kWh_per_kw": "kWh per kW", "kWh_per_30_days": "kWh per 30 days"}
QUIET = {"id", "kind", "series", "of"}
NAMES = {"classes": "amount"}


@dataclass(frozen=True, slots=True)
class Strip:
    """One kind of day: whose days, one letter for each half hour, and the stretches by the clock."""

    days: str
    strip: str
    periods: tuple[str, ...]


def strips(version: Version, year: int) -> tuple[Strip, ...]:
    """How the days of ``year`` run under ``version``; () where the whole year is one period."""
    kinds = kinds_of_day(version, year)
    if len(kinds) == 1 and len(kinds[0].stretches) == 1:
        return ()
    letters = _letters(version)
    return tuple(
        Strip(
            whose(kind, version, year),
            "".join(letters[_period_at(kind, minute)] for minute in range(0, 1440, STRIP_MIN)),
            tuple(f"{clock(piece.begin)}-{clock(piece.end)} {piece.period}" for piece in kind.stretches),
        )
        for kind in kinds
    )


def legend(version: Version) -> Mapping[str, str]:
    """The letter of each period in the strips."""
    return {letter: period for period, letter in _letters(version).items()}


def _letters(version: Version) -> dict[str, str]:
    """A letter for each period: the first of its name that is free."""
    periods = dict.fromkeys([window.period for window in version.windows] + [version.default_period])
    if version.holiday_as and not version.holiday_as.isdigit():
        periods.setdefault(version.holiday_as)
    found: dict[str, str] = {}
    for period in periods:
        candidates = [one for one in period + "abcdefghijklmnopqrstuvwxyz0123456789" if one.isalnum() or one == "*"]
        found[period] = next(one for one in candidates if one not in found.values())
    return found


def _period_at(kind: DayKind, minute: int) -> str:
    return next(piece.period for piece in kind.stretches if piece.begin <= minute < piece.end)


def whose(kind: DayKind, version: Version, year: int) -> str:
    """Months and weekdays of a kind of day in words; odd days by their number."""
    every = {day for one in kinds_of_day(version, year) for day in one.days}
    plain = [day for day in kind.days if not is_holiday(version, day)]
    months = sorted({day.month for day in plain})
    weekdays = sorted({day.isoweekday() for day in plain})
    meant = {
        day for day in every if day.month in months and day.isoweekday() in weekdays and not is_holiday(version, day)
    }
    holidays = len(kind.days) - len(plain)
    if meant != set(plain):
        return _numbered(kind.days)
    words = [] if not plain else [_runs(months, MONTHS) if len(months) < 12 else "all year"]
    words += [_runs(weekdays, DAYS)] if plain and len(weekdays) < 7 else []
    words += [f"{holidays} holidays"] if holidays else []
    return ", ".join(words)


def _numbered(days: Sequence[date]) -> str:
    return f"{len(days)} days from {days[0]:%m-%d} to {days[-1]:%m-%d}" if len(days) > 1 else f"{days[0]:%m-%d}"


def _runs(numbers: Sequence[int], names: Sequence[str]) -> str:
    """Names of rising numbers from 1 on, runs of three and more shortened.

    >>> _runs([1, 2, 3, 5], DAYS)
    'Mon-Wed Fri'
    """
    pieces: list[list[int]] = []
    for number in numbers:
        if pieces and pieces[-1][-1] == number - 1:
            pieces[-1].append(number)
        else:
            pieces.append([number])
    texts = []
    for piece in pieces:
        own = [names[number - 1] for number in piece]
        texts += [f"{own[0]}-{own[-1]}"] if len(own) > 2 else own
    return " ".join(texts)


def component(spec: Spec, currency: str) -> str:
    """What a component charges, in a sentence."""
    if isinstance(spec, Energy):
        return "; ".join(_energy(spec, currency))
    own = [f"{name.replace('_', ' ')} {value}" for name, value in _terms(spec)]
    bases = getattr(spec, "of", None)
    if bases is not None:
        names = bases if isinstance(bases, str) else ", ".join(bases)
        own.append(f"of {names or 'all above'}")
    return ", ".join(own)


def condition(version: Version, spec: Spec) -> str:
    """For whom a component is, as the end of its sentence; "" where it is for all."""
    when = dict(version.when).get(spec.id)
    if when is None:
        return ""
    tests = (("is", when.equals), ("is not", when.differs), ("is from", when.at_least), ("is to", when.at_most))
    told = " and ".join(f"{words} {value}" for words, value in tests if value)
    return f"; where {when.attribute} {told}"


def _energy(spec: Energy, currency: str) -> Iterator[str]:
    sign = "paid to the customer, " if spec.credit else ""
    what = "" if spec.quantity == "import" else f"{spec.quantity} energy, "
    if spec.series_file:
        yield f"{what}{sign}by the series {spec.series_file}"
        if not spec.banded:
            return
    if spec.ladder is None or spec.ladder.mode == "graduated":
        yield f"{what}{sign}{_prices(spec.prices)} {currency}/kWh"
    if spec.ladder is not None:
        yield from _ladder(spec.ladder, currency)


def _prices(prices: Prices) -> str:
    return ", ".join(("" if period == "*" else f"{period} ") + " / ".join(tiers) for period, tiers in prices)


def _ladder(ladder: Ladder, currency: str) -> Iterator[str]:
    unit = UNITS.get(ladder.unit, ladder.unit)
    how = f"{LADDERS[ladder.mode]} of the {ladder.reset}"
    if ladder.mode == "graduated":
        yield f"{how} at " + ", ".join(_limits(one) for one in ladder.limits) + f" {unit}, {ladder.allocate}"
    else:
        yield how
        tops = [*ladder.limits[0].values, ""]
        for top, klass in zip(tops, ladder.classes, strict=True):
            limits = f" at {' / '.join(klass.limits)}" if klass.limits else ""
            yield f"{f'to {top} {unit}' if top else 'above'}: {_prices(klass.prices)} {currency}/kWh{limits}"
    for adder in ladder.adders:
        bounds = [f"{word} {value}" for word, value in (("from", adder.at_least), ("to", adder.at_most)) if value]
        bounds += [f"= {adder.equals}"] if adder.equals else []
        yield f"limits +{' / +'.join(adder.kwh)} kWh where {adder.attribute} is {' '.join(bounds) or 'given'}"
    if ladder.times:
        yield f"limits times {ladder.times}"


def _limits(limits: Limits) -> str:
    months = f" ({_runs(limits.months, MONTHS)})" if limits.months else ""
    period = f" ({limits.period})" if limits.period else ""
    return " / ".join(limits.values) + months + period


def _terms(spec: Spec) -> Iterator[tuple[str, str]]:
    """The fields of a spec that say something."""
    if not is_dataclass(spec):
        return
    for field in fields(spec):
        value = getattr(spec, field.name)
        usual = field.name == "partial" and value == field.default
        if field.name not in QUIET and value not in ("", None, False, (), "0") and not usual:
            yield NAMES.get(field.name, field.name), _plain(value)


def _plain(value: object) -> str:
    if isinstance(value, tuple):
        if all(isinstance(one, tuple) and len(one) == 2 for one in value):
            return ", ".join(f"{amount} to {top} kWh" if top else str(amount) for top, amount in value)
        return " / ".join(map(str, value))
    return str(value)
