"""Simulated meters go in, a Modbus gateway with many units comes out: bytes of requests in, bytes of answers out.

Each unit shows its meter through the driver that the product itself uses to read it, relay included. Written with
``struct`` alone, so that it and the link (whose requests pymodbus writes) check each other. Faults of a meter by name:
``dead`` (no answer), ``wrong_unit`` (another meter answers), ``half_frame``, ``stale`` (the answer before, once more),
``locked`` (the lock bit is set), and those of ``SimMeter``.
"""

import itertools
import struct
from dataclasses import dataclass

from ingest.model import Identity, ModbusDriver, ModbusRelay, Quantity
from ingest.ports import Clock
from ingest.records import RelayState
from ingest.wire.modbus import Frame, TcpFramer, adu
from ingest.wire.registers import encode, relay_register
from ingest.wire.rtu import RtuRequests, answer_adu
from sim.meters import SimMeter

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, DEVICE_FAILURE, NO_RESPONSE = 1, 2, 3, 4, 11
MAINS_V = 230


@dataclass(slots=True)
class Unit:
    """One meter behind the gateway, shown through ``driver``; ``station`` is the unit id that it believes to have."""

    station: int
    meter: SimMeter
    driver: ModbusDriver


class ModbusGateway:
    """``sim.ports.Device``: a listening gateway. ``requests`` counts what arrived."""

    def __init__(self, clock: Clock, framing: str = "tcp") -> None:
        """Meters advance by ``clock`` whenever they are asked; ``framing`` is tcp, or rtu for a serial line."""
        self._clock = clock
        self.framing = framing
        self.units: dict[int, Unit] = {}
        self.requests = 0
        self.last_answer = b""

    def add(self, unit: int, meter: SimMeter, driver: ModbusDriver) -> None:
        """Hang ``meter`` on the line as ``unit``."""
        self.units[unit] = Unit(unit, meter, driver)

    def session(self) -> "ModbusSession":
        """One client's connection."""
        return ModbusSession(self)

    def frame(self, tid: int, unit: int, pdu: bytes) -> bytes:
        """One answer as it goes over the wire."""
        return adu(tid, unit, pdu) if self.framing == "tcp" else answer_adu(unit, pdu)

    def answer(self, frame: Frame) -> list[bytes]:
        """What goes back for one request: nothing from a dead unit, else one write."""
        self.requests += 1
        unit = self.units.get(frame.unit)
        if unit is None:
            if self.framing == "rtu":
                return []  # on a serial line nobody speaks for a unit that is not there
            return [adu(frame.tid, frame.unit, bytes([frame.pdu[0] | 0x80, NO_RESPONSE]))]
        faults = unit.meter.faults
        if "dead" in faults:
            return []
        if "stale" in faults and self.last_answer:
            return [self.last_answer]
        pdu = respond(self._behind(unit), frame.pdu, self._clock)
        reply = self.frame(frame.tid, frame.unit, pdu)
        if "half_frame" in faults:
            return [reply[: len(reply) // 2]]
        self.last_answer = reply
        return [reply]

    def _behind(self, unit: Unit) -> Unit:
        """The unit that really answers: a neighbour when the line is wired wrongly."""
        if "wrong_unit" not in unit.meter.faults:
            return unit
        others = [number for number in sorted(self.units) if number != unit.station]
        if others:
            neighbour = self.units[others[0]]
            return Unit(neighbour.station, neighbour.meter, unit.driver)
        return Unit(unit.station + 1, SimMeter("999999999", unit.meter.load, self._clock.now()), unit.driver)


class ModbusSession:
    """``sim.ports.Session``: splits what arrives into requests, answers them in order, stays silent on garbage."""

    def __init__(self, gateway: ModbusGateway) -> None:
        """Begin at a frame boundary."""
        self._gateway = gateway
        self._framer = TcpFramer() if gateway.framing == "tcp" else RtuRequests()

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes, return the writes that answer them."""
        return [write for frame in self._framer.feed(data) for write in self._gateway.answer(frame)]


def respond(unit: Unit, pdu: bytes, clock: Clock) -> bytes:
    """The response PDU of one meter, an exception where it has nothing to say."""
    function = pdu[0]
    unit.meter.advance(clock.now())
    if function in (3, 4) and len(pdu) == 5:
        address, count = struct.unpack(">HH", pdu[1:])
        return _read_words(unit, function, address, count, clock)
    if function in (1, 2) and len(pdu) == 5:
        return _read_bits(unit, function, *struct.unpack(">HH", pdu[1:]))
    if function in (5, 6, 16):
        return _write(unit, pdu, clock)
    return bytes([function | 0x80, ILLEGAL_FUNCTION])


def _shown(unit: Unit, quantity: Quantity, clock: Clock) -> int:
    """What the meter shows for a quantity, in base units."""
    now, meter, identity = clock.now(), unit.meter, unit.driver.identity
    if quantity is Quantity.IMPORT:
        return meter.register_wh
    if quantity is Quantity.POWER:
        return meter.power_w(now)
    if quantity is Quantity.VOLTAGE:
        return MAINS_V
    if quantity is Quantity.IDENTITY and identity is not None:
        return _identity(unit, identity)
    if quantity is Quantity.RELAY and unit.driver.relay is not None:
        return _relay_word(unit.driver.relay, meter.reported_relay)
    return 0


def _identity(unit: Unit, identity: Identity) -> int:
    """The station address in its bits, or the digits of the serial number."""
    if identity.kind == "station":
        return unit.station << identity.shift | 1
    return int("".join(letter for letter in unit.meter.serial if letter.isdigit()) or "0") & 0xFFFF_FFFF


def _relay_word(relay: ModbusRelay, state: RelayState) -> int:
    return relay.closed if state is RelayState.CLOSED else relay.opened


def _read_words(unit: Unit, function: int, address: int, count: int, clock: Clock) -> bytes:
    """Registers: declared ones have values, holes within the driver's gap are 0, anything else is refused."""
    driver = unit.driver
    registers = [*driver.registers]
    registers += [driver.identity.register] if driver.identity is not None else []
    relay = relay_register(driver)
    registers += [relay] if relay is not None else []
    words: dict[int, bytes] = {}
    for register in registers:
        if register.function == function:
            data = encode(register, _shown(unit, register.quantity, clock))
            words.update({register.address + at: data[2 * at : 2 * at + 2] for at in range(register.count)})
    wanted = range(address, address + count)
    known = [at for at in wanted if at in words]
    if not 1 <= count <= driver.most_registers:
        return bytes([function | 0x80, ILLEGAL_VALUE])
    edges = [address - 1, *known, address + count]
    if not known or max(b - a - 1 for a, b in itertools.pairwise(edges)) > driver.largest_gap:
        return bytes([function | 0x80, ILLEGAL_ADDRESS])
    return bytes([function, 2 * count]) + b"".join(words.get(at, b"\0\0") for at in wanted)


def _read_bits(unit: Unit, function: int, address: int, count: int) -> bytes:
    """The lock bit is the only coil that can be read."""
    relay = unit.driver.relay
    lock = relay.lock if relay is not None else None
    if lock is None or lock.function != function or address != lock.address or count != 1:
        return bytes([function | 0x80, ILLEGAL_ADDRESS])
    return bytes([function, 1, lock.locked if "locked" in unit.meter.faults else 1 - lock.locked])


def _write(unit: Unit, pdu: bytes, clock: Clock) -> bytes:
    """Only the relay can be written, only by its own function; a kept-on or locked one says no."""
    function, relay = pdu[0], unit.driver.relay
    if relay is None or relay.write != function:
        return bytes([function | 0x80, ILLEGAL_FUNCTION])
    words = _written(pdu, relay.address)
    if words is None:
        return bytes([function | 0x80, ILLEGAL_ADDRESS])
    if words not in (relay.close, relay.open):
        return bytes([function | 0x80, ILLEGAL_VALUE])
    state = RelayState.CLOSED if words == relay.close else RelayState.OPEN
    if "locked" in unit.meter.faults or (unit.meter.keep_power and state is RelayState.OPEN):
        return bytes([function | 0x80, ILLEGAL_VALUE])
    unit.meter.switch(state, clock.now(), "modbus")
    return pdu[:5]


def _written(pdu: bytes, address: int) -> tuple[int, ...] | None:
    """The words that a write brings to ``address``, None when it is malformed or goes elsewhere."""
    if len(pdu) < 5 or struct.unpack(">H", pdu[1:3])[0] != address:
        return None
    if pdu[0] in (5, 6):
        return (struct.unpack(">H", pdu[3:5])[0],) if len(pdu) == 5 else None
    count = struct.unpack(">H", pdu[3:5])[0]
    if len(pdu) != 6 + 2 * count or pdu[5] != 2 * count:
        return None
    return struct.unpack(f">{count}H", pdu[6:])
