"""Books from plain rows, and a bill's money by component: the short way to write a tariff in a test."""

from typing import Any

from tariff import book as books
from tariff import money
from tariff.model import Book
from tests.cases.toml_text import document
from tests.tariff.months import Month

ENERGY = {"id": "energy", "kind": "energy", "prices": ["0.10"]}


def made(*rows: dict[str, Any], **top: Any) -> Book:
    """A book of one version (more keys of it in ``version``), in UTC and a currency without a name."""
    version = {"from": "2020-01-01", "component": list(rows), **top.pop("version", {})}
    return books.load(document({"currency": "XXX", "zone": "UTC", **top, "version": [version]}), "made")


def dated(*versions: tuple[str, list[dict[str, Any]]], **top: Any) -> Book:
    """A book of versions (start, components)."""
    rows = [{"from": start, "component": components} for start, components in versions]
    return books.load(document({"currency": "XXX", "zone": "UTC", **top, "version": rows}), "made")


def amounts(one: Month, **options: Any) -> dict[str, str]:
    """Each component's money as text."""
    found: dict[str, int] = {}
    for line in one.bill(**options).lines:
        found[line.id] = found.get(line.id, 0) + line.amount_micro
    return {ident: money.format(micro) for ident, micro in found.items()}
