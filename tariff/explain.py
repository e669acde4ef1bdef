"""One bill's energies go in, the why of every charge comes out: slot, window, tier, price, version and source.

A step is what one slot put on one line of the bill; the steps of a line add up to its quantity, and their exact amounts
to the exact charge that the line rounds.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from tariff import calendar as calendars
from tariff import money
from tariff.calendar import Calendar
from tariff.lines import energy_lines
from tariff.model import Book, Version, Window
from tariff.plan import Plan, State, compile
from tariff.rating import rate
from tariff.statement import with_demand
from tariff.step import settle
from tariff.usage import Usage, placed

FINER = 6  # decimals more, for what is shared by days or over tiers
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, slots=True)
class Step:
    """Why one slot cost what it did on one line. Times naive; ``start`` is UTC and ``local`` the book's wall clock.

    ``position_kwh`` is where the ladder stood after the slot, ``amount`` the exact charge before the line's rounding.
    ``jump`` says, in a slot in which a class ladder changes its class, that kWh of other slots are priced anew here.
    """

    start: datetime
    local: datetime
    component: str
    period: str
    window: str
    tier: int
    kwh: str
    price: str
    amount: str
    position_kwh: str
    limits_kwh: tuple[str, ...]
    version: str
    book: str
    book_hash: str
    source: Mapping[str, str]
    jump: str = ""


def steps(
    book: Book,
    start: datetime,
    end: datetime,
    usage: Usage,
    *,
    attributes: Mapping[str, str] | None = None,
    carried: Mapping[str, int] | int | None = None,
    at: datetime | None = None,
    line: tuple[str, str, str, int | None] | None = None,
) -> tuple[Step, ...]:
    """All steps of the bill [start, end), or only those of the slot that holds ``at``, or of one ``line``.

    ``line`` is (id, version, period, tier) as a BillLine has them. Where a class ladder or pro-rata sharing prices the
    whole span, the tier of a slot is only known at the end: such steps carry the class or the whole of the tiers.
    """
    plan = compile(book, start, end, usage.minutes, with_demand(book, usage, (start, end), attributes))
    wh, export, _ = placed(plan, usage, end)
    state = plan.zero(1, carried)
    found: list[Step] = []
    first, last = 0, plan.slots
    if at is not None:
        first = max(0, min(plan.slots - 1, (at - start) // timedelta(minutes=usage.minutes)))
        last = first + 1
        if first:
            state = settle(plan, state, 0, wh[:, :first], None if export is None else export[:, :first])
    for slot in range(first, last):
        one = slice(slot, slot + 1)
        after = settle(plan, state, slot, wh[:, one], None if export is None else export[:, one])
        found += [step for step in _slot(plan, state, after, slot) if line is None or line == _line(step)]
        state = after
    return tuple(found)


def charge_micro(
    book: Book,
    start: datetime,
    end: datetime,
    usage: Usage,
    *,
    at: datetime,
    attributes: Mapping[str, str] | None = None,
    carried: Mapping[str, int] | int | None = None,
) -> int:
    """Micro-units that the charge row of the slot that holds ``at`` has: what its steps rounded, after those before."""
    plan = compile(book, start, end, usage.minutes, with_demand(book, usage, (start, end), attributes))
    wh, export, _ = placed(plan, usage, end)
    slot = (at - start) // timedelta(minutes=usage.minutes)
    before, own = slice(0, slot), slice(slot, slot + 1)
    zero = plan.zero(1, carried)
    state = settle(plan, zero, 0, wh[:, before], None if export is None else export[:, before])
    rated = rate(plan, wh[:, own], state=state, export=None if export is None else export[:, own])
    return int(rated.amount_micro[0, 0])


def _line(step: Step) -> tuple[str, str, str, int]:
    return step.component, step.version, step.period, step.tier


def _slot(plan: Plan, before: State, after: State, slot: int) -> Iterator[Step]:
    """What the slot added to each line that it touched."""
    calendar, book = plan.calendar, plan.book
    local = calendars.EPOCH + timedelta(days=int(calendar.day[slot]), minutes=int(calendar.minute[slot]))
    version = book.versions[int(calendar.version[slot])]
    for component in dict.fromkeys(stream.component for stream in plan.streams):
        earlier = {(one.version, one.period, one.tier): one for one in energy_lines(plan, before, component)}
        jump = "; ".join(_jumps(plan, before, after, component, slot))
        for now in energy_lines(plan, after, component):
            then = earlier[(now.version, now.period, now.tier)]
            kwh, amount = _risen(then.wh[0], now.wh[0], 3), _risen(then.exact[0], now.exact[0], plan.scale)
            if (kwh, amount) == ("0", "0"):
                continue
            position, limits = _ladder(plan, after, component, slot)
            yield Step(
                start=calendar.start + timedelta(minutes=calendar.slot_min * slot),
                local=local,
                component=component,
                period=now.period,
                window=describe(matching(version, calendar, slot), version),
                tier=now.tier,
                kwh=kwh,
                price=now.price[0] or _price(plan, component, slot),
                amount=amount,
                position_kwh=_text(position, 3),
                limits_kwh=tuple(_text(limit, 3) for limit in limits),
                version=book.versions[now.version].label,
                book=book.name,
                book_hash=book.hash,
                source=dict(version.source) or dict(book.source),
                jump=jump,
            )


def _jumps(plan: Plan, before: State, after: State, component: str, slot: int) -> Iterator[str]:
    """What a slot tells of each class ladder of the component whose class it changes."""
    for index, stream in enumerate(plan.streams):
        own = slot if stream.columns is None else int(np.searchsorted(stream.columns, slot))
        first = stream.component == component and stream.klass == 0 and stream.tops.shape[1] > 0
        if not first or (stream.columns is not None and (own == len(stream.columns) or stream.columns[own] != slot)):
            continue
        fresh = before.resets[index] is not None and int(stream.reset[own]) != before.resets[index]
        begin, end = 0 if fresh else int(before.position[0, index]), int(after.position[0, index])
        tops = stream.tops[int(stream.cell[own])].tolist()
        old, new = (sum(total > top for top in tops) for total in (begin, end))
        if old != new:
            limit = tops[max(old, new) - 1]
            way = "passes" if new > old else "falls back to"
            span = stream.ladder.reset if stream.ladder is not None else "bill"
            yield (
                f"the total of the {span} {way} {_text(limit, 3)} kWh here: "
                f"all its kWh of this bill are priced anew, by class {new + 1} instead of {old + 1}"
            )


def _text(value: int, scale: int) -> str:
    """Decimal text of an integer at ``scale``."""
    return money.text(int(value), scale)


def _risen(before: Any, after: Any, scale: int) -> str:
    """Decimal text of a rise between integers or Fractions at ``scale``, these cut to six more places each.

    So what has risen slot by slot adds up to what has risen in all.

    >>> third = Fraction(1, 3)
    >>> [_risen(third * n, third * (n + 1), 0) for n in range(3)], _risen(0, 250, 2)
    (['0.333333', '0.333334', '0.333333'], '2.5')
    """
    small = [int(money.divide(value.numerator * 10**FINER, value.denominator)) for value in (before, after)]
    return money.text(small[1] - small[0], scale + FINER)


def _ladder(plan: Plan, state: State, component: str, slot: int) -> tuple[int, tuple[int, ...]]:
    """Position of the component's ladder after the slot and its limits there, in Wh."""
    for index, stream in enumerate(plan.streams):
        if stream.component != component:
            continue
        own = slot if stream.columns is None else int(np.searchsorted(stream.columns, slot))
        if stream.columns is None or (own < len(stream.columns) and stream.columns[own] == slot):
            return int(state.position[0, index]), tuple(int(limit) for limit in stream.limits[:, own])
    return 0, ()


def _price(plan: Plan, component: str, slot: int) -> str:
    """The price that a numeric series gives the slot."""
    for stream in plan.streams:
        if stream.component == component and stream.slot_prices is not None:
            own = slot if stream.columns is None else int(np.searchsorted(stream.columns, slot))
            if own < len(stream.slot_prices) and (stream.columns is None or stream.columns[own] == slot):
                return money.text(abs(int(stream.slot_prices[own])), plan.price_scale)
    return ""


def matching(version: Version, calendar: Calendar, slot: int) -> Window | None:
    """The window that gave the slot its period; None where it is the version's default."""
    rows = (row[slot : slot + 1] for row in (calendar.day, calendar.month, calendar.minute))
    return calendars.first_window(version, *rows)


def describe(window: Window | None, version: Version) -> str:
    """A window in words.

    >>> from datetime import datetime
    >>> version = Version("2025", datetime(2025, 1, 1), (), "valley", (), "", ())
    >>> describe(Window("peak", 480, 1320, months=(7, 8)), version), describe(None, version)
    ('08:00-22:00, months 7 8', 'default (valley)')
    """
    return f"default ({version.default_period})" if window is None else in_words(window)


def in_words(window: Window) -> str:
    """The hours, months and days that a window takes in.

    >>> in_words(Window("dear", 960, 1260, days=(1, 5))), in_words(Window("all"))
    ('16:00-21:00, Mon Fri', 'always')
    """
    parts = []
    if window.begin != window.end:
        clocks = (f"{minute // 60:02d}:{minute % 60:02d}" for minute in (window.begin, window.end or calendars.DAY_MIN))
        parts.append("-".join(clocks))
    if window.months:
        parts.append("months " + " ".join(str(month) for month in window.months))
    if window.days:
        parts.append(" ".join(DAYS[day - 1] for day in window.days))
    if window.dates:
        parts.append(" ".join(first if first == last else f"{first}..{last}" for first, last in window.dates))
    if window.holidays is not None:
        parts.append("holidays" if window.holidays else "no holidays")
    return ", ".join(parts) or "always"


def sources(book: Book) -> tuple[tuple[str, Mapping[str, str]], ...]:
    """Each version's label with where its prices were published."""
    return tuple((version.label, dict(version.source) or dict(book.source)) for version in book.versions)
