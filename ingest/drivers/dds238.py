"""Hiking DDS238-2 ZN/S single-phase meter with relay: holding registers in, reads out, relay by function 16 only.

It tells no serial number; register 0x0015 holds the station address that it believes to have, so that at least another
unit's answer is recognised. Registers 0x0008 to 0x001A answer in one read.
"""

from fractions import Fraction

from ingest.model import Encoding, Example, Identity, ModbusDriver, ModbusRelay, Quantity, Register

_DUMP = "0326" + "0000095f" + "0000127d" + "0902003e0084fffe03951387" + "000000000000" + "0101" + "00000000000000000000"

DRIVER = ModbusDriver(
    name="dds238",
    title="Hiking DDS238-2 ZN/S",
    registers=(
        Register(Quantity.EXPORT, 3, 0x0008, Encoding.UINT32, Fraction(10), says="export, 0.01 kWh"),
        Register(Quantity.IMPORT, 3, 0x000A, Encoding.UINT32, Fraction(10), says="import, 0.01 kWh"),
        Register(Quantity.VOLTAGE, 3, 0x000C, Encoding.UINT16, Fraction(1, 10), says="0.1 V"),
        Register(Quantity.POWER, 3, 0x000E, Encoding.INT16, says="active power, W"),
    ),
    identity=Identity(
        "station",
        Register(Quantity.IDENTITY, 3, 0x0015, Encoding.UINT16, says="station address, then baud code"),
        mask=0xFF00,
        shift=8,
    ),
    relay=ModbusRelay(
        write=16,
        address=0x001A,
        close=(1,),
        open=(0,),
        read=3,
        read_address=0x001A,
        closed=1,
        opened=0,
        verified=True,
    ),
    max_power_w=15_000,
    most_registers=32,
    largest_gap=10,
    examples=(
        Example("0300080013", _DUMP, Quantity.IMPORT, 47_330, "registers of a real meter, printed by a public reader"),
        Example("0300080013", _DUMP, Quantity.EXPORT, 23_990, "the same"),
        Example("0300080013", _DUMP, Quantity.POWER, 132, "the same"),
        Example("0300080013", _DUMP, Quantity.VOLTAGE, 231, "the same: 230.6 V"),
        Example("0300080013", _DUMP, Quantity.RELAY, 0, "the same: off"),
        Example(
            "0300000012",
            "032400001c7b000000000000000000000000000004f300001788097701a603f8007003e1138a",
            Quantity.IMPORT,
            60_240,
            "captured on RS-485, quoted in public firmware",
        ),
    ),
    proven="register dump and captured frames of real meters (reads; the write is unproven)",
    source="public register lists of the DDS238-2 ZN/S and ZN/SR",
)
