"""A lake file marks only the columns that may hold a null, and lies beside files that were written before it did."""

from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ingest.records import Interval
from storage import parquet, schemas

START = datetime(2026, 1, 1)


def table(first: int) -> pa.Table:
    """Three hours of one meter."""
    rows = [Interval(first, 1, START + timedelta(hours=hour), 60, 100 * hour, 0) for hour in range(1, 4)]
    return schemas.intervals_table(rows)


def test_a_column_without_nulls_is_required_and_read_as_any_other(tmp_path: Path) -> None:
    own = table(1)
    place = own.schema.get_field_index("flags")
    with_null = own.set_column(place, own.schema.field(place), pa.array([0, None, 2], pa.uint16()))
    for name, one in (("full", own), ("null", with_null)):
        parquet.write(tmp_path, f"{name}.parquet", schemas.INTERVALS, one, durable=False, crash=lambda _: None)
        assert parquet.read(tmp_path / f"{name}.parquet").equals(one)
    said = {name: pq.ParquetFile(tmp_path / f"{name}.parquet").schema_arrow for name in ("full", "null")}
    assert not any(field.nullable for field in said["full"])
    assert [field.name for field in said["null"] if field.nullable] == ["flags"]


def test_files_of_both_kinds_are_read_together(tmp_path: Path) -> None:
    parquet.write(tmp_path, "new.parquet", schemas.INTERVALS, table(1), durable=False, crash=lambda _: None)
    pq.write_table(table(2), tmp_path / "old.parquet")
    parts = [parquet.read(tmp_path / name) for name in ("new.parquet", "old.parquet")]
    assert pa.concat_tables(parts).num_rows == 6
    query = f"select sum(energy_wh), count(*) from read_parquet('{tmp_path}/*.parquet')"
    assert duckdb.connect().execute(query).fetchall() == [(1200, 6)]
