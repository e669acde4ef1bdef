"""Cases of kind ``checks``: named functions of the product on neutral arguments."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from ingest.rollover import Reading, consumed
from tariff import book, money
from tariff.gas import to_wh
from tariff.late_fee import LateFeeRule, late_fee
from tariff.vend import vend
from tests.cases.toml_text import document

Table = dict[str, Any]
WHEN = datetime(2025, 1, 15)


def run(name: str, arguments: list[Any]) -> str:
    """The number that function ``name`` gives, as decimal text."""
    return FUNCTIONS[name](*arguments)


def _vend(prices: Table, amount: str, bought: str, first: bool) -> str:
    """Energy blocks, levies per kWh, a percentage of energy; VAT on fixed charge, energy and the named levies."""
    levies = prices.get("per_kwh", {})
    rows: list[Table] = [{"id": "energy", "kind": "energy", "prices": prices["prices"]}]
    if prices.get("limits"):
        rows[0]["ladder"] = {"mode": "graduated", "reset": "bill", "limits": prices["limits"]}
    rows += [{"id": name, "kind": "energy", "prices": [price]} for name, price in levies.items()]
    taxed = ["energy", *prices.get("vat_on", [])]
    if prices.get("fixed"):
        rows.append({"id": "fixed", "kind": "fixed", "amount": prices["fixed"]})
        taxed.append("fixed")
    if prices.get("percent_of_energy"):
        rows.append({"id": "levy", "kind": "percent", "percent": prices["percent_of_energy"], "of": ["energy"]})
    if prices.get("vat"):
        rows.append({"id": "vat", "kind": "percent", "percent": prices["vat"], "of": taxed})
    text = document({"currency": "XXX", "zone": "UTC", "version": [{"from": "2000-01-01", "component": rows}]})
    sale = vend(
        book.load(text, "vend"), WHEN, money.parse(amount), bought_wh=money.scaled(bought, 3), first=bool(first)
    )
    return money.text(sale.wh, 3)


def _registers(readings: list[Table]) -> str:
    rows = [
        Reading(
            str(one.get("meter", "")),
            Decimal(one["register"]),
            one.get("event", "read"),
            int(one.get("digits", 9)),
            Decimal(str(one.get("multiplier", "1"))),
        )
        for one in readings
    ]
    return str(consumed(rows))


def _late_fee(amount: str, due: str, paid: str, rule: Table) -> str:
    values: dict[str, Any] = {}
    for key, value in rule.items():
        share = str(value)
        if "min" in key:
            values["minimum"] = share
        elif "grace" in key:
            values["grace_days"] = int(value)
        elif "decimals" in key:
            values["decimals"] = int(value)
        elif "rounding" in key:
            values["rounding"] = value
        else:
            field = "daily_next_year" if any(word in key for word in ("next", "cross", "after", "later")) else "daily"
            values[field] = format(Decimal(share) / 100, "f") if "percent" in key else share
    fee = late_fee(money.parse(amount), date.fromisoformat(due), date.fromisoformat(paid), LateFeeRule(**values))
    return money.format(fee)


def _gas(volume: str, correction: str, calorific: str) -> str:
    return money.text(to_wh(money.scaled(volume, 3), correction=correction, calorific_mj=calorific), 3)


FUNCTIONS: dict[str, Any] = {
    "vend": _vend,
    "registers_to_kwh": _registers,
    "late_fee": _late_fee,
    "gas_to_kwh": _gas,
    "m3_to_kwh": _gas,
}
