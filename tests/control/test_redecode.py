"""A corrected profile: kept visits are decoded again, wrong reads corrected with their provenance, energy follows."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from control.fieldbook import ReadCorrection
from ingest.drivers import drivers
from ingest.model import ModbusDriver, Quantity
from ingest.rawpoll import KeptVisit, keep, profile_of, registers
from ingest.records import Channel, Flag, MeterPoint, MeterRead, Poll
from ingest.wire.registers import encode
from prewatt.actions import raw
from storage.redecode import redecode
from tests.control.rig import HOUR, NOW, SETTINGS, Rig
from tests.control.test_engine import play

RIGHT = drivers()["sdm630"]
assert isinstance(RIGHT, ModbusDriver)
REGISTER = next(r for r in RIGHT.registers if r.quantity is Quantity.IMPORT)
WRONG = replace(
    RIGHT,
    registers=tuple(replace(r, scale=r.scale * Fraction(1, 10)) if r is REGISTER else r for r in RIGHT.registers),
)
"""The profile as it was: kWh taken for tenths, a factor of ten in money."""
HOURS = 48
POINT = MeterPoint(1, "M1", "S1", "sdm630", "modbus", "G1", "host", 502, 1)


class Shell:
    """The part of a shell that the action needs."""

    def __init__(self, rig: Rig) -> None:
        self.store, self.clock, self.engine, self.actor = rig.store, rig.clock, rig.engine(), "cli:li"


def heard(hour: int, wh: int) -> KeptVisit:
    request = bytes([REGISTER.function]) + REGISTER.address.to_bytes(2, "big") + REGISTER.count.to_bytes(2, "big")
    pairs = ((request, encode(REGISTER, wh)),)
    return KeptVisit("M1", NOW.replace(minute=0) - (HOURS - hour) * HOUR, "sdm630", profile_of(WRONG), pairs)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """Two days of a meter that used 2,000 Wh an hour and was billed for 200, its bytes kept."""
    made = Rig(tmp_path, settings=replace(SETTINGS, offload=False))
    made.put(POINT)
    engine = made.engine()
    visits = [heard(hour, 50_000_000 + 2_000 * hour) for hour in range(HOURS)]
    reads = [MeterRead(1, 1, visit.slot_end, registers(visit, WRONG)[Channel.IMPORT]) for visit in visits]
    assert reads[1].register_wh - reads[0].register_wh == 200

    async def live() -> None:
        for visit, read in zip(visits, reads, strict=True):
            keep(
                engine.rawlog,
                POINT,
                Poll("M1", read.end + timedelta(seconds=30), reads=(read,), raw=visit.pairs),
                WRONG,
            )
        await engine.inbox.accept("poll:G1", "1", reads, NOW)
        await engine.rate()
        await engine.rawlog.flush(NOW)

    play(made, live())
    return made


def energy(rig: Rig) -> int:
    rows = rig.store.intervals(NOW - 5 * 24 * HOUR, NOW, [1]).to_pylist()
    return sum(row["energy_wh"] for row in rows if not row["flags"] & Flag.SUSPECT)


def run(rig: Rig, **args: Any) -> Any:
    since, until = args.pop("since", NOW - 5 * 24 * HOUR), NOW
    given = {"since": since.isoformat(), "until": until.isoformat(), **args}
    return asyncio.run(raw.again(Shell(rig), given))  # type: ignore[arg-type]


def test_a_corrected_profile_corrects_every_read_and_the_energy(rig: Rig) -> None:
    assert energy(rig) == 200 * (HOURS - 1)
    dry = run(rig, dry_run=True)
    assert (dry["visits"], dry["corrected"], dry["rated"]) == (HOURS, HOURS, 0)
    assert energy(rig) == 200 * (HOURS - 1), "a dry run stores nothing"
    done = run(rig)
    assert (done["corrected"], done["refused"]) == (HOURS, [])
    assert energy(rig) == 2_000 * (HOURS - 1)
    reads = rig.store.reads(NOW - 5 * 24 * HOUR, NOW, [1]).to_pylist()
    assert {row["flags"] for row in reads} == {int(Flag.CONFIRMED)}
    rows = rig.find(ReadCorrection)
    assert len(rows) == HOURS
    assert {(row.after_wh - 10 * row.before_wh, row.by) for row in rows} == {(0, "cli:li")}
    assert {(row.profile_before, row.profile_now) for row in rows} == {(profile_of(WRONG), profile_of(RIGHT))}
    assert run(rig)["corrected"] == 0, "and nothing is left to correct"


def test_a_read_that_a_person_made_stays(rig: Rig) -> None:
    engine = rig.engine()
    final = MeterRead(1, 1, heard(10, 0).slot_end, 5_002_001, int(Flag.MANUAL | Flag.FINAL))

    async def confirm() -> None:
        await engine.inbox.accept("handheld:A7", "m-1", [final], NOW)

    play(rig, confirm())
    found = redecode(rig.store, drivers(), NOW - 5 * 24 * HOUR, NOW)
    assert found.corrections == () and "jump" in found.refused["M1"], "a person's read among wrong ones is for a person"


def test_a_correction_that_begins_in_the_middle_is_refused_with_the_reason(rig: Rig) -> None:
    done = run(rig, since=heard(20, 0).slot_end)
    assert done["corrected"] == 0
    assert done["refused"][0]["meter"] == "M1" and "begin with the meter's first read" in done["refused"][0]["reason"]
    assert energy(rig) == 200 * (HOURS - 1)


def test_the_profile_that_is_right_corrects_nothing(rig: Rig) -> None:
    found = redecode(rig.store, {**drivers(), "sdm630": WRONG}, NOW - 5 * 24 * HOUR, NOW)
    assert (found.visits, found.corrections, found.refused) == (HOURS, (), {})


def test_without_the_outranking_flag_a_correction_would_be_a_conflict(rig: Rig) -> None:
    """The ablation: the same values without CONFIRMED are kept aside, and the wrong ones go on billing."""
    found = redecode(rig.store, drivers(), NOW - 5 * 24 * HOUR, NOW)
    bare = [replace(one.read, flags=0) for one in found.corrections]
    receipt = asyncio.run(rig.engine().inbox.accept("redecode", "1", bare, NOW))
    assert (receipt.new, receipt.conflict) == (0, HOURS)
