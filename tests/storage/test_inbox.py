"""What the field sends: accepted once, repeats counted, other values kept aside, standing respected."""

import asyncio
import random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.records import Finding, Flag, MeterRead, Receipt
from storage.batches import unpack
from storage.errors import BadBatch, Conflict
from storage.inbox import ReadInbox
from storage.judge import judge
from storage.merge import rank_of
from storage.records import Cursor, ReadConflict
from storage.schemas import reads_table
from storage.store import Store
from storage.writer import Priority
from tests.storage.conftest import HOUR, T0, StillClock, interval, read

END = T0 + 400 * 24 * HOUR


def accept(store: Store, number: str, *reads: MeterRead) -> Receipt:
    return asyncio.run(ReadInbox(store).accept("gw", number, reads, T0))


def registers(store: Store) -> dict[tuple[int, int], int]:
    rows = store.reads(T0 - HOUR, END).to_pylist()
    return {(r["meter_id"], (r["end"] - T0) // HOUR): r["register_wh"] for r in rows}


def test_the_same_batch_again_changes_nothing(any_store: Store) -> None:
    assert accept(any_store, "1", read(1, 5), read(2, 9)) == Receipt(2, 2, 0, 0)
    assert accept(any_store, "1", read(1, 5), read(2, 9)) == Receipt(2, 0, 2, 0)
    assert registers(any_store) == {(1, 1): 5, (1, 2): 9}
    assert len(any_store.batches("reads")) == 1


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("reopened", [False, True])
def test_the_same_slots_under_another_number(tmp_path, clock: StillClock, sealed: bool, reopened: bool) -> None:  # type: ignore[no-untyped-def]
    """Known from the open batches, from the lake, and from a store that was just opened."""
    store = Store.open(tmp_path, clock=clock, writer="inline", durable=False)
    accept(store, "1", read(1, 5), read(2, 9))
    if sealed:
        store.lake.seal(T0)
    if reopened:
        store.close()
        store = Store.open(tmp_path, clock=clock, writer="inline", durable=False)
    assert accept(store, "2", read(1, 5), read(2, 8), read(3, 12)) == Receipt(3, 1, 1, 1)
    assert registers(store) == {(1, 1): 5, (1, 2): 9, (1, 3): 12}
    found = store.read(lambda r: r.find(ReadConflict))
    assert found == [ReadConflict("reads", 1, 1, T0 + 2 * HOUR, 9, 8, 0, "gw", "2", T0)]
    store.close()


def test_a_reused_number_with_other_content_loses_nothing(store: Store) -> None:
    accept(store, "1", read(1, 5))
    assert accept(store, "1", read(2, 9)) == Receipt(1, 1, 0, 0)
    assert accept(store, "1", read(2, 9)) == Receipt(1, 0, 1, 0)
    assert registers(store) == {(1, 1): 5, (1, 2): 9}


def test_a_late_slot_below_the_head_is_new(store: Store) -> None:
    accept(store, "1", read(5, 50))
    assert accept(store, "2", read(3, 30), read(5, 50)) == Receipt(2, 1, 1, 0)
    assert registers(store) == {(1, 3): 30, (1, 5): 50}


def test_final_beats_provisional_and_not_the_other_way_round(store: Store) -> None:
    accept(store, "1", read(1, 5), read(2, 9))
    assert accept(store, "2", read(1, 6, flags=Flag.FINAL), read(2, 9, flags=Flag.FINAL)) == Receipt(2, 2, 0, 0)
    assert registers(store) == {(1, 1): 6, (1, 2): 9}
    assert accept(store, "3", read(1, 5), read(1, 7, flags=Flag.FINAL)) == Receipt(2, 0, 0, 2)
    store.lake.seal(T0)
    assert registers(store) == {(1, 1): 6, (1, 2): 9}
    assert store.reads(T0, END).column("flags").to_pylist() == [Flag.FINAL, Flag.FINAL]


def test_two_values_in_one_batch(store: Store) -> None:
    assert accept(store, "1", read(1, 5), read(1, 6), read(1, 5)) == Receipt(3, 1, 1, 1)
    assert registers(store) == {(1, 1): 5}


def test_meters_and_channels_do_not_mix(store: Store) -> None:
    accept(store, "1", read(5, 50))
    assert accept(store, "2", read(1, 1, meter=2), read(1, 1, channel=2)) == Receipt(2, 2, 0, 0)


def test_a_conflict_seen_twice_is_kept_once(store: Store) -> None:
    accept(store, "1", read(1, 5))
    for number in ("2", "3"):
        assert accept(store, number, read(1, 6)).conflict == 1
    assert store.read(lambda r: r.count(ReadConflict)) == 1


def test_intervals_take_the_same_way(any_store: Store) -> None:
    inbox = ReadInbox(any_store)
    rows = [interval(1, 5), interval(2, 6)]
    assert asyncio.run(inbox.accept_intervals("file", "a", rows, T0)) == Receipt(2, 2, 0, 0)
    assert asyncio.run(inbox.accept_intervals("file", "b", rows, T0)) == Receipt(2, 0, 2, 0)
    assert any_store.intervals(T0, END).column("energy_wh").to_pylist() == [5, 6]


def test_an_empty_delivery_is_nothing(store: Store) -> None:
    assert accept(store, "1") == Receipt(0, 0, 0, 0)
    assert store.batches("reads") == []


def test_findings_and_frames_are_kept_once(store: Store) -> None:
    inbox = ReadInbox(store)
    finding = Finding("wrong_unit", T0, "M1", "g", "unit 4 answered for 5")
    for _ in range(2):
        asyncio.run(inbox.found([finding]))
        asyncio.run(inbox.keep("tcp:1", T0, b"\x00\xff", "bad_checksum"))
    asyncio.run(inbox.found([]))
    assert store.read(lambda r: r.find(Finding)) == [finding]
    (batch,) = store.batches("raw")
    assert batch.table.to_pylist() == [{"source": "tcp:1", "at": T0, "frame": b"\x00\xff", "reason": "bad_checksum"}]


def test_many_at_once_are_all_there_once(any_store: Store) -> None:
    inbox = ReadInbox(any_store)

    async def many() -> list[Receipt]:
        rows = [[read(h, h, meter=m)] for h in range(1, 21) for m in (1, 2, 3)] * 2
        random.Random(5).shuffle(rows)
        return await asyncio.gather(*[inbox.accept("g", str(n), r, T0) for n, r in enumerate(rows)])

    receipts = asyncio.run(many())
    assert (sum(r.new for r in receipts), sum(r.duplicate for r in receipts)) == (60, 60)
    assert any_store.reads(T0, END).num_rows == 60


def test_a_batch_number_is_refused_for_other_content_at_the_unit(store: Store) -> None:
    def add(value: int) -> bool:
        table = reads_table([read(1, value)])
        return store.write(Priority.INBOX, lambda u: u.append_batch("reads", "g", "1", table, T0))

    assert add(5) is True
    assert add(5) is False
    with pytest.raises(Conflict, match="g 1"):
        add(6)
    with pytest.raises(BadBatch, match="no dataset"):
        store.write(Priority.INBOX, lambda u: u.append_batch("nope", "g", "2", pa.table({}), T0))


def test_a_consumer_finds_every_batch_until_its_cursor_has_passed(store: Store) -> None:
    for n in range(4):
        accept(store, str(n), read(n + 1, n))
    store.lake.seal(T0)
    assert [b.source_seq for b in store.batches("reads", limit=2)] == ["0", "1"]
    third = store.batches("reads")[2]
    store.write(Priority.BATCH, lambda u: u.put(Cursor("rater", "reads", third.seq)))
    accept(store, "4", read(9, 9))
    store.lake.seal(T0)
    assert [b.source_seq for b in store.batches("reads", third.seq)] == ["3", "4"]
    assert [b.source_seq for b in store.batches("reads")] == ["3", "4"]
    assert registers(store) == {(1, 1): 0, (1, 2): 1, (1, 3): 2, (1, 4): 3, (1, 9): 9}


def test_a_batch_is_small(store: Store) -> None:
    """Ten thousand reads of one hour: an upper bound on what the transient inbox costs."""
    rng = random.Random(1)
    table = reads_table([read(1, rng.randrange(10**7), meter=m) for m in range(10_000)])
    store.write(Priority.INBOX, lambda u: u.append_batch("reads", "g", "1", table, T0))
    payload, size = store.read(lambda r: r.connection.execute("SELECT payload, size FROM inbox").fetchone())
    assert len(payload) / 10_000 < 8
    assert unpack(payload, size).equals(table)


SLOTS = st.tuples(st.integers(1, 2), st.just(1), st.integers(0, 3))
HELD = st.tuples(st.integers(0, 2), st.integers(0, 3))


@given(st.lists(st.tuples(SLOTS, HELD), max_size=8), st.dictionaries(SLOTS, HELD, max_size=6))
def test_judge_accounts_for_every_row(rows, stored) -> None:  # type: ignore[no-untyped-def]
    verdict = judge([s for s, _ in rows], [h for _, h in rows], stored)
    assert len(verdict.new) + verdict.duplicate + len(verdict.conflicts) == len(rows)
    now = dict(stored)
    for index in verdict.new:
        slot, mine = rows[index]
        assert slot not in now or now[slot][1] < mine[1]
        now[slot] = mine
    for index, kept in verdict.conflicts:
        slot, mine = rows[index]
        assert kept != mine[0]


MOVES = st.lists(
    st.tuples(st.sampled_from(["accept", "seal", "compact", "reopen"]), st.lists(
        st.tuples(st.integers(1, 2), st.integers(1, 5), st.integers(1, 3), st.sampled_from([0, 1, 8])), max_size=4)),
    max_size=10,
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(MOVES)
def test_any_history_equals_a_dict(tmp_path_factory, moves) -> None:  # type: ignore[no-untyped-def]
    """Accept, seal, compact and reopen in any order: the slots read back are those of a plain dict with the rules."""
    home = tmp_path_factory.mktemp("h")
    store = Store.open(home, clock=StillClock(), writer="inline", durable=False)
    slow: dict[tuple[int, int], tuple[int, int]] = {}
    for number, (verb, rows) in enumerate(moves):
        if verb == "seal":
            store.lake.seal(T0)
        elif verb == "compact":
            store.lake.compact(T0 + (2 + 100 * (number % 2)) * 24 * HOUR)
        elif verb == "reopen":
            store.close()
            store = Store.open(home, clock=StillClock(), writer="inline", durable=False)
        else:
            accept(store, str(number), *[read(h, v, meter=m, flags=f) for m, h, v, f in rows])
            for m, h, v, f in rows:
                there = slow.get((m, h))
                if there is None or rank_of(f) > there[1]:
                    slow[m, h] = (v, rank_of(f))
    assert registers(store) == {k: v for k, (v, _) in slow.items()}
    store.close()
