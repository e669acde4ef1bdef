"""Drivers against register maps that others wrote, and against a frame whose checksum proves that it was on a line."""

import csv
from fractions import Fraction
from pathlib import Path

import pytest

from ingest.drivers import driver
from ingest.links.requests import read_request
from ingest.model import Encoding, ModbusDriver, Quantity, WordOrder
from ingest.wire.modbus import check
from ingest.wire.registers import Block, visit_plan

MAPS = {
    "sdm630": "sdm.csv",
    "sdm120": "sdm120.csv",
    "sdm220": "sdm220.csv",
    "sdm72": "sdm72.csv",
    "dtsu666": "dtsu666.csv",
    "em24": "carlogavazzi-em24.csv",
    "pro380": "inepro.csv",
}
NAMES = {
    Quantity.IMPORT: ("Import",),
    Quantity.EXPORT: ("Export",),
    Quantity.POWER: ("Power",),
    Quantity.VOLTAGE: ("VoltageL1", "Voltage"),
}
TABLES = {"input": 4, "holding": 3}
TO_BASE = {"kWh": 1000, "W": 1, "V": 1}


def known(name: str) -> ModbusDriver:
    found = driver(name)
    assert isinstance(found, ModbusDriver)
    return found


@pytest.mark.shared
@pytest.mark.parametrize("name", sorted(MAPS))
def test_the_driver_agrees_with_another_project_s_map(name: str, shared: Path) -> None:
    with (shared / "data/modbus/maps" / MAPS[name]).open(newline="") as file:
        rows = {row["quantity"]: row for row in csv.DictReader(file)}
    compared = 0
    for register in known(name).registers:
        row = next(rows[label] for label in NAMES[register.quantity] if label in rows)
        assert register.function == TABLES[row["table"]], register
        assert register.address == int(row["address_0based"]), register
        assert register.count == int(row["registers"]), register
        assert register.encoding is Encoding(row["type"]), register
        assert register.words is WordOrder(row["byte_order"]), register
        assert register.scale == Fraction(TO_BASE[row["unit"]]) / Fraction(row["divide_by"]), register
        compared += 1
    assert compared == len(known(name).registers) >= 3


def crc16(data: bytes) -> int:
    """The RTU checksum (Modbus over serial line V1.02, 6.2.2), bit by bit."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


@pytest.mark.parametrize(
    ("frame", "import_wh", "export_wh", "power_w"),
    [
        ("01032400001c7b000000000000000000000000000004f300001788097701a603f8007003e1138a63ed", 60_240, 12_670, 1016),
        ("01032400001cad000000000000000000000000000004f3000017ba097701f104af006c03e3138641a2", 60_740, 12_670, 1199),
    ],
)
def test_frames_of_a_real_dds238(frame: str, import_wh: int, export_wh: int, power_w: int) -> None:
    data = bytes.fromhex(frame)
    assert crc16(data[:-2]) == int.from_bytes(data[-2:], "little")
    words = check(read_request(3, 0, 18), data[1:-2])
    assert isinstance(words, bytes)
    block = Block(3, 0, 18, ())
    values = {register.quantity: block.value(register, words) for register in known("dds238").registers}
    assert values[Quantity.IMPORT] == import_wh
    assert values[Quantity.EXPORT] == export_wh
    assert values[Quantity.POWER] == power_w
    assert values[Quantity.VOLTAGE] == 242
    total = int.from_bytes(words[:4], "big") * 10
    assert import_wh + export_wh == total


def test_a_dds238_is_read_in_one_request_with_its_identity_and_relay() -> None:
    (block,) = visit_plan(known("dds238"))
    assert (block.function, block.address, block.count) == (3, 0x08, 19)
    assert {r.quantity for r in block.registers} >= {Quantity.IDENTITY, Quantity.RELAY, Quantity.IMPORT}
