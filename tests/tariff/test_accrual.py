"""Nothing falls on a customer in one hour: what rises at once accrues over the days that are left, up to the bill."""

from typing import Any

import numpy as np
import pytest

from tariff import jumps, rating
from tariff.model import Book
from tests.tariff.making import ENERGY, made
from tests.tariff.months import Month, month

CLASSES = [{"up_to": "100", "prices": ["1.00"]}, {"prices": ["3.00"]}]
CLASS = {"id": "energy", "kind": "energy", "ladder": {"mode": "by_total", "reset": "bill", "classes": CLASSES}}


def flat(book: Book, wh: int, *, minutes: int = 60) -> Month:
    """A month of 31 days with ``wh`` in every slot."""
    one = month(book, "2025-03-10", 0, minutes=minutes)
    one.usage.wh[:] = wh
    return one


def rises(one: Month, every: int = 1, **options: Any) -> np.ndarray:
    """What each stretch of ``every`` slots adds to what has accrued."""
    return np.diff([one.accrued(slots, **options) for slots in range(0, one.slots + 1, every)])


@pytest.mark.parametrize("minutes", [15, 30, 60])
def test_a_dearer_class_accrues_over_the_days_that_are_left(minutes: int) -> None:
    """0.5 kWh an hour cross 100 kWh after 200 hours; 200.00 of jump are spread over the other 544 hours."""
    one = flat(made(CLASS), 500 * minutes // 60, minutes=minutes)
    slots = one.slots // 744
    before, at, after = (one.accrued(hours * slots) for hours in (200, 201, 202))
    assert before == 100_000_000
    step = (after - at) // 10_000
    assert step in (186, 187)  # 1.50 of energy at the dearer price, and 200 / 543.5 of the jump: 1.868
    assert max(rises(one, slots)) <= 1_880_000 + 10_000
    assert one.accrued(one.slots) == one.bill().total_micro == 372 * 3_000_000


def test_what_lies_ahead_is_said_before() -> None:
    one = flat(made(CLASS), 500)
    plan = rating.compile(one.book, one.start, one.end)
    state = rating.settle(plan, plan.zero(1), 0, one.usage.wh[None, :180])
    ((found,),) = jumps.ahead(plan, state)
    assert found == jumps.Ahead("energy", 100_000, 10_000, 180_000_000)
    over = rating.settle(plan, state, 180, one.usage.wh[None, 180:220])
    assert jumps.ahead(plan, over) == [[]]


def test_classes_with_tiers_and_windows_accrue_to_the_bill() -> None:
    classes = [
        {"up_to": "100", "limits": ["50"], "prices": {"peak": ["1", "2"], "off": ["0.5", "1"]}},
        {"up_to": "300", "limits": ["150"], "prices": {"peak": ["3", "4"], "off": ["1", "2"]}},
        {"prices": {"peak": ["6"], "off": ["5"]}},
    ]
    ladder = {"mode": "by_total", "reset": "bill", "allocate": "chronological", "classes": classes}
    window = {"default_period": "off", "window": [{"period": "peak", "from": "08:00", "to": "20:00"}]}
    tax = {"id": "tax", "kind": "percent", "percent": "5"}
    one = flat(made({"id": "energy", "kind": "energy", "ladder": ladder}, tax, version=window), 700)
    found = rises(one)
    assert found.min() >= 0
    assert found.max() < 10_000_000  # 520.8 kWh cost 3016.65; the two jumps alone are worth a good part of it
    assert found.sum() == one.bill().total_micro


def test_a_class_of_a_day_accrues_inside_the_day() -> None:
    ladder = {"mode": "by_total", "reset": "day", "classes": [{"up_to": "10", "prices": ["1"]}, {"prices": ["2"]}]}
    one = flat(made({"id": "energy", "kind": "energy", "ladder": ladder}), 1000)
    found = rises(one)
    assert one.accrued(10) == 10_000_000
    assert one.accrued(24) == 48_000_000
    assert found[10:24].max() < 3_000_000
    assert found.sum() == 31 * 48_000_000 == one.bill().total_micro


def test_a_new_peak_accrues_over_the_days_that_are_left() -> None:
    demand = {"id": "demand", "kind": "demand", "price": "31"}
    one = month(made(ENERGY, demand), "2025-03-10", 0)
    one.usage.wh[0], one.usage.wh[372] = 4000, 12_000  # noon of the 16th: half of the month is gone
    found = rises(one)
    assert found[1:].max() <= 1_200_000 + 170_000
    assert one.accrued(373) < 65_000_000
    assert found.sum() == one.bill().total_micro == 12 * 31_000_000 + 1_600_000


def test_a_floor_of_demand_accrues_from_the_first_hour() -> None:
    one = month(made(ENERGY, {"id": "d", "kind": "demand", "price": "31", "minimum_kw": "12"}), "2025-03-10", 0)
    assert [one.accrued(days * 24) for days in (1, 2, 31)] == [12_000_000, 24_000_000, 372_000_000]
    assert one.accrued(24, attributes={"demand_register_kw": "20"}) == 20_000_000


def test_a_dearer_class_of_a_fixed_charge_accrues_over_the_days_that_are_left() -> None:
    fee = {"id": "fee", "kind": "fixed", "by_total": [{"up_to": "372", "amount": "31"}, {"amount": "93"}]}
    one = month(made(fee, {**ENERGY, "prices": ["0"]}), "2025-03-10", 0)
    one.usage.wh[:] = 1000  # above 372 kWh after hour 373
    found = rises(one)
    assert found.max() <= (1_000_000 + 4_000_000) // 24 + 20_000
    assert one.accrued(372) == 15_500_000
    assert found.sum() == one.bill().total_micro == 93_000_000


def test_every_rule_accrues_to_its_bill_at_every_length_of_interval() -> None:
    """15, 30 and 60 minutes with the same power: the same bill, and the last slot reaches it."""
    rows: list[dict[str, Any]] = [
        CLASS,
        {"id": "fee", "kind": "fixed", "amount": "7.77", "per": "day"},
        {"id": "demand", "kind": "demand", "price": "9.5", "window_min": 60},
        {"id": "floor", "kind": "minimum", "amount": "2000"},
        {"id": "kvarh", "kind": "kvarh", "price": "0.02", "free_percent": "33"},
        {"id": "vat", "kind": "percent", "percent": "13"},
    ]
    totals = set()
    for minutes in (15, 30, 60):
        one = flat(made(*rows), 800 * minutes // 60, minutes=minutes)
        varh = one.usage.wh // 2
        total = one.bill(reactive_varh=varh).total_micro
        assert one.accrued(one.slots, reactive_varh=varh) == total
        assert one.accrued(one.slots // 2, reactive_varh=varh) < total
        totals.add(total)
    assert totals == {sum((1_785_600_000, 240_870_000, 7_600_000, 0, 2_020_000, 264_690_000))}


def test_the_short_way_to_a_jump_is_the_long_one() -> None:
    """A class in one cell is priced by its total alone; slot by slot comes to the same."""
    classes = [
        {"up_to": "60", "limits": ["20", "40"], "prices": ["1", "2", "3"]},
        {"limits": ["30"], "prices": ["4", "5"]},
    ]
    ladder = {"mode": "by_total", "reset": "bill", "classes": classes}
    one = flat(made({"id": "energy", "kind": "energy", "ladder": ladder}), 0)
    (pair,) = jumps.class_sets(rating.compile(one.book, one.start, one.end))
    energy = np.random.default_rng(3).integers(0, 400, (50, 300))
    slots = np.arange(300)
    walk = jumps._Walk(slots, slots, 300, np.random.default_rng(4).integers(0, 50_000, 50), energy)
    for stream in pair:
        long = jumps._charge(stream, 0, walk, np.ones(energy.shape, np.bool_))
        short = jumps._flat(stream, 0, 0, walk.total[:, -1]) - jumps._flat(stream, 0, 0, walk.before)
        assert (short == long).all()
