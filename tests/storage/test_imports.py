"""File imports: once per slot and value, the first value bills, everything refused is kept, nothing is half stored."""

import gzip
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ingest.deliveries import ReadOptions
from ingest.records import Finding, Flag, Interval, MeterPoint
from storage import schemas
from storage.imports import ImportReport, import_files
from storage.records import ReadConflict
from storage.store import Store
from storage.writer import Priority
from tests.storage.test_rater import FixedClock

NOW = datetime(2026, 1, 1)
HEAD = "meter,stamp,kWh\n"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "home", clock=FixedClock(), writer="inline", durable=False) as opened:
        yield opened


@pytest.fixture
def send(store: Store, tmp_path: Path):
    count = 0

    def run(*texts: str | bytes, **options: str) -> ImportReport:
        nonlocal count
        paths = []
        for text in texts:
            count += 1
            paths.append(tmp_path / f"file{count}.csv")
            paths[-1].write_bytes(text if isinstance(text, bytes) else text.encode())
        return import_files(store, paths, NOW, options=ReadOptions(**options))

    return run


def rows(store: Store) -> list[tuple[int, str, int, int]]:
    table = store.intervals(datetime(2000, 1, 1), datetime(2030, 1, 1), None, None).to_pylist()
    return [(row["meter_id"], row["end"].strftime("%d %H:%M"), row["energy_wh"], row["flags"]) for row in table]


def counts(report: ImportReport) -> tuple[int, int, int, int]:
    return report.accepted, report.new, report.duplicate, report.conflict


TWO = HEAD + "A,2025-01-01 00:00,0.1\nA,2025-01-01 01:00,0.2\nB,2025-01-01 00:00,0.3\nB,2025-01-01 01:00,0.4\n"


def test_new_meters_are_registered_and_the_same_rows_are_stored_once(store: Store, send):
    assert counts(send(TWO)) == (4, 4, 0, 0)
    assert counts(send(gzip.compress(TWO.encode()))) == (4, 0, 4, 0)
    assert [row[:3] for row in rows(store)] == [
        (1, "01 01:00", 100),
        (1, "01 02:00", 200),
        (2, "01 01:00", 300),
        (2, "01 02:00", 400),
    ]
    points = store.read(lambda r: r.find(MeterPoint))
    assert [(point.meter, point.protocol, point.slot_min) for point in points] == [("A", "file", 60), ("B", "file", 60)]


def test_the_first_value_bills_and_the_second_is_kept_beside_it_once(store: Store, send):
    send(TWO)
    other = HEAD + "A,2025-01-01 00:00,0.9\nA,2025-01-01 01:00,0.2\nA,2025-01-01 02:00,0.5\n"
    assert counts(send(other)) == (3, 1, 1, 1)
    assert counts(send(other)) == (3, 0, 2, 1)
    assert [row[2] for row in rows(store) if row[0] == 1] == [100, 200, 500]
    kept = store.read(lambda r: r.find(ReadConflict))
    assert [(one.kept, one.other, one.source_seq) for one in kept] == [(100, 900, "file2.csv:2")]


def test_a_measured_value_replaces_an_estimate(store: Store, send):
    send(TWO)
    guess = Interval(1, 1, datetime(2025, 1, 1, 3), 60, 77, Flag.ESTIMATED)
    table = schemas.intervals_table([guess])
    store.write(Priority.INBOX, lambda unit: unit.append_batch("intervals", "t", "1", table, NOW))
    assert counts(send(HEAD + "A,2025-01-01 02:00,0.5\nA,2025-01-01 03:00,0.6\n")) == (2, 2, 0, 0)
    assert [row[2] for row in rows(store) if row[0] == 1] == [100, 200, 500, 600]


def test_refused_lines_are_reported_and_kept_as_they_came(store: Store, send):
    text = HEAD + "A,1970-01-01 00:00,0.1\nA,2025-01-01 01:00,oops\nA,2025-01-01 02:00,0.5\n"
    report = send(text)
    assert [(item["file"], item["line"], item["reason"]) for item in report.refused] == [
        ("file1.csv", 2, "clock_lost"),
        ("file1.csv", 3, "bad_value"),
    ]
    assert (report.rows, report.accepted, report.refused_count) == (3, 1, 2)
    send(text)
    raw = pa.concat_tables(batch.table for batch in store.batches("raw")).to_pylist()
    assert [(row["reason"], row["frame"]) for row in raw] == [
        ("clock_lost", b"2: 1970-01-01 00:00 0.1"),
        ("bad_value", b"3: oops"),
    ]


def test_gaps_are_named_until_they_are_filled(store: Store, send):
    report = send(HEAD + "A,2025-01-01 00:00,1\nA,2025-01-01 01:00,1\nA,2025-01-01 04:00,1\n")
    assert report.gaps == [
        {"meter": "A", "start": datetime(2025, 1, 1, 2), "end": datetime(2025, 1, 1, 4), "intervals": 2}
    ]
    report = send(HEAD + "A,2025-01-01 02:00,1\nA,2025-01-01 05:00,1\n")
    assert report.gaps == [
        {"meter": "A", "start": datetime(2025, 1, 1, 3), "end": datetime(2025, 1, 1, 4), "intervals": 1}
    ]


def test_a_row_cut_in_two_files_is_whole_after_the_second_import(store: Store, send):
    text = HEAD + "A,2025-01-01 00:00,0.10\nA,2025-01-01 01:00,0.25\nA,2025-01-01 02:00,0.30\n"
    cut = text.index("0.25") + 3
    assert send(text[:cut]).refused[0]["reason"] == "cut_line"
    assert [row[2] for row in rows(store)] == [100]
    assert send(HEAD + text[cut:]).refused_count == 0
    assert [row[2] for row in rows(store)] == [100, 250, 300]


def test_a_spike_is_judged_beside_what_is_stored_and_named_once(store: Store, send):
    values = np.random.default_rng(1).integers(100, 900, 240)
    lines = [f"A,2025-01-{1 + n // 24:02} {n % 24:02}:00,{v / 1000}\n" for n, v in enumerate(values)]
    assert send(HEAD + "".join(lines)).findings == []
    small = HEAD + "A,2025-01-11 00:00,0.5\nA,2025-01-11 01:00,500\n"
    assert [finding.code for finding in send(small).findings] == ["spike"]
    send(small)
    assert [f.code for f in store.read(lambda r: r.find(Finding))] == ["spike"]
    assert rows(store)[-1][3] & Flag.SUSPECT


def test_one_channel_never_hides_another(store: Store, send):
    report = send(",GC,GG\n2025-01-01 00:00:00,0.5,0.2\n2025-01-01 00:30:00,0.5,0.2\n", meter="H")
    assert counts(report) == (4, 4, 0, 0)
    assert send(",GC,GG\n2025-01-01 00:00:00,0.5,0.3\n2025-01-01 00:30:00,0.5,0.2\n", meter="H").conflict == 1


def test_a_file_that_is_none_accepts_nothing(store: Store, send):
    for text in (b"\x00\x01\x02", b"", b"<html>", b"\x1f\x8b00"):
        report = send(text)
        assert (report.accepted, len(report.refused)) == (0, 1)
    assert rows(store) == []


def test_killed_before_the_commit_the_import_is_as_if_it_had_not_run(store: Store, send):
    def crash(name: str) -> None:
        if name == "commit.before":
            raise RuntimeError("killed")

    store.crash_points = crash
    with pytest.raises(RuntimeError):
        send(TWO)
    store.crash_points = lambda name: None
    assert rows(store) == []
    assert counts(send(TWO)) == (4, 4, 0, 0)


def test_pieces_in_any_order_give_the_same_store(tmp_path: Path):
    lines = [f"A,2025-01-{1 + n // 24:02} {n % 24:02}:00,{n % 7}.5\n" for n in range(240)]
    results = []
    for order in ((0, 1, 2, 3), (3, 1, 0, 2), (2, 2, 1, 3, 0)):
        with Store.open(tmp_path / str(order), clock=FixedClock(), writer="inline", durable=False) as store:
            for number in order:
                path = tmp_path / f"{order}-{number}.csv"
                path.write_text(HEAD + "".join(lines[number * 60 : number * 60 + 60]))
                import_files(store, [path], NOW)
            results.append(rows(store))
    assert results[0] == results[1] == results[2]


def test_a_meter_from_a_list_of_accounts_gets_the_slots_of_its_files(store: Store, send):
    listed = MeterPoint(1, "M1", "", "file", "file", "", "", 0, 0)
    wired = MeterPoint(2, "M2", "", "sdm630", "modbus", "east", "", 0, 7)
    store.write(Priority.BATCH, lambda unit: [unit.add(listed), unit.add(wired)])
    text = HEAD + "".join(f"{m},2025-03-01 0{h}:{q}0:00,1\n" for m in ("M1", "M2") for h in range(4) for q in (0, 3))
    assert send(text, zone="UTC").new == 16
    send(HEAD + "M1,2025-03-02 00:00:00,1\nM1,2025-03-02 01:00:00,1\n", zone="UTC")
    points = store.read(lambda reader: reader.find(MeterPoint))
    assert [(point.meter, point.slot_min) for point in points] == [("M1", 30), ("M2", 60)]


def test_an_hour_off_is_named_once_in_one_file_and_in_two(store: Store, send):
    def line(hour: int, value: str) -> str:
        return f"A,2025-01-{1 + hour // 24:02} {hour % 24:02}:00,{value}\n"

    first = HEAD + "".join(line(hour + (hour >= 10), f"0.{hour + 10}") for hour in range(30))
    second = HEAD + "".join(line(hour, f"0.{hour + 10}") for hour in range(30, 48))
    assert [finding.code for finding in send(first).findings] == []
    report = send(second)
    assert counts(report)[3] == 1
    assert [(finding.code, finding.at) for finding in report.findings] == [("clock_hour_off", datetime(2025, 1, 1, 10))]
    assert [finding.code for finding in send(second).findings] == []
    assert len(store.read(lambda reader: reader.find(Finding, code="clock_hour_off"))) == 1
