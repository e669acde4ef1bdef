"""Eastron SDM120 single-phase meter: float32 input registers in, reads out; no relay."""

from fractions import Fraction

from ingest.model import Encoding, Example, Identity, ModbusDriver, Quantity, Register

DRIVER = ModbusDriver(
    name="sdm120",
    title="Eastron SDM120",
    registers=(
        Register(Quantity.VOLTAGE, 4, 0x0000, Encoding.FLOAT32, says="line to neutral, V"),
        Register(Quantity.POWER, 4, 0x000C, Encoding.FLOAT32, says="active power, W"),
        Register(Quantity.IMPORT, 4, 0x0048, Encoding.FLOAT32, Fraction(1000), says="import, kWh"),
        Register(Quantity.EXPORT, 4, 0x004A, Encoding.FLOAT32, Fraction(1000), says="export, kWh"),
    ),
    identity=Identity("serial", Register(Quantity.IDENTITY, 3, 0xFC00, Encoding.UINT32, says="serial number")),
    max_power_w=12_000,
    most_registers=80,
    largest_gap=80,
    examples=(
        Example("0400000002", "040443663334", Quantity.VOLTAGE, 230, "Eastron protocol manual, SDM120/630"),
        Example("0400000002", "040443696978", Quantity.VOLTAGE, 233, "captured on a live RS-485 line"),
        Example("0400000002", "04044365e666", Quantity.VOLTAGE, 230, "exchange quoted in public firmware"),
        Example("0400480002", "040442f6e979", Quantity.IMPORT, 123_456, "made here"),
    ),
    proven="captured voltage exchanges (energy unproven)",
    source="Eastron SDM120 Modbus protocol",
)
