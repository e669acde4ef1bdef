"""Carlo Gavazzi EM330/EM340 (ET330/ET340): int32 input registers, low word first, in; reads out; no relay."""

from fractions import Fraction

from ingest.model import Encoding, Example, ModbusDriver, Quantity, Register, WordOrder

_LOW = WordOrder.LOW_FIRST

DRIVER = ModbusDriver(
    name="em340",
    title="Carlo Gavazzi EM/ET 330/340",
    registers=(
        Register(Quantity.VOLTAGE, 4, 0x0000, Encoding.INT32, Fraction(1, 10), _LOW, says="phase 1, 0.1 V"),
        Register(Quantity.POWER, 4, 0x0028, Encoding.INT32, Fraction(1, 10), _LOW, says="total active power, 0.1 W"),
        Register(Quantity.IMPORT, 4, 0x0034, Encoding.INT32, Fraction(100), _LOW, says="total import, 0.1 kWh"),
    ),
    max_power_w=50_000,
    most_registers=50,
    largest_gap=10,
    examples=(Example("0400340002", "0404e2400001", Quantity.IMPORT, 12_345_600, "made here"),),
    source="Carlo Gavazzi EM340 communication protocol",
)
