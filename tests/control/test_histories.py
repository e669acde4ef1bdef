"""What is followed hour by hour is what the store says when asked anew, whatever comes late, twice or corrected."""

import random
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from control.histories import SPARE_H, Histories, Past
from ingest.records import Channel, Flag, Interval
from storage import schemas
from storage.store import Priority
from tests.control.rig import HOUR, Rig

START = datetime(2026, 3, 1)
METERS = list(range(1, 9))
FINE, SHARED = 7, 8  # one that stores quarters of hours, one whose account changes


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def interval(rng: random.Random, meter: int, end: datetime, minutes: int = 60) -> Interval:
    flags = rng.choice([0, 0, 0, int(Flag.ESTIMATED), int(Flag.BACKFILL), int(Flag.FINAL)])
    return Interval(
        meter, rng.choice([Channel.IMPORT] * 9 + [Channel.EXPORT]), end, minutes, rng.randrange(3000), flags
    )


def charge(rng: random.Random, meter: int, end: datetime, minutes: int = 60) -> dict[str, object]:
    wh = rng.choice([0, rng.randrange(1, 3000)])
    account = f"A{meter}" if meter != SHARED else rng.choice(["A8", "B8"])
    return {
        "meter_id": meter, "account": account, "end": end, "minutes": minutes, "energy_wh": wh,
        "amount_micro": wh * rng.randrange(300, 900), "period": "flat", "tier": rng.randrange(3), "price": 538,
        "price_scale": 3, "book_hash": "b", "run_id": "live",
    }  # fmt: skip


def commit(rig: Rig, number: int, rows: list[Interval], charges: list[dict[str, object]]) -> None:
    pairs = [
        ("intervals", schemas.intervals_table(rows)),
        ("charges", pa.Table.from_pylist(charges, schemas.CHARGES.schema)),
    ]
    for name, table in pairs:
        if table.num_rows:
            at = START + number * HOUR
            rig.store.write(
                Priority.INBOX,
                lambda unit, name=name, table=table, at=at: unit.append_batch(name, "t", str(number), table, at),  # type: ignore[misc]
            )


def hour(rng: random.Random, end: datetime) -> tuple[list[Interval], list[dict[str, object]]]:
    """Most meters' hour, some late ones, some said again with another word."""
    ends = {meter: [end] for meter in METERS if meter != FINE and rng.random() < 0.85}
    for meter in rng.sample(METERS[:-2], 2):
        ends.setdefault(meter, []).append(end - rng.randrange(1, 40) * HOUR)
    slots = [(meter, at, 60) for meter, all_ends in ends.items() for at in dict.fromkeys(all_ends)]
    quarters = range(0, 60, 15) if rng.random() < 0.9 else range(15, 75, 15)
    slots += [(FINE, end - timedelta(minutes=back), 15) for back in quarters]
    rows = [interval(rng, *slot) for slot in slots]
    return rows, [charge(rng, *slot) for slot in slots if rng.random() < 0.9]


def equal(one: Past, other: Past) -> None:
    for name in Past.__slots__:
        mine, true = getattr(one, name), getattr(other, name)
        if name in ("flags", "tier"):
            known = np.flatnonzero(other.stored if name == "flags" else other.charged)
            mine, true = mine[known], true[known]
        np.testing.assert_array_equal(mine, true, name)


@pytest.mark.parametrize("seed", range(3))
def test_followed_is_what_is_stored(rig: Rig, seed: int) -> None:
    rng, kept = random.Random(seed), Histories(rig.store, 8)
    for number in range(1, 6 * SPARE_H // 4):
        end = START + number * HOUR
        commit(rig, number, *hour(rng, end))
        if rng.random() < 0.3:
            continue  # nobody looks in this hour
        asked = METERS if rng.random() < 0.7 else rng.sample(METERS, 3)
        equal(kept.of(asked, end), Histories(rig.store, 8).of(asked, end))
        if rng.random() < 0.02:
            rig.store.lake.seal(end)
    slow = rig.store.intervals(end - timedelta(days=8), end, [1])
    assert np.nansum(kept.of([1], end).use) == sum(slow.column("energy_wh").to_pylist())
    week = rig.store.charges(end - timedelta(days=7), end, [1])
    assert kept.of([1], end).micro.sum() == sum(week.column("amount_micro").to_pylist())


def test_only_what_comes_late_is_read_anew(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hours that follow one another cost no look at the store."""
    rng, kept = random.Random(1), Histories(rig.store, 8)
    asked: list[list[int]] = []
    load = Histories._load
    monkeypatch.setattr(
        Histories, "_load", lambda self, meters, end: (asked.append(list(meters)), load(self, meters, end))
    )
    for number in range(1, 30):
        end = START + number * HOUR
        commit(
            rig, number, [interval(rng, meter, end) for meter in METERS], [charge(rng, meter, end) for meter in (1, 2)]
        )
        kept.of(METERS, end)
    assert asked[0] == METERS
    assert all(meters == [] for meters in asked[1:])


def test_more_meters_than_are_kept_are_read_each_time(rig: Rig) -> None:
    rng, few = random.Random(2), Histories(rig.store, 8, most=4)
    commit(rig, 1, [interval(rng, meter, START) for meter in METERS], [])
    for asked in (METERS, [1, 2], [3, 4, 5, 6], METERS, [5]):
        equal(few.of(asked, START), Histories(rig.store, 8).of(asked, START))
        assert len(few._row) <= 4
