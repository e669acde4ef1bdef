"""Schneider iEM3000 series (iEM3150 and others with Modbus): int64 Wh and float32 holding registers in, reads out."""

from fractions import Fraction

from ingest.model import Encoding, Example, Identity, ModbusDriver, Quantity, Register

DRIVER = ModbusDriver(
    name="iem3000",
    title="Schneider iEM3000",
    registers=(
        Register(Quantity.VOLTAGE, 3, 0x0BD3, Encoding.FLOAT32, says="phase 1 to neutral, V"),
        Register(Quantity.POWER, 3, 0x0BF3, Encoding.FLOAT32, Fraction(1000), says="total active power, kW"),
        Register(
            Quantity.IMPORT,
            3,
            0x0C83,
            Encoding.INT64,
            not_available=(0x8000_0000_0000_0000,),
            says="total active energy import, Wh",
        ),
    ),
    identity=Identity(
        "serial",
        Register(Quantity.IDENTITY, 3, 0x0081, Encoding.UINT32, not_available=(0xFFFF_FFFF,), says="serial number"),
    ),
    max_power_w=75_000,
    most_registers=125,
    largest_gap=32,
    examples=(Example("030c830004", "0308000000000012d687", Quantity.IMPORT, 1_234_567, "made here"),),
    source="Schneider DOCA0005EN iEM3000 user manual, register list",
)
