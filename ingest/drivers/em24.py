"""Carlo Gavazzi EM24: int32 input registers, low word first, in; reads out; no relay."""

from fractions import Fraction

from ingest.model import Encoding, Example, ModbusDriver, Quantity, Register, WordOrder

_LOW = WordOrder.LOW_FIRST

DRIVER = ModbusDriver(
    name="em24",
    title="Carlo Gavazzi EM24",
    registers=(
        Register(Quantity.VOLTAGE, 4, 0x0000, Encoding.INT32, Fraction(1, 10), _LOW, says="phase 1, 0.1 V"),
        Register(Quantity.POWER, 4, 0x0028, Encoding.INT32, Fraction(1, 10), _LOW, says="total active power, 0.1 W"),
        Register(Quantity.IMPORT, 4, 0x0042, Encoding.INT32, Fraction(100), _LOW, says="total import, 0.1 kWh"),
        Register(Quantity.EXPORT, 4, 0x005C, Encoding.INT32, Fraction(100), _LOW, says="total export, 0.1 kWh"),
    ),
    max_power_w=75_000,
    most_registers=11,
    examples=(Example("0400420002", "0404e2400001", Quantity.IMPORT, 12_345_600, "made here"),),
    source="Carlo Gavazzi EM24 DIN communication protocol",
)
