"""Eastron SDM630 v2 three-phase meter: float32 input registers in, reads out; no relay."""

from fractions import Fraction

from ingest.model import Encoding, Example, Identity, ModbusDriver, Quantity, Register

DRIVER = ModbusDriver(
    name="sdm630",
    title="Eastron SDM630",
    registers=(
        Register(Quantity.VOLTAGE, 4, 0x0000, Encoding.FLOAT32, says="phase 1 to neutral, V"),
        Register(Quantity.POWER, 4, 0x0034, Encoding.FLOAT32, says="total active power, W"),
        Register(Quantity.IMPORT, 4, 0x0048, Encoding.FLOAT32, Fraction(1000), says="total import, kWh"),
        Register(Quantity.EXPORT, 4, 0x004A, Encoding.FLOAT32, Fraction(1000), says="total export, kWh"),
    ),
    identity=Identity("serial", Register(Quantity.IDENTITY, 3, 0xFC00, Encoding.UINT32, says="serial number")),
    max_power_w=75_000,
    most_registers=80,
    largest_gap=80,
    examples=(
        Example("0400000002", "040443663334", Quantity.VOLTAGE, 230, "Eastron protocol manual, SDM120/630"),
        Example("0400000002", "040443696978", Quantity.VOLTAGE, 233, "captured on a live RS-485 line"),
        Example("0400480002", "040442f6e979", Quantity.IMPORT, 123_456, "made here"),
    ),
    proven="captured voltage exchanges (energy unproven)",
    source="Eastron SDM630 Modbus protocol v2",
)
