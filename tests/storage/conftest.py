"""A clock that stands still, a store in a temporary home, and rows to put into it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ingest.records import Interval, MeterRead
from storage.store import Store

T0 = datetime(2025, 1, 10)
HOUR = timedelta(hours=1)


class StillClock:
    """A clock whose time is set by the test."""

    def __init__(self, at: datetime = T0) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture(params=["inline", "thread"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path, clock: StillClock) -> Iterator[Store]:
    """One store per kind of writer: both must behave alike."""
    with Store.open(tmp_path / "home", clock=clock, writer=request.param) as store:
        yield store


@pytest.fixture
def store(tmp_path: Path, clock: StillClock) -> Iterator[Store]:
    """An inline store without fsync: what a test of behaviour needs."""
    with Store.open(tmp_path / "home", clock=clock, writer="inline", durable=False) as store:
        yield store


def read(hour: int, value: int, *, meter: int = 1, flags: int = 0, channel: int = 1) -> MeterRead:
    """A register at T0 + hour."""
    return MeterRead(meter, channel, T0 + hour * HOUR, value, flags)


def interval(hour: int, energy: int, *, meter: int = 1, flags: int = 0) -> Interval:
    """An hour's energy that ends at T0 + hour."""
    return Interval(meter, 1, T0 + hour * HOUR, 60, energy, flags)
