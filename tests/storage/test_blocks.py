"""Whole meters as they lie in the lake equal the rows that the store merges one by one, whatever else is stored."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.records import Flag, Interval
from storage import blocks, parquet, schemas
from storage.blocks import Block
from storage.store import Store
from storage.usage import Energies, Grid, ms_of
from storage.writer import Priority
from tests.storage.conftest import StillClock

H = timedelta(hours=1)
START = datetime(2026, 1, 31, 16)  # so that a span lies in two files of the lake
SLOTS = 24
GRID = Grid(ms_of(START), 60, SLOTS)
METERS = range(1, 8)
ODD = ("hole", "suspect", "export", "twice", "half hours", "shifted", "open")
SETTINGS = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def rows_of(meter: int, fault: str) -> tuple[list[Interval], list[Interval]]:
    """A day of one meter, and what comes later; hours before and after the span are always there."""
    hours = [Interval(meter, 1, START + hour * H, 60, 100 * meter + hour, 0) for hour in range(-3, SLOTS + 4)]
    later: list[Interval] = []
    at = 10
    if fault == "hole":
        del hours[at]
    elif fault == "suspect":
        hours[at] = Interval(meter, 1, hours[at].end, 60, 7, Flag.SUSPECT)
    elif fault == "export":
        hours.append(Interval(meter, 2, hours[at].end, 60, 9, 0))
    elif fault == "twice":
        later = [Interval(meter, 1, hours[at].end, 60, 1, 0)]
    elif fault == "half hours":
        hours[at] = Interval(meter, 1, hours[at].end, 30, 5, 0)
    elif fault == "shifted":
        hours[at] = Interval(meter, 1, hours[at].end - H / 2, 60, 5, 0)
    return hours, later


def fill(store: Store, faults: list[str], *, split: bool) -> None:
    """Store every meter's day, sealed at once or meter by meter; an open batch stays open."""
    told = {meter: rows_of(meter, fault) for meter, fault in zip(METERS, faults, strict=True)}
    sealed = [own for meter, (own, _) in told.items() if faults[meter - 1] != "open"]
    parts = sealed if split else [[row for own in sealed for row in own]]
    parts += [[row for _, later in told.values() for row in later]]
    for number, part in enumerate(parts):
        if part:
            write(store, f"s{number}", part)
            store.lake.seal(START)
    write(store, "open", [row for meter, (own, _) in told.items() if faults[meter - 1] == "open" for row in own])


def write(store: Store, number: str, rows: list[Interval]) -> None:
    if rows:
        table = schemas.intervals_table(sorted(rows, key=lambda row: (row.meter_id, row.channel, row.end)))
        store.write(Priority.INBOX, lambda unit: unit.append_batch("intervals", "t", number, table, START))


def sorted_rows(found: Energies) -> list[tuple[int, ...]]:
    return sorted(zip(*(getattr(found, name).tolist() for name in found.__slots__), strict=True))


@SETTINGS
@given(st.lists(st.sampled_from(("", "", *ODD)), min_size=len(METERS), max_size=len(METERS)), st.booleans())
def test_the_same_rows_come_out_as_from_a_merge(
    tmp_path_factory: pytest.TempPathFactory, faults: list[str], split: bool
) -> None:
    home = tmp_path_factory.mktemp("home")
    with Store.open(home, clock=StillClock(), writer="inline", durable=False) as store:
        fill(store, faults, split=split)
        own = {meter: 60 for meter in METERS if meter != 4}
        end = START + SLOTS * H
        found = blocks.energies(store, own, START, end)
        merged = Energies.of(store.intervals(START, end, sorted(own), None))
    assert sorted_rows(found) == sorted_rows(merged)
    assert (np.diff(found.meter_id) >= 0).all()


@pytest.mark.parametrize("fault", [fault for fault in ODD if fault != "open"])
def test_a_meter_of_which_something_else_is_told_is_named(tmp_path: Path, fault: str) -> None:
    with Store.open(tmp_path, clock=StillClock(), writer="inline", durable=False) as store:
        fill(store, ["", fault, *[""] * 5], split=False)
        paths = [store.lake.root / file.path for file in store.lake.files("intervals")]
    block = blocks.fit([rows for path in paths for rows in blocks.read(path, GRID)], GRID)
    assert block.odd == [2]
    assert block.meters.tolist() == [1, 3, 4, 5, 6, 7]
    assert block.wh.tolist() == [[100 * meter + hour for hour in range(1, SLOTS + 1)] for meter in (1, 3, 4, 5, 6, 7)]


def month(path: Path, slots: dict[int, int], **columns: int) -> Path:
    """A file of ``slots`` hours of each meter."""
    rows = [Interval(meter, 1, START + hour * H, 60, meter * 1000 + hour, 0) for meter, count in sorted(slots.items())
            for hour in range(1, count + 1)]  # fmt: skip
    table = schemas.intervals_table(rows)
    for name, value in columns.items():
        place = table.schema.get_field_index(name)
        values = np.full(table.num_rows, value, table.schema.field(name).type.to_pandas_dtype())
        table = table.set_column(place, table.schema.field(name), pa.array(values, table.schema.field(name).type))
    parquet.write(path, "file.parquet", schemas.INTERVALS, table, durable=False, crash=lambda _: None)
    return path / "file.parquet"


def joined(blocks: Iterator[Block]) -> tuple[list[int], list[list[int]], list[int]]:
    """All that a stream gives, taken before the next block is asked for."""
    meters: list[int] = []
    wh: list[list[int]] = []
    odd: list[int] = []
    for block in blocks:
        meters += block.meters.tolist()
        wh += block.wh.tolist()
        odd += block.odd
    return meters, wh, odd


@pytest.mark.parametrize("rows", [1, 24, 30, 48, 1000])
@pytest.mark.parametrize("slots", [{1: 24, 2: 24, 3: 24, 5: 24}, {1: 24, 2: 23, 3: 24, 5: 25, 6: 24}])
def test_blocks_of_any_size_give_every_meter_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, slots: dict[int, int]
) -> None:
    monkeypatch.setattr(blocks, "BLOCK_ROWS", rows)
    meters, wh, odd = joined(blocks.stream(month(tmp_path, slots), GRID))
    assert meters == [meter for meter, count in slots.items() if count >= SLOTS]
    assert odd == [meter for meter, count in slots.items() if count < SLOTS]
    assert wh == [[meter * 1000 + hour for hour in range(1, SLOTS + 1)] for meter in meters]


@pytest.mark.parametrize("column", [{"flags": 2}, {"channel": 2}, {"minutes": 30}])
def test_what_statistics_prove_of_other_columns_counts(tmp_path: Path, column: dict[str, int]) -> None:
    meters, _, odd = joined(blocks.stream(month(tmp_path, {1: 24, 2: 24}, **column), GRID))
    assert (meters, odd) == ([], [1, 2])


def test_only_row_groups_of_the_wanted_meters_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "ROW_GROUP", 48)
    path = month(tmp_path, dict.fromkeys(range(1, 11), SLOTS))
    assert blocks.fit(list(blocks.read(path, GRID, meters=[3, 8])), GRID).meters.tolist() == [3, 8]
    monkeypatch.setattr(blocks, "_only", lambda rows, wanted: rows)
    found = list(blocks.read(path, GRID, meters=[3, 8]))
    assert np.unique(np.concatenate([rows.meter for rows in found])).tolist() == [3, 4, 7, 8]
