"""One meter behind a Modbus connection goes in, its identified values come out: the session of one visit.

A visit reads the identity first (or in the same block) and believes nothing that another meter answered. Refusals are
``WireRefusal`` and stay inside ``links``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from ingest.errors import WireRefusal
from ingest.links.requests import read_request, write_request
from ingest.model import ModbusDriver, ModbusRelay, Quantity
from ingest.ports import Clock
from ingest.quick import maker
from ingest.records import Drive, Finding, MeterPoint, RelayReport, RelayState
from ingest.wire.modbus import Refusal
from ingest.wire.registers import Block, visit_plan


class Line(Protocol):
    """What a visit asks of a connection: Modbus TCP (``connection``) or a serial line (``rtuline``)."""

    @property
    def tagged(self) -> bool: ...

    generation: int

    async def ask(self, unit: int, pdu: bytes, *, timeout_s: float, generation: int = 0) -> bytes | Refusal: ...
    async def ask_all(self, unit: int, pdus: Sequence[bytes], *, timeout_s: float) -> list[bytes] | Refusal: ...
    async def pause(self, unit: int, gap_s: float) -> None: ...


_report = maker(RelayReport)
_IDENTITY, _POWER, _RELAY = Quantity.IDENTITY, Quantity.POWER, Quantity.RELAY  # a look-up costs as much as a read


@dataclass(frozen=True, slots=True)
class _Reads:
    """The requests of one visit, and for each what its answer holds and how that is read; the identity comes first."""

    pdus: tuple[bytes, ...]
    readers: tuple[tuple[tuple[Quantity, ...], Callable[[bytes], list[int | None]]], ...]


@lru_cache(maxsize=1024)
def _reads(driver: ModbusDriver, quantities: tuple[Quantity, ...]) -> _Reads:
    blocks = visit_plan(driver, quantities)
    return _Reads(
        tuple(read_request(block.function, block.address, block.count) for block in blocks),
        tuple((tuple(register.quantity for register in block.registers), block.reader()) for block in blocks),
    )


@dataclass(slots=True)
class Visit:
    """What one visit to one meter gathers; ``serial`` is what the device said, "" before it was asked."""

    connection: Line
    clock: Clock
    gateway: str
    point: MeterPoint
    driver: ModbusDriver
    timeout_s: float
    values: dict[Quantity, int | None] = field(default_factory=dict)
    serial: str = ""
    findings: list[Finding] = field(default_factory=list)
    raw: list[tuple[bytes, bytes]] = field(default_factory=list)
    plan: _Reads | None = None

    async def read(self, quantities: tuple[Quantity, ...] = ()) -> None:
        """Fill ``values`` (all of them, or only ``quantities``), identity first; WireRefusal ends the visit."""
        self.take(await self._answers(_reads(self.driver, quantities).pdus), quantities)

    def requests(self) -> tuple[bytes, ...]:
        """What a whole visit asks, for callers that send it themselves and ``take`` the answers."""
        self.plan = _reads(self.driver, ())
        return self.plan.pdus

    def take(self, answers: Sequence[bytes], quantities: tuple[Quantity, ...] = ()) -> None:
        """Fill ``values`` from the answers to the visit's requests, identity first; WireRefusal ends the visit."""
        plan = self.plan if self.plan is not None and not quantities else _reads(self.driver, quantities)
        self.raw += zip(plan.pdus, answers, strict=True)
        values: dict[Quantity, int | None] = {}
        for data, (names, read) in zip(answers, plan.readers, strict=True):
            values.update(zip(names, read(data)))  # noqa: B905 - a reader gives one value a name
        if self.driver.identity is not None:
            self._identify(values.pop(_IDENTITY))
        self.values = values

    async def _answers(self, pdus: Sequence[bytes]) -> Sequence[bytes]:
        """The answers to the visit's requests, all of them before any is believed."""
        if self.driver.gap_ms:
            return [await self.ask(pdu) for pdu in pdus]
        found = await self.connection.ask_all(self.point.unit, pdus, timeout_s=self.timeout_s)
        if isinstance(found, Refusal):
            raise WireRefusal(found.reason, found.detail)
        return found

    async def again(self, quantity: Quantity) -> int | None:
        """One value once more, by itself."""
        register = next(register for register in self.driver.registers if register.quantity is quantity)
        block = Block(register.function, register.address, register.count, (register,))
        request = read_request(block.function, block.address, block.count)
        data = await self.ask(request)
        self.raw.append((request, data))  # behind what it replaces: the last one counts when it is decoded again
        return block.value(register, data)

    async def ask(self, pdu: bytes, *, generation: int = 0) -> bytes:
        """One exchange; WireRefusal instead of an answer that cannot be trusted."""
        if self.driver.gap_ms:
            await self.connection.pause(self.point.unit, self.driver.gap_ms / 1000)
        data = await self.connection.ask(self.point.unit, pdu, timeout_s=self.timeout_s, generation=generation)
        if isinstance(data, Refusal):
            raise WireRefusal(data.reason, data.detail)
        return data

    def _identify(self, value: int | None) -> None:
        """Hold what the device says it is against what master data expect."""
        identity, point = self.driver.identity, self.point
        if identity is None or value is None:
            raise WireRefusal("no_identity", f"{point.model} gave no serial number; try again or check the profile")
        number = (value & identity.mask) >> identity.shift
        if identity.kind == "station":
            self.serial = f"unit-{number}"
            if number != point.unit:
                raise WireRefusal("wrong_unit", f"station {number} answers for unit {point.unit}: check the line")
        elif point.serial and point.serial.lstrip("0") != str(number):
            self.serial = str(number)
            raise WireRefusal("wrong_unit", f"serial {number} answers, {point.serial} is expected: meter swapped?")
        else:
            self.serial = point.serial or str(number)

    def report(self) -> RelayReport:
        """The relay's word; a pattern that is neither closed nor open is unknown."""
        relay, value = self.driver.relay, self.values.get(_RELAY)
        state, source = RelayState.UNKNOWN, "no_relay"
        if relay is not None and value is not None:
            state, source = _state(relay, value), "read_back"
        power_w = self.values.get(_POWER)
        return _report(self.point.meter, self.clock.now(), state, power_w, None, source)

    def found(self, code: str, detail: str) -> None:
        """Note one finding of this visit."""
        self.findings.append(Finding(code, self.clock.now(), self.point.meter, self.gateway, detail))


def _state(relay: ModbusRelay, value: int) -> RelayState:
    shown = value & relay.read_mask
    if shown == relay.opened:
        return RelayState.OPEN
    return RelayState.CLOSED if shown == relay.closed else RelayState.UNKNOWN


class VisitSwitch:
    """One relay as ``FencedDrives`` asks for it: prepare, write, read back, all in one visit."""

    def __init__(self, visit: Visit) -> None:
        """Nothing is sent yet."""
        self._visit = visit
        self._generation = 0

    async def prepare(self, order: Drive) -> str:
        """Identity, relay and lock; the reason why the relay must not be driven, "" when it may."""
        relay = self._visit.driver.relay
        if relay is None or not self._visit.driver.switchable:
            return "read_only"
        if order.action == "arm":
            return "no_arm"
        await self.read_back()
        self._generation = self._visit.connection.generation
        if relay.lock is not None:
            data = await self._visit.ask(read_request(relay.lock.function, relay.lock.address, 1))
            if int.from_bytes(data, "big") & relay.lock.mask == relay.lock.locked:
                return "locked"
        return ""

    @property
    def state(self) -> RelayState:
        """What the last read-back said."""
        return self._visit.report().state

    async def write(self, order: Drive) -> None:
        """Send the order, on the very connection on which the meter said who it is."""
        relay = self._visit.driver.relay
        if relay is None:
            raise WireRefusal("read_only", "no relay")
        pdu = write_request(relay.write, relay.address, relay.close if order.action == "connect" else relay.open)
        await self._visit.ask(pdu, generation=self._generation)

    async def read_back(self) -> None:
        """Read identity, relay and load."""
        await self._visit.read((Quantity.RELAY, Quantity.POWER))
