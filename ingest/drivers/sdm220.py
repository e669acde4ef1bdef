"""Eastron SDM220 single-phase meter: float32 input registers in, reads out; no relay."""

from fractions import Fraction

from ingest.model import Encoding, Example, Identity, ModbusDriver, Quantity, Register

DRIVER = ModbusDriver(
    name="sdm220",
    title="Eastron SDM220",
    registers=(
        Register(Quantity.VOLTAGE, 4, 0x0000, Encoding.FLOAT32, says="line to neutral, V"),
        Register(Quantity.POWER, 4, 0x000C, Encoding.FLOAT32, says="active power, W"),
        Register(Quantity.IMPORT, 4, 0x0048, Encoding.FLOAT32, Fraction(1000), says="import, kWh"),
        Register(Quantity.EXPORT, 4, 0x004A, Encoding.FLOAT32, Fraction(1000), says="export, kWh"),
    ),
    identity=Identity("serial", Register(Quantity.IDENTITY, 3, 0xFC00, Encoding.UINT32, says="serial number")),
    max_power_w=25_000,
    most_registers=80,
    largest_gap=80,
    examples=(
        Example("0400000002", "040443663334", Quantity.VOLTAGE, 230, "made here after the SDM120"),
        Example("0400480002", "040442f6e979", Quantity.IMPORT, 123_456, "made here"),
    ),
    proven="unproven",
    source="Eastron SDM220 Modbus protocol",
)
