"""A case's ``tariff.json`` goes in, the text of a tariff book comes out, with the series files that it names.

Where the neutral form leaves a spelling open, the likely ones are read; what is not understood is an error.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from tests.cases.toml_text import document

Table = dict[str, Any]
UNITS = {
    "kWh": ("kWh", "none"),
    "kWh_per_day": ("kWh_per_day", "none"),
    "kWh_per_kw": ("kWh_per_kw", "none"),
    "kWh_per_kW": ("kWh_per_kw", "none"),
    "kWh_per_30_days": ("kWh_per_30_days", "none"),
    "kWh_per_30_days_rounded": ("kWh_per_30_days", "kWh"),
}
KW_NAMES = ("contract_kw", "contracted_kw", "sanctioned_kw", "demand_kw", "kw", "peak_kw")
KNOWN_ENERGY = {"id", "kind", "quantity", "prices", "price", "ladder", "credit", "dynamic", "note", "name", "unit"}
RATCHET_MONTHS = 12  # where a ratchet does not say how far it looks back
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
ALL = ("*", "all")  # in place of a list of ids: every line above
YEARS = range(1990, 2051)  # of holidays that are written without one
Named = Callable[[str], str]  # the text of a file of the case


class NotUnderstoodError(Exception):
    """Something in a neutral tariff that this adapter cannot translate."""


@dataclass
class Translation:
    """The book under way, the context's names, and the series files by name."""

    context: Table
    minutes: int
    named: Named | None = None
    series: dict[str, str] = field(default_factory=dict)


def book(tariff: Table, context: Table, minutes: int, named: Named | None = None) -> tuple[str, dict[str, bytes]]:
    """The TOML text of ``tariff`` and its series files; ``minutes`` is the length of the case's intervals.

    ``named`` gives the text of a file that the tariff names; of "" the prices that stand beside the reads.
    """
    work = Translation(context, minutes, named)
    table: Table = {
        "schema": "prewatt.book/1",
        "title": tariff.get("name", "case"),
        "currency": tariff["currency"],
        "zone": tariff["timezone"],
        "decimals": int(tariff.get("decimals", 2)),
        "rounding": tariff.get("rounding", "half_up"),
        "round_lines": tariff.get("round_lines", "line"),
    }
    if tariff.get("total_decimals") is not None:
        table["total_decimals"] = int(tariff["total_decimals"])
    table["version"] = [_version(version, work, tariff) for version in tariff["versions"]]
    return document(table), {name: text.encode() for name, text in work.series.items()}


def _version(version: Table, work: Translation, tariff: Table) -> Table:
    table: Table = {"from": str(version["from"])}
    start = datetime.fromisoformat(table["from"])
    if start.tzinfo is not None:
        local = start.astimezone(ZoneInfo(tariff["timezone"])).replace(tzinfo=None)
        table = {"from": local.isoformat(), "label": table["from"]}
    for key in ("default_period", "holiday_as"):
        found = version.get(key, tariff.get(key))
        if found is not None:
            table[key] = found if key == "default_period" else _holiday_as(found, version, tariff)
    holidays = version.get("holidays", tariff.get("holidays"))
    if holidays:
        table["holidays"] = [day for one in holidays for day in _days_of(str(one))]
    periods = version.get("periods", tariff.get("periods", []))
    if periods:
        table["window"] = [_window(period) for period in periods]
    known: list[str] = []
    table["component"] = []
    names = {table.get("default_period", "*"), *(window["period"] for window in table.get("window", []))}
    for component in version["components"]:
        made = _component(component, work, known)
        _covered(made, names)
        table["component"].append(made)
        known.append(component["id"])
    return table


def _days_of(day: str) -> list[str]:
    """A date, or one of every year."""
    return [day] if len(day) != 5 else [f"{year}-{day}" for year in YEARS if day != "02-29" or year % 4 == 0]


def _holiday_as(value: Any, version: Table, tariff: Table) -> Any:
    """A weekday by number, the name of a period, or a weekday by its English name."""
    word = str(value).lower()
    if word.isdigit():
        return int(word)
    periods = version.get("periods", tariff.get("periods", []))
    if value in [_first(period, "period", "name", "id") for period in periods]:
        return value
    return next((place for place, day in enumerate(DAYS, start=1) if word in (day, day[:3])), value)


def _window(period: Table) -> Table:
    table: Table = {"period": _first(period, "period", "name", "id")}
    for key in ("months", "days"):
        if period.get(key):
            table[key] = [int(one) for one in period[key]]
    if period.get("from") is not None:
        table["from"], table["to"] = str(period["from"]), str(period["to"])
    for key in ("holidays", "holiday"):
        if isinstance(period.get(key), bool):
            table["holidays"] = period[key]
    if period.get("dates"):
        table["dates"] = list(_dates(period["dates"]))
    return table


def _dates(dates: Any) -> Iterable[str]:
    if isinstance(dates, dict):
        yield f"{dates['from']}..{dates['to']}"
        return
    for one in dates:
        if isinstance(one, dict):
            yield f"{one['from']}..{one['to']}"
        else:
            yield f"{one[0]}..{one[1]}" if isinstance(one, list) else str(one)


def _first(table: Table, *names: str, default: Any = None) -> Any:
    for name in names:
        if table.get(name) is not None:
            return table[name]
    if default is None:
        raise NotUnderstoodError(f"none of {', '.join(names)} in {json.dumps(table)}")
    return default


def _component(component: Table, work: Translation, known: list[str]) -> Table:
    kind = component["kind"]
    makers = {
        "energy": _energy,
        "fixed": _fixed,
        "demand": _demand,
        "percent": _percent,
        "minimum": _minimum,
        "pf_adjust": _pf_adjust,
        "free_kwh": _free_kwh,
    }
    if kind not in makers:
        raise NotUnderstoodError(f"component kind {kind!r}")
    made = makers[kind](component, work)
    if "of" in made and isinstance(made["of"], list):
        made["of"] = [one for one in made["of"] if one in known] or [one for one in made["of"] if one not in ALL]
    condition = component.get("when") or component.get("if")
    if isinstance(condition, str):
        held = str(work.context.get(condition, "")).lower()
        made["when"] = {"attribute": condition, "equals": held if held not in ("", "false", "no", "0") else "true"}
    return {"id": component["id"], "kind": kind, **made}


def _covered(made: Table, periods: set[str]) -> None:
    """A component that prices some periods only costs nothing in the others."""
    prices = made.get("prices")
    if made["kind"] == "energy" and isinstance(prices, dict) and "*" not in prices and periods - set(prices):
        prices["*"] = ["0"] * max(len(tiers) for tiers in prices.values())


def _energy(component: Table, work: Translation) -> Table:
    unknown = set(component) - KNOWN_ENERGY
    if unknown:
        raise NotUnderstoodError(f"energy component with {sorted(unknown)}")
    table: Table = {}
    if component.get("quantity"):
        table["quantity"] = component["quantity"]
    credit = component.get("credit")
    if credit is True or str(credit) == "-1":
        table["credit"] = True
    if component.get("dynamic") is not None:
        return {**table, **_dynamic(component, work)}
    prices = component.get("prices") or component.get("price")
    if prices:
        table["prices"] = _prices(prices)
    if component.get("ladder"):
        table["ladder"] = _ladder(component["ladder"], work)
    return table


def _prices(prices: Any) -> dict[str, list[str]]:
    """Prices by period, one for each tier, as text."""
    table = prices if isinstance(prices, dict) else {"*": prices}
    return {
        str(name): [str(one) for one in (tiers if isinstance(tiers, list) else [tiers])]
        for name, tiers in table.items()
    }


def _dynamic(component: Table, work: Translation) -> Table:
    dynamic = component["dynamic"]
    if dynamic is True and any(name in work.context for name in ("dynamic", "prices", component["id"])):
        dynamic = _first(work.context, "dynamic", "prices", component["id"])
    if isinstance(dynamic, dict) and ("prices" in dynamic or "file" in dynamic):
        dynamic = _first(dynamic, "prices", "file")
    if dynamic is True or isinstance(dynamic, str):
        if work.named is None:
            raise NotUnderstoodError(f"no prices for component {component['id']!r}")
        rows = list(csv.reader(io.StringIO(work.named("" if dynamic is True else dynamic))))
        dynamic = [row for row in rows if row and row[0][:1].isdigit()]
    pairs = [*dynamic.items()] if isinstance(dynamic, dict) else [_pair(one) for one in dynamic]
    name = f"{component['id']}.csv"
    work.series[name] = "".join(f"{stamp},{price}\n" for stamp, price in pairs)
    stamps = sorted({datetime.fromisoformat(str(stamp)) for stamp, _ in pairs})
    step = min(((later - earlier).seconds // 60 or 1440 for earlier, later in pairwise(stamps)), default=0)
    return {"series": name, "series_minutes": max(work.minutes, min(step, 1440))}


def _pair(one: Any) -> tuple[str, str]:
    return (one["start"], one["price"]) if isinstance(one, dict) else (one[0], one[1])


def _ladder(ladder: Table, work: Translation) -> Table:
    mode = ladder.get("mode", "graduated")
    if mode == "by_total" and not ladder.get("classes"):
        mode = "volume"
    by_period = ladder.get("scope") == "period" or isinstance(ladder.get("limits"), dict)
    unit, rounding = UNITS[ladder.get("limit_unit", "kWh")]
    allocate = "per_period" if by_period else ladder.get("allocate", "chronological")
    table: Table = {"mode": mode, "reset": ladder.get("reset", "bill"), "allocate": allocate, "limit_unit": unit}
    if rounding != "none":
        table["round_limits"] = rounding
    if unit == "kWh_per_kw":
        table["kw"] = next((name for name in KW_NAMES if name in work.context), "demand_kw")
    if ladder.get("limits") is not None:
        limits = ladder["limits"]
        by = {name: _texts(one) for name, one in limits.items()} if isinstance(limits, dict) else _texts(limits)
        table["limits"] = by
    if ladder.get("limits_by_months") is not None:
        rows = ladder["limits_by_months"]
        table["limits_by_months"] = [{**one, "limits": _texts(one["limits"])} for one in rows]
    if ladder.get("classes"):
        table["classes"] = [_class(one) for one in ladder["classes"]]
    if ladder.get("adders"):
        table["adders"] = list(_adders(ladder["adders"]))
    return table


def _texts(values: Any) -> list[str]:
    return [str(value) for value in values if value is not None]


def _class(one: Table) -> Table:
    table: Table = {"prices": _prices(one["prices"]), "limits": _texts(one.get("limits") or [])}
    if one.get("up_to") is not None:
        table["up_to"] = str(one["up_to"])
    if one.get("volume") or one.get("mode") == "volume":
        table["volume"] = True
    return table


def _adders(adders: Any) -> Iterable[Table]:
    """Household adders: a list of rules, one rule, or a mapping from a context quantity to kWh for each unit of it."""
    if isinstance(adders, dict) and not {"kwh", "add"} & set(adders):
        for name, kwh in adders.items():
            yield {"attribute": name, "at_least": "1", "per": "above", "kwh": kwh}
        return
    for one in [adders] if isinstance(adders, dict) else adders:
        kwh = _first(one, "kwh", "add", "amount", "adds")
        name = _first(one, "attribute", "when", "context", "if", "quantity", "per", default="household")
        bounds = one
        if isinstance(name, dict):
            (name, bound) = next(iter(name.items()))
            bounds = bound if isinstance(bound, dict) else {"at_least": str(bound).lstrip(">= ")}
        elif ">=" in name or ">" in name:
            name, _, bound = name.replace(">=", ">").partition(">")
            bounds = {"at_least": bound.strip()}
        table: Table = {"attribute": name.strip(), "kwh": _texts(kwh) if isinstance(kwh, list) else str(kwh)}
        names = ("at_least", "min", "ge", ">=", "from", "over")
        least = next((bounds[key] for key in names if bounds.get(key) is not None), None)
        if least is not None:
            table["at_least"] = str(least)
        else:
            table.update({"at_least": "1", "per": "above"})
        yield table


def _fixed(component: Table, _work: Translation) -> Table:
    table: Table = {"per": component.get("per", "bill")}
    if component.get("by_total"):
        keys = ("up_to", "amount")
        rows = component["by_total"]
        table["by_total"] = [{key: str(one[key]) for key in keys if one.get(key) is not None} for one in rows]
    else:
        table["amount"] = str(_first(component, "amount", "price"))
    return table


def _demand(component: Table, work: Translation) -> Table:
    table: Table = {}
    blocks = component.get("blocks") or component.get("limits")
    if isinstance(blocks, dict):
        table["prices"], table["limits"] = _texts(blocks["prices"]), _texts(blocks["limits"])
    elif isinstance(blocks, list) and blocks and isinstance(blocks[0], (dict, list)):
        rows = [one if isinstance(one, dict) else {"up_to": one[0], "price": one[1]} for one in blocks]
        table["prices"] = [str(_first(one, "price", "amount")) for one in rows]
        table["limits"] = [str(_first(one, "up_to", "limit")) for one in rows[:-1]]
    elif blocks:
        prices = _first(component, "prices", "price")
        table["prices"] = next(iter(_prices(prices).values()))
        table["limits"] = _texts(blocks)
    else:
        prices = _prices(_first(component, "price", "prices", "amount"))
        if len(prices) > 1 or len(next(iter(prices.values()))) > 1:
            raise NotUnderstoodError(
                f"demand component {component['id']!r} with several prices: one component for each"
            )
        table["price"] = next(iter(prices.values()))[0]
        if "*" not in prices and not component.get("period"):
            table["periods"] = list(prices)
    period = component.get("period") or component.get("periods")
    if period and period != "*":
        table["periods"] = [period] if isinstance(period, str) else list(period)
    ratchet = component.get("ratchet")
    if ratchet:
        rule = ratchet if isinstance(ratchet, dict) else {"share": ratchet}
        table["ratchet_percent"] = _percentage(str(_first(rule, "percent", "share", "ratio", "fraction")))
        table["ratchet_months"] = int(_first(rule, "months", "lookback", "lookback_months", default=RATCHET_MONTHS))
    for name in ("minimum_kw", "min_kw", "minimum"):
        if component.get(name) is not None:
            table["minimum_kw"] = str(component[name])
    for name in ("window_min", "window", "minutes"):
        if component.get(name) is not None:
            table["window_min"] = max(int(component[name]), work.minutes)
    if component.get("round_kw") is not None or component.get("kw_decimals") is not None:
        table["round_kw"] = int(_first(component, "round_kw", "kw_decimals"))
    return table


def _percentage(text: str) -> str:
    """A share such as 0.8 is written as 80 percent."""
    whole, _, digits = text.partition(".")
    if whole.strip("+") not in ("0", "1") or (whole == "1" and digits.strip("0")):
        return text
    return str(int(whole) * 100) if not digits else f"{int((digits + '00')[:2])}.{(digits + '000')[2:] or '0'}"


def _percent(component: Table, _work: Translation) -> Table:
    of = component.get("of") or []
    table: Table = {"percent": str(component["percent"]), "of": [of] if isinstance(of, str) else of}
    if component.get("included") or component.get("inclusive"):
        table["included"] = True
    return table


def _minimum(component: Table, _work: Translation) -> Table:
    of = component.get("of") or []
    amount = str(_first(component, "amount", "minimum"))
    return {"amount": amount, "per": component.get("per", "bill"), "of": [of] if isinstance(of, str) else of}


def _pf_adjust(component: Table, _work: Translation) -> Table:
    standard = str(_first(component, "standard", "target", default="0.90"))
    of = component.get("of") or []
    return {"standard": standard.ljust(4, "0"), "of": [of] if isinstance(of, str) else of}


def _free_kwh(component: Table, _work: Translation) -> Table:
    of = component.get("of", "energy")
    kwh = str(_first(component, "kwh", "amount", "quantity"))
    table: Table = {"kwh": kwh, "of": of if isinstance(of, str) else of[0]}
    if component.get("price") is not None:
        table["price"] = str(component["price"])
    if component.get("attribute"):
        table.update({"attribute": component["attribute"], "equals": str(component.get("equals", "true"))})
    return table
