"""Acrel DDSY1352 prepaid meter: holding registers in, reads out; read-only: its relay address is not verified."""

from fractions import Fraction

from ingest.model import Encoding, Example, ModbusDriver, Quantity, Register

DRIVER = ModbusDriver(
    name="ddsy1352",
    title="Acrel DDSY1352",
    registers=(
        Register(Quantity.IMPORT, 3, 0x0000, Encoding.UINT32, Fraction(10), says="total, 0.01 kWh (T1 to T4 follow)"),
        Register(Quantity.VOLTAGE, 3, 0x000B, Encoding.UINT16, Fraction(1, 10), says="0.1 V"),
        Register(Quantity.POWER, 3, 0x000D, Encoding.INT16, says="active power, W"),
    ),
    max_power_w=15_000,
    most_registers=32,
    largest_gap=10,
    examples=(Example("0300000002", "03040000d431", Quantity.IMPORT, 543_210, "made here"),),
    source="Acrel DDSY1352 user manual",
)
