"""Chint DTSU666 three-phase meter: float32 holding registers in, reads out; it tells no serial number over Modbus."""

from fractions import Fraction

from ingest.model import Encoding, Example, ModbusDriver, Quantity, Register

DRIVER = ModbusDriver(
    name="dtsu666",
    title="Chint DTSU666",
    registers=(
        Register(Quantity.IMPORT, 3, 0x101E, Encoding.FLOAT32, Fraction(1000), says="total import, kWh"),
        Register(Quantity.EXPORT, 3, 0x1028, Encoding.FLOAT32, Fraction(1000), says="total export, kWh"),
        Register(Quantity.VOLTAGE, 3, 0x2006, Encoding.FLOAT32, Fraction(1, 10), says="phase 1 to neutral, 0.1 V"),
        Register(Quantity.POWER, 3, 0x2012, Encoding.FLOAT32, Fraction(1, 10), says="total active power, 0.1 W"),
    ),
    max_power_w=75_000,
    most_registers=64,
    largest_gap=16,
    examples=(
        Example("03101e0002", "030442f6e979", Quantity.IMPORT, 123_456, "made here"),
        Example("0320060002", "03044510c000", Quantity.VOLTAGE, 232, "made here: 2316.0 tenths of a volt"),
    ),
    source="Chint DTSU666 user manual, Modbus register table",
)
