"""A bill with what explains it goes in, its statement comes out as one object: what the printed page says."""

from typing import Any

from prewatt.bills.view import BillView, Earlier
from prewatt.listing import bill_row, money
from tariff import money as exact
from tariff.explain import in_words
from tariff.reasons import Reason
from tariff.standing import Standing

Row = dict[str, Any]


def statement(view: BillView) -> Row:
    """The bill, the why of each line, where its ladders stand, its days, and the periods to compare with."""
    row = bill_row(view.bill)
    lines = [told | {"why": why_row(why)} for told, (_, why) in zip(row["lines"], view.lines, strict=True)]
    return row | {
        "lines": lines,
        "name": view.name,
        "site": view.site,
        "title": view.title,
        "meters": list(view.meters),
        "posted": view.posted,
        "kwh": exact.text(view.wh, 3),
        "standings": [standing_row(one) for one in view.standings],
        "previous": _earlier(view.previous),
        "year_before": _earlier(view.year_before),
        "days": {day.isoformat(): exact.text(wh, 3) for day, wh in view.days},
        "sources": {version: dict(source) for version, source in view.sources.items()},
        "revised": [
            {"revision": one.revision, "total": money(one.total_micro), "posted": one.posted, "until": one.superseded}
            for one in view.revised
        ],
        "reads_hash": view.bill.reads_hash,
        "engine": view.bill.engine,
    }


def _earlier(one: Earlier) -> Row:
    """A period to compare with; None for what is not stored, or was not billed."""
    return {
        "from": one.start,
        "to": one.end,
        "days": one.days,
        "kwh": None if one.wh is None else exact.text(one.wh, 3),
        "total": None if one.total_micro is None else money(one.total_micro),
    }


def why_row(why: Reason) -> Row:
    """Why a line is what it is: its rule's terms, when its price holds, what it was made of, what set its demand."""
    row: Row = {"kind": why.kind, "terms": dict(why.terms), "windows": [in_words(one) for one in why.windows]}
    if why.default:
        row["windows"].append("all other hours")
    row["of"] = [
        {"id": base.id, "version": base.version, "period": base.period, "tier": base.tier}
        | {"amount": money(base.amount_micro)}
        for base in why.bases
    ]
    row["base"] = money(sum(base.amount_micro for base in why.bases)) if why.bases else None
    row["peak"] = None if why.peak is None else {"start": why.peak.start, "end": why.peak.end, "kw": why.peak.kw}
    return row | {"source": dict(why.source)}


def standing_row(one: Standing) -> Row:
    """Where one ladder stands at the bill's end."""
    return {
        "component": one.component,
        "period": one.period,
        "reset": one.reset,
        "kwh": exact.text(one.position_wh, 3),
        "tier": one.tier,
        "limits_kwh": [exact.text(limit, 3) for limit in one.limits_wh],
        "next_tier_kwh": None if one.next_wh is None else exact.text(one.next_wh, 3),
        "prices": {label: list(texts) for label, texts in one.prices.items()},
    }
