"""The breaker: herd against bug, rings, feeders, pacing, the kill switch."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control import breaker
from control.breaker import Counts, KillSwitch, Request, Return

CITY = Counts(accounts=1_100_000, foreseen=800, median_28d=600, settled_window=260)
AT = datetime(2026, 3, 10, 2, 0)


def requests(count: int, feeders: int = 0) -> list[Request]:
    return [Request(f"c{n}", f"A{n}", f"F{n % feeders}" if feeders else "") for n in range(count)]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (CITY, 1200),  # 1.5 x foreseen
        (replace(CITY, foreseen=5000), 1800),  # 3 x median
        (replace(CITY, foreseen=9000, median_28d=9000), 5500),  # 0.5 % a day
        (replace(CITY, foreseen=9000, median_28d=9000, left_day=5000), 500),
        (replace(CITY, foreseen=9000, median_28d=9000, left_day=5000, left_window=5000), 5500),
        (replace(CITY, foreseen=0), 20),  # the floor
        (replace(CITY, median_28d=None), 20),
        (Counts(accounts=50, foreseen=0, median_28d=None), 2),
        (Counts(accounts=50, foreseen=0, median_28d=None, left_day=2), 0),
        (Counts(accounts=5, foreseen=9, median_28d=9), 1),
    ],
)
def test_the_cap(counts: Counts, expected: int) -> None:
    assert breaker.cap(counts) == expected


def test_at_the_cap_all_leave_and_one_above_it_none_does() -> None:
    at = breaker.admit(requests(1200), CITY)
    assert (len(at.admitted), at.tripped) == (1200, False)
    over = breaker.admit(requests(1201), CITY)
    assert over.admitted == ()
    assert len(over.quarantined) == 1201
    assert over.tripped
    assert "1201 planned, cap 1200" in over.reason


def test_a_bug_storm_cuts_nobody_and_a_herd_waits_for_release() -> None:
    storm = breaker.admit(requests(300_000), CITY)
    assert (storm.admitted, len(storm.quarantined)) == ((), 300_000)
    herd = requests(3000)
    held = breaker.admit(herd, CITY)
    released = breaker.admit(herd, replace(CITY, released=frozenset(held.quarantined)))
    assert len(released.admitted) == 3000
    assert not released.tripped


def test_rings_go_on_only_when_the_ring_before_is_settled() -> None:
    left = settled = 0
    sizes = []
    while left < 700:
        found = breaker.admit(requests(700 - left), replace(CITY, left_window=left, settled_window=settled))
        sizes.append(len(found.admitted))
        gone = replace(CITY, left_window=left + len(found.admitted), settled_window=settled)
        assert settled >= 260 or not breaker.admit(requests(9), gone).admitted  # unsettled: the next ring waits
        left += len(found.admitted)
        settled = left
    assert sizes == [10, 50, 200, 440]


def test_a_feeder_loses_at_most_a_tenth_an_hour() -> None:
    counts = replace(CITY, feeder_accounts={"F0": 100, "F1": 100}, feeder_left_hour={"F0": 4})
    found = breaker.admit(requests(60, feeders=2), counts)
    assert sum(int(name[1:]) % 2 == 0 for name in found.admitted) == 6
    assert sum(int(name[1:]) % 2 == 1 for name in found.admitted) == 10
    assert len(found.waiting) == 44
    assert len(breaker.admit([Request("c", "A", "tiny")], CITY).admitted) == 1


def test_the_kill_switch_lets_nothing_leave_and_needs_two_to_reset() -> None:
    found = breaker.admit(requests(5), replace(CITY, killed=True, released=frozenset({"c0"})))
    assert (found.admitted, found.reason) == ((), "kill_switch")
    pulled = breaker.pull(KillSwitch(), "ann")
    assert pulled.pulled
    one = breaker.reset(pulled, "bob")
    assert one.pulled
    assert breaker.reset(one, "bob").pulled
    assert not breaker.reset(one, "cid").pulled
    assert breaker.pull(one, "dan") == KillSwitch("ann")
    assert breaker.may_release(["ann", "bob"], "eve")
    assert not breaker.may_release(["ann", "eve"], "eve")
    assert not breaker.may_release(["ann", "ann", ""], "eve")


def test_reconnections_are_paced_by_load_the_wrongly_cut_first() -> None:
    waiting = [Return(f"c{n}", AT + timedelta(seconds=n), 3000) for n in range(9)]
    waiting.append(Return("wrong", AT + timedelta(hours=1), 3000, wrongly_cut=True))
    assert breaker.pace(waiting, 60_000) == ("wrong", "c0", "c1", "c2")  # 12 kW of 60 kVA
    assert breaker.pace(waiting, 1_000) == ("wrong", "c0")  # at least two
    assert breaker.pace(waiting, 1_000, started=2, started_w=6000) == ()
    assert len(breaker.pace(waiting, None)) == 10


@given(st.integers(0, 400), st.integers(0, 400), st.integers(0, 400), st.integers(0, 300), st.integers(0, 300))
def test_nothing_is_lost_and_the_cap_holds(planned: int, foreseen: int, median: int, left: int, settled: int) -> None:
    """S10: each request is admitted, waits or is quarantined; with nothing released the cap holds."""
    counts = Counts(
        accounts=5000, foreseen=foreseen, median_28d=median, left_window=left, left_day=left, settled_window=settled
    )
    found = breaker.admit(requests(planned), counts)
    assert sorted(found.admitted + found.waiting + found.quarantined) == sorted(r.command for r in requests(planned))
    assert not found.admitted or left + len(found.admitted) <= found.cap
    assert found.quarantined == () or found.admitted == ()
