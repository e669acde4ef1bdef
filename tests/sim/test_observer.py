"""The outside observer's definitions, one by one, on relays moved by hand."""

from datetime import datetime, timedelta

import pytest

from ingest.records import RelayState
from sim.meters import SimMeter
from sim.observer import Observer, percentile

T = datetime(2026, 3, 2)
H = timedelta(hours=1)


def world() -> tuple[SimMeter, Observer]:
    meter = SimMeter("1", lambda hour: 100, T)
    return meter, Observer({"M": meter}, {"M": "A"})


def test_payment_to_power_is_measured_at_the_relay() -> None:
    meter, seen = world()
    meter.switch(RelayState.OPEN, T + H, "c")
    seen.look({"A": True}.__getitem__)
    seen.paid("A", T + 2 * H)
    assert seen.dark(T + 2 * H) == 1
    meter.switch(RelayState.CLOSED, T + 2 * H + timedelta(seconds=40), "c")
    seen.look({"A": False}.__getitem__)
    assert seen.reconnects_s() == [40]
    assert seen.dark(T + 3 * H) == 0
    assert seen.wrongly_off_h(T + 9 * H) == 0
    assert (seen.opens, seen.closes) == (1, 1)


def test_an_opening_above_the_threshold_is_wrong_from_its_first_second() -> None:
    meter, seen = world()
    meter.switch(RelayState.OPEN, T, "bug")
    seen.look({"A": False}.__getitem__)
    assert seen.wrongly_off_h(T + 3 * H) == pytest.approx(3)


def test_a_paid_customer_in_the_dark_counts_after_the_hard_limit_and_silence_is_a_breach() -> None:
    meter, seen = world()
    meter.switch(RelayState.OPEN, T, "c")
    seen.look({"A": True}.__getitem__)
    seen.paid("A", T + H)
    end = T + 4 * H
    assert seen.wrongly_off_h(end) == pytest.approx(2)
    assert seen.silent(end, {}) == 1
    assert seen.silent(end, {"A": [T + H + timedelta(minutes=20)]}) == 0
    assert seen.silent(end, {"A": [T + 3 * H]}) == 1


def test_an_opening_that_races_a_payment_is_paid_from_the_payment() -> None:
    meter, seen = world()
    seen.paid("A", T)
    meter.switch(RelayState.OPEN, T + timedelta(seconds=2), "c")
    seen.look({"A": False}.__getitem__)
    meter.switch(RelayState.CLOSED, T + timedelta(seconds=30), "c")
    seen.look({"A": False}.__getitem__)
    assert (seen.reconnects_s(), seen.raced()) == ([30], 1)
    assert seen.wrongly_off_h(T + H) == 0


def test_an_opening_is_judged_when_it_happens_and_not_after_the_payment_that_followed_it() -> None:
    """Looked at every fifteen seconds, an opening just before a payment had seemed one of an account in credit."""
    meter, seen = world()
    below = {"A": True}
    meter.changed = lambda: seen.look_at("M", below.__getitem__)
    meter.switch(RelayState.OPEN, T, "c")
    below["A"] = False
    seen.paid("A", T + timedelta(seconds=3))
    meter.switch(RelayState.CLOSED, T + timedelta(seconds=79), "c")
    assert seen.wrongly_off_h(T + H) == 0
    assert (seen.reconnects_s(), seen.raced()) == ([76], 0)


def test_unpaid_hours_count_only_closed_relays_below_the_threshold() -> None:
    meter, seen = world()
    seen.hour({"A": True})
    seen.hour({"A": False})
    meter.switch(RelayState.OPEN, T, "c")
    seen.hour({"A": True})
    assert seen.unpaid_on_h == 1


def test_percentiles() -> None:
    assert percentile([], 50) is None
    assert percentile([1, 2, 3, 4], 50) == 2
    assert percentile([1, 2, 3, 4], 95) == 4
