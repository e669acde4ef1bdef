"""Monthly bills of a year beside NREL's PySAM Utilityrate5 (BSD-3-Clause; extra ``peers``), each rule as it means it.

Its year begins on a Monday and has 8760 hours without daylight saving, so ours is 2018 in UTC. It computes in floats
and rounds nothing; ours prints six decimals, so each line may differ by half a millionth and its float error.
"""

from datetime import datetime, timedelta
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from tariff import book as books
from tariff import statement
from tests.cases.toml_text import document

utilityrate = pytest.importorskip("PySAM.Utilityrate5", reason="no PySAM: pip install -e '.[peers]'")
pytestmark = pytest.mark.peers

Table = dict[str, Any]
ALL = 1e38
NET_METERING, NET_BILLING = 0, 2
DAY = [1] * 8 + [2] * 12 + [1] * 4  # period by hour: 2 from 08:00 to 20:00
PEAK = {"default_period": "off", "window": [{"period": "peak", "from": "08:00", "to": "20:00"}]}
WEEK = {
    "default_period": "off",
    "window": [{"period": "peak", "from": "08:00", "to": "20:00", "days": [1, 2, 3, 4, 5]}],
}
TOLERANCE = Fraction(1, 10**5)
PRICES = {"off": ["0.1", "0.2"], "peak": ["0.3", "0.5"]}
TIERS = [[1, 1, 500, 0, 0.1, 0], [1, 2, ALL, 0, 0.2, 0], [2, 1, 500, 0, 0.3, 0], [2, 2, ALL, 0, 0.5, 0]]


@lru_cache
def load() -> np.ndarray:
    """Wh of every hour of a year."""
    random = np.random.default_rng(2018)
    return random.integers(0, 4000, 8760).astype(np.int64)


def peer(tiers: list[list[float]], *, weekend: list[int] | None = None, **rates: Any) -> list[float]:
    """PySAM's twelve bills of a site without generation."""
    model = utilityrate.new()
    model.Lifetime.analysis_period, model.Lifetime.inflation_rate = 1, 0
    model.Lifetime.system_use_lifetime_output = 0
    model.SystemOutput.gen, model.SystemOutput.degradation = [0] * 8760, [0]
    model.Load.load = (load() / 1000).tolist()
    fixed: Table = {
        "rate_escalation": [0],
        "en_electricity_rates": 1,
        "ur_metering_option": NET_METERING,
        "ur_ec_sched_weekday": [DAY] * 12,
        "ur_ec_sched_weekend": [weekend or DAY] * 12,
        "ur_ec_tou_mat": tiers,
        "ur_dc_enable": 0,
    }
    zeros = ("monthly_fixed_charge", "monthly_min_charge", "annual_min_charge", "nm_yearend_sell_rate", "sell_eq_buy")
    more = ("en_ts_buy_rate", "en_ts_sell_rate", "nm_credit_rollover")
    for name, value in {
        **{f"ur_{one}": 0 for one in (*zeros, *more)},
        "ur_nm_credit_month": 11,
        **fixed,
        **rates,
    }.items():
        setattr(model.ElectricityRates, name, value)
    model.execute(0)
    return list(model.Outputs.utility_bill_wo_sys_ym[1])


def demand_of(flat: list[list[float]], tou: list[list[float]]) -> Table:
    """PySAM's demand charges: by month, tier and kW, and by period."""
    flat = [[month, *row] for month in range(12) for row in flat]
    sched = {"ur_dc_sched_weekday": [DAY] * 12, "ur_dc_sched_weekend": [DAY] * 12}
    return {"ur_dc_enable": 1, **sched, "ur_dc_flat_mat": flat, "ur_dc_tou_mat": tou}


NO_TOU, NO_FLAT = [[1, 1, ALL, 0], [2, 1, ALL, 0]], [[1, ALL, 0]]
FLAT = [[1, 1, ALL, 0, 0.1, 0], [2, 1, ALL, 0, 0.1, 0]]


def ours(components: list[Table], calendar: Table | None = None, **attributes: str) -> list[Fraction]:
    """Our twelve bills."""
    version = {"from": "2018-01-01", **(calendar or {}), "component": components}
    text = document({"currency": "USD", "zone": "UTC", "decimals": 6, "version": [version]})
    book = books.load(text, "peer")
    ends = np.datetime64("2018-01-01", "m") + np.timedelta64(60, "m") * np.arange(1, 8761)
    totals = []
    at = datetime(2018, 1, 1)
    while at.year == 2018:
        start, end = statement.period_of(book, at)
        bill = statement.bill(book, "A", start, end, ends, load(), minutes=60, attributes=attributes)
        totals.append(Fraction(bill.total_micro, 10**6))
        at = end + timedelta(hours=1)
    return totals


def energy(prices: Any, **ladder: Any) -> Table:
    """An energy component."""
    spec = {"id": "energy", "kind": "energy", "prices": prices}
    return {**spec, "ladder": {"reset": "month", **ladder}} if ladder else spec


ENERGY = energy(["0.1"])
CASES: dict[str, tuple[Any, Any]] = {
    # one price
    "flat": (lambda: ours([ENERGY]), lambda: peer(FLAT)),
    # one ladder a calendar month, written alike for both periods
    "tiered": (
        lambda: ours([energy(["0.1", "0.2"], limits=["500"])]),
        lambda: peer([[p, t, top, 0, price, 0] for p in (1, 2) for t, top, price in ((1, 500, 0.1), (2, ALL, 0.2))]),
    ),
    # the schedule of weekdays by day, of weekends all off-peak
    "time_of_use": (
        lambda: ours([energy({"off": ["0.1"], "peak": ["0.3"]})], WEEK),
        lambda: peer([[1, 1, ALL, 0, 0.1, 0], [2, 1, ALL, 0, 0.3, 0]], weekend=[1] * 24),
    ),
    # monthly net metering: the month's tiers shared by the periods as they used energy
    "tiers_pro_rata": (
        lambda: ours([energy(PRICES, limits=["500"], allocate="pro_rata")], PEAK),
        lambda: peer(TIERS),
    ),
    # hourly net billing: hour by hour up one ladder, the hour that crosses is split
    "tiers_chronological": (
        lambda: ours([energy(PRICES, limits=["500"], allocate="chronological")], PEAK),
        lambda: peer(TIERS, ur_metering_option=NET_BILLING),
    ),
    # unit 2: kWh a day, times the days of the month
    "kwh_per_day": (
        lambda: ours([energy(["0.1", "0.2"], limits=["10"], limit_unit="kWh_per_day")]),
        lambda: peer([[p, t, top, 2, price, 0] for p in (1, 2) for t, top, price in ((1, 10, 0.1), (2, ALL, 0.2))]),
    ),
    # unit 1: kWh for each kW of the month's largest hour
    "kwh_per_kw": (
        lambda: ours([energy(["0.1", "0.2"], limits=["200"], limit_unit="kWh_per_kw")]),
        lambda: peer(
            [[p, t, top, 1, price, 0] for p in (1, 2) for t, top, price in ((1, 200, 0.1), (2, ALL, 0.2))],
            **demand_of(NO_FLAT, NO_TOU),
        ),
    ),
    # the month's largest hour in blocks
    "demand": (
        lambda: ours([ENERGY, {"id": "kw", "kind": "demand", "prices": ["5", "9"], "limits": ["2"]}]),
        lambda: peer(FLAT, **demand_of([[1, 2, 5], [2, ALL, 9]], NO_TOU)),
    ),
    # the largest hour of each period
    "demand_by_period": (
        lambda: ours(
            [
                ENERGY,
                {"id": "off", "kind": "demand", "price": "3", "periods": ["off"]},
                {"id": "peak", "kind": "demand", "price": "7", "periods": ["peak"]},
            ],
            PEAK,
        ),
        lambda: peer(FLAT, **demand_of(NO_FLAT, [[1, 1, ALL, 3], [2, 1, ALL, 7]])),
    ),
    # 80 % of the largest demand of the eleven months before, 6 kW in the year before
    "ratchet": (
        lambda: ours(
            [ENERGY, {"id": "kw", "kind": "demand", "price": "10", "ratchet_percent": "80"}], demand_history_kw="6"
        ),
        lambda: peer(
            FLAT,
            **demand_of([[1, ALL, 10]], NO_TOU),
            ur_enable_billing_demand=1,
            ur_billing_demand_minimum=0,
            ur_billing_demand_lookback_period=11,
            ur_billing_demand_lookback_percentages=[[80, 1]] * 12,
            ur_yearzero_usage_peaks=[6.0] * 12,
            ur_dc_billing_demand_periods=[[1, 1], [2, 1]],
        ),
    ),
    # what a month's bill lacks of the least amount
    "minimum": (
        lambda: ours([ENERGY, {"id": "least", "kind": "minimum", "amount": "145"}]),
        lambda: peer(FLAT, ur_monthly_min_charge=145),
    ),
    # tiers shared by periods, demand in blocks and by period, and an amount a month, all in one tariff
    "together": (
        lambda: ours(
            [
                energy(PRICES, limits=["500"], allocate="pro_rata"),
                {"id": "kw", "kind": "demand", "prices": ["5", "9"], "limits": ["2"]},
                {"id": "peak", "kind": "demand", "price": "7", "periods": ["peak"]},
                {"id": "fee", "kind": "fixed", "amount": "12.5"},
            ],
            PEAK,
        ),
        lambda: peer(
            TIERS,
            **demand_of([[1, 2, 5], [2, ALL, 9]], [[1, 1, ALL, 0], [2, 1, ALL, 7]]),
            ur_monthly_fixed_charge=12.5,
        ),
    ),
    # an amount a month
    "fixed": (
        lambda: ours([ENERGY, {"id": "fee", "kind": "fixed", "amount": "12.5"}]),
        lambda: peer(FLAT, ur_monthly_fixed_charge=12.5),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_twelve_bills_agree(name: str) -> None:
    mine, theirs = (make() for make in CASES[name])
    assert len(mine) == len(theirs) == 12
    for month, (own, other) in enumerate(zip(mine, theirs, strict=True), start=1):
        assert abs(own - Fraction(other)) <= TOLERANCE, f"month {month}: {float(own)} and {other}"


def test_the_two_allocations_are_told_apart() -> None:
    """Where they gave the same bills, the cases above would prove nothing of either."""
    shared, walked = (CASES[name][1]() for name in ("tiers_pro_rata", "tiers_chronological"))
    assert all(abs(one - other) > 0.1 for one, other in zip(shared, walked, strict=True))
