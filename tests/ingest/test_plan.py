"""Who is due: every meter once a slot, in its own second, all inside the window."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ingest.plan import due, next_at, slot_floor, stagger_s
from ingest.records import MeterPoint

NOW = datetime(2026, 7, 1, 10, 0)


def point(meter_id: int, slot_min: int = 60, protocol: str = "modbus") -> MeterPoint:
    return MeterPoint(meter_id, f"M{meter_id}", "", "sdm630", protocol, "g", "g", 502, 1, slot_min=slot_min)


def test_slots_end_on_the_grid() -> None:
    assert slot_floor(NOW, 60) == NOW
    assert slot_floor(NOW - timedelta(seconds=1), 60) == NOW - timedelta(hours=1)
    assert slot_floor(NOW + timedelta(minutes=44), 15) == NOW + timedelta(minutes=30)


def test_a_meter_is_due_once_a_slot() -> None:
    points = [point(1), point(2, 15), point(3, 60, "mqtt"), point(4, 60, "file")]
    assert [(d.point.meter_id, d.slot_end) for d in due(points, {}, NOW)] == [(1, NOW), (2, NOW)]
    done = {1: NOW, 2: NOW}
    assert due(points, done, NOW + timedelta(minutes=14)) == ()
    assert [d.point.meter_id for d in due(points, done, NOW + timedelta(minutes=15))] == [2]


@given(st.integers(1, 10**6), st.integers(0, 600))
def test_every_second_lies_in_the_window_and_the_slot_is_right(meter_id: int, window_s: int) -> None:
    second = stagger_s(meter_id, window_s)
    assert 0 <= second < max(1, window_s)
    one = [point(meter_id)]
    before, at = NOW + timedelta(seconds=second - 1), NOW + timedelta(seconds=second)
    hour = timedelta(hours=1)
    assert due(one, {meter_id: NOW - hour}, before, window_s=window_s) == ()
    assert [d.slot_end for d in due(one, {meter_id: NOW - hour}, at, window_s=window_s)] == [NOW]
    assert next_at(one, before, window_s=window_s) == at


def test_a_thousand_meters_are_spread_evenly() -> None:
    seconds = [stagger_s(meter_id, 300) for meter_id in range(1, 1001)]
    assert all(sum(a <= s < a + 30 for s in seconds) in range(80, 121) for a in range(0, 300, 30))


def test_no_meter_no_appointment() -> None:
    assert next_at([], NOW) is None
