"""Random components that are no energy: ids above them and the periods go in, tables in bill order come out."""

from typing import Any

from hypothesis import strategies as st

from tests.properties.energies import decimal

Table = dict[str, Any]
MONEY = decimal(0, 3000, 2)


@st.composite
def levies(draw: st.DrawFn, above: list[str], periods: list[str], *, minutes: int, rising: bool) -> list[Table]:
    """Up to five of them; each may act on those above it."""
    kinds = ["fixed", "percent", "minimum", "demand", "free_kwh"] + ([] if rising else ["pf_adjust"])
    found: list[Table] = []
    for kind in draw(st.lists(st.sampled_from(kinds), max_size=5)):
        known = [*above, *(one["id"] for one in found)]
        ident = f"{kind}{len(found)}"
        found.append(draw(levy(ident, kind, known, periods=periods, minutes=minutes, rising=rising)))
    return found


@st.composite
def levy(
    draw: st.DrawFn, ident: str, kind: str, known: list[str], *, periods: list[str], minutes: int, rising: bool
) -> Table:
    """One component of a kind."""
    spec: Table = {"id": ident, "kind": kind}
    if kind == "fixed":
        return {**spec, **draw(fixed())}
    if kind == "demand":
        return {**spec, **draw(demand(periods, minutes))}
    if kind == "free_kwh":
        spec.update(of="energy", kwh=draw(decimal(0, 90, 1)))
        if not rising and draw(st.booleans()):
            spec["price"] = draw(decimal(0, 900, 3))
        if draw(st.booleans()):
            spec.update(attribute="poor", equals="yes")
        return spec
    if draw(st.booleans()):
        spec["of"] = draw(st.lists(st.sampled_from(known), unique=True, min_size=1, max_size=3))
    if kind == "percent":
        spec["percent"] = draw(decimal(0 if rising else -500, 2500, 2))
    if kind == "minimum":
        spec["amount"] = draw(MONEY)
        if draw(st.booleans()):
            spec["per"] = draw(st.sampled_from(["bill", "day"]))
    if kind == "pf_adjust":
        spec["standard"] = draw(st.sampled_from(["0.90", "0.85", "0.80"]))
    return spec


@st.composite
def fixed(draw: st.DrawFn) -> Table:
    """An amount per something, perhaps by class."""
    spec: Table = {"per": draw(st.sampled_from(["bill", "day", "kva", "phases"]))}
    if draw(st.booleans()):
        return {**spec, "amount": draw(MONEY)}
    tops = sorted(draw(st.sets(st.integers(1, 30), min_size=1, max_size=2)))
    amounts = sorted(draw(st.lists(MONEY, min_size=len(tops) + 1, max_size=len(tops) + 1)), key=float)
    rows = [{"up_to": str(top), "amount": amount} for top, amount in zip(tops, amounts, strict=False)]
    return {**spec, "by_total": [*rows, {"amount": amounts[-1]}]}


@st.composite
def demand(draw: st.DrawFn, periods: list[str], minutes: int) -> Table:
    """A price per kW, perhaps by blocks, of windows, with ratchet and floor."""
    spec: Table = {}
    if draw(st.booleans()):
        spec["price"] = draw(MONEY)
    else:
        spec["limits"] = draw(st.sampled_from([["2"], ["1.5", "3"]]))
        spec["prices"] = draw(st.lists(MONEY, min_size=len(spec["limits"]) + 1, max_size=len(spec["limits"]) + 1))
    if draw(st.booleans()):
        spec["window_min"] = draw(st.sampled_from([minutes, 60, 120]))
    if draw(st.integers(0, 2)) == 0 and "*" not in periods:
        spec["periods"] = draw(st.lists(st.sampled_from(periods), unique=True, min_size=1, max_size=2))
    if draw(st.integers(0, 2)) == 0:
        spec["round_kw"] = draw(st.integers(0, 3))
        spec["rounding_kw"] = draw(st.sampled_from(["half_up", "half_even", "down", "up"]))
    if draw(st.integers(0, 2)) == 0:
        spec["ratchet_percent"] = draw(st.sampled_from(["80", "62.5", "33.333"]))
    if draw(st.integers(0, 2)) == 0:
        spec["minimum_kw"] = draw(st.sampled_from(["1", "2.5"]))
    return spec


@st.composite
def again(draw: st.DrawFn, old: Table, known: list[str], periods: list[str], *, minutes: int) -> Table:
    """The component with other figures."""
    return draw(levy(old["id"], old["kind"], known or ["energy"], periods=periods, minutes=minutes, rising=False))


def fitted(spec: Table, known: list[str], periods: list[str], first: Table) -> Table:
    """The component without names that this version does not have; free kWh of a ``first`` series have a price."""
    fit = dict(spec)
    if fit["kind"] == "free_kwh" and "series" in first:
        fit.setdefault("price", "0.125")
    if isinstance(fit.get("of"), list):
        fit["of"] = [one for one in fit["of"] if one in known]
        if not fit["of"]:
            del fit["of"]
    if "periods" in fit:
        fit["periods"] = [one for one in fit["periods"] if one in periods]
        if not fit["periods"]:
            del fit["periods"]
    return fit
