"""Register bytes and a driver's words go in, values in base units come out; and the way back for simulated devices.

Reads are planned here too: registers that lie close enough are fetched by one request.
"""

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

from ingest.model import Encoding, ModbusDriver, Quantity, Register, WordOrder

_FORMAT = {
    Encoding.INT16: ">h",
    Encoding.UINT16: ">H",
    Encoding.INT32: ">i",
    Encoding.UINT32: ">I",
    Encoding.INT64: ">q",
    Encoding.UINT64: ">Q",
    Encoding.FLOAT32: ">f",
}


def _ordered(data: bytes, words: WordOrder) -> bytes:
    """Swap the 16-bit words of ``data`` when the meter sends the low word first (its own inverse)."""
    if words is WordOrder.HIGH_FIRST:
        return data
    return b"".join(data[at : at + 2] for at in range(len(data) - 2, -2, -2))


def decode(register: Register, data: bytes) -> int | None:
    """The value of ``register`` in base units (rounded half to even), None when the meter says "not available".

    ``data`` is exactly the register's bytes as they came; anything else gives None, as do NaN and infinities.

    >>> volts = Register(Quantity.VOLTAGE, 4, 0, Encoding.FLOAT32)
    >>> decode(volts, bytes.fromhex("43663334"))
    230
    """
    if len(data) != 2 * register.count:
        return None
    straight = _ordered(data, register.words)
    if int.from_bytes(straight, "big") in register.not_available:
        return None
    raw: int | float = struct.unpack(_FORMAT[register.encoding], straight)[0]
    if isinstance(raw, int) and register.scale.denominator == 1:
        return raw * register.scale.numerator
    return round(Fraction(raw) * register.scale) if math.isfinite(raw) else None


def _scaled(register: Register) -> Callable[[Any], int | None] | None:
    """What makes an unpacked number of ``register`` its value, everything looked up that can be; None: nothing does."""
    layout = struct.Struct(_FORMAT[register.encoding])
    over, under = register.scale.numerator, register.scale.denominator
    patterns = frozenset(register.not_available)
    if register.encoding is Encoding.FLOAT32:

        def real(raw: float) -> int | None:
            if not math.isfinite(raw) or (patterns and int.from_bytes(layout.pack(raw), "big") in patterns):
                return None
            top, bottom = raw.as_integer_ratio()
            return _half_even(top * over, bottom * under)

        return real
    missing = frozenset(layout.unpack(pattern.to_bytes(layout.size, "big"))[0] for pattern in patterns)
    if not missing and under == 1:
        return None if over == 1 else over.__mul__

    def whole(raw: int) -> int | None:
        if raw in missing:
            return None
        return _half_even(raw * over, under)

    return whole


def _piece(register: Register) -> tuple[str, Callable[[Any], int | None] | None]:
    """How ``register`` is unpacked, and what makes that its value."""
    scaled, layout = _scaled(register), struct.Struct(_FORMAT[register.encoding])
    if register.words is WordOrder.HIGH_FIRST or register.count == 1:
        return layout.format[1:], scaled

    def swapped(data: bytes) -> int | None:
        raw = layout.unpack(_ordered(data, register.words))[0]
        return raw if scaled is None else scaled(raw)

    return f"{layout.size}s", swapped


def _half_even(over: int, under: int) -> int:
    """``over / under`` rounded as ``round`` rounds a fraction."""
    whole, rest = divmod(over, under)
    return whole + (2 * rest > under or (2 * rest == under and whole & 1))


def encode(register: Register, value: int) -> bytes:
    """The bytes with which a meter would show ``value`` (base units): a coarser register rounds towards zero.

    What does not fit wraps as a counter does (unsigned) or stays at the limit (signed).
    """
    over, under = value * register.scale.denominator, register.scale.numerator
    if register.encoding is Encoding.FLOAT32:
        packed = struct.pack(">f", over / under)
    else:
        bits = 16 * register.count
        whole = over // under if over >= 0 else -(-over // under)
        if register.encoding in (Encoding.INT16, Encoding.INT32, Encoding.INT64):
            whole = max(-(1 << (bits - 1)), min((1 << (bits - 1)) - 1, whole))
        else:
            whole %= 1 << bits
        packed = struct.pack(_FORMAT[register.encoding], whole)
    return _ordered(packed, register.words)


def step(register: Register) -> int:
    """The least change that the register can show, in base units and at least 1 (floats: of small readings)."""
    return max(1, math.ceil(register.scale)) if register.encoding is not Encoding.FLOAT32 else 1


@dataclass(frozen=True, slots=True)
class Block:
    """One read request: ``count`` registers of ``function`` from ``address``, and what lies inside it."""

    function: int
    address: int
    count: int
    registers: tuple[Register, ...]

    def reader(self) -> Callable[[bytes], list[int | None]]:
        """The ``value`` of each register in turn as one function of the block's bytes: what polls use for every answer.

        Registers that lie apart are unpacked together.
        """
        layout, scaled, at = ">", [], 2 * self.address
        for register in self.registers:
            if 2 * register.address < at:  # two registers share bytes: each by itself
                return self._values
            piece, convert = _piece(register)
            layout += f"{2 * register.address - at}x{piece}"
            at = 2 * (register.address + register.count)
            scaled.append(convert)
        unpack, size = struct.Struct(layout).unpack_from, at - 2 * self.address

        def read(data: bytes) -> list[int | None]:
            if len(data) < size:
                return self._values(data)
            return [raw if convert is None else convert(raw) for raw, convert in zip(unpack(data), scaled, strict=True)]

        return read

    def _values(self, data: bytes) -> list[int | None]:
        return [self.value(register, data) for register in self.registers]

    def value(self, register: Register, data: bytes) -> int | None:
        """The value of ``register`` inside the block's bytes."""
        start = 2 * (register.address - self.address)
        return decode(register, data[start : start + 2 * register.count])


def plan_reads(registers: Sequence[Register], *, most: int, gap: int) -> tuple[Block, ...]:
    """The requests that fetch ``registers``: at most ``most`` registers each, stepping over at most ``gap`` unused.

    >>> one = Register(Quantity.POWER, 4, 0, Encoding.FLOAT32)
    >>> two = Register(Quantity.IMPORT, 4, 6, Encoding.FLOAT32)
    >>> [(b.address, b.count) for b in plan_reads([two, one], most=125, gap=4)]
    [(0, 8)]
    >>> [(b.address, b.count) for b in plan_reads([two, one], most=125, gap=3)]
    [(0, 2), (6, 2)]
    """
    blocks: list[Block] = []
    for register in sorted(registers, key=lambda item: (item.function, item.address, item.count)):
        last = blocks[-1] if blocks else None
        if last is not None and last.function == register.function:
            end = max(last.address + last.count, register.address + register.count)
            hole = register.address - (last.address + last.count)
            if hole <= gap and end - last.address <= most:
                blocks[-1] = Block(last.function, last.address, end - last.address, (*last.registers, register))
                continue
        blocks.append(Block(register.function, register.address, register.count, (register,)))
    return tuple(blocks)


def relay_register(driver: ModbusDriver) -> Register | None:
    """The register that says what the relay did, if the driver has a relay."""
    if driver.relay is None:
        return None
    return Register(Quantity.RELAY, driver.relay.read, driver.relay.read_address, Encoding.UINT16)


@lru_cache(maxsize=1024)
def visit_plan(driver: ModbusDriver, quantities: tuple[Quantity, ...] = ()) -> tuple[Block, ...]:
    """The reads of one visit, the one that holds the identity first; ``quantities`` narrows it (empty: all).

    Identity always belongs to it, in the same block as the values where the map allows.
    """
    wanted = [r for r in driver.registers if not quantities or r.quantity in quantities]
    relay = relay_register(driver)
    if relay is not None and driver.switchable and (not quantities or Quantity.RELAY in quantities):
        wanted.append(relay)
    if driver.identity is not None:
        wanted.append(driver.identity.register)
    blocks = plan_reads(wanted, most=driver.most_registers, gap=driver.largest_gap)
    return tuple(sorted(blocks, key=lambda b: all(r.quantity is not Quantity.IDENTITY for r in b.registers)))
