"""A meter's life: first read, rollover, replacement, ratio, a drifting clock, another meter in its place."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from control import visits
from control.records import Evidence, WorkOrder
from control.settings import Settings
from control.signals import Visit
from ingest.records import Flag, MeterPoint, MeterRead, Poll, RelayReport, RelayState
from storage.records import Install
from storage.writer import Priority
from tests.control.rig import HOUR, NOW, SETTINGS, Rig
from tests.control.test_engine import play

FULL = NOW.replace(minute=0)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path, settings=replace(SETTINGS, offload=False))


def feed(rig: Rig, *registers: int, first: int = 0, flags: int = 0) -> None:
    reads = [MeterRead(1, 1, FULL - (8 - first - n) * HOUR, wh, flags) for n, wh in enumerate(registers)]
    engine = rig.engine()

    async def live() -> None:
        await engine.inbox.accept("poll:G1", f"{first}", reads, NOW)
        await engine.rate()

    play(rig, live())


def energy(rig: Rig) -> list[tuple[int, int]]:
    rows = rig.store.intervals(NOW - 24 * HOUR, NOW, [1]).to_pylist()
    return [(row["energy_wh"], row["flags"]) for row in rows]


def test_the_first_read_of_an_installation_is_no_energy(rig: Rig) -> None:
    feed(rig, 7_000_000, 7_000_400)
    assert energy(rig) == [(400, 0)]


def test_a_register_that_passes_its_last_digit_bills_on_and_asks_nobody(rig: Rig) -> None:
    rig.put(replace(rig.find(MeterPoint)[0], digits=6))
    feed(rig, 999_100, 999_700, 300, 900)
    assert energy(rig) == [(600, 0), (600, int(Flag.ROLLOVER)), (600, 0)]
    assert rig.find(WorkOrder) == []


def test_a_replaced_meter_bills_both_registers_and_not_the_jump(rig: Rig) -> None:
    feed(rig, 5_000_000, 5_000_400)
    feed(rig, 120, first=2, flags=int(Flag.SWAP))
    feed(rig, 520, 920, first=3)
    assert [wh for wh, _ in energy(rig)] == [400, 400, 400]


def test_a_transformers_ratio_is_not_in_what_is_stored(rig: Rig) -> None:
    rig.put(replace(rig.find(Install)[0], multiplier=40))
    feed(rig, 5_000_000, 5_000_400)
    assert energy(rig) == [(400, 0)], "the register stays what the meter shows; test_billing has what is rated"


def poll(at_s: int = 0, *, serial: str = "S1", offset_s: int = 0, wh: int = 1_000_500) -> Poll:
    at = NOW + timedelta(seconds=at_s)
    report = RelayReport("M1", at, RelayState.OPEN, 0)
    return Poll("M1", at, serial, (MeterRead(1, 1, FULL, wh),), report, 0, 230, offset_s, register_wh=wh)


def keep(rig: Rig, *polls: Poll) -> None:
    for one in polls:
        rig.store.write(Priority.COMMAND, lambda unit, one=one: visits.keep(unit, one, "A1", Settings()) and None)


def test_a_clock_that_drifts_holds_at_once_and_is_one_order_when_it_is_far_off(rig: Rig) -> None:
    keep(rig, poll(offset_s=Settings().device_clock_s + 1))
    assert rig.get(Visit, "M1").fault == "clock"  # type: ignore[attr-defined]
    assert rig.find(WorkOrder) == [], "two minutes are set over the air"
    keep(rig, poll(60, offset_s=visits.DRIFT_S + 1), poll(120, offset_s=-visits.DRIFT_S - 1))
    assert [(row.kind, row.account) for row in rig.find(WorkOrder)] == [("clock_drift", "A1")]


def test_another_meter_in_its_place_proves_nothing_of_this_customers_relay(rig: Rig) -> None:
    before = rig.get(Evidence, "M1")
    keep(rig, poll(serial="S9"))
    assert rig.get(Visit, "M1").fault == visits.OTHER_METER  # type: ignore[attr-defined]
    assert rig.get(Evidence, "M1") == before
    keep(rig, poll(60))
    assert rig.get(Evidence, "M1").state is RelayState.OPEN  # type: ignore[attr-defined]
