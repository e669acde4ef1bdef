"""Fineco EM115 DO: float32 input registers in, reads out; its relay needs a key from the serial: read-only here."""

from fractions import Fraction

from ingest.model import Encoding, Example, ModbusDriver, ModbusRelay, Quantity, Register

DRIVER = ModbusDriver(
    name="em115",
    title="Fineco EM115 DO",
    registers=(
        Register(Quantity.VOLTAGE, 4, 0x0002, Encoding.FLOAT32, says="V"),
        Register(Quantity.POWER, 4, 0x0008, Encoding.FLOAT32, says="active power, W"),
        Register(Quantity.IMPORT, 4, 0x0160, Encoding.FLOAT32, Fraction(1000), says="total import, kWh"),
    ),
    relay=ModbusRelay(
        write=16,
        address=0x0566,
        close=(0x5555,),
        open=(0xAAAA,),
        read=3,
        read_address=0x0566,
        closed=0x5555,
        opened=0xAAAA,
        verified=False,
        key="fineco-serial",
    ),
    max_power_w=25_000,
    most_registers=40,
    examples=(Example("0401600002", "040442f6e979", Quantity.IMPORT, 123_456, "made here"),),
    source="Fineco EM115 protocol; the one public key function stands in an AGPL program: not taken over",
)
