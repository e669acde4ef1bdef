"""Seal, compact, sweep: the rows stay the same whatever files they stand in, and no file is seen half-written."""

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingest.records import MeterRead
from storage import lake, manifest, parquet
from storage.schemas import READS, reads_table
from storage.store import Store
from storage.writer import Priority
from tests.storage.conftest import HOUR, T0, read

DAY = timedelta(days=1)
FAR = T0 + 400 * DAY


def add(store: Store, number: str, reads: list[MeterRead]) -> None:
    table = reads_table(reads)
    store.write(Priority.INBOX, lambda u: u.append_batch("reads", "g", number, table, T0))


def hours(store: Store, first: int, last: int, meters: tuple[int, ...] = (1, 2, 70_000)) -> None:
    for h in range(first, last):
        add(store, f"h{h}", [read(h, 100 * m + h, meter=m) for m in meters])


def everything(store: Store) -> list[tuple[object, ...]]:
    table = store.reads(T0 - 50 * DAY, FAR)
    return list(zip(*(table.column(n).to_pylist() for n in table.column_names), strict=True))


def levels(store: Store) -> list[tuple[str, int, int, int]]:
    return [(f.month, f.bucket, f.level, f.rows) for f in store.lake.files("reads")]


def test_rows_stay_the_same_through_every_level(store: Store) -> None:
    hours(store, 1, 60)
    before = everything(store)
    assert len(before) == 59 * 3
    report = store.lake.seal(T0)
    assert (report.rows, report.batches, len(report.written)) == (177, 59, 1)
    assert everything(store) == before
    assert store.lake.seal(T0).written == ()
    report = store.lake.compact(T0 + 3 * DAY)
    assert report.retired == 1
    assert levels(store) == [("2025-01", 0, 1, 48), ("2025-01", 0, 1, 48), ("2025-01", 0, 1, 22),
                             ("2025-01", 1, 1, 24), ("2025-01", 1, 1, 24), ("2025-01", 1, 1, 11)]  # fmt: skip
    assert everything(store) == before
    store.lake.compact(FAR)
    assert levels(store) == [("2025-01", 0, 2, 118), ("2025-01", 1, 2, 59)]
    assert everything(store) == before
    assert store.lake.compact(FAR).written == ()


def test_an_open_day_waits_unless_it_has_many_small_files(store: Store) -> None:
    hours(store, 1, 4)
    store.lake.seal(T0)
    assert store.lake.compact(T0 + 4 * HOUR).written == ()
    for n in range(lake.OPEN_FILES):
        add(store, f"n{n}", [read(5, n, meter=100 + n)])
        store.lake.seal(T0)
    assert store.lake.compact(T0 + 6 * HOUR).retired == lake.OPEN_FILES + 1
    assert levels(store) == [("2025-01", 0, 1, 2 * 3 + lake.OPEN_FILES), ("2025-01", 1, 1, 3)]


def test_a_late_row_goes_into_its_day_and_its_month(store: Store) -> None:
    hours(store, 1, 30, (1,))
    store.lake.seal(T0)
    store.lake.compact(T0 + 2 * DAY)
    add(store, "late", [read(-5, 7), read(3, 999)])
    store.lake.seal(T0)
    before = everything(store)
    assert (1, 1, T0 + 3 * HOUR, 103, 0, 0) in before
    store.lake.compact(T0 + 2 * DAY)
    assert everything(store) == before
    assert sorted(x[3] for x in levels(store)) == [1, 5, 24]
    store.lake.compact(FAR)
    add(store, "later", [read(-6, 6)])
    store.lake.seal(T0)
    store.lake.compact(FAR)
    assert levels(store) == [("2025-01", 0, 2, 31)]


def test_midnight_closes_the_day_and_the_month_before(store: Store) -> None:
    add(store, "1", [MeterRead(1, 1, datetime(2025, 2, 1), 5), MeterRead(1, 1, datetime(2025, 2, 1, 1), 6)])
    store.lake.seal(T0)
    assert [(f.month, f.rows) for f in store.lake.files("reads")] == [("2025-01", 1), ("2025-02", 1)]
    assert lake.month_end("2024-12") == datetime(2025, 1, 1)


def test_compaction_takes_files_in_order_of_arrival(store: Store) -> None:
    """A file of today before one of yesterday holds both back: an older correction must not pass a later one."""
    add(store, "1", [read(1, 1)])
    store.lake.seal(T0)
    add(store, "2", [read(30, 2)])
    store.lake.seal(T0)
    add(store, "3", [read(2, 3)])
    store.lake.seal(T0)
    assert store.lake.compact(T0 + 25 * HOUR).retired == 1
    assert sorted(f.level for f in store.lake.files("reads")) == [0, 0, 1]


def test_retired_files_live_a_day(store: Store) -> None:
    hours(store, 1, 3)
    store.lake.seal(T0)
    (old,) = [f.path for f in store.lake.files("reads")]
    now = T0 + 2 * DAY
    store.lake.compact(now)
    assert store.lake.sweep(now + timedelta(hours=24)).removed == 0
    assert (store.lake.root / old).exists()
    assert store.lake.sweep(now + timedelta(hours=24, seconds=1)).removed == 1
    assert not (store.lake.root / old).exists()
    assert old not in store.read(lambda r: manifest.known(r.connection))


def test_orphans_are_removed_at_open_and_nothing_else(tmp_path, clock) -> None:  # type: ignore[no-untyped-def]
    with Store.open(tmp_path, clock=clock, durable=False) as store:
        hours(store, 1, 3)
        store.lake.seal(T0)
        before = everything(store)
        kept = store.lake.root / store.lake.files("reads")[0].path
        orphan = kept.with_name("000000000009-L0-000009.parquet")
        orphan.write_bytes(b"PAR1")
        half = kept.with_name("x.parquet.tmp")
        half.write_bytes(b"")
        assert store.lake.orphans() == [orphan, half]
    with Store.open(tmp_path, clock=clock, durable=False) as store:
        assert not orphan.exists()
        assert not half.exists()
        assert kept.exists()
        assert everything(store) == before
        assert store.next_file() == 2


def test_a_failed_seal_leaves_the_batches_open(store: Store) -> None:
    hours(store, 1, 3)
    before = everything(store)

    def fail(name: str) -> None:
        if name == "seal.before_commit":
            raise OSError("no room")

    store.crash_points = fail
    with pytest.raises(OSError, match="no room"):
        store.lake.seal(T0)
    store.crash_points = lambda name: None
    assert everything(store) == before
    assert store.lake.files("reads") == []
    store.lake.seal(T0)
    assert everything(store) == before


def test_the_window_is_half_open_and_filters(store: Store) -> None:
    hours(store, 1, 10)
    for _ in range(2):
        got = store.reads(T0 + 2 * HOUR, T0 + 4 * HOUR, [2, 70_000])
        assert [(r["meter_id"], (r["end"] - T0) // HOUR) for r in got.to_pylist()] == [
            (2, 3), (2, 4), (70_000, 3), (70_000, 4)]  # fmt: skip
        assert store.reads(T0, FAR, []).num_rows == 0
        assert store.reads(T0, FAR, channel=2).num_rows == 0
        assert store.reads(T0, FAR, [1], channel=1).num_rows == 9
        store.lake.seal(T0)


def test_files_say_what_they_are(store: Store) -> None:
    hours(store, 1, 5)
    store.lake.seal(T0)
    store.lake.compact(FAR)
    file = store.lake.files("reads")[0]
    assert file.path == "reads/month=2025-01/bucket=0000/000000000001-L2-000002.parquet"
    meta = pq.read_metadata(store.lake.root / file.path)
    assert meta.metadata[b"prewatt.version"] == b"1"
    column = meta.row_group(0).column(2)
    assert (column.path_in_schema, column.compression) == ("end", "ZSTD")
    assert "DELTA_BINARY_PACKED" in column.encodings
    assert (file.meter_low, file.meter_high, file.rows) == (1, 2, 8)


def test_a_month_of_registers_packs_tightly(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Hourly registers in steps of 10 Wh: under two bytes a read (the benchmark prints the exact figure)."""
    rng = np.random.default_rng(7)
    meters, slots = 200, 744
    register = (rng.gamma(1.2, 30, (meters, slots)).astype(np.int64) * 10).cumsum(axis=1)
    start = np.datetime64("2025-01-01T01:00", "ms")
    table = pa.table(
        {
            "meter_id": np.repeat(np.arange(meters, dtype=np.int32), slots),
            "channel": np.ones(meters * slots, np.uint8),
            "end": np.tile(start + np.arange(slots) * np.timedelta64(3_600_000, "ms"), meters),
            "register_wh": register.ravel(),
            "flags": np.zeros(meters * slots, np.uint16),
            "offset_s": np.zeros(meters * slots, np.int16),
        },
        schema=READS.schema,
    )
    done = parquet.write(tmp_path, "a/b.parquet", READS, table, durable=False, crash=lambda name: None)
    assert done.size / table.num_rows < 2
    assert parquet.read(tmp_path / "a/b.parquet").equals(table)
