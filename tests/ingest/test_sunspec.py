"""SunSpec meters by scan: chains at each base, scale factors, values not implemented, a layout that moves."""

import json
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.drivers import drivers
from ingest.model import Quantity
from ingest.records import Channel, Drive, DriveResult, Poll
from ingest.wire import sunspec
from sim.bank import Bank, RegisterBank
from tests.contracts.again import said_again
from tests.ingest.rig import START, Rig

SERIAL = "SN-40000017"


def words(*parts: bytes) -> list[int]:
    data = b"".join(parts)
    return [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]


def integer_model(number: int, *, volts: int = 2304, import_raw: int = 60_240, scale: int = 1) -> list[int]:
    block = [number, 105, *[0x8000] * 105]
    block[8], block[15], block[18], block[22] = volts, 0xFFFF, 1500, 0
    block[38:40], block[46:48] = [0, 0], words(struct.pack(">I", import_raw))
    block[54] = scale & 0xFFFF
    return block


def float_model(number: int) -> list[int]:
    block = [number, 124, *words(struct.pack(">f", float("nan"))) * 62]
    for at, value in ((12, 230.4), (28, 1500.0), (60, 12.0), (68, 602_400.0)):
        block[at : at + 2] = words(struct.pack(">f", value))
    return block


def device(base: int, meter: list[int], *, before: tuple[int, ...] = (), serial: str = SERIAL) -> Bank:
    common = [1, 66, *[0] * 66]
    common[50:66] = words(serial.encode().ljust(32, b"\0"))
    image = [*words(b"SunS"), *common]
    for number in before:
        image += [number, 4, 0, 0, 0, 0]
    image += [*meter, 0xFFFF, 0]
    return {(3, base + at): word for at, word in enumerate(image)}


def polled(bank: Bank, *, serial: str = SERIAL, times: int = 1, then: Bank | None = None) -> list[Poll]:
    rig = Rig()
    rig.meter("dds238")
    rig.points.clear()
    held = RegisterBank({1: bank})
    rig.network.devices["g1", 502] = held
    point = replace(Rig().meter("dds238"), model="sunspec", serial=serial)

    async def story() -> list[Poll]:
        polls = []
        for number in range(times):
            polls.append(await rig.links["g1"].poll(point, rig.clock.now()))
            if then is not None and number == 0:
                held.units[1] = then
        return polls

    return rig.run(story)


def codes(poll: Poll) -> list[str]:
    return [finding.code for finding in poll.findings]


@pytest.mark.parametrize("base", sunspec.BASES)
@pytest.mark.parametrize("number", sunspec.METERS)
def test_every_model_is_found_at_every_base_and_read(base: int, number: int) -> None:
    meter = integer_model(number) if number < 210 else float_model(number)
    (poll,) = polled(device(base, meter, before=(120,)))
    assert codes(poll) == []
    assert (poll.serial, poll.voltage_v, poll.power_w) == (SERIAL, 230, 1500)
    assert said_again(replace(Rig().meter("dds238"), model="sunspec"), poll, drivers()["sunspec"])
    assert next(r.register_wh for r in poll.reads if r.channel == Channel.IMPORT) == 602_400


@pytest.mark.parametrize(("scale", "import_wh"), [(0, 60_240), (3, 60_240_000), (-1, 6024), (-2, 602)])
def test_scale_factors_lead_to_wh(scale: int, import_wh: int) -> None:
    (poll,) = polled(device(40_000, integer_model(203, scale=scale)))
    assert [r.register_wh for r in poll.reads] == [import_wh]


def test_what_is_not_implemented_is_no_value() -> None:
    (poll,) = polled(device(40_000, integer_model(203, volts=0x8000)))
    assert poll.voltage_v is None
    for bank in (integer_model(203, import_raw=0), integer_model(203, scale=-0x8000), integer_model(203, scale=99)):
        (poll,) = polled(device(40_000, bank))
        assert (poll.reads, codes(poll)) == ((), ["not_available"])


def test_another_serial_is_no_read_and_a_layout_that_moved_is_searched_again() -> None:
    (poll,) = polled(device(40_000, integer_model(203)), serial="SN-1")
    assert (poll.reads, codes(poll)) == ((), ["wrong_unit"])
    moved = device(40_000, integer_model(203, import_raw=60_241), before=(120,))
    first, second, third = polled(device(40_000, integer_model(203)), times=3, then=moved)
    assert first.ok
    assert (second.reads, codes(second)) == ((), ["no_identity"])
    assert [r.register_wh for r in third.reads] == [602_410]


def test_no_mark_no_meter_and_an_endless_chain_are_refused() -> None:
    no_meter = device(40_000, [120, 4, 0, 0, 0, 0])
    loop = {(3, 40_000 + at): word for at, word in enumerate([*words(b"SunS"), 1, 66, *[0] * 66, *[7, 0] * 100])}
    for bank in (no_meter, loop, {(3, 0): 1, (3, 1): 2, (3, 2): 3, (3, 3): 4}):
        (poll,) = polled(bank)
        assert (poll.reads, codes(poll)) == ((), ["no_identity"])


def test_it_is_read_only() -> None:
    rig = Rig()
    point = replace(rig.meter("dds238"), model="sunspec")
    outcome = rig.run(lambda: rig.links["g1"].drive(point, Drive("C", "M1", "disconnect", 1, START.replace(year=2027))))
    assert (outcome.result, outcome.reason) == (DriveResult.REFUSED, "read_only")


@given(st.sampled_from(sunspec.METERS), st.binary(max_size=260))
def test_no_words_whatever_make_it_raise(number: int, data: bytes) -> None:
    assert set(sunspec.values(number, data)) >= {Quantity.IMPORT, Quantity.POWER}
    assert isinstance(sunspec.serial(data), str)


@pytest.mark.shared
@pytest.mark.parametrize("number", [203, 213])
def test_the_offsets_are_those_of_the_published_models(number: int, shared: Path) -> None:
    points = json.loads((shared / f"data/modbus/sunspec/model_{number}.json").read_text())["group"]["points"]
    offsets, at = {}, 0
    for point in points:
        offsets[point["name"]] = at
        at += point["size"]
    names = {"PhVphA": Quantity.VOLTAGE, "W": Quantity.POWER, "TotWhExp": Quantity.EXPORT, "TotWhImp": Quantity.IMPORT}
    for name, quantity in names.items():
        ours = sunspec._INTEGERS[quantity][0] if number == 203 else sunspec._FLOATS[quantity]
        assert ours == offsets[name], name
    if number == 203:
        scales = {q: offsets[f] for q, f in zip(names.values(), ("V_SF", "W_SF", "TotWh_SF", "TotWh_SF"), strict=True)}
        assert {q: where[2] for q, where in sunspec._INTEGERS.items()} == scales


@pytest.mark.shared
def test_the_serial_number_lies_where_the_published_model_says(shared: Path) -> None:
    points = json.loads((shared / "data/modbus/sunspec/model_1.json").read_text())["group"]["points"]
    names = [point["name"] for point in points]
    start = sum(point["size"] for point in points[: names.index("SN")])
    assert slice(2 * start, 2 * (start + points[names.index("SN")]["size"])) == sunspec.SERIAL
