"""Bills with what explains them go in, one self-contained page comes out: A4 when printed, in the reader's language.

It names nothing outside of itself (no script, no image, no font), so it may be mailed, archived or printed as it is.
"""

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from prewatt.bills.view import BillView, Earlier
from prewatt.console.render import environment
from prewatt.console.words import Words, sign
from tariff import calendar as calendars
from tariff import money as exact
from tariff.model import Window
from tariff.reasons import ALL, Reason
from tariff.records import BillLine
from tariff.standing import Standing

LADDER_WIDTH, CHART_WIDTH, CHART_HEIGHT = 280.0, 560.0, 66.0
SPANS_SHOWN = 4
STYLE = re.compile(r"<style>(.*?)</style>", re.S)


@dataclass(frozen=True, slots=True)
class Step:
    """One piece of a ladder's bar, in SVG units; ``limit`` in kWh, "" for the last."""

    x: float
    width: float
    tier: int
    limit: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One day's bar, in SVG units."""

    x: float
    y: float
    width: float
    height: float
    label: str


@dataclass(frozen=True, slots=True)
class Compared:
    """One row of the comparison, as text."""

    label: str
    period: str
    kwh: str
    per_day: str
    amount: str


def page(views: Sequence[BillView], lang: str) -> str:
    """One document with an article for each bill, in ``lang`` (en or zh), times in each book's own zone."""
    words = Words(lang, views[0].zone if views else "UTC")
    drawings = (
        money,
        plain,
        kwh,
        clock,
        period,
        month,
        notes,
        item,
        component,
        why,
        steps,
        mark,
        ladder_words,
        ladder_prices,
    )
    drawings += (compared, change, bars, days_words, used)  # type: ignore[assignment]
    return (
        environment()
        .get_template("bill.html")
        .render(w=words, views=views, **{drawing.__name__: drawing for drawing in drawings})
    )


def policy(text: str) -> str:
    """The content security policy under which a page shows itself and nothing else: its style by hash."""
    found = STYLE.search(text)
    digest = b64encode(hashlib.sha256(found[1].encode() if found else b"").digest()).decode()
    rest = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return f"default-src 'none'; style-src 'sha256-{digest}'; {rest}"


def plain(micro: int) -> str:
    """``1,234.56``: exact, with at least two decimals."""
    text = exact.format(abs(micro))
    whole, dot, part = text.partition(".")
    return f"{'−' if micro < 0 else ''}{int(whole):,}{dot}{part}"


def money(micro: int, currency: str) -> str:
    """The same with the currency's sign."""
    return f"{'−' if micro < 0 else ''}{sign(currency)}{plain(abs(micro))}"


def kwh(wh: int) -> str:
    """``1,234.567`` kWh without trailing zeros."""
    whole, dot, part = exact.text(abs(wh), 3).partition(".")
    return f"{'−' if wh < 0 else ''}{int(whole):,}{dot}{part}"


def clock(view: BillView, at: datetime) -> str:
    """Local time of the bill's zone."""
    return f"{calendars.to_local(at, view.zone):%Y-%m-%d %H:%M}"


def period(view: BillView) -> str:
    """First and last local day."""
    return _days_of(view, view.bill.start, view.bill.end)


def _days_of(view: BillView, start: datetime, end: datetime) -> str:
    first, last = (calendars.to_local(at, view.zone) for at in (start, end - timedelta(minutes=1)))
    return f"{first:%Y-%m-%d} – {last:%Y-%m-%d}"


def month(view: BillView) -> str:
    """The period as the command line names it."""
    return f"{calendars.to_local(view.bill.start, view.zone):%Y-%m}"


def used(view: BillView) -> set[str]:
    """Versions that some line rests on."""
    return {line.version for line, _ in view.lines}


def notes(w: Words, view: BillView) -> list[str]:
    """What is missing, estimated, ended or corrected, in sentences."""
    bill, found = view.bill, []
    for key, spans in (("missing", bill.missing), ("estimated", bill.estimated)):
        for span in spans[:SPANS_SHOWN]:
            said = {"n": span.intervals, "start": clock(view, span.start), "end": clock(view, span.end)}
            found.append(w.say(f"bill.{key}", **said))
        if len(spans) > SPANS_SHOWN:
            found.append(w.say("bill.more", n=len(spans) - SPANS_SHOWN))
    if not bill.complete:
        found.insert(0, w.say("bill.incomplete"))
    if bill.estimated_micro:
        found.append(w.say("bill.estimated_amount", amount=money(bill.estimated_micro, bill.currency)))
    if bill.ended is not None:
        found.append(w.say("bill.ended", at=clock(view, bill.ended)))
    if view.revised:
        first, last = view.revised[0], view.revised[-1]
        said = {"first": money(first.total_micro, bill.currency), "change": money(view.changes_micro, bill.currency)}
        found.append(w.say("bill.corrected", n=len(view.revised), at=clock(view, last.superseded), **said))
    return found


def component(w: Words, ident: str) -> str:
    """A component by name; one that has no word shows itself."""
    return w.code("component", ident)


def item(w: Words, line: BillLine) -> str:
    """``Energy, peak, tier 2``."""
    parts = [component(w, line.id)]
    if line.period and line.period != ALL:
        parts.append(w.code("period", line.period))
    if line.tier is not None:
        parts.append(w.say("bill.tier", n=line.tier + 1))
    return " · ".join(parts)


def why(w: Words, view: BillView, line: BillLine, reason: Reason) -> str:
    """Rule, windows, tier, what it was made of, version: in one line."""
    parts = [*_by_kind(w, view, line, reason)]
    if line.period:
        parts.append(_windows(w, line, reason))
    parts += _tier(w, view, line)
    if reason.source:
        rule = line.id if line.id == reason.kind else f"{line.id} ({reason.kind})"
        parts.append(w.say("bill.version", rule=rule, version=line.version))
    return w.say("bill.and").join(part for part in parts if part)


def _by_kind(w: Words, view: BillView, line: BillLine, reason: Reason) -> Iterator[str]:
    """What the rule did, for the kinds that have words."""
    said: dict[str, object] = {**reason.terms, "quantity": line.quantity, "price": line.price}
    said["base"] = money(sum(base.amount_micro for base in reason.bases), view.bill.currency)
    said["of"] = ", ".join(dict.fromkeys(component(w, base.id) for base in reason.bases)) or w.say("why.nothing")
    if reason.kind == "demand":
        yield _demand(w, view, reason)
    elif reason.kind == "fixed":
        yield w.say("why.fixed", per=w.code("unit_of", reason.terms.get("per", "")), amount=line.price or "…")
    elif reason.kind == "pf_adjust":
        yield w.say("why.pf_adjust", **{**said, "standard": f"0.{reason.terms.get('standard', '')}"})
    elif reason.kind in ("percent", "minimum", "free_kwh", "rounding"):
        yield w.say(f"why.{reason.kind}", **{"percent": "", "amount": "", "kwh": "", **said})


def _demand(w: Words, view: BillView, reason: Reason) -> str:
    peak = reason.peak
    if peak is None:
        return w.say("why.demand_given")
    return w.say("why.demand", kw=peak.kw, start=clock(view, peak.start), end=clock(view, peak.end))


def _windows(w: Words, line: BillLine, reason: Reason) -> str:
    """When a line's price holds."""
    if line.period == ALL:
        return w.say("bill.all_hours")
    found = [_window(w, window) for window in reason.windows]
    if reason.default:
        found.append(w.say("bill.other_hours"))
    return ", ".join(found)


def _window(w: Words, window: Window) -> str:
    parts = []
    if window.begin != window.end:
        parts.append("–".join(f"{at // 60:02d}:{at % 60:02d}" for at in (window.begin, window.end or 1440)))
    if window.months:
        parts.append(w.say("bill.months", list=", ".join(map(str, window.months))))
    parts += [w.say(f"bill.day_{day}") for day in window.days]
    parts += [first if first == last else f"{first}–{last}" for first, last in window.dates]
    if window.holidays is not None:
        parts.append(w.say("bill.holidays" if window.holidays else "bill.no_holidays"))
    return " ".join(parts) or w.say("bill.all_hours")


def _tier(w: Words, view: BillView, line: BillLine) -> Iterator[str]:
    """Which kWh of its ladder a line's tier holds."""
    ladders = [s for s in view.standings if s.component == line.id and s.period in ("", line.period)]
    if line.tier is None or not ladders or not ladders[0].limits_wh:
        return
    limits, tier = ladders[0].limits_wh, line.tier
    low = kwh(limits[tier - 1]) if 0 < tier <= len(limits) else ""
    high = kwh(limits[tier]) if tier < len(limits) else ""
    key = "between" if low and high else "below" if high else "above"
    reset = w.say(f"bill.reset_{ladders[0].reset}")
    yield f"{w.say(f'bill.{key}', low=low, high=high)} {w.say('bill.of_ladder', reset=reset)}"


def _edges(standing: Standing) -> list[float]:
    """Where the pieces of a ladder's bar begin and end, in kWh; the open last one is as long as it must be."""
    known = [limit / 1000 for limit in standing.limits_wh]
    last = known[-1] if known else 0.0
    length = max(last - (known[-2] if len(known) > 1 else 0.0), standing.position_wh / 1000 - last, 1.0)
    return [0.0, *known, last + length]


def steps(standing: Standing) -> list[Step]:
    """The pieces of a ladder's bar."""
    edges = _edges(standing)
    scale = LADDER_WIDTH / edges[-1]
    limits = [kwh(limit) for limit in standing.limits_wh] + [""]
    return [
        Step(round(a * scale, 1), round((b - a) * scale, 1), tier, limits[tier])
        for tier, (a, b) in enumerate(pairwise(edges))
    ]


def mark(standing: Standing) -> float:
    """Where the pointer stands."""
    at = standing.position_wh / 1000 / _edges(standing)[-1] * LADDER_WIDTH
    return round(min(LADDER_WIDTH - 4, max(4.0, at)), 1)


def ladder_words(w: Words, standing: Standing) -> str:
    """Where a ladder stands and how far the next tier is."""
    said = {
        "n": standing.tier + 1,
        "at": kwh(standing.position_wh),
        "reset": w.say(f"bill.reset_{standing.reset}"),
        "next": standing.tier + 2,
    }
    left = standing.next_wh
    if left is None:
        return w.say("bill.tier_last", **said)
    return w.say("bill.tier_at", left=kwh(left), **said)


def ladder_prices(w: Words, standing: Standing) -> Iterator[str]:
    """``peak 0.568 / 0.618 / 0.868``, window by window."""
    for label, texts in standing.prices.items():
        name = w.say("bill.all_hours") if label == ALL else w.code("period", label)
        yield f"{name} {' / '.join(texts)}"


def compared(w: Words, view: BillView) -> Iterator[Compared]:
    """This bill, the period before, and the same a year before."""
    bill = view.bill
    own = Earlier(bill.start, bill.ended or bill.end, view.wh, bill.total_micro)
    for key, one in (("this", own), ("previous", view.previous), ("year_before", view.year_before)):
        yield Compared(
            w.say(f"bill.{key}"),
            _days_of(view, one.start, one.end),
            w.say("bill.no_reads") if one.wh is None else kwh(one.wh),
            "—" if one.wh is None else f"{one.wh / 1000 / one.days:,.1f}",
            w.say("bill.not_billed") if one.total_micro is None else money(one.total_micro, bill.currency),
        )


def change(w: Words, view: BillView) -> Iterator[str]:
    """How the mean day has changed, in percent, where there is something to compare with."""
    days = Earlier(view.bill.start, view.bill.ended or view.bill.end, view.wh, None).days
    for key, one in (("previous", view.previous), ("year_before", view.year_before)):
        if one.wh:
            percent = (view.wh / days) / (one.wh / one.days) * 100 - 100
            yield w.say(f"bill.change_{key}", percent=f"{percent:+.0f} %".replace("-", "−"))


def bars(view: BillView) -> Iterator[Bar]:
    """The days of the bill."""
    top = max((wh for _, wh in view.days), default=0) or 1
    room = CHART_WIDTH / max(len(view.days), 1)
    for number, (day, wh) in enumerate(view.days):
        height = round(CHART_HEIGHT * max(wh, 0) / top, 1)
        label = str(day.day) if number % 5 == 0 else ""
        yield Bar(round(number * room, 1), round(70 - height, 1), round(room * 0.75, 1), height, label)


def days_words(w: Words, view: BillView) -> str:
    """The highest and the mean day."""
    day, highest = max(view.days, key=lambda one: one[1])
    mean = view.wh / Earlier(view.bill.start, view.bill.ended or view.bill.end, view.wh, None).days / 1000
    return w.say("bill.days_said", day=day.isoformat(), kwh=kwh(highest), mean=f"{mean:,.1f}")
