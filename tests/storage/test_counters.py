"""Invocation counters: never given twice, whatever was open or killed in between."""

import asyncio
from pathlib import Path

from ingest.ports import KeyStore
from storage.counters import Counters
from storage.store import Store
from tests.storage.conftest import StillClock


def test_counters_are_given_once_and_survive(tmp_path: Path, clock: StillClock) -> None:
    for start in (0, 300):
        with Store.open(tmp_path / "home", clock=clock) as store:
            counters: KeyStore = Counters(store)
            assert counters.used("k/M1") == start

            async def many(counters: KeyStore = counters) -> list[int]:
                return await asyncio.gather(*(counters.reserve("k/M1", 100) for _ in range(3)))

            assert sorted(asyncio.run(many())) == [start, start + 100, start + 200]
            assert counters.used("k/M2") == 0


def test_a_reader_sees_what_was_committed(any_store: Store) -> None:
    counters = Counters(any_store)
    assert asyncio.run(counters.reserve("a", 7)) == 0
    assert counters.used("a") == 7
