"""A reader's way: datums, distances, what is too far or too fast, the nearest way, reading days and visits due."""

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.geodesy import gcj02, metres, wgs84
from ingest.rounds import FIRST_VISIT_DAYS, Kept, kept, planned_days, visit_due
from ingest.walks import FAR_M, Stop, judge, nearest_first

AT = datetime(2026, 7, 1, 8)
HERE = (30.2741, 120.1551)


def north(metre: float) -> float:
    return HERE[0] + metre / 111_195


def stop(
    n: int, *, s: float, metre: float | None, meter: str = "M1", kind: str = "confirm", accuracy: float = 0
) -> Stop:
    where = (None, None) if metre is None else (north(metre), HERE[1])
    return Stop(f"m{n}", kind, AT + timedelta(seconds=s), meter, *where, accuracy)


def test_the_shift_of_chinese_maps_is_the_published_one() -> None:
    # the pairs that public converters of this datum test with
    assert gcj02(31.1774276, 121.5272106) == pytest.approx((31.17530398364597, 121.531541859215), abs=1e-12)
    assert metres(31.1774276, 121.5272106, *gcj02(31.1774276, 121.5272106)) == pytest.approx(475, abs=1)
    bd = (39.92133699351021, 116.41036949371029)  # BD-09 of GCJ-02 (39.915, 116.404)
    assert metres(*wgs84(*bd, "BD09"), *wgs84(39.915, 116.404, "GCJ02")) < 1
    assert wgs84(48.85, 2.35, "GCJ02") == (48.85, 2.35), "outside of China there is no shift"


@given(st.floats(1, 55), st.floats(73, 137))
def test_a_shifted_position_comes_back_to_the_centimetre(latitude: float, longitude: float) -> None:
    assert metres(*wgs84(*gcj02(latitude, longitude), "GCJ02"), latitude, longitude) < 0.01


def test_too_far_is_said_one_metre_past_the_limit_and_accuracy_excuses() -> None:
    places = {"M1": HERE}
    for metre, accuracy, words in (
        (FAR_M - 1, 0, ()),
        (FAR_M + 1, 0, ("far",)),
        (FAR_M + 1, 2, ()),
        (900, 50, ("far",)),
    ):
        (seen,) = judge([stop(1, s=0, metre=metre, accuracy=accuracy)], places)
        assert (seen.findings, seen.from_meter_m) == (words, metre), metre
    (unknown,) = judge([stop(1, s=0, metre=900)], {})
    assert (unknown.findings, unknown.from_meter_m) == ((), None)


def test_too_fast_is_judged_in_order_of_time_whatever_order_they_came_in() -> None:
    way = [stop(1, s=0, metre=0), stop(2, s=60, metre=1000), stop(3, s=120, metre=4000, meter="M2")]
    for order in (way, way[::-1]):
        assert [seen.findings for seen in judge(order, {})] == [(), (), ("fast",)]
    assert judge([way[0], stop(2, s=1, metre=40)], {})[1].findings == (), "positions wander"
    assert judge([way[0], stop(2, s=1, metre=400, accuracy=380)], {})[1].findings == ()


def test_a_final_read_without_a_position_is_said_and_breaks_no_way() -> None:
    found = judge([stop(1, s=0, metre=0), stop(2, s=30, metre=None), stop(3, s=60, metre=3000)], {})
    assert [seen.findings for seen in found] == [(), ("no_position",), ("fast",)]
    (read,) = judge([stop(1, s=0, metre=None, kind="read")], {})
    assert read.findings == ()


def test_the_way_goes_to_the_nearest_one_left() -> None:
    places = {"far": (north(900), HERE[1]), "near": (north(10), HERE[1]), "middle": (north(300), HERE[1])}
    assert nearest_first(HERE, places) == ["near", "middle", "far"]
    assert nearest_first((north(1000), HERE[1]), places) == ["far", "middle", "near"]
    assert sorted(nearest_first(None, places)) == sorted(places)


def test_punctual_is_two_days_and_late_is_three() -> None:
    planned = planned_days(10, 1, date(2026, 1, 1), date(2026, 4, 1))
    reads = [date(2026, 1, 8), date(2026, 2, 13)]
    assert kept(planned, reads, date(2026, 3, 12)) == [
        Kept(planned[0], reads[0], "on_time", -2),
        Kept(planned[1], reads[1], "late", 3),
        Kept(planned[2], None, "open"),
    ]
    assert kept(planned, reads, date(2026, 3, 13))[2].word == "missing"
    assert kept(planned, [date(2026, 1, 7)], date(2026, 1, 9))[0].word == "early"


@given(st.integers(1, 31), st.sampled_from([1, 2, 3, 6, 12]), st.integers(0, 700))
def test_planned_days_come_once_a_cycle(day: int, months: int, length: int) -> None:
    since = date(2025, 1, 1)
    found = planned_days(day, months, since, since + timedelta(days=length))
    slow = [at for n in range(length) if (at := since + timedelta(days=n)) and _is_planned(at, day, months)]
    assert found == slow


def _is_planned(at: date, day: int, months: int) -> bool:
    last = (at + timedelta(days=1)).month != at.month
    return (at.month - 1) % months == 0 and (at.day == day or (last and at.day < day))


def test_a_remote_meter_is_seen_every_three_cycles_and_a_new_one_within_a_month() -> None:
    new, seen = date(2026, 1, 1), date(2026, 1, 20)
    first = visit_due(new, None, remote=True, months=1, today=date(2026, 1, 2))
    assert first is not None
    assert (first.reason, first.due) == ("first_visit", new + timedelta(days=FIRST_VISIT_DAYS))
    assert visit_due(new, seen, remote=True, months=1, today=date(2026, 4, 19)) is None
    due = visit_due(new, seen, remote=True, months=1, today=date(2026, 4, 20))
    assert due is not None and (due.reason, due.due) == ("verification", date(2026, 4, 20))
    assert visit_due(new, seen, remote=False, months=1, today=date(2027, 1, 1)) is None, "its reader stands before it"
    swapped = visit_due(date(2026, 3, 1), seen, remote=True, months=1, today=date(2026, 3, 2))
    assert swapped is not None and swapped.reason == "first_visit", "a swapped meter is a new one"
