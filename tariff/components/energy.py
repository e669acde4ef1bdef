"""Energy: kWh times a price, by period of the day, by tier of a ladder, or by a dynamic series of prices or bands.

``prices`` maps a period (or "*" for all) to one price per tier. ``ladder`` says how tiers are reached; a quantity that
ends on a limit stays below it. ``series`` names a CSV file of stamps with prices, or of stamps with band names that
``bands`` maps to prices. ``credit = true`` turns the sign (paid for export).
"""

from dataclasses import dataclass

from tariff import money
from tariff.model import Series
from tariff.section import Section, suggest
from tariff.series import Context
from tariff.series import read as read_series

KIND = "energy"
MODES = ("graduated", "volume", "by_total")
RESETS = ("bill", "day", "month", "year")
ALLOCATIONS = ("chronological", "pro_rata", "per_period")
UNITS = ("kWh", "kWh_per_day", "kWh_per_kw", "kWh_per_30_days")
BY_DAYS = ("kWh_per_day", "kWh_per_30_days")
LIMIT_ROUNDINGS = ("none", "kWh", "kWh_up", "kWh_down", "coefficient_0.1")
MAX_TIERS = 64
Prices = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper limits of all tiers but the last, for ``months`` (empty: all) and one ``period`` ("": all)."""

    values: tuple[str, ...]
    months: tuple[int, ...] = ()
    period: str = ""


@dataclass(frozen=True, slots=True)
class Adder:
    """kWh added to the limits (one number for each, the last repeated) where ``attribute`` is within its bounds.

    ``per`` = "above": the number counts for each unit of the attribute above ``at_least`` - 1.
    """

    attribute: str
    kwh: tuple[str, ...]
    at_least: str = ""
    at_most: str = ""
    equals: str = ""
    per: str = "once"


@dataclass(frozen=True, slots=True)
class Class:
    """One class of a by-total ladder: its own tiers and prices; ``first_tier`` numbers its first tier."""

    limits: tuple[str, ...]
    prices: Prices
    first_tier: int = 0


@dataclass(frozen=True, slots=True)
class Ladder:
    """How tiers are reached. For by_total and volume ``limits`` are the totals up to which each class holds.

    ``partial`` = "days": who moves in or out inside the bill has limits for the days of supply.
    """

    mode: str
    reset: str
    allocate: str
    limits: tuple[Limits, ...]
    unit: str = "kWh"
    kw: str = "demand_kw"
    round_limits: str = "none"
    adders: tuple[Adder, ...] = ()
    times: str = ""
    classes: tuple[Class, ...] = ()
    partial: str = "full"


@dataclass(frozen=True, slots=True)
class Energy:
    """One priced stream of energy."""

    id: str
    quantity: str
    credit: bool
    prices: Prices
    ladder: Ladder | None = None
    series: Series | None = None
    series_file: str = ""
    banded: bool = False
    kind: str = KIND

    @property
    def whole(self) -> bool:
        """Whether a quantity's price depends on what comes after it in the span (class ladders, pro rata)."""
        return self.ladder is not None and (self.ladder.mode == "by_total" or self.ladder.allocate == "pro_rata")


def parse(section: Section, context: Context) -> Energy:
    """Read one energy component; BookError on anything that cannot be priced as written."""
    ident = section.text("id")
    quantity = section.text("quantity", "import", choices=("import", "export", "net"))
    credit = section.flag("credit")
    series_file = section.text("series", "")
    bands = section.child("bands")
    if bands is not None and not series_file:
        section.fail("bands", "'bands' needs a 'series' of band names")
    ladder_at = section.child("ladder")
    if series_file and ladder_at is not None:
        section.fail("ladder", "a dynamic series with a ladder cannot be priced: split it into two components")
    if bands is not None:
        prices: Prices = tuple((name, (bands.number(name),)) for name in sorted(bands.table))
    elif series_file:
        prices = (("*", ("0",)),)
    else:
        prices = read_prices(section)
    ladder = read_ladder(ladder_at, prices) if ladder_at is not None else None
    if ladder is not None and ladder.mode == "by_total" and not prices:
        prices = ladder.classes[0].prices
    elif not any(tiers for _, tiers in prices):
        section.fail("prices", f"{section.name}: 'prices' is missing", 'e.g. prices = ["0.589"]')
    elif ladder is None and any(len(tiers) != 1 for _, tiers in prices):
        section.fail("prices", f"{section.name}: several prices of a period need a ladder")
    series = read_series(section, context) if series_file else None
    _check_series(section, series, tuple(bands.table) if bands is not None else None)
    return Energy(ident, quantity, credit, prices, ladder, series, series_file, banded=bands is not None)


def needs_slots(spec: Energy) -> bool:
    """Class ladders do: what a jump has accrued depends on when it came."""
    return spec.ladder is not None and spec.ladder.mode == "by_total"


def _check_series(section: Section, series: Series | None, bands: tuple[str, ...] | None) -> None:
    for value in dict.fromkeys(series.values) if series is not None else ():
        if bands is not None and value not in bands:
            section.fail("bands", f"the series has a band {value!r} without a price", suggest(value, bands))
        if bands is None and not money.is_decimal(value):
            section.fail("series", f"the series has {value!r}, which is no price")


def read_prices(section: Section) -> Prices:
    """``prices``: a price, a list of one per tier (all periods), or a table from period to either."""
    value = section.raw("prices")
    if section.has("price") and value is None:
        return (("*", (section.number("price"),)),)
    if isinstance(value, list):
        return (("*", section.numbers("prices")),)
    table = section.child("prices")
    if table is None:
        return ()
    found: list[tuple[str, tuple[str, ...]]] = []
    for period in table.table:
        single = isinstance(table.table[period], str)
        found.append((period, (table.number(period),) if single else table.numbers(period)))
    return tuple(found)


def read_ladder(section: Section, prices: Prices) -> Ladder:
    """The ladder's table, checked against the prices of the component."""
    mode = section.text("mode", "graduated", choices=MODES)
    reset = section.text("reset", choices=RESETS)
    unit = section.text("limit_unit", "kWh", choices=UNITS)
    classes, limits = _classes(section) if mode == "by_total" else ((), _limits(section))
    several = len(prices) > 1 or any(one.limits and len(one.prices) > 1 for one in classes)
    allocate = section.text("allocate", None if several else "chronological", choices=ALLOCATIONS)
    _check_allocation(section, allocate, limits, classes)
    if mode == "volume":
        classes = _volume(section, limits, prices)
    elif mode == "graduated":
        _check_tiers(section, limits, prices)
    ladder = Ladder(
        mode="graduated" if mode == "graduated" else "by_total",
        reset=reset,
        allocate=allocate,
        limits=limits,
        unit=unit,
        kw=section.text("kw", "demand_kw"),
        round_limits=section.text("round_limits", "none", choices=LIMIT_ROUNDINGS),
        adders=tuple(_adder(item) for item in section.children("adders")),
        times=section.text("times", ""),
        classes=classes,
        partial=_partial(section, reset, unit),
    )
    if any(one.limits for one in ladder.classes) and any(len(one.kwh) > 1 for one in ladder.adders):
        section.fail("adders", "classes with limits of their own need one 'kwh' that is added to all of them")
    section.done()
    return ladder


def _partial(section: Section, reset: str, unit: str) -> str:
    """Limits that are stretched by days are so by those of supply, others hold in full, if the book says nothing."""
    found = section.text("partial", "days" if reset == "bill" and unit in BY_DAYS else "full", choices=("days", "full"))
    if found == "days" and reset != "bill":
        section.fail("partial", f"limits of a {reset} go on over bills: by the days of one bill they are not shortened")
    return found


def _check_allocation(section: Section, allocate: str, limits: tuple[Limits, ...], classes: tuple[Class, ...]) -> None:
    """Ladders of their own need periods that every class names alike; limits by period need such ladders."""
    if allocate != "per_period" and any(one.period for one in limits):
        section.fail("limits", "limits by period need a ladder for each period", 'allocate = "per_period"')
    if allocate == "per_period" and len({tuple(sorted(name for name, _ in one.prices)) for one in classes}) > 1:
        section.fail("allocate", "a class ladder for each period needs prices of the same periods in every class")


def _limits(section: Section) -> tuple[Limits, ...]:
    found: list[Limits] = []
    value = section.raw("limits")
    if isinstance(value, dict):
        table = section.child("limits")
        assert table is not None
        found += [Limits(table.numbers(period), period=period) for period in table.table]
    elif value is not None:
        found.append(Limits(section.numbers("limits")))
    for item in section.children("limits_by_months"):
        found.append(Limits(item.numbers("limits"), months=item.integers("months", low=1, high=12)))
        item.done()
    if not found:
        section.fail("", f"{section.name}: a ladder needs 'limits' or 'limits_by_months'")
    for limits in found:
        _check_rise(section, limits.values)
    return tuple(found)


def _check_rise(section: Section, values: tuple[str, ...]) -> None:
    if len(values) >= MAX_TIERS:
        section.fail("limits", f"more than {MAX_TIERS} tiers")
    scaled = [money.scaled(value, 12) if money.scale_of(value) <= 12 else -1 for value in values]
    if any(low >= high for low, high in zip([-1, *scaled], scaled, strict=False)):
        section.fail("limits", f"limits must rise from tier to tier: {', '.join(values)}")


def _check_tiers(section: Section, limits: tuple[Limits, ...], prices: Prices) -> None:
    counts = {len(one.values) + 1 for one in limits}
    for period, tiers in prices:
        own = {len(one.values) + 1 for one in limits if one.period == period} or counts
        if own != {len(tiers)}:
            section.fail("limits", f"period {period!r} has {len(tiers)} prices for {sorted(own)} tiers")


def _adder(section: Section) -> Adder:
    value = section.raw("kwh", required=True)
    kwh = section.numbers("kwh") if isinstance(value, list) else (section.number("kwh"),)
    adder = Adder(
        attribute=section.text("attribute"),
        kwh=kwh,
        at_least=section.text("at_least", ""),
        at_most=section.text("at_most", ""),
        equals=section.text("equals", ""),
        per=section.text("per", "once", choices=("once", "above")),
    )
    section.done()
    return adder


def _volume(section: Section, limits: tuple[Limits, ...], prices: Prices) -> tuple[Class, ...]:
    _check_tiers(section, limits, prices)
    count = len(limits[0].values) + 1
    return tuple(Class((), tuple((name, (tiers[tier],)) for name, tiers in prices), tier) for tier in range(count))


def _classes(section: Section) -> tuple[tuple[Class, ...], tuple[Limits, ...]]:
    """Classes in order, a volume class spread over one class per tier, and the totals that divide them."""
    classes: list[Class] = []
    totals: list[str] = []
    below = 0
    items = list(section.children("classes", required=True))
    for position, item in enumerate(items):
        last = position == len(items) - 1
        up_to = "" if last and not item.has("up_to") else item.number("up_to")
        top = money.scaled(up_to, 9) if up_to else None
        limits, prices = item.numbers("limits", ()), read_prices(item)
        volume = item.flag("volume")
        _check_rise(item, limits)
        _check_tiers(item, (Limits(limits),), prices)
        item.done()
        if not volume:
            classes.append(Class(limits, prices))
        for tier, limit in enumerate((*limits, "") if volume else ()):
            high = money.scaled(limit, 9) if limit else None
            if high is not None and (high <= below or (top is not None and high >= top)):
                if high <= below:
                    continue
                limit = up_to
            classes.append(Class((), tuple((name, (tiers[tier],)) for name, tiers in prices), tier))
            if limit and limit != up_to:
                totals.append(limit)
            if limit and limit == up_to:
                break
        if up_to:
            totals.append(up_to)
            below = money.scaled(up_to, 9)
    _check_rise(section, tuple(totals))
    if len(classes) != len(totals) + 1:
        section.fail("classes", "the last class must have no 'up_to', every other one must have it")
    return tuple(classes), (Limits(tuple(totals)),)
