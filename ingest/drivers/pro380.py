"""Inepro PRO380 three-phase meter: float32 holding registers in, reads out; no relay."""

from fractions import Fraction

from ingest.model import Encoding, Example, ModbusDriver, Quantity, Register

DRIVER = ModbusDriver(
    name="pro380",
    title="Inepro PRO380",
    registers=(
        Register(Quantity.VOLTAGE, 3, 0x5002, Encoding.FLOAT32, says="phase 1 to neutral, V"),
        Register(Quantity.POWER, 3, 0x5012, Encoding.FLOAT32, Fraction(1000), says="total active power, kW"),
        Register(Quantity.IMPORT, 3, 0x600C, Encoding.FLOAT32, Fraction(1000), says="total import, kWh"),
        Register(Quantity.EXPORT, 3, 0x6018, Encoding.FLOAT32, Fraction(1000), says="total export, kWh"),
    ),
    max_power_w=75_000,
    most_registers=60,
    largest_gap=20,
    examples=(Example("03600c0002", "030442f6e979", Quantity.IMPORT, 123_456, "made here"),),
    source="Inepro PRO1/PRO380 user manual, Modbus register map",
)
