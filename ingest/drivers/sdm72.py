"""Eastron SDM72D-M three-phase meter: float32 input registers in, reads out; it shows no voltage and has no relay."""

from fractions import Fraction

from ingest.model import Encoding, Example, ModbusDriver, Quantity, Register

DRIVER = ModbusDriver(
    name="sdm72",
    title="Eastron SDM72D-M",
    registers=(
        Register(Quantity.POWER, 4, 0x0034, Encoding.FLOAT32, says="total active power, W"),
        Register(Quantity.IMPORT, 4, 0x0048, Encoding.FLOAT32, Fraction(1000), says="total import, kWh"),
        Register(Quantity.EXPORT, 4, 0x004A, Encoding.FLOAT32, Fraction(1000), says="total export, kWh"),
    ),
    max_power_w=75_000,
    most_registers=80,
    examples=(Example("0400480002", "040442f6e979", Quantity.IMPORT, 123_456, "made here"),),
    source="Eastron SDM72D-M Modbus protocol",
)
