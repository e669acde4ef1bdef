"""Raw frames: batched, bounded, kept as long as told; and what a poll heard gives its registers again."""

import asyncio
from datetime import timedelta

import pytest

from ingest.drivers import drivers
from ingest.links.dlt645_visit import DATE
from ingest.rawpoll import KeptVisit, keep, pack, profile_of, registers, unpack
from ingest.records import Channel, Finding, Poll
from storage.rawlog import RawLog, expire
from storage.records import AuditRow
from storage.store import Store
from tests.ingest.rig import START, Rig
from tests.storage.conftest import T0

DAY = timedelta(days=1)


def flush(log: RawLog) -> int:
    return asyncio.run(log.flush(T0))


def test_a_flush_is_one_batch_and_an_empty_one_none(store: Store) -> None:
    log = RawLog(store)
    for n in range(500):
        log.add(f"poll:g1:M{n}", T0, b"frame %d" % n, "sdm630@1")
    before = store.commits
    assert (flush(log), flush(log)) == (500, 0)
    assert before is None or store.commits == before + 1
    table = store.raw(T0, T0 + DAY)
    assert sorted(table.column("frame").to_pylist()) == sorted(b"frame %d" % n for n in range(500))


def test_over_the_limit_the_oldest_give_way_and_it_is_said(store: Store) -> None:
    log = RawLog(store, most_rows=3, most_bytes=100)
    for n in range(5):
        log.add("poll:g1:M1", T0, b"%d" % n, "")
    assert log.dropped == 2
    log.add("poll:g1:M1", T0, b"x" * 99, "")
    assert log.dropped == 4, "one byte of the frames before still fits"
    assert flush(log) == 2
    assert [row.code for row in store.read(lambda reader: reader.find(Finding))] == ["raw_dropped"]
    assert flush(log) == 0, "it is said once"


def test_what_a_failed_commit_leaves_waits_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    log = RawLog(store)
    log.add("poll:g1:M1", T0, b"1", "")

    async def broken(*_: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(store, "commit", broken)
        with pytest.raises(OSError, match="no space"):
            flush(log)
    log.add("poll:g1:M1", T0, b"2", "")
    assert flush(log) == 2


def _days(store: Store, count: int) -> None:
    log = RawLog(store)
    for n in range(count):
        log.add("poll:g1:M1", T0 + n * DAY, bytes([n]) * 1000, "")
        asyncio.run(log.flush(T0 + n * DAY))
        store.lake.seal(T0 + n * DAY)


def test_retention_is_by_days_and_by_size_and_is_on_record(store: Store) -> None:
    _days(store, 6)
    now = T0 + 5 * DAY
    assert expire(store, now, days=30, most_mib=100).files == 0
    assert expire(store, now, days=3, most_mib=100).files == 2
    assert store.raw(T0, now + DAY).num_rows == 4
    assert expire(store, now, days=3, most_mib=0).files == 4, "size goes before age"
    assert store.raw(T0, now + DAY).num_rows == 0
    audit = [row.action for row in store.read(lambda reader: reader.find(AuditRow))]
    assert audit.count("raw.expire") == 2
    assert store.lake.sweep(now + 2 * DAY).removed >= 6, "a day later the files are gone"


def test_compaction_keeps_every_frame(store: Store) -> None:
    _days(store, 4)
    store.lake.compact(T0 + 60 * DAY)
    assert store.raw(T0, T0 + 10 * DAY).num_rows == 4


@pytest.mark.parametrize("model", ["sdm630", "iem3000", "dtsu666", "dds238", "em24", "b23", "lx47le", "em340"])
def test_what_a_poll_heard_gives_its_registers_again(model: str) -> None:
    rig = Rig()
    point = rig.meter(model, 7)
    seen = rig.run(lambda: rig.links[point.gateway].poll(point, START))
    driver = drivers()[model]
    visit = unpack(pack(KeptVisit(point.meter, START, model, profile_of(driver), seen.raw)))
    assert visit is not None
    assert registers(visit, driver) == {Channel(r.channel): r.register_wh for r in seen.reads}


def test_bytes_that_are_no_visit_are_none_and_a_visit_without_answers_is_not_kept() -> None:
    for frame in (b"", b"\xff", b"[]", b'["M1","x","y","z",[]]', b'["M1","2026-01-01","y","z",[["0"]]]', b"null", b"1"):
        assert unpack(frame) is None
    kept: list[bytes] = []

    class Log:
        def add(self, source: str, at: object, frame: bytes, reason: str) -> None:
            kept.append(frame)

    rig = Rig()
    point = rig.meter("sdm630", 1)
    keep(Log(), point, Poll(point.meter, START, raw=((b"\x04\x00\x00\x00\x02", b"1234"),)), drivers()["sdm630"])
    assert kept == [], "without a read there is no slot to correct"
    assert (
        registers(
            KeptVisit("M1", START, "dlt645_2007", "", ((bytes.fromhex(DATE), b"junk"),)), drivers()["dlt645_2007"]
        )
        == {}
    )
