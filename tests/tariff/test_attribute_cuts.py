"""An account's attribute that changes inside a bill cuts it; what does not read the attribute goes on, by hand."""

from datetime import datetime

import numpy as np

from tariff import book as books
from tariff import statement
from tests.cases.toml_text import document
from tests.tariff.making import ENERGY, amounts, dated, made
from tests.tariff.months import month

POOR = {"attribute": "poor", "equals": "yes"}
PHASES = {"id": "phases", "kind": "fixed", "amount": "1", "per": "phases"}


def test_a_levy_that_begins_in_the_bill_takes_the_energy_from_then_on() -> None:
    """100 kWh before the 11th and 50 kWh after it at 0.10: ten per cent of the latter. It once found none."""
    levy = {"id": "levy", "kind": "percent", "percent": "10", "when": POOR}
    one = month(made(ENERGY, levy), "2025-03-10", 0)
    one.usage.wh[5], one.usage.wh[400] = 100_000, 50_000
    assert amounts(one, attributes={"poor": "no", "poor@2025-03-11": "yes"}) == {"energy": "15.00", "levy": "0.50"}
    assert amounts(one, attributes={"poor": "yes", "poor@2025-03-11": "no"}) == {"energy": "15.00", "levy": "1.00"}


def test_export_after_an_attribute_changed_is_netted_too() -> None:
    meter = {"id": "nm", "kind": "net_metering", "of": "energy", "by": "total", "expires_months": 12}
    one = month(made(ENERGY, meter, PHASES), "2025-03-10", 0)
    one.usage.wh[5] = 100_000
    export = np.zeros_like(one.usage.wh)
    export[400] = 60_000
    found = amounts(one, attributes={"phases": "1", "phases@2025-03-11": "3"}, export_wh=export)
    assert found == {"energy": "10.00", "nm": "-6.00", "phases": "2.35"}


def test_gas_is_converted_from_the_bill_s_start_whatever_changes() -> None:
    """2 litres are 22.33 Wh, and 2 more 44.66: once each half was rounded on its own, to 22 and 22."""
    book = made(
        ENERGY | {"prices": ["1000"]},
        PHASES | {"amount": "0"},
        version={"gas": {"correction": "1.02264", "calorific_mj": "39.3"}},
        decimals=6,
    )
    one = month(book, "2025-03-10", 0)
    one.usage.wh[5], one.usage.wh[400] = 2, 2
    assert one.bill(attributes={"phases": "1"}).total_micro == 45_000_000
    assert one.bill(attributes={"phases": "1", "phases@2025-03-11": "3"}).total_micro == 45_000_000


def test_ladders_of_periods_count_what_a_version_without_those_periods_used() -> None:
    """Limits by period, between two versions of one price: once refused for want of limits of period "*"."""
    ladder = {"reset": "year", "allocate": "per_period", "limits": {"peak": ["5"], "off": ["5"]}}
    energy = {"id": "energy", "kind": "energy", "prices": {"peak": ["3", "4"], "off": ["1", "2"]}, "ladder": ladder}
    timed = {"default_period": "off", "window": [{"period": "peak", "from": "12:00", "to": "24:00"}]}
    flat = {"id": "energy", "kind": "energy", "prices": ["7"]}
    rows = [
        {"from": "2020-01-01", **timed, "component": [energy]},
        {"from": "2025-03-11", "component": [flat]},
        {"from": "2025-03-21", **timed, "component": [energy]},
    ]
    book = books.load(document({"currency": "XXX", "zone": "UTC", "version": rows}), "three")
    one = month(book, "2025-03-10", 0)
    one.usage.wh[0], one.usage.wh[300], one.usage.wh[600] = 4_000, 1_000, 4_000
    bill = statement.bill(book, "A", one.start, one.end, one.usage.ends, one.usage.wh, minutes=60)
    assert bill.total_micro == (4 + 7 + 1 + 3 * 2) * 1_000_000


def test_a_bank_of_a_window_lives_through_bills_that_have_no_hour_of_it() -> None:
    """January's peak leaves 50 kWh; February has no peak; March's buys them back. They were once lost."""
    window = {"period": "peak", "from": "12:00", "to": "24:00", "months": [1, 3]}
    version = {"default_period": "off", "window": [window]}
    energy = {"id": "energy", "kind": "energy", "prices": {"peak": ["0.40"], "off": ["0.10"]}}
    meter = {"id": "nm", "kind": "net_metering", "of": "energy", "by": "period", "expires_months": 12}
    book = made(energy, meter, version=version)
    start = datetime(2025, 1, 1)
    hours = (datetime(2025, 4, 1) - start).days * 24
    wh, export = np.zeros(hours, np.int64), np.zeros(hours, np.int64)
    export[13], wh[(31 + 28) * 24 + 13] = 50_000, 60_000
    usage = statement.Usage(np.datetime64(start, "m") + 60 * np.arange(1, hours + 1), wh, 60, export)
    march = datetime(2025, 3, 1), datetime(2025, 4, 1)
    carried = statement.carried(book, march[0], usage)
    assert carried["nm/peak:2025-01"] == 50_000
    bill = statement.bill(book, "A", *march, usage.ends, wh, minutes=60, carried=carried, export_wh=export)
    assert bill.total_micro == 4_000_000


def test_a_bank_whose_rule_changes_is_spent_once() -> None:
    """February's 5.00 pay for March's second half; April finds nothing left. It once found them again."""
    sold = {"id": "sold", "kind": "energy", "quantity": "export", "prices": ["0.05"], "credit": True}
    old, new = ({"id": "bank", "kind": "credit_bank", "of": ["energy", "sold"], "expires_months": n} for n in (6, 7))
    book = dated(("2020-01-01", [ENERGY, sold, old]), ("2025-03-11", [ENERGY, sold, new]))
    start = datetime(2025, 2, 1)
    wh, export = np.zeros(89 * 24, np.int64), np.zeros(89 * 24, np.int64)
    export[5], wh[(28 + 20) * 24], wh[(28 + 31) * 24] = 100_000, 80_000, 30_000
    usage = statement.Usage(np.datetime64(start, "m") + 60 * np.arange(1, 89 * 24 + 1), wh, 60, export)
    april = datetime(2025, 4, 1), datetime(2025, 5, 1)
    carried = statement.carried(book, april[0], usage)
    bill = statement.bill(book, "A", *april, usage.ends, wh, minutes=60, carried=carried, export_wh=export)
    assert bill.total_micro == 3_000_000


def test_export_is_netted_under_the_periods_of_its_own_version() -> None:
    """From the 11th one price holds: what the peak of before would be is netted with it."""
    meter = {"id": "nm", "kind": "net_metering", "of": "energy", "by": "period", "expires_months": 12}
    timed = {"id": "energy", "kind": "energy", "prices": {"peak": ["0.40"], "*": ["0.10"]}}
    window = [{"period": "peak", "from": "12:00", "to": "24:00"}]
    rows = [
        {"from": "2020-01-01", "default_period": "off", "window": window, "component": [timed, meter]},
        {"from": "2025-03-11", "default_period": "off", "window": window, "component": [ENERGY, meter]},
    ]
    book = books.load(document({"currency": "XXX", "zone": "UTC", "version": rows}), "two")
    one = month(book, "2025-03-10", 0)
    one.usage.wh[300] = 10_000
    export = np.zeros_like(one.usage.wh)
    export[15 * 24 + 13] = 6_000
    assert amounts(one, export_wh=export) == {"energy": "1.00", "nm": "-0.60"}
