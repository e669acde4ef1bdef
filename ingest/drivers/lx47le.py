"""Lingxun LX47LE-125 breaker-meter: input registers in, reads out; a motor closes and opens it, a lock bit forbids it.

The switch is coil 0x0001, what it did is the low byte of input register 0x0000 (F0 closed, 0F open); coil 0x0002 is the
lock that a person sets on site. It tells no serial number.
"""

from ingest.model import Encoding, Example, Lock, ModbusDriver, ModbusRelay, Quantity, Register

DRIVER = ModbusDriver(
    name="lx47le",
    title="Lingxun LX47LE-125",
    registers=(
        Register(Quantity.VOLTAGE, 4, 0x0008, Encoding.UINT16, says="V"),
        Register(Quantity.POWER, 4, 0x000B, Encoding.UINT16, says="active power, W"),
        Register(Quantity.IMPORT, 4, 0x000D, Encoding.UINT32, says="total, 0.001 kWh"),
    ),
    relay=ModbusRelay(
        write=5,
        address=0x0001,
        close=(0xFF00,),
        open=(0x0000,),
        read=4,
        read_address=0x0000,
        read_mask=0x00FF,
        closed=0x00F0,
        opened=0x000F,
        verified=True,
        lock=Lock(function=1, address=0x0002, locked=1, mask=1),
    ),
    max_power_w=30_000,
    most_registers=20,
    largest_gap=10,
    gap_ms=50,
    timeout_s=3.0,
    examples=(
        Example("0400000001", "040200f0", Quantity.RELAY, 0x00F0, "made here after public test reports"),
        Example("04000d0002", "04040001e240", Quantity.IMPORT, 123_456, "made here"),
    ),
    source="Lingxun unified RS-485 protocol and public test reports on two real breakers",
)
