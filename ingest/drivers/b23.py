"""ABB B23 and B24 three-phase meters: uint64 energies in 0.01 kWh in, reads out; their relay was not verified."""

from fractions import Fraction

from ingest.model import Encoding, Example, Identity, ModbusDriver, Quantity, Register

_NO_64 = (0xFFFF_FFFF_FFFF_FFFF,)

DRIVER = ModbusDriver(
    name="b23",
    title="ABB B23/B24",
    registers=(
        Register(
            Quantity.IMPORT, 3, 0x5000, Encoding.UINT64, Fraction(10), not_available=_NO_64, says="import, 0.01 kWh"
        ),
        Register(
            Quantity.VOLTAGE,
            3,
            0x5B00,
            Encoding.UINT32,
            Fraction(1, 10),
            not_available=(0xFFFF_FFFF,),
            says="phase 1 to neutral, 0.1 V",
        ),
        Register(
            Quantity.POWER,
            3,
            0x5B14,
            Encoding.INT32,
            Fraction(1, 100),
            not_available=(0x7FFF_FFFF,),
            says="total active power, 0.01 W",
        ),
    ),
    identity=Identity(
        "serial",
        Register(Quantity.IDENTITY, 3, 0x8900, Encoding.UINT32, not_available=(0xFFFF_FFFF,), says="serial number"),
    ),
    max_power_w=50_000,
    most_registers=125,
    largest_gap=30,
    examples=(Example("0350000004", "0308000000000000d431", Quantity.IMPORT, 543_210, "made here"),),
    source="ABB B23/B24 user manual, Modbus mapping tables",
)
