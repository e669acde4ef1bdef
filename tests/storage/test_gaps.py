"""Which slots are missing, against a slow list of slots."""

import asyncio
import itertools
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.records import Interval, MeterPoint, MeterRead
from storage.gaps import HORIZON, Gaps, _missing
from storage.inbox import ReadInbox
from storage.records import Install
from storage.store import Store
from storage.writer import Priority
from tests.storage.conftest import HOUR, T0, StillClock, read


def spans(found: list[tuple[object, object]]) -> list[tuple[int, int]]:
    return [((a - T0) // HOUR, (b - T0) // HOUR) for a, b in found]  # type: ignore[operator]


def test_gaps_follow_the_inbox_through_seal_and_rollback(store: Store) -> None:
    gaps, inbox = Gaps(store), ReadInbox(store)

    def look() -> list[tuple[int, int]]:
        return spans(gaps.gaps(1, T0, T0 + 6 * HOUR))

    assert look() == [(0, 6)]
    asyncio.run(inbox.accept("g", "1", [read(1, 5), read(4, 9)], T0))
    assert look() == [(1, 3), (4, 6)]
    asyncio.run(inbox.accept("g", "2", [read(6, 11)], T0))
    store.lake.seal(T0)
    assert look() == [(1, 3), (4, 5)]
    asyncio.run(inbox.accept_intervals("f", "1", [Interval(1, 1, T0 + 2 * HOUR, 60, 1)], T0))
    assert look() == [(2, 3), (4, 5)]
    assert spans(gaps.gaps(2, T0, T0 + 2 * HOUR)) == [(0, 2)]
    assert gaps.gaps(1, T0 + HOUR, T0 + HOUR) == []


def test_slots_have_the_length_of_the_meter(store: Store) -> None:
    point = MeterPoint(1, "M1", "s", "m", "modbus", "g", "h", 502, 1, slot_min=15)
    store.write(Priority.BATCH, lambda u: u.put(point))
    asyncio.run(ReadInbox(store).accept("g", "1", [read(1, 5)], T0))
    quarter = timedelta(minutes=15)
    assert Gaps(store).gaps(1, T0, T0 + HOUR + quarter) == [(T0, T0 + 3 * quarter), (T0 + HOUR, T0 + HOUR + quarter)]


def test_nothing_is_missing_from_before_the_meter_was_installed(store: Store) -> None:
    gaps = Gaps(store)
    assert spans(gaps.gaps(1, T0, T0 + 6 * HOUR)) == [(0, 6)]
    later, first = (Install(1, "M1", account, "s", T0 + h * HOUR) for account, h in (("A2", 5), ("A1", 3)))
    store.write(Priority.BATCH, lambda u: u.put(later))
    assert spans(gaps.gaps(1, T0, T0 + 6 * HOUR)) == [(5, 6)]
    store.write(Priority.BATCH, lambda u: u.put(first))
    assert spans(gaps.gaps(1, T0, T0 + 6 * HOUR)) == [(3, 6)]
    assert gaps.gaps(1, T0, T0 + 2 * HOUR) == []
    assert spans(gaps.gaps(2, T0, T0 + HOUR)) == [(0, 1)]


def test_without_a_commit_nothing_is_read_again(store: Store, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    gaps = Gaps(store)
    asyncio.run(ReadInbox(store).accept("g", "1", [read(1, 5)], T0))
    assert spans(gaps.gaps(1, T0, T0 + 2 * HOUR)) == [(1, 2)]
    with monkeypatch.context() as patch:
        patch.setattr(store, "read", None)
        assert spans(gaps.gaps(1, T0, T0 + 2 * HOUR)) == [(1, 2)]
    asyncio.run(ReadInbox(store).accept("g", "2", [read(2, 5)], T0))
    assert gaps.gaps(1, T0, T0 + 2 * HOUR) == []


def test_what_lies_before_the_horizon_is_looked_up(store: Store) -> None:
    asyncio.run(ReadInbox(store).accept("g", "1", [read(-3000, 1), read(1, 5)], T0))
    gaps = Gaps(store)
    assert spans(gaps.gaps(1, T0, T0 + 2 * HOUR)) == [(1, 2)]
    assert spans(gaps.gaps(1, T0 - 3002 * HOUR, T0 - 2999 * HOUR)) == [(-3002, -3001), (-3000, -2999)]
    later = T0 + 3 * HORIZON
    assert len(gaps.gaps(1, later, later + HOUR)) == 1


@settings(max_examples=30, deadline=None)
@given(st.sets(st.integers(1, 40)), st.integers(0, 20), st.integers(0, 40))
def test_gaps_equal_a_slow_list(tmp_path_factory, stored, first, last) -> None:  # type: ignore[no-untyped-def]
    with Store.open(tmp_path_factory.mktemp("g"), clock=StillClock(), writer="inline", durable=False) as store:
        reads = [MeterRead(1, 1, T0 + h * HOUR, h) for h in sorted(stored)]
        asyncio.run(ReadInbox(store).accept("g", "1", reads, T0))
        found = spans(Gaps(store).gaps(1, T0 + first * HOUR, T0 + last * HOUR))
    missing = [h for h in range(first, last) if h + 1 not in stored]
    assert [h for a, b in found for h in range(a, b)] == missing
    assert all(b < c for (_, b), (c, _) in itertools.pairwise(found))


def test_runs_of_zero_bits() -> None:
    assert _missing(0b0, 0, 0, 1) == []
    assert _missing(0b11, 0, 2, 1) == []
    assert len(_missing(0b101, 0, 4, 1)) == 2
