"""The physical meter: energy is the load's integral, a relay stops it, faults do what their names say."""

from datetime import datetime, timedelta

import pytest

from ingest.records import RelayState
from sim.clock import ClockBackwards, TestClock
from sim.customers import SHAPES, load_of, payer_of
from sim.meters import SimMeter
from sim.town import build

START = datetime(2026, 3, 1, 16)


def meter(**more: object) -> SimMeter:
    return SimMeter(serial="1", load=lambda hour: 600 + 60 * (hour.hour % 2), at=START, **more)  # type: ignore[arg-type]


def test_energy_is_the_integral_of_load_however_often_one_looks() -> None:
    often, once = meter(), meter()
    for minute in range(1, 301):
        often.advance(START + timedelta(minutes=minute, seconds=minute % 7))
    end = START + timedelta(minutes=310)
    often.advance(end)
    once.advance(end)
    assert (often.register_mwh, often.spare_wus) == (once.register_mwh, once.spare_wus)
    assert once.register_wh == 600 * 3 + 660 * 2 + 660 * 10 // 60  # hours 16, 18, 20; 17, 19; ten minutes of 21


def test_the_profile_holds_each_whole_hour() -> None:
    m = meter()
    m.advance(START + timedelta(hours=3, minutes=5))
    assert [end for end, _ in m.profile] == [START + timedelta(hours=n) for n in (1, 2, 3)]
    assert [wh for _, wh in m.profile] == [600, 1260, 1860]


def test_an_open_relay_stops_the_energy_and_is_remembered() -> None:
    m = meter()
    m.switch(RelayState.OPEN, START + timedelta(hours=1), "command")
    m.advance(START + timedelta(hours=5))
    assert m.register_wh == 600
    assert m.power_w(START + timedelta(hours=5)) == 0
    assert m.relay_changes == [(START + timedelta(hours=1), RelayState.OPEN, "command")]


@pytest.mark.parametrize(("fault", "reported"), [("stuck_relay", RelayState.CLOSED), ("lying_relay", RelayState.OPEN)])
def test_a_faulty_relay_acknowledges_and_stays(fault: str, reported: RelayState) -> None:
    m = meter(faults={fault})
    assert m.switch(RelayState.OPEN, START, "command")
    assert m.relay is RelayState.CLOSED
    assert m.reported_relay is reported
    assert m.relay_changes == []


def test_a_register_rolls_over_at_its_digits() -> None:
    m = meter(digits=3, register_mwh=999_900)
    m.advance(START + timedelta(hours=1))
    assert m.register_wh == 599  # 999.9 + 600 Wh on a display of three digits


def test_loads_depend_on_nothing_but_seed_customer_and_hour() -> None:
    first = load_of("household", seed=1, customer=5)
    assert [first(START + timedelta(hours=n)) for n in range(48)] == [
        load_of("household", seed=1, customer=5)(START + timedelta(hours=n)) for n in range(48)
    ]
    assert first(START) != load_of("household", seed=2, customer=5)(START)
    for shape, (hourly, _) in SHAPES.items():
        assert len(hourly) == 24, shape


def test_a_town_is_the_same_town_and_its_addresses_are_distinct() -> None:
    town = build(3, 150)
    assert town == build(3, 150)
    assert town != build(4, 150)
    assert len({(s.point.gateway, s.point.unit) for s in town.sites}) == 150
    assert len({s.account.account for s in town.sites}) == 150
    assert {s.point.protocol for s in town.sites} == {"modbus", "dlms"}
    assert any(s.protected for s in town.sites)
    assert payer_of(1, 1, typical_micro=10_000_000).amount_micro % 1_000_000 == 0


def test_the_shared_test_clock_stands_jumps_and_never_goes_back(tmp_path) -> None:  # type: ignore[no-untyped-def]
    clock = TestClock.start(tmp_path / "clock", START)
    other = TestClock(tmp_path / "clock")
    assert other.now() == START
    clock.jump(START + timedelta(hours=1))
    assert other.now() == START + timedelta(hours=1)
    with pytest.raises(ClockBackwards, match="cannot go back"):
        other.jump(START)
    clock.set_rate(1000.0)
    first = other.now()
    assert other.now() >= first >= START + timedelta(hours=1)
