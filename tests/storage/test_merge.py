"""The merge against a slow reference: sorted, each slot once, the row of best standing kept."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.records import Flag, Interval, MeterRead
from storage import schemas
from storage.errors import BadBatch
from storage.merge import merge, rank, rank_of
from storage.schemas import CHARGES, INTERVALS, RAW, READS
from tests.storage.conftest import HOUR, T0

FLAGS = st.sampled_from([0, 1, 2, 8, 1024, 2048, 2050, 11])
ROWS = st.lists(
    st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(0, 4), st.integers(0, 9), FLAGS), max_size=12
)


def slow(parts: list[list[tuple[int, ...]]], *, first: bool) -> list[tuple[int, ...]]:
    """One dict, row by row."""
    best: dict[tuple[int, ...], tuple[int, ...]] = {}
    for row in (r for part in parts for r in part):
        there = best.get(row[:3])
        if there is None or rank_of(row[4]) > rank_of(there[4]) or (not first and rank_of(row[4]) == rank_of(there[4])):
            best[row[:3]] = row
    return [best[k] for k in sorted(best)]


@given(st.lists(ROWS, max_size=5))
def test_reads_and_intervals_equal_the_slow_merge(parts: list[list[tuple[int, ...]]]) -> None:
    reads = [schemas.reads_table([MeterRead(m, c, T0 + h * HOUR, v, f) for m, c, h, v, f in part]) for part in parts]
    got = merge(READS, reads).to_pylist()
    want = slow(parts, first=True)
    assert [(r["meter_id"], r["channel"], (r["end"] - T0) // HOUR, r["register_wh"], r["flags"]) for r in got] == want
    intervals = [
        schemas.intervals_table([Interval(m, c, T0 + h * HOUR, 60, v, f) for m, c, h, v, f in part]) for part in parts
    ]
    got = merge(INTERVALS, intervals).to_pylist()
    want = slow(parts, first=False)
    assert [(r["meter_id"], r["channel"], (r["end"] - T0) // HOUR, r["energy_wh"], r["flags"]) for r in got] == want


@given(st.integers(0, 4095))
def test_rank_is_the_same_in_both_forms(flags: int) -> None:
    column = schemas.reads_table([MeterRead(1, 1, T0, 0, flags)]).column("flags").to_numpy()
    assert rank(column).tolist() == [rank_of(flags)]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (Flag.FINAL | Flag.CONFIRMED, 4),
        (Flag.FINAL, 3),
        (Flag.FINAL | Flag.SUSPECT, 3),
        (Flag.CONFIRMED | Flag.SUSPECT, 2),
        (Flag.NONE, 1),
        (Flag.IMPORTED, 1),
    ],
)
def test_ranks(flags: Flag, expected: int) -> None:
    assert rank_of(flags) == expected
    assert rank_of(Flag.ESTIMATED) == rank_of(Flag.SUSPECT) == 0


def test_keys_too_wide_for_one_integer_sort_alike() -> None:
    far = [MeterRead(m, c, T0 + d * HOUR * 24, d) for m in (1, 2**31 - 1) for c in (1, 255) for d in (0, 700_000)]
    table = merge(READS, [schemas.reads_table(list(reversed(far)))])
    keys = list(zip(*(table.column(n).to_pylist() for n in ("meter_id", "channel", "end")), strict=True))
    assert keys == sorted(keys)
    assert len(keys) == 8


def charge(meter: int, account: str, hour: int, amount: int) -> dict[str, object]:
    return {
        "meter_id": meter, "account": account, "end": T0 + hour * HOUR, "minutes": 60, "energy_wh": 1, "period": "flat",
        "amount_micro": amount, "tier": 0, "price": 1, "price_scale": 0, "book_hash": "b", "run_id": "r",
    }  # fmt: skip


def test_charges_sort_by_the_word_not_by_first_sight_and_the_last_counts() -> None:
    rows = [charge(1, "Z", 1, 5), charge(1, "A", 1, 6), charge(1, "Z", 1, 7)]
    parts = [pa.Table.from_pylist([r], schema=CHARGES.schema) for r in rows]
    assert [(r["account"], r["amount_micro"]) for r in merge(CHARGES, parts).to_pylist()] == [("A", 6), ("Z", 7)]


def test_raw_frames_are_put_in_order_of_time_and_never_dropped() -> None:
    row = {"source": "g", "at": T0, "frame": b"x", "reason": "r"}
    rows = [row | {"at": T0 + HOUR}, row, row]
    got = merge(RAW, [pa.Table.from_pylist(rows, schema=RAW.schema)])
    assert got.column("at").to_pylist() == [T0, T0, T0 + HOUR]


def test_a_table_that_does_not_fit_is_refused() -> None:
    good = schemas.reads_table([MeterRead(1, 1, T0, 5)])
    assert schemas.conform("reads", good.select(list(reversed(good.column_names)))).schema == READS.schema
    wide = good.set_column(3, "register_wh", pa.array([5], pa.int32()))
    assert schemas.conform("reads", wide).schema == READS.schema
    for wrong, words in (
        (good.drop_columns(["flags"]), "lacks flags"),
        (good.set_column(0, "meter_id", pa.array([2**40], pa.int64())), "reads: "),
        (good.set_column(0, "meter_id", pa.array([None], pa.int32())), "empty values in meter_id"),
        (good.set_column(3, "register_wh", pa.array(["x"])), "reads: "),
    ):
        with pytest.raises(BadBatch, match=words):
            schemas.conform("reads", wrong)
    with pytest.raises(BadBatch, match="choose one of reads"):
        schemas.dataset("readings")


def test_a_value_out_of_range_is_refused_not_wrapped() -> None:
    with pytest.raises(BadBatch):
        schemas.reads_table([MeterRead(2**31, 1, T0, 5)])
    assert schemas.reads_table([MeterRead(1, 1, T0, 5, 0, 90_000)]).column("offset_s").to_pylist() == [32_767]
